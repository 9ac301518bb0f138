"""Training curves of several runs side by side, as one image for people."""

import io
import math
import os
from collections.abc import Mapping, Sequence

from ui2i.files import write_bytes

Log = Sequence[Mapping[str, float]]

PANELS = {
    "fd": "Frechet distance to held-out images",
    "kd": "Kernel distance to held-out images",
    "loss_generator": "Generator's loss",
    "loss_discriminator": "Discriminator's loss",
    "logits_real": "Logits of real images",
    "logits_fake": "Logits of generated images",
    "path_length": "Path length",
    "r1": "R1",
    "augment_probability": "Probability of augmentation",
    "diversity": "Diversity of samples",
}
"""Columns of the training table that are drawn if any run has them, and their titles."""

NUM_COLUMNS = 3
PANEL_INCHES = (4.2, 2.6)


def save_curves(path: str | os.PathLike[str], logs: Mapping[str, Log]) -> None:
    """Write a PNG with one panel a measurement and one line a run, over thousands of images shown.

    Args:
        logs: rows of each run's training table by the run's name.
    """
    # Not pyplot, which keeps global state and looks for a display.
    from matplotlib.figure import Figure

    columns = [name for name in PANELS if any(_series(log, name)[0] for log in logs.values())]
    num_rows = max(1, math.ceil(len(columns) / NUM_COLUMNS))
    figure = Figure(figsize=(PANEL_INCHES[0] * NUM_COLUMNS, PANEL_INCHES[1] * num_rows), layout="constrained")
    for index, column in enumerate(columns):
        axes = figure.add_subplot(num_rows, NUM_COLUMNS, index + 1)
        for name, log in logs.items():
            kimg, values = _series(log, column)
            axes.plot(kimg, values, label=name, linewidth=1.4, marker="." if len(kimg) < 30 else "")
        axes.set_title(PANELS[column], fontsize=10, loc="left")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if index // NUM_COLUMNS == num_rows - 1:
            axes.set_xlabel("thousands of images")
    if columns:
        figure.axes[0].legend(frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


def _series(log: Log, column: str) -> tuple[list[float], list[float]]:
    """Return the places and values of a column where a log has them."""
    points = [(row["kimg"], row[column]) for row in log if row.get(column) is not None]
    points = [(kimg, value) for kimg, value in points if math.isfinite(value)]
    return [kimg for kimg, _ in points], [value for _, value in points]
