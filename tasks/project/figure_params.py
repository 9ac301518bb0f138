"""The section `figures` of `params.yaml`: whether and how the paper's Figures 4 to 8 are made.

It is the only section that may be left out. `figures: {paper: {}}` makes the figures, `figures: {paper: {quick: true}}`
makes them in a third of the time from fewer images and worse readers of attributes.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from ui2i.bounds import Bounded, Bounds, Count, CountOrNone, Positive, Seed, ShareBelowOne, Truncation
from ui2i.config import InversionConfig, RegressorConfig, from_mapping, to_mapping
from ui2i.errors import ConfigError

if TYPE_CHECKING:
    from tasks.project.params import Params

SET_NAME = "paper"
"""The only entry that the section may have."""

INVERSION = InversionConfig(method="w_plus", num_steps=150)
REGRESSOR = RegressorConfig(num_drawings=5000, num_held_out=500)

_QUICK = {"num_latents": 96, "num_moved": 24, "num_targets": 500}
_QUICK_INVERSION = {"num_steps": 80}
_QUICK_REGRESSOR = {"num_drawings": 1600, "num_held_out": 300, "num_epochs": 8}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures(Bounded):
    """What the figures show and from how much they are measured (`figures.paper`)."""

    quick: bool = False  # smaller numbers wherever none is given
    bases: tuple[str, ...] = ()  # whose families are shown; empty: all bases that domains come from
    num_inputs: Count = 2  # test images of each base (Fig. 4)
    num_styles: Count = 4  # sampled appearances of each (Fig. 4)
    num_style_layers: CountOrNone = 4  # style inputs that a sampled appearance takes over (Fig. 4)
    num_contents: Count = 3  # test images of each base (Fig. 5)
    num_references: Count = 2  # test images of each domain (Fig. 5)
    num_reference_layers: CountOrNone = 4  # style inputs that a reference takes over (Fig. 5)
    num_directions: Count = 8  # semantic directions, the strongest (Fig. 6)
    strength: Positive = 2.0  # of the step along each, in standard deviations of w (Fig. 6)
    num_moved: Annotated[int, Bounds(low=4)] = 64  # latents moved along each in every model (Fig. 6)
    num_shown: Count = 4  # latents that the images show (Fig. 7 and 8)
    num_latents: Annotated[int, Bounds(low=4)] = 256  # latents measured in every model (Fig. 7 and 8)
    num_targets: Annotated[int, Bounds(low=4)] = 1000  # images of a domain from which outputs are measured (Fig. 8)
    truncation_psi: Truncation = 1.0  # of all latents
    min_skill: ShareBelowOne = 0.25  # attributes read worse than this from held-out drawings are left out
    seed: Seed = 0  # of latents and intervals
    inversion: InversionConfig = INVERSION  # of inputs and references
    regressor: RegressorConfig = REGRESSOR  # what reads attributes, one a style of drawings

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_latents < self.num_shown:
            raise ConfigError(
                f"figures.num_latents is {self.num_latents}, expected latents for the {self.num_shown} of num_shown; "
                "raise it"
            )


def parse_figures(values: Mapping[str, Any], where: str) -> Figures:
    """Build the section's entry.

    Raises:
        ConfigError: it has another name, a key is unknown, or a value is not allowed.
    """
    if where != f"figures.{SET_NAME}":
        raise ConfigError(f"params.yaml has {where}, expected figures.{SET_NAME} alone; rename it")
    nested = ("bases", "inversion", "regressor")
    quick = values.get("quick") is True
    given = {key: value for key, value in values.items() if key not in nested}
    plain = from_mapping(Figures, {**(_QUICK if quick else {}), **given}, section=where)
    inversion = to_mapping(INVERSION) | (_QUICK_INVERSION if quick else {}) | _section(values, "inversion", where)
    regressor = to_mapping(REGRESSOR) | (_QUICK_REGRESSOR if quick else {}) | _section(values, "regressor", where)
    return dataclasses.replace(
        plain,
        bases=_names(values.get("bases", []), where),
        inversion=from_mapping(InversionConfig, inversion, section=f"{where}.inversion"),
        regressor=from_mapping(RegressorConfig, regressor, section=f"{where}.regressor"),
    )


def check_figures(params: "Params") -> None:
    """Refuse figures of a base that is not there or that no domain comes from.

    Raises:
        ConfigError: there is one, or no domain at all.
    """
    known = {domain.base for domain in params.domains.values()}
    for figures in params.figures.values():
        strange = [name for name in figures.bases if name not in known]
        if strange or not known:
            raise ConfigError(
                f"figures.{SET_NAME}.bases names {', '.join(strange) or 'nothing'}, expected some of the bases of "
                f"domains ({', '.join(sorted(known)) or 'none'}); correct it"
            )


def _section(values: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    section = values.get(key, {})
    if not isinstance(section, Mapping):
        raise ConfigError(f"{where}.{key} is {section!r}, expected settings as key: value; write {{}} for the defaults")
    return dict(section)


def _names(values: Any, where: str) -> tuple[str, ...]:
    if not isinstance(values, list) or any(type(name) is not str for name in values) or len(set(values)) < len(values):
        raise ConfigError(f"{where}.bases is {values!r}, expected a list of different names; correct it")
    return tuple(values)
