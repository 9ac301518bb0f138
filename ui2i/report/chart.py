"""Values over runs as lines with error bars."""

import io
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from ui2i.report.parts import figure

Point = tuple[int, float, float]  # place of the run, value, standard error

NUM_BAR_SEMS = 2  # length of an error bar to either side
ASIDE = 0.04  # runs between two lines, so that error bars do not hide each other
MAX_TICKS = 4  # of runs; each is a date and a time
LEGEND_COLUMNS = 2


def curves(title: str, times: Sequence[str], lines: Mapping[str, Sequence[Point]], *, value: str = "") -> Markup:
    """Return a figure with one line a name, legible on a phone; empty if there is no value.

    Args:
        value: what the axis on the left shows, with its unit.
        times: when each run was, for the axis below.
        lines: by name: place of the run in `times`, value, standard error.
    """
    if not any(lines.values()):
        return Markup("")
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(6.4, 3.6 + 0.25 * -(-len(lines) // LEGEND_COLUMNS)), layout="constrained")
    axes = drawn.add_subplot()
    for number, (name, line) in enumerate(lines.items()):
        aside = ASIDE * (number - (len(lines) - 1) / 2)
        places, values, sems = zip(*line, strict=True)
        bars = [NUM_BAR_SEMS * sem for sem in sems]
        axes.errorbar([place + aside for place in places], values, yerr=bars, fmt="o-", markersize=4, label=name)
    shown = range(0, len(times), -(-len(times) // MAX_TICKS))
    axes.set_xticks(list(shown), [times[place] for place in shown])
    axes.set_xlabel("run (UTC)")
    axes.set_ylabel(value)
    axes.set_xlim(-0.5, len(times) - 0.5)
    axes.grid(axis="y", color="#d8dee6")
    axes.spines[["top", "right"]].set_visible(False)
    drawn.legend(loc="outside lower center", ncols=LEGEND_COLUMNS, frameon=False)
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="svg", metadata={"Date": None})
    return figure(
        title, buffer.getvalue(), "svg+xml", f"Mean and {NUM_BAR_SEMS} standard errors to either side, by run"
    )
