"""The table behind the baselines' curves: rows of Table II with what had been spent on them; and its plot."""

import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from experiments.paper.tables.claims import INTERVAL_SEMS
from ui2i.columns import COLUMNS, Meaning, described
from ui2i.files import write_bytes
from ui2i.schemas import EVALUATION_SCHEMA

NAMED_SETTINGS = ("width", "precision", "seed")
"""In which trainings of a system and a budget may differ."""

_OWN_COLUMNS: Mapping[str, tuple[pa.DataType, Meaning]] = {
    "mark": (pa.float64(), ("processor time after which to measure; null: not a trained system", "core minutes")),
    "core_minutes": (pa.float64(), ("processor time of the training up to here", "core minutes")),
    "budget_core_minutes": (pa.float64(), ("processor time at the training's end", "core minutes")),
    "kimg": (pa.float64(), ("images of each domain shown up to here", "thousand images")),
    "rate_factor": (pa.float64(), ("share of the first learning rate that is left; 0: done", "")),
    "styles_lpips_d": (pa.float64(), ("mean LPIPS between outputs of one input; null: there is one output", "LPIPS")),
    "styles_lpips_d_sem": (pa.float64(), ("its standard error over inputs", "LPIPS")),
    "num_styles": (pa.int64(), ("outputs of one input", "images")),
    "processor": (pa.string(), ("where it was measured, and trained last: name, instruction set, bf16, as JSON", "")),
    "inputs_hash": (pa.string(), ("SHA-256 of the test images' dataset, or of the images", "")),
    "identity": (pa.string(), ("the training's settings and the hashes of its data, as JSON", "")),
}


def _schema() -> pa.Schema:
    fields = [*EVALUATION_SCHEMA, *(pa.field(name, kind) for name, (kind, _) in _OWN_COLUMNS.items())]
    meanings = {**COLUMNS, **{name: meaning for name, (_, meaning) in _OWN_COLUMNS.items()}}
    metadata = {"table": "baseline-curve", "schema_version": "2"}
    return pa.schema(described("baseline-curve", fields, meanings), metadata=metadata)


CURVE_SCHEMA = _schema()


def save_curve(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a PNG: Frechet distance and LPIPS over processor time, a line a training, and the ends of the scale.

    Args:
        rows: of `CURVE_SCHEMA`; those on the backbone's own features are left out.
    """
    # Not pyplot, which keeps global state and looks for a display.
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    own = [row for row in rows if row["fd_network"] is not None]
    ends = {row["system"]: row for row in own if row["mark"] is None}
    figure = Figure(figsize=(11.0, 3.2), layout="constrained")
    panels = (("fd", "Frechet distance"), ("lpips_s", "LPIPS_s, to the input"), ("lpips_d", "LPIPS_d, among outputs"))
    for place, (metric, title) in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), place)
        for number, (label, line) in enumerate(_lines(own).items()):
            axes.errorbar(
                [row["core_minutes"] for row in line],
                [row[metric] for row in line],
                yerr=[INTERVAL_SEMS * (row[f"{metric}_sem"] or 0.0) for row in line],
                color=f"C{number}",
                marker="o",
                markersize=4,
                linewidth=1.4,
                label=label,
            )
        for (system, row), style in zip(ends.items(), ("--", ":"), strict=False):
            if row[metric] is not None:
                axes.axhline(row[metric], color="0.4", linestyle=style, linewidth=1, label=system)
        axes.set(xscale="log", xlabel="core minutes")
        axes.xaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))  # more of them run into each other
        for axis_formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            axis_formatter(StrMethodFormatter("{x:g}"))
        axes.set_title(title, loc="left", fontsize=10)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


def _lines(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the rows of each training by its name, in the order of systems, budgets and time.

    A name has the budget, and those settings in which the trainings differ.
    """
    lines: dict[str, list[Mapping[str, Any]]] = {}
    trained = [row for row in rows if row["mark"] is not None]
    made_of = {row["identity"]: json.loads(row["identity"]) for row in trained}
    telling = [name for name in NAMED_SETTINGS if len({settings.get(name) for settings in made_of.values()}) > 1]
    for row in sorted(trained, key=lambda row: (row["system"], row["budget_core_minutes"], row["core_minutes"])):
        settings = "".join(f", {name} {made_of[row['identity']].get(name)}" for name in telling)
        lines.setdefault(f"{row['system']}, {row['budget_core_minutes']:g}{settings}", []).append(row)
    return lines
