"""An encoder predicts an image's latent code in one pass, E(I) = w, for the one generator it was trained with.

It is the discriminator's residual backbone without the minibatch statistics, which would let an image's latent code
depend on its neighbours. The output is one latent code of W, not one per layer: latent codes of W are what the models
of a family share.
"""

import dataclasses
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ui2i.errors import DataError
from ui2i.networks.discriminator import DiscriminatorBlock
from ui2i.networks.layers import FullyConnected
from ui2i.settings import EncoderConfig, NetworkConfig


class Encoder(nn.Module):
    """Image [N, 3, R, R] in [-1, 1] -> latent code w [N, w_dim].

    Attributes:
        network: architecture of the generator whose latent codes it predicts.
        config: what the encoder is and how it was trained.
        base_hash: SHA-256 of the generator's checkpoint; empty: not known.
        held_out: quality on images that it was not trained on, by measure.
    """

    w_mean: Tensor
    w_scale: Tensor

    def __init__(self, network: NetworkConfig, config: EncoderConfig, *, base_hash: str = "") -> None:
        """Set up an untrained encoder, whose latent codes are to be scaled by `set_scale`."""
        super().__init__()
        self.network = network
        self.config = config
        self.base_hash = base_hash
        self.held_out: Mapping[str, float] = {}
        widths = dataclasses.replace(
            network,
            channel_base=config.channel_base or network.channel_base,
            channel_max=config.channel_max or network.channel_max,
        )
        self.resolutions = tuple(reversed(network.block_resolutions[1:]))
        for resolution in self.resolutions:
            setattr(self, f"b{resolution}", DiscriminatorBlock(widths, resolution))
        self.fc = FullyConnected(widths.num_channels(4) * 16, network.w_dim, activate=True)
        self.out = FullyConnected(network.w_dim, network.w_dim)
        self.register_buffer("w_mean", torch.zeros(network.w_dim))
        self.register_buffer("w_scale", torch.ones([]))

    def set_scale(self, w_mean: Float[Tensor, " w_dim"], w_scale: float) -> None:
        """Make an output of mean 0 and variance 1 a latent code of this mean and standard deviation."""
        self.w_mean.copy_(w_mean)
        self.w_scale.fill_(w_scale)

    def forward(
        self, images: Float[Tensor, "n 3 r r"], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n w_dim"]:
        """Predict latent codes.

        Args:
            dtype: of the activations; latent codes are float32.

        Raises:
            DataError: the images have another resolution than the generator.
        """
        resolution = self.network.img_resolution
        if tuple(images.shape[1:]) != (3, resolution, resolution):
            raise DataError(
                f"images have shape {list(images.shape)}, expected [N, 3, {resolution}, {resolution}]; fit them to the "
                "model first"
            )
        x = images.contiguous(memory_format=torch.channels_last).to(dtype)
        for size in self.resolutions:
            x = getattr(self, f"b{size}")(x)
        return self.w_mean + self.w_scale * self.out(self.fc(x.float().flatten(1)))
