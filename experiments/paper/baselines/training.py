"""Training of a baseline for a time or a number of images.

What a step does depends on the seed, on its number and, where the learning rate falls, on the share of the budget that
is spent; with a budget in images a resumed run is therefore bit-identical to an unbroken one on a CPU.
"""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from experiments.paper.baselines.state import Baseline, Images, Settings, spent_share
from ui2i.datasets.prepared import BatchSampler
from ui2i.errors import TrainingError
from ui2i.images import to_tensor
from ui2i.progress import Progress, no_progress

SAVE_SECONDS = 60.0
LOG_STEPS = 10  # between rows of the log; states are saved at rows alone
PROGRESS_PARTS = 1000
_COUNTERS = ("kimg", "seconds", "images_per_second")


def batches(images: Images, settings: Settings, start_step: int, stream: int) -> Iterator[Tensor]:
    """Yield the batches from a step on, half of the images mirrored.

    Args:
        stream: 0 or 1; the two have orders of their own.
    """
    sampler, step = BatchSampler(len(images), settings.batch_size, 2 * settings.seed + stream), start_step
    while True:
        batch, mirrored = images[sampler.indices(step)], sampler.mirror_flags(step)
        batch[mirrored] = batch[mirrored, :, ::-1]
        yield to_tensor(batch).contiguous(memory_format=torch.channels_last)
        step += 1


def train(
    model: Baseline,
    source: Images,
    target: Images,
    settings: Settings,
    state_path: Path,
    *,
    identity: str = "",
    until_core_minutes: float = math.inf,
    progress: Progress = no_progress,
) -> None:
    """Train to the end of the budget, from the state at `state_path` if there is one, and save the last state there.

    Args:
        identity: settings and data; a state with another is set aside.
        until_core_minutes: processor time after which to pause before the end; a further call goes on.

    Raises:
        TrainingError: a loss is not finite.
    """

    def report(note: str) -> None:
        progress(min(round(spent_share(model, settings) * PROGRESS_PARTS), PROGRESS_PARTS), PROGRESS_PARTS, note)

    report(model.resume(state_path, identity))
    streams = [batches(images, settings, model.num_steps, number) for number, images in enumerate((source, target))]
    start, processor_start = time.monotonic() - model.seconds, time.process_time() - model.processor_seconds
    saved_at, window = model.seconds, LogWindow(model, settings)
    while (share := spent_share(model, settings)) < 1 and model.processor_seconds < 60 * until_core_minutes:
        model.set_learning_rate(share)
        batch, other_batch = (next(stream).to(model.device) for stream in streams)
        window.add(model.train_step(batch, other_batch))
        model.num_steps += 1
        model.seconds = time.monotonic() - start
        model.processor_seconds = time.process_time() - processor_start
        if model.num_steps % LOG_STEPS:
            continue
        model.log.append(window.close())
        report(describe(model.log[-1]))
        if model.seconds - saved_at >= SAVE_SECONDS:
            model.save(state_path, identity)
            saved_at = model.seconds
    window.check()  # the steps behind the last row: no broken state is saved
    model.save(state_path, identity)


class LogWindow:
    """Means of the losses over the steps since the last row of the log."""

    def __init__(self, model: Baseline, settings: Settings) -> None:
        self._model = model
        self._settings = settings
        self._open()

    def _open(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._start = (self._model.num_steps, self._model.seconds)

    def add(self, terms: dict[str, Tensor]) -> None:
        """Take in the losses of a step, which may be other ones than those of the step before."""
        for name, term in terms.items():
            self._sums[name] = self._sums.get(name, 0) + term
            self._counts[name] = self._counts.get(name, 0) + 1

    def check(self) -> dict[str, float]:
        """Return the means so far.

        Raises:
            TrainingError: a loss is not finite.
        """
        row = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        broken = [name for name, value in row.items() if not math.isfinite(value)]
        if broken:
            raise TrainingError(
                f"the loss {broken[0]} is {row[broken[0]]} at step {self._model.num_steps}, expected a finite number; "
                "rerun the command to resume from the last state, or train from scratch with --precision fp32"
            )
        return row

    def close(self) -> dict[str, float]:
        """Return a row of the log and begin the next.

        Raises:
            TrainingError: a loss is not finite.
        """
        num_steps = self._model.num_steps - self._start[0]
        seconds = self._model.seconds - self._start[1]
        row = self.check()
        size = self._settings.batch_size
        row["kimg"] = self._model.num_steps * size / 1000
        row["seconds"] = self._model.seconds
        row["images_per_second"] = num_steps * size / seconds
        self._open()
        return row


def describe(row: dict[str, float]) -> str:
    """Return a row of the log in a few words."""
    losses = ", ".join(f"{name} {value:.3f}" for name, value in row.items() if name not in _COUNTERS)
    return f"{losses}; {row['kimg']:.2f} kimg, {row['images_per_second']:.1f} images/s"
