"""Which pictures every input gets, and how each is generated from its code."""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ui2i.errors import CheckpointError, ConfigError
from ui2i.networks.generator import Generator
from ui2i.translation.styles import mix_styles, sample_style

RECONSTRUCTION = "reconstruction"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """One picture that every input gets."""

    variant: str
    checkpoint_hash: str
    seed: int
    generator: Generator
    truncation_psi: float = 1.0
    w_style: Tensor | None = None  # [1, w_dim]; None: the picture's own code in all layers
    num_style_layers: int = 0

    @torch.no_grad()
    def generate(self, ws: Tensor) -> Tensor:
        """Return images [N, 3, R, R] for the codes of the pictures [N, num_ws, w_dim]."""
        ws = self.generator.truncate(ws, self.truncation_psi)
        if self.w_style is not None:
            ws = mix_styles(ws, self.w_style, self.num_style_layers)
        return self.generator.synthesis(ws)


def plan_outputs(
    source: Generator,
    targets: Mapping[str, Generator],
    *,
    source_hash: str,
    target_hashes: Mapping[str, str],
    seed: int,
    truncation_psi: float,
    num_styles: int,
    num_style_layers: int,
) -> list[Output]:
    """Return the reconstruction, then for each target its translation and the styled versions of that.

    Args:
        seed: of the inversion; the k-th appearance code, from 1, has seed + k in every target.

    Raises:
        ConfigError: a variant cannot be part of a file name, appears twice or has no hash; or a number is out of range.
        CheckpointError: a target has another latent space than the source.
    """
    _check_models(source, targets, target_hashes)
    num_ws = source.config.num_ws
    if num_styles < 0 or not 0 <= num_style_layers <= num_ws:
        raise ConfigError(
            f"num_styles is {num_styles} and num_style_layers is {num_style_layers}, expected 0 or more and 0 to "
            f"{num_ws}, the model's style inputs; correct them"
        )
    outputs = [Output(variant=RECONSTRUCTION, checkpoint_hash=source_hash, seed=seed, generator=source)]
    for variant, target in targets.items():
        plain = Output(
            variant=variant,
            checkpoint_hash=target_hashes[variant],
            seed=seed,
            generator=target,
            truncation_psi=truncation_psi,
        )
        outputs += [plain, *(_styled(plain, number, num_style_layers) for number in range(1, num_styles + 1))]
    _check_distinct(outputs)
    return outputs


def _styled(plain: Output, number: int, num_style_layers: int) -> Output:
    """Return version `number` of an output, with its own sampled appearance code."""
    seed = plain.seed + number
    return dataclasses.replace(
        plain,
        variant=f"{plain.variant}-style{number}",
        seed=seed,
        w_style=sample_style(plain.generator, seed, truncation_psi=plain.truncation_psi),
        num_style_layers=num_style_layers,
    )


def _check_models(source: Generator, targets: Mapping[str, Generator], target_hashes: Mapping[str, str]) -> None:
    if not targets:
        raise ConfigError("there are no targets, expected at least one model to translate with; name its checkpoint")
    latent_space = source.config.num_ws, source.config.w_dim
    for variant, target in targets.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", variant) or variant == RECONSTRUCTION:
            raise ConfigError(
                f"the variant {variant!r} becomes part of file names, expected letters, digits and . _ + - after a "
                f"letter or digit, and not {RECONSTRUCTION!r}; rename it"
            )
        if variant not in target_hashes:
            raise ConfigError(f"target_hashes lacks {variant}, expected the hash of every target's checkpoint; add it")
        if (target.config.num_ws, target.config.w_dim) != latent_space:
            raise CheckpointError(
                f"{variant} takes codes of {target.config.num_ws} x {target.config.w_dim}, expected the source's "
                f"{latent_space[0]} x {latent_space[1]}; choose a model that was fine-tuned from the source"
            )


def _check_distinct(outputs: Sequence[Output]) -> None:
    seen: set[str] = set()
    for output in outputs:
        name = output.variant.lower()  # some file systems take A.png and a.png for the same
        if name in seen:
            raise ConfigError(f"{output.variant} would be written twice, expected distinct variants; rename one")
        seen.add(name)
