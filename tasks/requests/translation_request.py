"""The request of `ui2i translate`: one value, which the command, the flow and its child process exchange as JSON."""

import dataclasses
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from tasks.project.names import NAME_PATTERN
from tasks.project.sections import TranslateParams
from ui2i.errors import ConfigError
from ui2i.names import is_text, printable
from ui2i.settings import Framing, InversionConfig, InversionMethod, from_mapping, to_mapping
from ui2i.settings.bounds import Strength
from ui2i.settings.validation import own_errors
from ui2i.settings.words import Described
from ui2i.variants import SwapMode

if typing.TYPE_CHECKING:
    from ui2i.translation import TranslationConfig

Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$"), Described("lower-case letters, digits and dashes")]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TranslationRequest:
    """Images, the domain to translate them to, and what differs from `params.yaml`."""

    images: Annotated[Path, Field(description="folder, image, archive (.zip, .tar, .parquet) or list (.txt)")]
    domain: Annotated[Name, Field(description="a domain that has been trained; with `source`, a base too")]
    out: Annotated[Path, Field(description="folder to make; gets the translations, a contact sheet and tables")]
    source: Annotated[Name | None, Field(description="domain of the images; null: the base of the target")] = None
    variants: Annotated[
        tuple[str, ...], Field(description="FC-FT, FC-FT-LS8, ...; none: the first mode and its variants")
    ] = ()
    swap_resolutions: Annotated[
        tuple[int, ...], Field(description="pixels up to which the base's layers are swapped in, for variants made now")
    ] = ()
    swap_mode: Annotated[SwapMode | None, Field(description="of these; null: as params.yaml says, likewise below")] = (
        None
    )
    psi: Annotated[
        float | None, Field(ge=0, le=2, description="below 1 pulls latent codes towards the models' mean")
    ] = None
    styles: Annotated[int | None, Field(description="further versions with sampled appearance")] = None
    seed: Annotated[int | None, Field(description="the k-th of these has this + k")] = None
    references: Annotated[
        tuple[Path, ...], Field(description="images of the target domain whose appearance further versions take on")
    ] = ()
    style_layers: Annotated[int | None, Field(description="style inputs that another appearance takes over")] = None
    directions: Annotated[
        tuple[int, ...], Field(description="semantic directions along which versions are moved, 1 the strongest")
    ] = ()
    strengths: Annotated[tuple[Strength, ...], Field(description="how far, in standard deviations")] = ()
    method: Annotated[InversionMethod | None, Field(description="of inversion")] = None
    steps: Annotated[int | None, Field(ge=1, description="of inversion")] = None
    start: Annotated[Literal["mean", "encoder"] | None, Field(description="of inversion")] = None
    framing: Annotated[Framing | None, Field(description="null: as the source model's own images")] = None
    only: Annotated[
        str | None,
        Field(description="one image per input, from this variant; best: the one that choose-swap recommends"),
    ] = None
    strict: Annotated[bool, Field(description="refuse all if an image is unlike the source's training images")] = False
    force: Annotated[bool, Field(description="translate between models of two families")] = False

    def resolved(self) -> "TranslationRequest":
        """Return the same with absolute paths, for a process in another folder.

        Links to images stay links, whose names tell what a file is and name the outputs; the output folder, which is
        locked by its path, is the one that a link leads to.
        """
        images, references = self.images.absolute(), tuple(path.absolute() for path in self.references)
        return dataclasses.replace(self, images=images, out=self.out.resolve(), references=references)

    def to_json(self) -> str:
        """Return it as JSON."""
        return _ADAPTER.dump_json(self, exclude_defaults=True).decode()

    @classmethod
    def checked(cls, **values: Any) -> "TranslationRequest":
        """Return a request of these values.

        Raises:
            ConfigError: one is unknown, missing or out of bounds.
        """
        with own_errors(cls):
            request = cls(**values)
        for path in (request.images, request.out, *request.references):
            if not is_text(str(path)):
                raise ConfigError(f"{printable(str(path))} is not UTF-8, expected a path that is; rename it")
        return request

    @classmethod
    def from_json(cls, text: str) -> "TranslationRequest":
        """Return what JSON says.

        Raises:
            ConfigError: it is no request.
        """
        with own_errors(cls):
            return _ADAPTER.validate_json(text)

    def inversion(self, config: InversionConfig) -> InversionConfig:
        """Return the project's settings of inversion with what this request changes.

        Raises:
            ConfigError: a setting is out of range.
        """
        given = {"method": self.method, "num_steps": self.steps, "start": self.start}
        values = to_mapping(config) | {name: value for name, value in given.items() if value is not None}
        if values["method"] != config.method or values["start"] != config.start:
            values["learning_rate"] = None  # the rate in params.yaml was meant for the method there
        return from_mapping(InversionConfig, values, section="inversion")

    def translation(self, settings: TranslateParams) -> "TranslationConfig":
        """Return the project's settings of translation with what this request changes.

        Raises:
            ConfigError: a setting is out of range.
        """
        from ui2i.translation import TranslationConfig

        given = {
            "truncation_psi": self.psi,
            "num_styles": self.styles,
            "num_style_layers": self.style_layers,
            "style_seed": self.seed,
            "directions": self.directions or None,
            "strengths": self.strengths or None,
            "is_single": self.only is not None or None,
        }
        defaults = {name: getattr(settings, name) for name in ("truncation_psi", "num_styles", "num_style_layers")}
        return TranslationConfig(**defaults | {name: value for name, value in given.items() if value is not None})


_ADAPTER = TypeAdapter(TranslationRequest)
