"""The training loop: batches in, resumable state and sample grids out.

A run lives in one folder. Its states (see `snapshots`) hold all that the next step depends on, so a killed run
continues as if nothing had happened: on a CPU the result is bit-identical.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from ui2i.datasets.loading import BatchLoader
from ui2i.datasets.prepared import BatchSampler, PreparedDataset
from ui2i.devices import fast_arithmetic
from ui2i.errors import ConfigError, DataError, TrainingError, is_out_of_memory
from ui2i.images import grid, save_png, to_tensor, to_uint8
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.precision import choose_precision, warn_if_emulated
from ui2i.progress import Progress, no_progress
from ui2i.settings import NetworkConfig, TrainingConfig
from ui2i.training.graphs import StepGraphs, suits_graphs
from ui2i.training.memory import check_batch, more_micro_batches
from ui2i.training.processes import from_first_process, joined_processes, process_count, process_rank, wait_for_all
from ui2i.training.sharding import Sharding
from ui2i.training.snapshots import STATE_FILE, restore_best, resume_state, run_identity, save_state, set_aside
from ui2i.training.state import TrainingState, initial_state
from ui2i.training.step import train_step
from ui2i.training.watching import (
    Events,
    LogWindow,
    best_distance,
    describe,
    diversity,
    drop_other_measurements,
    fixed_samples,
    sample_grid,
    samples_path,
    save_film_strip,
)

__all__ = ["sample_grid", "train"]

LOG_ROWS_PER_SNAPSHOT = 10
COLLAPSED_SHARE = 0.1
"""A generator whose samples differ by less than this share of the most they ever did has collapsed."""

ResultT = TypeVar("ResultT")

Evaluator = Callable[[Generator], Mapping[str, float]]
"""Measures a generator: `fd`, lower is better, and other values for the log."""


def train(
    dataset: PreparedDataset,
    run_dir: Path,
    network_config: NetworkConfig,
    config: TrainingConfig,
    *,
    base: tuple[Generator, Discriminator | None] | None = None,
    base_hash: str | None = None,
    device: torch.device | str = "cpu",
    evaluator: Evaluator | None = None,
    evaluator_hash: str | None = None,
    restart: bool = False,
    progress: Progress = no_progress,
) -> TrainingState:
    """Train until `config.total_kimg`, going on from the state in `run_dir` if one fits.

    A state made with other settings, data or base is set aside as `state-superseded.pt`. Settings that only say how
    long to train and what to keep of it may differ: a finished run can be prolonged, and one that is longer than asked
    for starts afresh. With the precision auto a state keeps its own. Started by `torchrun`, all processes train one
    model together; the first alone writes.

    Args:
        run_dir: gets the states, `samples-<kimg>.png` (generator_ema at fixed latents, psi 1), `film-strip.png` and
            TensorBoard's events.
        base: generator and discriminator to fine-tune; None trains from scratch.
        base_hash: identity of the base, to notice that it changed.
        evaluator: called every `config.evaluation_kimg`; needed if that is set.
        evaluator_hash: identity of its backbone, to drop what another measured from the log of a run that goes on.
        restart: set a saved state aside and start afresh.

    Returns:
        The last state; with `config.patience` the best that was measured, whose log is that of the whole run.

    Raises:
        DataError: the images have another resolution than the network, or are fewer than one batch.
        CheckpointError: the base has another architecture.
        ConfigError: the batch cannot be divided as asked, or measurements are wanted without an evaluator.
        TrainingError: a loss is not finite, the generator collapsed, or the memory did not suffice; the message names
            the last good state.
    """
    _check(dataset, network_config, config, evaluator)
    config = dataclasses.replace(config, mirror=dataset.suits_mirroring if config.mirror is None else config.mirror)
    identity = run_identity(dataset, network_config, config, base_hash)

    def fresh_state() -> TrainingState:
        return initial_state(network_config, config, base=base, device=device)

    with joined_processes(device), fast_arithmetic(device):
        # One for all processes, and not part of the identity: on another machine a saved run keeps its own.
        precision = from_first_process(lambda: choose_precision(config.precision, device))
        config = dataclasses.replace(config, precision=precision)
        state = fresh_state()
        run_dir.mkdir(parents=True, exist_ok=True)
        if restart:
            _start_afresh(run_dir)
        run = _Run(dataset, run_dir, config, identity, state, evaluator, evaluator_hash, progress)
        note = _with_base(run.resume(fresh_state), base)
        num_micro_batches = config.num_micro_batches or 1
        while not run.goes_on_to_the_end(num_micro_batches, note):
            num_micro_batches = more_micro_batches(run.state, config, num_micro_batches)
            run.state = fresh_state()  # what the failed step left behind is not to be trusted
            note = f"{run.resume(fresh_state)}, in {num_micro_batches} micro-batches to fit the memory"
        if config.patience and math.isfinite(best_distance(run.state.log)):
            wait_for_all()  # for the first process to have written it
            restore_best(run.state, run_dir, identity)
    return run.state


@dataclasses.dataclass
class _Run:
    """One training under way."""

    dataset: PreparedDataset
    run_dir: Path
    config: TrainingConfig
    identity: str
    state: TrainingState
    evaluator: Evaluator | None
    evaluator_hash: str | None
    progress: Progress

    def __post_init__(self) -> None:
        config = self.config
        self.is_writer = process_rank() == 0
        self.num_steps = config.num_steps
        self.log_steps = max(1, round(config.snapshot_kimg * 1000 / config.batch_size / LOG_ROWS_PER_SNAPSHOT))
        self.snapshot_steps = self.log_steps * LOG_ROWS_PER_SNAPSHOT

    def resume(self, fresh_state: Callable[[], TrainingState]) -> str:
        """Take up the saved state of this run unless it is beyond the end; return in a few words what was done."""
        note = resume_state(self.state, self.run_dir, self.identity)
        if self.state.num_steps > self.num_steps:
            _start_afresh(self.run_dir)
            self.state = fresh_state()
            note = "start afresh: the saved state is of a longer training, and was set aside"
        if self._is_over():
            return note
        return note + drop_other_measurements(self.state, self.run_dir, self.evaluator_hash)

    def goes_on_to_the_end(self, num_micro_batches: int, note: str) -> bool:
        """Train to the end, from wherever the state is; False: the memory did not suffice."""
        try:
            self._go_on(num_micro_batches, note)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return False
        return True

    def _go_on(self, num_micro_batches: int, note: str) -> None:
        state, config = self.state, self.config
        sharding = Sharding(rank=process_rank(), num_processes=process_count(), num_micro_batches=num_micro_batches)
        self._report(f"{note}, in {state.precision}")
        if self._is_over():
            return
        if self.is_writer:
            warn_if_emulated(state.precision, state.device)
        with self._events() as events, self._loader(sharding) as loader:
            window = LogWindow(config.batch_size, state.device, loader)
            graphs = StepGraphs(state, config) if suits_graphs(state, config, sharding) else None
            for images in loader:
                real_img = to_tensor(images, state.device).contiguous(memory_format=torch.channels_last)
                window.add(self._step(real_img, sharding, graphs))
                is_last = state.num_steps == self.num_steps
                if state.num_steps % self.log_steps and not is_last:
                    continue
                state.log.append(self._guarded(lambda: window.close(state.num_steps)))
                self._complete_row()
                self._report(self._description())
                if state.num_steps % self.snapshot_steps == 0 or is_last:
                    self._snapshot(events)
                if events is not None:
                    events.add_row(state.log[-1])
                if self._is_over():
                    break
        if self.is_writer:
            save_film_strip(self.run_dir, self.dataset.resolution)

    def _step(self, real_img: Tensor, sharding: Sharding, graphs: StepGraphs | None) -> dict[str, Tensor]:
        run = None if graphs is None else graphs.run
        return self._guarded(lambda: train_step(self.state, real_img, self.config, sharding, run=run))

    def _guarded(self, compute: Callable[[], ResultT]) -> ResultT:
        """Return what `compute` gives, and add to its error where the last good state is."""
        try:
            return compute()
        except TrainingError as error:
            raise TrainingError(f"{error}; {self._last_good()}") from error

    def _description(self) -> str:
        remaining = (self.num_steps - self.state.num_steps) * self.config.batch_size
        return describe(self.state.log[-1], remaining)

    def _complete_row(self) -> None:
        """Add to the newest log row what is no mean over steps."""
        row = self.state.log[-1]
        if self.config.augment == "ada":
            row["augment_probability"] = self.state.augment_probability

    def _snapshot(self, events: Events | None) -> None:
        """Measure, save, and show samples; the state is saved only if the generator is still alive."""
        state, row = self.state, self.state.log[-1]
        images = fixed_samples(state.generator_ema)
        row["diversity"] = diversity(images)
        self._require_diversity()
        best = best_distance(state.log)
        if self._is_evaluation_due():
            row |= from_first_process(self._evaluate)
            self._report(self._description())
        if not self.is_writer:
            return
        try:
            save_state(state, self.run_dir, self.identity, is_best=row.get("fd", math.inf) < best)
        except TrainingError as error:
            raise TrainingError(f"{error}; {self._last_good()}") from error
        image = grid(to_uint8(images), num_columns=round(len(images) ** 0.5))
        save_png(samples_path(self.run_dir, row["kimg"]), image)
        if events is not None:
            events.add_samples(image, row["kimg"])

    def _evaluate(self) -> dict[str, float]:
        assert self.evaluator is not None  # or `_check` had refused
        return dict(self.evaluator(self.state.generator_ema))

    def _is_evaluation_due(self) -> bool:
        """Tell whether a multiple of the interval lies between the snapshot before and this one, or the end is here."""
        if self.config.evaluation_kimg is None:
            return False
        interval = max(1, round(self.config.evaluation_kimg * 1000))
        steps, size = self.state.num_steps, self.config.batch_size
        before, now = (steps - self.snapshot_steps) * size, steps * size
        return steps == self.num_steps or before // interval < now // interval

    def _is_over(self) -> bool:
        """Tell whether all images were shown, or the measurements have not improved for too long."""
        if self.state.num_steps >= self.num_steps:
            return True
        distances = [row["fd"] for row in self.state.log if "fd" in row]
        if self.config.patience is None or not distances:
            return False
        return len(distances) - 1 - distances.index(min(distances)) >= self.config.patience

    def _require_diversity(self) -> None:
        values = [row["diversity"] for row in self.state.log if "diversity" in row]
        if values[-1] < COLLAPSED_SHARE * max(values):
            raise TrainingError(
                f"the generator collapsed at step {self.state.num_steps}: its samples differ by {values[-1]:.4f}, "
                f"expected at least {COLLAPSED_SHARE:.0%} of the {max(values):.4f} they differed by before; resume "
                f"with a lower learning_rate, a higher r1_gamma or augment: ada; {self._last_good()}"
            )

    def _last_good(self) -> str:
        kimg = max((row["kimg"] for row in self.state.log if "diversity" in row), default=None)
        if kimg is None or not (self.run_dir / STATE_FILE).exists():
            return "no state was saved before"
        return f"the last good state is {self.run_dir / STATE_FILE}"

    def _report(self, note: str) -> None:
        if self.is_writer:
            size = self.config.batch_size
            self.progress(self.state.num_steps * size, self.num_steps * size, note)

    @contextlib.contextmanager
    def _events(self) -> Iterator[Events | None]:
        if not self.is_writer:
            yield None
            return
        events = Events(self.run_dir, self.state.num_steps * self.config.batch_size / 1000)
        try:
            yield events
        finally:
            events.close()

    def _loader(self, sharding: Sharding) -> BatchLoader:
        """Return this process's part of each batch to come."""
        config, state = self.config, self.state
        return BatchLoader(
            self.dataset,
            BatchSampler(len(self.dataset), config.batch_size, config.seed),
            state.num_steps,
            self.num_steps,
            mirror=bool(config.mirror),
            positions=sharding.positions(config.batch_size, state.generator.config.mbstd_group_size).numpy(),
        )


def _check(
    dataset: PreparedDataset, network_config: NetworkConfig, config: TrainingConfig, evaluator: Evaluator | None
) -> None:
    if dataset.resolution != network_config.img_resolution:
        raise DataError(
            f"the dataset {dataset.name} has {dataset.resolution} px, expected the network's "
            f"{network_config.img_resolution} px; ingest it again at that resolution"
        )
    if config.evaluation_kimg is not None and evaluator is None:
        raise ConfigError(
            f"evaluation_kimg is {config.evaluation_kimg} without an evaluator, expected one to measure with; pass "
            "evaluator or leave evaluation_kimg out"
        )
    check_batch(config, network_config, len(dataset), f"the dataset {dataset.name}")


def _with_base(note: str, base: tuple[Generator, Discriminator | None] | None) -> str:
    missing = base is not None and base[1] is None
    return f"{note}; the base has no discriminator: a fresh one" if missing and note.startswith("start") else note


def _start_afresh(run_dir: Path) -> None:
    set_aside(run_dir)
    wait_for_all()
