"""The StyleGAN2 generator with skip architecture, in pure PyTorch (Karras et al., arXiv 1912.04958, Fig. 2 and 7).

z -> mapping network -> w -> one copy a layer, ws -> synthesis network -> image. Parameters carry the names of
stylegan2-ada-pytorch, so that a reader of that code finds its way and converters stay short.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ui2i.errors import ConfigError
from ui2i.networks.layers import FullyConnected, SynthesisLayer, ToRGB, dtype_at
from ui2i.ops.resample import upsample2x
from ui2i.settings import NetworkConfig, NoiseMode

W_AVG_DECAY = 0.995  # of the moving mean of w, stylegan2-ada-pytorch's value


class MappingNetwork(nn.Module):
    """The fully connected layers f: z [N, z_dim] -> w [N, w_dim] that freeze-FC freezes."""

    w_avg: Tensor

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.num_layers = config.num_mapping_layers
        for index in range(self.num_layers):
            layer = FullyConnected(
                config.z_dim if index == 0 else config.w_dim,
                config.w_dim,
                activate=True,
                lr_multiplier=config.mapping_lr_multiplier,
            )
            setattr(self, f"fc{index}", layer)
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    def forward(self, z: Float[Tensor, "n z_dim"]) -> Float[Tensor, "n w_dim"]:
        x = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        for index in range(self.num_layers):
            x = getattr(self, f"fc{index}")(x)
        return x

    @torch.no_grad()
    def update_w_avg(self, w: Float[Tensor, "n w_dim"]) -> None:
        """Move the truncation mean towards the mean of `w` [N, w_dim]."""
        self.w_avg.lerp_(w.detach().mean(dim=0), 1 - W_AVG_DECAY)


class SynthesisBlock(nn.Module):
    """The layers at one resolution: `conv0` (upsampling; absent at 4 px), `conv1`, `torgb`."""

    def __init__(self, config: NetworkConfig, resolution: int):
        super().__init__()
        self.resolution = resolution
        out_channels = config.num_channels(resolution)
        if resolution == 4:
            self.const = nn.Parameter(torch.randn(out_channels, 4, 4))
        else:
            self.conv0 = SynthesisLayer(
                config.num_channels(resolution // 2),
                out_channels,
                w_dim=config.w_dim,
                resolution=resolution,
                up=True,
                use_noise=config.use_noise,
                clamp=config.conv_clamp,
            )
        self.conv1 = SynthesisLayer(
            out_channels,
            out_channels,
            w_dim=config.w_dim,
            resolution=resolution,
            use_noise=config.use_noise,
            clamp=config.conv_clamp,
        )
        self.torgb = ToRGB(out_channels, w_dim=config.w_dim, clamp=config.conv_clamp)

    @property
    def num_convs(self) -> int:
        """Noise maps and modulated convolutions of the block, ToRGB aside."""
        return 1 if self.resolution == 4 else 2

    def forward(
        self,
        x: Float[Tensor, "n i r r"] | None,
        img: Float[Tensor, "n 3 r r"] | None,
        ws: Float[Tensor, "n num_codes w_dim"],
        *,
        noise_mode: NoiseMode = "const",
        noise: Sequence[Float[Tensor, "#n 1 s s"] | None] = (None, None),
        dtype: torch.dtype = torch.float32,
    ) -> tuple[Float[Tensor, "n o s s"], Float[Tensor, "n 3 s s"]]:
        """Args:
            x: features of the block below [N, I, r/2, r/2]; None at 4 px.
            img: RGB sum of the blocks below [N, 3, r/2, r/2]; None at 4 px.
            ws: [N, num_convs + 1, w_dim].
            noise: one map [N or 1, 1, r, r] a convolution, or None for the mode's own.

        Returns:
            Features [N, O, r, r] and the RGB sum [N, 3, r, r].
        """
        if self.resolution == 4:
            const = self.const.to(dtype).expand(ws.shape[0], -1, -1, -1)
            x = const.contiguous(memory_format=torch.channels_last)
        else:
            assert x is not None
            x = self.conv0(x.to(dtype), ws[:, 0], noise_mode, noise[0])
        last = self.num_convs - 1
        x = self.conv1(x, ws[:, last], noise_mode, noise[last])
        rgb = self.torgb(x, ws[:, last + 1])
        return x, rgb if img is None else upsample2x(img) + rgb


class SynthesisNetwork(nn.Module):
    """ws [N, num_ws, w_dim] -> image [N, 3, R, R] in about [-1, 1], one block a resolution."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        for resolution in config.block_resolutions:
            setattr(self, f"b{resolution}", SynthesisBlock(config, resolution))

    def block(self, resolution: int) -> SynthesisBlock:
        """Return the block at `resolution` pixels."""
        return getattr(self, f"b{resolution}")

    def check_ws(self, ws: Float[Tensor, "..."]) -> None:
        """Raise ConfigError unless `ws` has the shape that this network takes."""
        expected = (self.config.num_ws, self.config.w_dim)
        if ws.ndim != 3 or tuple(ws.shape[1:]) != expected:
            raise ConfigError(
                f"ws has shape {tuple(ws.shape)}, expected (N, {expected[0]}, {expected[1]}) at "
                f"{self.config.img_resolution} px; make it with generator.broadcast(w)"
            )

    def block_ws(self, ws: Float[Tensor, "n num_ws w_dim"]) -> dict[int, Float[Tensor, "n _ w_dim"]]:
        """Split ws by block: each gets one latent code a convolution and one for ToRGB, which the next block reuses."""
        split, start = {}, 0
        for resolution in self.config.block_resolutions:
            num_convs = self.block(resolution).num_convs
            split[resolution] = ws[:, start : start + num_convs + 1]
            start += num_convs
        return split

    def block_noise(
        self, noise: Sequence[Float[Tensor, "#n 1 _ _"]] | None
    ) -> dict[int, Sequence[Float[Tensor, "#n 1 _ _"] | None]]:
        """Split a flat list of noise maps (lowest resolution first) by block."""
        split: dict[int, Sequence[Tensor | None]] = {}
        start = 0
        for resolution in self.config.block_resolutions:
            num_convs = self.block(resolution).num_convs
            split[resolution] = (None, None) if noise is None else noise[start : start + num_convs]
            start += num_convs
        return split

    def forward(
        self,
        ws: Float[Tensor, "n num_ws w_dim"],
        *,
        noise_mode: NoiseMode = "const",
        noise: Sequence[Float[Tensor, "#n 1 _ _"]] | None = None,
        dtype: torch.dtype = torch.float32,
        num_low_precision_resolutions: int | None = None,
    ) -> Float[Tensor, "n 3 r r"]:
        """Generate images.

        Args:
            ws: [N, num_ws, w_dim].
            noise: 2 log2(R) - 3 maps [N or 1, 1, r, r], lowest resolution first; None: as `noise_mode` says.
            dtype: of the activations; the returned image is float32.
            num_low_precision_resolutions: how many resolutions, from the top, take `dtype`, while those below take
                float32; None: all take it.

        Raises:
            ConfigError: `ws` has another shape than this network takes.
        """
        self.check_ws(ws)
        split_ws, split_noise = self.block_ws(ws), self.block_noise(noise)
        x, img = None, None
        for resolution in self.config.block_resolutions:
            x, img = self.block(resolution)(
                x,
                img,
                split_ws[resolution],
                noise_mode=noise_mode,
                noise=split_noise[resolution],
                dtype=dtype_at(resolution, self.config.img_resolution, dtype, num_low_precision_resolutions),
            )
        assert img is not None
        return img


