"""Which images every input gets, and how each is generated from its latent code."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.errors import ConfigError
from ui2i.networks.generator import Generator
from ui2i.settings import dataclass
from ui2i.settings.bounds import CountOrNone, Seed, Strength, Truncation, Whole
from ui2i.translation.edits import semantic_step
from ui2i.translation.family import check_family
from ui2i.translation.styles import mix_styles, sample_style
from ui2i.translation_files import RECONSTRUCTION


@dataclass(frozen=True, kw_only=True)
class TranslationConfig:
    """What is made of every image's latent code, beside its plain translation."""

    truncation_psi: Truncation = 1.0  # pulls the latent codes towards the targets' mean; not for reconstructions
    num_styles: CountOrNone = 0  # further versions with sampled appearance (paper, Eq. 10)
    num_style_layers: CountOrNone = 4  # style inputs that another appearance takes over, from the image's side
    style_seed: Seed | None = None  # the k-th sampled appearance, from 1, has this + k; None: the inversion's seed
    directions: tuple[Whole, ...] = ()  # versions that are moved along semantic directions, 1 the strongest
    strengths: tuple[Strength, ...] = (2.0,)  # of each of these
    is_single: bool = False  # one image per input, called as it is, from the one target there is; no reconstruction


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
    """An image of a target domain whose appearance translations take on."""

    path: str
    sha256: str
    ws: Float[Tensor, "1 num_ws w_dim"]  # its latent code, found in a model of that domain


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """One image that every input gets."""

    variant: str
    checkpoint_hash: str
    seed: int
    generator: Generator
    truncation_psi: float = 1.0
    w_style: Tensor | None = None  # [1, w_dim] or [1, num_ws, w_dim]; None: the image's own latent code in all layers
    num_style_layers: int = 0
    reference: Reference | None = None  # whose latent code `w_style` is
    step: Tensor | None = None  # [w_dim], added to all latent codes
    direction: int | None = None  # along which it goes
    strength: float | None = None
    ending: str | None = None  # of the file's name behind the input's; None: a dash and the variant

    @property
    def file_ending(self) -> str:
        """What the name of its file has behind the input's."""
        return f"-{self.variant}.png" if self.ending is None else self.ending

    @torch.no_grad()
    def generate(
        self, ws: Float[Tensor, "n num_ws w_dim"], noise: Sequence[Float[Tensor, "#n 1 _ _"]] | None = None
    ) -> Float[Tensor, "n 3 r r"]:
        """Return images [N, 3, R, R] for the latent codes of the images [N, num_ws, w_dim].

        Args:
            noise: maps that were found with the latent codes; None: the generator's own.
        """
        ws = self.generator.truncate(ws, self.truncation_psi)
        if self.w_style is not None:
            ws = mix_styles(ws, self.w_style, self.num_style_layers)
        if self.step is not None:
            ws = ws + self.step
        return self.generator.synthesis(ws, noise=noise)

    def columns(self) -> dict[str, Any]:
        """Return what a row of the manifest says of it."""
        return {
            "variant": self.variant,
            "checkpoint_hash": self.checkpoint_hash,
            "seed": self.seed,
            "truncation_psi": self.truncation_psi,
            "num_style_layers": self.num_style_layers if self.w_style is not None else None,
            "reference_path": self.reference and self.reference.path,
            "reference_sha256": self.reference and self.reference.sha256,
            "direction": self.direction,
            "strength": self.strength,
        }


def plan_outputs(
    source: Generator,
    targets: Mapping[str, Generator],
    *,
    source_hash: str,
    target_hashes: Mapping[str, str],
    seed: int,
    config: TranslationConfig,
    references: Sequence[Reference] = (),
    force: bool = False,
) -> list[Output]:
    """Return the reconstruction, then for each target its translation and the other versions of that.

    These have the appearance of sampled latent codes and of references, then follow semantic directions of the source.

    Args:
        seed: of the inversion.
        force: let targets of other families pass.

    Raises:
        ConfigError: a variant cannot be part of a file name, appears twice or has no hash; or a number is out of range.
        CheckpointError: a target has another latent space than the source.
    """
    _check_names(targets, target_hashes)
    check_family(source, targets, force=force)
    _check_styles(config, source.config.num_ws)
    if config.is_single:
        return [_only(targets, target_hashes, config, seed, len(references))]
    outputs = [Output(variant=RECONSTRUCTION, checkpoint_hash=source_hash, seed=seed, generator=source)]
    for variant, target in targets.items():
        plain = _plain(variant, target, target_hashes[variant], config, seed)
        outputs += [
            plain,
            *_styled(plain, config),
            *_guided(plain, config, references),
            *_edited(plain, config, source),
        ]
    _check_distinct(outputs)
    return outputs


