"""Tables I, II and III of the paper, made from our measurements, next to the paper's own values."""

from experiments.paper.tables.inversion import inversion_table
from experiments.paper.tables.inversion import label as inversion_label
from experiments.paper.tables.layout import Cell, PaperTable
from experiments.paper.tables.model_distance import OrderFault, model_distance_table, order_faults
from experiments.paper.tables.translation import translation_table
from experiments.paper.tables.values import TABLE_1, TABLE_1_COLUMNS, TABLE_2, TABLE_2_METRICS, TABLE_3

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
