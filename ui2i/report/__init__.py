"""One HTML page that shows everything measured, without a network: tables, heat maps, curves, images, provenance."""

from ui2i.report.chart import curves
from ui2i.report.page import Section, render
from ui2i.report.parts import heat_map, paragraph, image, table

__all__ = ["Section", "curves", "heat_map", "paragraph", "image", "render", "table"]
