"""The distance to the base over the Frechet distance to the domain: FT, FC-FT and swapped layers on equal terms."""

import io
import math
import os
from typing import TYPE_CHECKING

from experiments.paper.seeds.findings import SWAPPED
from experiments.paper.tables.model_distance import APART
from ui2i.files import write_bytes

if TYPE_CHECKING:
    import pandas as pd

COLORS = {"FT": "C0", "FC-FT": "C1", APART: "C7"}
NUM_COLUMNS = 3
PANEL_INCHES = (4.2, 3.2)


def save_curves(path: str | os.PathLike[str], curves: "pd.DataFrame") -> None:
    """Write a PNG with a panel a domain: a line for each training, from the base at the right, and its swapped models.

    Args:
        curves: columns `domain`, `seed`, `mode`, `kimg`, `fd`, `d`.
    """
    # Not pyplot, which keeps global state and looks for a display.
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    domains = list(dict.fromkeys(curves["domain"]))
    num_columns = min(NUM_COLUMNS, len(domains))
    num_rows = math.ceil(len(domains) / num_columns)
    figure = Figure(figsize=(PANEL_INCHES[0] * num_columns, PANEL_INCHES[1] * num_rows), layout="constrained")
    for number, domain in enumerate(domains, 1):
        axes = figure.add_subplot(num_rows, num_columns, number)
        own = curves[curves["domain"] == domain]
        for (mode, seed), rows in own.groupby(["mode", "seed"], sort=False):
            is_first = seed == own["seed"].min()
            if mode in COLORS:
                line = rows.sort_values("kimg")
                label = str(mode) if is_first else None
                axes.plot(line["fd"], line["d"], color=COLORS[mode], marker=".", linewidth=1.2, label=label)
            elif mode.startswith(SWAPPED):
                label = "FC-FT with swapped layers" if is_first and mode == f"{SWAPPED}8" else None
                axes.plot(rows["fd"], rows["d"], color="C2", marker="^", linestyle="", label=label)
                note = f"{mode.removeprefix(SWAPPED)} px" if is_first else ""
                place_of = float(rows["fd"].iloc[0]), float(rows["d"].iloc[0])
                axes.annotate(note, place_of, xytext=(0, 6), textcoords="offset points", fontsize=8)
        axes.set(xscale="log", xlabel="Frechet distance to the domain", ylabel="distance to the base")
        axes.xaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))  # more of them run into each other
        for axis_formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            axis_formatter(StrMethodFormatter("{x:g}"))
        axes.set_title(domain, loc="left", fontsize=11)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    handles = [axes.get_legend_handles_labels() for axes in figure.axes]
    labelled = {label: line for lines, labels in handles for line, label in zip(lines, labels, strict=True)}
    figure.legend(
        labelled.values(), labelled, loc="outside lower center", ncols=len(labelled), frameon=False, fontsize=9
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())
