"""A feature swap in the shape of a generator, so that whatever translates with a generator translates with it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ui2i.config import NoiseMode
from ui2i.layer_swap import synthesize_feature_swap
from ui2i.networks.generator import Generator


class FeatureSwappedGenerator(Generator):
    """The source's activations up to a resolution, the target's layers above; it cannot be saved or fine-tuned."""

    def __init__(self, source: Generator, target: Generator, swap_resolution: int) -> None:
        """Join two models, whose parameters are shared and not copied.

        Raises:
            ConfigError: no block has that resolution.
            CheckpointError: the models' synthesis networks differ in architecture.
        """
        nn.Module.__init__(self)
        self.config = target.config
        self.mapping = target.mapping
        self.synthesis = _Synthesis(source, target, swap_resolution)  # type: ignore[assignment]
        with torch.no_grad():  # so that what cannot be joined is found out now
            self.synthesis(self.broadcast(self.w_avg[None]))


class _Synthesis(nn.Module):
    """ws [N, num_ws, w_dim] -> image [N, 3, R, R]."""

    def __init__(self, source: Generator, target: Generator, swap_resolution: int) -> None:
        super().__init__()
        self.source = source
        self.target = target
        self.swap_resolution = swap_resolution

    def forward(
        self,
        ws: Float[Tensor, "n num_ws w_dim"],
        *,
        noise_mode: NoiseMode = "const",
        noise: Sequence[Tensor] | None = None,
    ) -> Float[Tensor, "n 3 r r"]:
        """Generate images; arguments are those of `SynthesisNetwork.forward`."""
        return synthesize_feature_swap(
            self.source, self.target, ws, self.swap_resolution, noise_mode=noise_mode, noise=noise
        )