class Generator(nn.Module):
    """Mapping and synthesis network together: z [N, z_dim] -> image [N, 3, R, R] float32 in about [-1, 1]."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(config)
        self.synthesis = SynthesisNetwork(config)

    @property
    def w_avg(self) -> Float[Tensor, " w_dim"]:
        """Mean of w, the centre of truncation [w_dim]."""
        return self.mapping.w_avg

    def truncate(self, w: Float[Tensor, "*n w_dim"], truncation_psi: float) -> Float[Tensor, "*n w_dim"]:
        """Pull latent codes [..., w_dim] towards `w_avg`: psi 1 changes nothing, psi 0 gives the mean."""
        return w if truncation_psi == 1 else self.w_avg.lerp(w, truncation_psi)

    def broadcast(self, w: Float[Tensor, "n w_dim"]) -> Float[Tensor, "n num_ws w_dim"]:
        """Repeat one latent code an image [N, w_dim] for every layer: [N, num_ws, w_dim]."""
        return w[:, None].expand(-1, self.config.num_ws, -1)

    def forward(
        self,
        z: Float[Tensor, "n z_dim"],
        *,
        truncation_psi: float = 1.0,
        noise_mode: NoiseMode = "const",
        dtype: torch.dtype = torch.float32,
        num_low_precision_resolutions: int | None = None,
    ) -> Float[Tensor, "n 3 r r"]:
        """Generate images from z [N, z_dim] ~ N(0, I)."""
        w = self.truncate(self.mapping(z), truncation_psi)
        return self.synthesis(
            self.broadcast(w),
            noise_mode=noise_mode,
            dtype=dtype,
            num_low_precision_resolutions=num_low_precision_resolutions,
        )
