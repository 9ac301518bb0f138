"""The sections of `params.yaml` that are not configs of the library, one small class each."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from tasks.project.names import Digest, InnerPath
from ui2i.settings import Expected, Framing, InversionMethod, Mode, TrainingConfig, TranslatorConfig, dataclass
from ui2i.settings.bounds import Count, CountOrNone, Positive, Quartet, Seed, SomeDifferent, Truncation, Weight, Whole
from ui2i.variants import Side, SwapConfig, SwapMode


def _left_to_mode(values: Any) -> Any:
    if isinstance(values, Mapping) and "freeze_mapping" in values:
        raise Expected("the mode to decide it (FC-FT freezes); remove it", came="freeze_mapping is set")
    return values


TrainingSection = Annotated[TrainingConfig, BeforeValidator(_left_to_mode)]
Overrides = Annotated[Mapping[str, Any], BeforeValidator(_left_to_mode)]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Where raw images lie (`datasets.<name>`)."""

    images: InnerPath  # folder, archive or table, relative to the project
    framing: Framing | None = None  # center, fit or face; None: as the section ingest says


@dataclass(frozen=True, kw_only=True)
class Base:
    """A model trained from scratch (`bases.<name>`)."""

    pretrain: Overrides = dataclasses.field(default_factory=dict)  # of the section pretrain


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A ready model (`imported.<name>`)."""

    checkpoint: InnerPath  # folder, relative to the project


@dataclass(frozen=True, kw_only=True)
class Start:
    """A model of the domain, from the same base, with which its training goes on (`domains.<name>.start`)."""

    model: InnerPath  # folder, relative to the project
    sha256: Digest  # of its generator: DVC sees this, not the folder


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A target domain (`domains.<name>`)."""

    base: str
    modes: SomeDifferent[Mode] = ("FC-FT",)  # variants are made from the first
    finetune: Overrides = dataclasses.field(default_factory=dict)  # of the section finetune
    scratch: Overrides = dataclasses.field(default_factory=dict)  # further ones for the mode scratch
    start: Start | None = None  # of the mode that it was trained in; None: the base


@dataclass(frozen=True, kw_only=True)
class SwapParams:
    """Layer swapping (`swap`)."""

    resolutions: SomeDifferent[Whole] = (8, 16, 32)  # pixels; one variant each
    mode: Literal["weights", "blend"] = "weights"
    torgb_from: Side = "target"
    blend_width: Weight = 1.0  # blocks; only for the mode blend

    def at(self, resolution: int, mode: SwapMode | None = None) -> SwapConfig:
        """Return the swap through a resolution; `mode` replaces the section's."""
        return SwapConfig(
            resolution=resolution,
            mode=mode or self.mode,
            torgb_from=self.torgb_from,
            blend_width=self.blend_width,
        )


@dataclass(frozen=True, kw_only=True)
class TranslateParams:
    """Which images the stage translate@ translates (`translate`)."""

    num_images: Count = 12  # the first of the split; all if it has fewer
    truncation_psi: Truncation = 1.0  # below 1: latent codes nearer to the targets' mean
    num_styles: CountOrNone = 0  # further versions of each image with sampled appearance (paper, Eq. 10)
    num_style_layers: CountOrNone = 4  # style inputs that a sampled appearance takes over
    # How images are inverted whose base has no encoder, if `inversion` needs one; None: that is an error.
    without_encoder: InversionMethod | None = None


@dataclass(frozen=True, kw_only=True)
class TranslatorParams(TranslatorConfig):
    """A translator and its training (`translators.<domain>`)."""

    base: str  # as in domains.<name>; DVC needs it here
    variant: str = "FC-FT"  # the domain's model that it imitates: a mode, or a variant of the first

    @property
    def training(self) -> TranslatorConfig:
        """The settings of its training alone."""
        return TranslatorConfig(
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(TranslatorConfig)}
        )


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a domain's models are evaluated by their outputs (`evaluation`); paper, Table II."""

    num_images: Quartet = 2000  # outputs of each model
    truncation_psi: Truncation = 1.0  # of the inputs and the outputs
    seed: Seed = 0  # of the latents and the pairs
    # Whose features fd is on; efficientnet-lite0 adds its standard error and the rows of data and input themselves.
    frechet_network: Literal["backbone", "efficientnet-lite0"] = "backbone"
    inception_weights: str | None = None  # file for FID and KID, in the project; None: torch hub's, else no FID


@dataclass(frozen=True, kw_only=True)
class Drift:
    """When a re-evaluation that differs from the one before is a failure (`drift`)."""

    max_sems: Positive = 4.0  # largest change of a distance, in standard errors of the difference