def _plain(variant: str, target: Generator, checkpoint_hash: str, config: TranslationConfig, seed: int) -> Output:
    return Output(
        variant=variant,
        checkpoint_hash=checkpoint_hash,
        seed=seed,
        generator=target,
        truncation_psi=config.truncation_psi,
    )


def _only(
    targets: Mapping[str, Generator],
    target_hashes: Mapping[str, str],
    config: TranslationConfig,
    seed: int,
    num_references: int,
) -> Output:
    """Return the one output of a single translation."""
    num_versions = config.num_styles + len(config.directions) + num_references
    if len(targets) != 1 or num_versions:
        raise ConfigError(
            f"one image per input was asked for with {len(targets)} variants and {num_versions} styles, references and "
            "directions, expected one variant and none of these; leave them out, or ask for all images"
        )
    variant, target = next(iter(targets.items()))
    return dataclasses.replace(_plain(variant, target, target_hashes[variant], config, seed), ending=".png")


def _styled(plain: Output, config: TranslationConfig) -> list[Output]:
    """Return the versions of an output with sampled appearances."""
    first = plain.seed if config.style_seed is None else config.style_seed
    return [
        dataclasses.replace(
            plain,
            variant=f"{plain.variant}-style{number}",
            seed=first + number,
            w_style=sample_style(plain.generator, first + number, truncation_psi=plain.truncation_psi),
            num_style_layers=config.num_style_layers,
        )
        for number in range(1, config.num_styles + 1)
    ]


def _guided(plain: Output, config: TranslationConfig, references: Sequence[Reference]) -> list[Output]:
    """Return the versions with the appearance of the references."""
    return [
        dataclasses.replace(
            plain,
            variant=f"{plain.variant}-reference{number}",
            w_style=reference.ws.to(plain.generator.w_avg),
            num_style_layers=config.num_style_layers,
            reference=reference,
        )
        for number, reference in enumerate(references, start=1)
    ]


def _edited(plain: Output, config: TranslationConfig, source: Generator) -> list[Output]:
    """Return the versions that are moved along directions."""
    return [
        dataclasses.replace(
            plain,
            variant=f"{plain.variant}-direction{direction}{strength:+g}",
            step=semantic_step(source, direction, strength),
            direction=direction,
            strength=strength,
        )
        for direction in config.directions
        for strength in config.strengths
    ]


def _check_styles(config: TranslationConfig, num_ws: int) -> None:
    if config.num_style_layers > num_ws:
        raise ConfigError(
            f"num_style_layers is {config.num_style_layers}, expected 0 to {num_ws}, the model's style inputs; lower it"
        )


def _check_names(targets: Mapping[str, Generator], target_hashes: Mapping[str, str]) -> None:
    if not targets:
        raise ConfigError("there are no targets, expected at least one model to translate with; name its checkpoint")
    for variant in targets:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", variant) or variant == RECONSTRUCTION:
            raise ConfigError(
                f"the variant {variant!r} becomes part of file names, expected letters, digits and . _ + - after a "
                f"letter or digit, and not {RECONSTRUCTION!r}; rename it"
            )
        if variant not in target_hashes:
            raise ConfigError(f"target_hashes lacks {variant}, expected the hash of every target's checkpoint; add it")


def _check_distinct(outputs: Sequence[Output]) -> None:
    seen: set[str] = set()
    for output in outputs:
        name = output.variant.lower()  # some file systems take A.png and a.png for the same
        if name in seen:
            raise ConfigError(f"{output.variant} would be written twice, expected distinct variants; rename one")
        seen.add(name)
