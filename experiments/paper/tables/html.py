"""A table of the paper as HTML, for the report."""

from markupsafe import Markup

from experiments.paper.tables.layout import PaperTable
from ui2i.report import paragraph, table


def paper_table(shown: PaperTable) -> Markup:
    """Return a table of the paper with its notes."""
    reference = [place + 1 for place, (origin, _, _) in enumerate(shown.columns) if origin == "paper"]
    notes = Markup("").join(paragraph(note) for note in shown.notes)
    return table(shown.title, shown.header, shown.text_rows(), reference_columns=reference) + notes
