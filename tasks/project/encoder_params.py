"""The section `encoders` of `params.yaml`: which bases get an encoder, and how it is trained."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ui2i.config import EncoderConfig, from_mapping
from ui2i.errors import ConfigError

if TYPE_CHECKING:
    from tasks.project.params import Params


def parse_encoder(values: Mapping[str, Any], where: str) -> EncoderConfig:
    """Build an entry of the section.

    Raises:
        ConfigError: a key is unknown, or a value is not allowed.
    """
    return from_mapping(EncoderConfig, values, section=where)


def check_encoders(params: "Params") -> None:
    """Refuse an encoder of a model that is no base: its domains share its codes, and need none of their own.

    Raises:
        ConfigError: there is one.
    """
    bases = [*params.bases, *params.imported]
    for name in params.encoders:
        if name not in bases:
            raise ConfigError(
                f"encoders.{name} names no base, expected one of bases or imported ({', '.join(bases) or 'none'}); "
                "correct or remove it"
            )
