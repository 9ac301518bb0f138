"""The phases of a training step as CUDA graphs: recorded once, and started again with one call each.

A step launches thousands of kernels, which costs the host longer than a GPU needs to run them at low resolutions. Each
of a step's up to four phases (update and regularisation of either network) is first computed as it stands, which also
chooses convolution algorithms and compiles kernels; then it is recorded, and replayed from there on. Recorded work must
not depend on numbers that only the host knows: images and the layer of style mixing are copied to where it reads them.
"""

import dataclasses
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.settings import TrainingConfig
from ui2i.training.draws import draw_cutoff
from ui2i.training.sharding import Sharding
from ui2i.training.state import TrainingState
from ui2i.training.step import MIXING_PHASES, Phase, Step

NUM_WARM_UPS = 2
"""Calls of a phase before it is recorded; libraries allocate and choose in them what a recording must not."""


@dataclasses.dataclass
class _Recording:
    """A phase, and what is known of it so far."""

    num_calls: int = 0
    graph: torch.cuda.CUDAGraph | None = None
    scalars: dict[str, Tensor] = dataclasses.field(default_factory=dict)


class StepGraphs:
    """Runs the phases of `train_step` for one state; made anew after the state was replaced."""

    def __init__(self, state: TrainingState, config: TrainingConfig) -> None:
        assert suits_graphs(state, config, Sharding())
        self._state = state
        self._config = config
        network = state.generator.config
        res = network.img_resolution
        self._real_img = torch.empty(
            config.batch_size, 3, res, res, device=state.device, memory_format=torch.channels_last
        )
        self._cutoff = torch.full([], network.num_ws, device=state.device)
        self._step = Step(state, config, Sharding(), cutoff=self._cutoff)
        self._stream = torch.cuda.Stream(state.device)
        self._pool = torch.cuda.graph_pool_handle()
        self._recordings: dict[Phase, _Recording] = {}

    def run(self, phase: Phase, real_img: Float[Tensor, "n 3 r r"]) -> dict[str, Float[Tensor, ""]]:
        """Compute a phase and return its scalars."""
        self._real_img.copy_(real_img)
        if phase in MIXING_PHASES:
            self._cutoff.fill_(draw_cutoff(self._state.generator.config, self._config.style_mixing_prob))
        recording = self._recordings.setdefault(phase, _Recording())
        recording.num_calls += 1
        if recording.num_calls <= NUM_WARM_UPS:
            return self._aside(lambda: self._step.run(phase, self._real_img))
        if recording.graph is None:
            recording.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(recording.graph, pool=self._pool, stream=self._stream):
                recording.scalars = self._step.run(phase, self._real_img)
        recording.graph.replay()
        return {name: value.clone() for name, value in recording.scalars.items()}

    def _aside(self, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """Compute on the stream of the recordings, between what came before and what comes after."""
        current = torch.cuda.current_stream(self._state.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = compute()
        current.wait_stream(self._stream)
        return result


def suits_graphs(state: TrainingState, config: TrainingConfig, sharding: Sharding) -> bool:
    """Tell whether a training can be recorded: on one GPU, in whole batches, and without augmentation.

    Augmentations are drawn on the host, by a probability that moves.
    """
    is_alone = sharding.num_processes == sharding.num_micro_batches == 1
    return state.device.type == "cuda" and is_alone and config.augment == "none"
