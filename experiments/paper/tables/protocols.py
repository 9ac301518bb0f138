"""Which columns must agree for values to be compared: one protocol per name."""

from typing import TYPE_CHECKING

from ui2i.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

DATA = "the data itself"
"""System of the rows of the domain's own images, one half of which stands for the outputs."""

INPUTS = "the input itself"
"""System of the rows of untranslated inputs."""

_LPIPS = ("backbone", "backbone_hash", "resizer", "img_resolution")
_COUNTS = ("num_outputs", "num_targets", "dataset_hash")
PROTOCOLS = {
    "fid": ("inception_hash", "resizer", "img_resolution", *_COUNTS),
    "fd": ("fd_network", "fd_network_hash", *_LPIPS, *_COUNTS),
    "lpips_d": _LPIPS,
    "lpips_s": _LPIPS,
}
"""Columns of `EVALUATION_SCHEMA` that must agree for values of a metric to be compared."""
SEARCH_PROTOCOL = ("steps", "base_hash", "backbone_hash", "perceptual_loss", "img_resolution")
"""The same of `INVERTED_SCHEMA`."""


def check_protocol(column: str, metric: str, *rows: "pd.Series") -> None:
    """Refuse rows of `EVALUATION_SCHEMA` whose values of a metric were measured in different ways.

    Raises:
        DataError: they are refused.
    """
    for name in PROTOCOLS[metric]:
        found = {str(row["system"]): row.get(name) for row in rows if name in row and row["system"] != DATA}
        if len({str(value) for value in found.values()}) > 1:
            said = ", ".join(f"{system} {value}" for system, value in found.items())
            raise DataError(
                f"{column}: {name} of {metric} differs ({said}), expected one protocol for what is compared; evaluate "
                "both again"
            )


def check_searches(base: str, rows: "pd.DataFrame") -> None:
    """Refuse rows of `INVERTED_SCHEMA` that were inverted in different ways, but for the method; 0 steps go with any.

    Raises:
        DataError: they are refused.
    """
    for name in SEARCH_PROTOCOL:
        found = {str(value) for value in rows[name].unique()} - {"0"} if name in rows else set()
        if len(found) > 1:
            methods = " and ".join(rows["method"].unique())
            raise DataError(
                f"{base}: {name} of {methods} differs ({', '.join(sorted(found))}), expected one protocol for what is "
                "compared; invert the images with both again"
            )
