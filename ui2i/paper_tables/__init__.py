"""Tables I, II and III of the paper, made from what was measured, with the paper's own values beside it."""

from ui2i.paper_tables.inversion import inversion_table
from ui2i.paper_tables.inversion import label as inversion_label
from ui2i.paper_tables.layout import Cell, PaperTable
from ui2i.paper_tables.model_distance import OrderFault, model_distance_table, order_faults
from ui2i.paper_tables.translation import translation_table
from ui2i.paper_tables.values import TABLE_1, TABLE_1_COLUMNS, TABLE_2, TABLE_2_METRICS, TABLE_3

__all__ = [
    "TABLE_1",
    "TABLE_1_COLUMNS",
    "TABLE_2",
    "TABLE_2_METRICS",
    "TABLE_3",
    "Cell",
    "OrderFault",
    "PaperTable",
    "inversion_label",
    "inversion_table",
    "model_distance_table",
    "order_faults",
    "translation_table",
]
