"""Tables I, II and III of the paper, made from what was measured, with the paper's own values beside it."""

from ui2i.paper_tables.inversion import inversion_table
from ui2i.paper_tables.layout import Cell, PaperTable
from ui2i.paper_tables.model_distance import OrderFault, model_distance_table, order_faults
from ui2i.paper_tables.translation import translation_table

__all__ = [
    "Cell",
    "OrderFault",
    "PaperTable",
    "inversion_table",
    "model_distance_table",
    "order_faults",
    "translation_table",
]
