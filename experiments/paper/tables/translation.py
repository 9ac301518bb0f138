"""Table II of the paper: fidelity, diversity and similarity of systems' outputs for the same inputs."""

from typing import TYPE_CHECKING

from experiments.paper.tables.layout import Cell, PaperTable
from experiments.paper.tables.values import table_2_cells
from ui2i.variants import VariantName

if TYPE_CHECKING:
    import pandas as pd

OWN_MODES = ("scratch", "FT", "FC-FT", "FreezeD", "FreezeG")


def translation_table(frame: "pd.DataFrame") -> PaperTable:
    """Return Table II.

    Args:
        frame: rows of `EVALUATION_SCHEMA` from any number of tables and runs; the last of each system, domain and kind
            of inputs counts.
    """
    last = frame.drop_duplicates(["source_domain", "domain", "system", "inputs"], keep="last")
    rows = [row for _, row in last.iterrows()]
    cells = [cell for row in rows for cell in _cells(row)]
    reference = [Cell(origin="paper", **cell) for cell in table_2_cells()]
    others = [row["system"] for row in rows if not is_own(row["system"])]
    return PaperTable(
        number="2",
        title="Table II. Fidelity to the target, diversity and similarity to the input (± standard error)",
        row_title="system",
        cells=(*cells, *reference),
        row_order=(*dict.fromkeys(others), "CycleGAN", "MUNIT", "DRIT++"),
        notes=(*_protocol_notes(rows), _REFERENCE_NOTE),
    )


def _cells(row: "pd.Series") -> list[Cell]:
    shared = {
        "row": _label(row),
        "column": f"{row['source_domain']}2{row['domain']}",
        "count": int(row["num_outputs"]),
        "run_id": row["run_id"],
    }
    cells = [Cell(metric=frechet_name(row), value=float(row["fd"]), sem=_measured(row, "fd_sem"), **shared)]
    if (fid := _measured(row, "fid")) is not None:
        cells.insert(0, Cell(metric="FID", value=fid, **shared))
        cells.insert(1, Cell(metric="KID", value=float(row["kid"]), **shared))
    for name, metric in (("lpips_d", "LPIPS_d"), ("lpips_s", "LPIPS_s")):
        if (value := _measured(row, name)) is not None:
            sem = float(row[f"{name}_sem"])
            cells.append(Cell(metric=f"{metric} ({row['backbone']})", value=value, sem=sem, **shared))
    return cells


def _measured(row: "pd.Series", name: str) -> float | None:
    """Return a value of a row; None: not measured."""
    return float(row[name]) if row[name] is not None and row[name] == row[name] else None


def frechet_name(row: "pd.Series") -> str:
    """Return the name of a row's Frechet distance, with the network whose features it is on."""
    return f"fd_{row['fd_network'] if isinstance(row['fd_network'], str) else row['backbone']}"


def is_own(system: str) -> bool:
    """Whether a row of Table II is a model of this project, by its name."""
    return VariantName.parse(system).mode in OWN_MODES


def _label(row: "pd.Series") -> str:
    if not is_own(row["system"]):
        return str(row["system"])
    return f"Ours ({row['system']})" + ("" if row["inputs"] == "generated" else ", images")


def _protocol_notes(rows: "list[pd.Series]") -> list[str]:
    notes: dict[str, None] = {}
    for row in rows:
        column = f"{row['source_domain']}2{row['domain']}"
        inputs = "the base's own images" if row["inputs"] == "generated" else "files"
        notes[
            f"{column}, inputs {inputs}: {row['num_outputs']:,} outputs, {row['num_pairs']:,} pairs, "
            f"{row['num_targets']:,} target images, backbone {row['backbone']}, {row['img_resolution']} px, resized by "
            f"{row['resizer']}, measured {row['measured_at']:%Y-%m-%d}."
        ] = None
    return list(notes)


_REFERENCE_NOTE = (
    'fd_<network> is a Frechet distance on the features of that network and no FID. Columns headed "paper:" are the '
    "authors' own values, of their models and images; nothing here compares with their sizes."
)
