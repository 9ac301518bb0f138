"""One HTML page that shows everything measured, without a network: tables, heat maps, curves, images, provenance."""

from ui2i.report.chart import curves
from ui2i.report.page import Section, is_report, render
from ui2i.report.parts import Link, gallery, heat_map, image, paragraph, table

__all__ = ["Link", "Section", "curves", "gallery", "heat_map", "image", "is_report", "paragraph", "render", "table"]
