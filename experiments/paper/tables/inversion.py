"""Table III of the paper: how well each inversion method reconstructs an image."""

from typing import TYPE_CHECKING

from experiments.paper.tables.layout import Cell, PaperTable
from experiments.paper.tables.values import TABLE_3, TABLE_3_NAMES
from ui2i.metrics.moments import estimate

if TYPE_CHECKING:
    import pandas as pd

METRICS = {"ssim": "SSIM", "lpips": "distance", "l2": "L2", "seconds_per_image": "seconds"}
"""Columns of the table of inversions, and what they are called here."""


def inversion_table(frames: "dict[str, pd.DataFrame]") -> PaperTable:
    """Return Table III.

    Args:
        frames: rows of `INVERTED_SCHEMA` by the base whose images were inverted.
    """
    cells: list[Cell] = []
    notes: list[str] = []
    for base, frame in frames.items():
        for kind, part in frame.groupby("kind", sort=False):
            column = base if kind == "real" else f"{base}, {kind}"
            for (method, start), own in part.groupby(["method", "start"], sort=False):
                cells += _cells(column, label(str(method), str(start)), own)
            notes.append(_protocol(column, part))
    reference = [
        Cell(row=label(method), column="face", metric="SSIM", value=value, origin="paper")
        for method, value in TABLE_3.items()
    ]
    return PaperTable(
        number="3",
        title="Table III. Inversion: how well images are reconstructed (± standard error)",
        row_title="method",
        cells=(*cells, *reference),
        row_order=tuple(label(method) for method in TABLE_3),
        notes=(*notes, _REFERENCE_NOTE),
    )


def label(method: str, start: str = "mean") -> str:
    """Return a method's name with the one that the paper gives it."""
    if start == "encoder" and method not in ("encoder", "in_domain"):
        return f"{method} from the encoder's code"
    return f"{method} ({TABLE_3_NAMES[method]})" if method in TABLE_3_NAMES else method


def _cells(column: str, row: str, frame: "pd.DataFrame") -> list[Cell]:
    cells = []
    for name, metric in METRICS.items():
        values = frame[name].to_numpy(dtype=float)
        sem = estimate(values).sem if len(values) > 1 else None
        value = float(values.mean())
        named = f"{metric} ({frame['backbone'].iloc[0]})" if name == "lpips" else metric
        cells.append(Cell(row=row, column=column, metric=named, value=value, sem=sem, count=len(values)))
    return cells


def _protocol(column: str, frame: "pd.DataFrame") -> str:
    first = frame.iloc[0]
    steps = [
        f"{label(str(method), str(start))} {part['steps'].max()}"
        for (method, start), part in frame.groupby(["method", "start"], sort=False)
    ]
    num_images = frame["image"].nunique()
    return (
        f"{column}: {num_images} images, {first['img_resolution']} px, backbone {first['backbone']}, steps: "
        f"{', '.join(steps)}."
    )


_REFERENCE_NOTE = (
    'The column headed "paper:" has the authors\' own values, on photographs at 1024 px; compare orders, not sizes.'
)
