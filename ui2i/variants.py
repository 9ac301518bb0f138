"""How layers are swapped, and what the resulting variant of a model is called."""

import dataclasses
import re
from typing import Literal

from ui2i.settings import dataclass
from ui2i.settings.bounds import Count, Weight

SwapMode = Literal["weights", "blend", "features"]
Side = Literal["source", "target"]

_NAME = re.compile(
    r"(?P<base>.+?)-LS(?P<resolution>[1-9]\d{0,8})"
    r"(-(?P<mode>features|blend(?P<width>\d{1,9}(\.\d{1,9})?(e[+-]\d\d)?)?))?(?P<rgb>-torgb)?"
)


@dataclass(frozen=True, kw_only=True)
class SwapConfig:
    """A layer swap: everything that decides the resulting model.

    Examples:
        >>> SwapConfig(resolution=8)
        SwapConfig(resolution=8, mode='weights', torgb_from='target', blend_width=1.0)
    """

    resolution: Count  # pixels; the last block that comes from the source
    mode: SwapMode = "weights"  # of `swap`
    torgb_from: Side = "target"  # whose ToRGB layers the swapped blocks get; features: always the target's
    blend_width: Weight = 1.0  # blocks; of the mode blend alone


@dataclasses.dataclass(frozen=True, kw_only=True)
class VariantName:
    """The name of a model of a domain: what it was trained as, and which layers were swapped.

    `FC-FT`, `FC-FT-LS8`, `FC-FT-LS8-torgb`, `FC-FT-LS8-blend`, `FC-FT-LS8-blend0.5`, `FC-FT-LS8-features`. Different
    models have different names; what a swap's mode does not use is no part of them.

    Examples:
        >>> str(VariantName(mode="FC-FT", swap=SwapConfig(resolution=8, mode="blend", blend_width=0.5)))
        'FC-FT-LS8-blend0.5'
        >>> VariantName.parse("FC-FT-LS8-torgb").swap.torgb_from
        'source'
    """

    mode: str  # of training: FC-FT, FT, ...
    swap: SwapConfig | None = None

    def __str__(self) -> str:
        """Return the name as tables, cards and files have it."""
        if self.swap is None:
            return self.mode
        ending = ""
        if self.swap.mode != "weights":
            ending = f"-{self.swap.mode}"
        if self.swap.mode == "blend" and self.swap.blend_width != 1:
            ending += f"{self.swap.blend_width:g}"
        if self.swap.mode != "features" and self.swap.torgb_from == "source":
            ending += "-torgb"
        return f"{self.mode}-LS{self.swap.resolution}{ending}"

    @classmethod
    def parse(cls, text: str) -> "VariantName":
        """Return what a name says; one without `-LS` is a mode of training."""
        match = _NAME.fullmatch(text)
        if match is None:
            return cls(mode=text)
        mode, width = (match["mode"] or "weights"), match["width"]
        swap = SwapConfig(
            resolution=int(match["resolution"]),
            mode="blend" if mode.startswith("blend") else mode,  # type: ignore[arg-type]  # the pattern has no other
            torgb_from="source" if match["rgb"] else "target",
            blend_width=float(width) if width else 1.0,
        )
        return cls(mode=match["base"], swap=swap)
