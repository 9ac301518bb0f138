"""Contact sheets: labelled rows of images, for people to look at. Arrays are uint8 RGB, batches NHWC."""

import dataclasses
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from ui2i.errors import DataError

_INK = (32, 32, 32)
_FAINT_INK = (96, 96, 96)
_MARK = (200, 30, 30)
_MARGIN = 16  # pixels around the sheet and between a label and its images
_GAP = 4  # pixels between images
_MAX_LABEL_WIDTH = 220  # pixels


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a contact sheet."""

    label: str  # written left of the images; may be empty, may have several lines
    images: UInt8[np.ndarray, "n h w 3"]
    is_marked: bool = False  # framed and labelled in red: something is wrong with it


def contact_sheet(
    rows: Sequence[Row], column_labels: Sequence[str] = (), upscale: int = 1, title: str | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw labelled rows of images on a white sheet.

    Rows may differ in length and images in size: every cell takes the size of the largest. Labels too long for
    their place are broken into lines at spaces and, where one word is too long, cut with an ellipsis.

    Args:
        column_labels: written above the columns, from the left; empty: none.
        upscale: whole factor by which small images are enlarged (each pixel becomes a square).
        title: a line above everything; None: none.

    Raises:
        DataError: there is no image in `rows`.
    """
    num_columns = max((len(row.images) for row in rows), default=0)
    if num_columns == 0:
        raise DataError("the contact sheet has no images, expected at least one row of one; pass images to it")
    sheet = _SheetLayout.measure(rows, column_labels, upscale, title, num_columns)
    return np.asarray(sheet.draw(rows, upscale))


@dataclasses.dataclass(frozen=True)
class _SheetLayout:
    """Where everything on a contact sheet goes, in pixels."""

    cell: tuple[int, int]  # width, height
    label_width: int  # 0: the sheet has no row labels
    row_labels: list[str]
    row_heights: list[int]
    column_labels: list[str]
    title: str
    title_height: int
    header_height: int
    size: tuple[int, int]
    font: Any
    title_font: Any

    @classmethod
    def measure(
        cls, rows: Sequence[Row], column_labels: Sequence[str], upscale: int, title: str | None, num_columns: int
    ) -> "_SheetLayout":
        """Break the labels into lines and add up the sizes."""
        cell_width = upscale * max(row.images.shape[2] for row in rows)
        cell_height = upscale * max(row.images.shape[1] for row in rows)
        font = ImageFont.load_default(size=max(11, min(16, cell_height // 5)))
        title_font = ImageFont.load_default(size=20)
        row_labels = [_wrap(row.label, font, _MAX_LABEL_WIDTH) for row in rows]
        headings = [_wrap(label, font, cell_width) for label in column_labels[:num_columns]]
        label_width = max(_text_size(label, font)[0] for label in row_labels)
        left = _MARGIN + (label_width + _MARGIN if label_width else 0)
        images_width = num_columns * (cell_width + _GAP) - _GAP
        title_text = _wrap(title or "", title_font, max(left + images_width - _MARGIN, _MAX_LABEL_WIDTH))
        title_width, title_height = _text_size(title_text, title_font)
        header_height = max((_text_size(label, font)[1] for label in headings), default=0)
        row_heights = [max(cell_height, _text_size(label, font)[1]) for label in row_labels]
        height = 2 * _MARGIN + sum(row_heights) + _GAP * (len(rows) - 1)
        height += title_height + _MARGIN if title_height else 0
        height += header_height + _GAP if header_height else 0
        return cls(
            cell=(cell_width, cell_height),
            label_width=label_width,
            row_labels=row_labels,
            row_heights=row_heights,
            column_labels=headings,
            title=title_text,
            title_height=title_height,
            header_height=header_height,
            size=(max(left + images_width, _MARGIN + title_width) + _MARGIN, height),
            font=font,
            title_font=title_font,
        )

    def draw(self, rows: Sequence[Row], upscale: int) -> Image.Image:
        """Paint the sheet."""
        sheet = Image.new("RGB", self.size, "white")
        pen = ImageDraw.Draw(sheet)
        left = _MARGIN + (self.label_width + _MARGIN if self.label_width else 0)
        top = _MARGIN
        if self.title_height:
            pen.multiline_text((_MARGIN, top), self.title, fill=_INK, font=self.title_font)
            top += self.title_height + _MARGIN
        for column, label in enumerate(self.column_labels):
            center = left + column * (self.cell[0] + _GAP) + self.cell[0] / 2
            bottom = top + self.header_height
            pen.multiline_text((center, bottom), label, fill=_FAINT_INK, font=self.font, anchor="md", align="center")
        top += self.header_height + _GAP if self.header_height else 0
        for row, label, height in zip(rows, self.row_labels, self.row_heights, strict=True):
            right, middle = left - _MARGIN, top + height / 2
            ink = _MARK if row.is_marked else _INK
            pen.multiline_text((right, middle), label, fill=ink, font=self.font, anchor="rm", align="right")
            for column, image in enumerate(row.images):
                enlarged = image.repeat(upscale, axis=0).repeat(upscale, axis=1)
                sheet.paste(Image.fromarray(enlarged), (left + column * (self.cell[0] + _GAP), top))
            if row.is_marked:
                edge = left + len(row.images) * (self.cell[0] + _GAP) - _GAP
                pen.rectangle((left - 2, top - 2, edge + 1, top + self.cell[1] + 1), outline=_MARK, width=2)
            top += height + _GAP
        return sheet


def _text_size(text: str, font: Any) -> tuple[int, int]:
    """Width and height in pixels that a text of several lines needs, from the top of its first line."""
    if not text:
        return 0, 0
    pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    _, _, right, bottom = pen.multiline_textbbox((0, 0), text, font=font)
    return int(np.ceil(right)), int(np.ceil(bottom))


def _wrap(text: str, font: Any, max_width: int) -> str:
    """Break a text at spaces into lines of at most `max_width` pixels."""
    lines: list[str] = []
    for paragraph in _drawable(text, font).splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".lstrip()
            if line and font.getlength(longer) > max_width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return "\n".join(_shorten(line, font, max_width) for line in lines)


def _drawable(text: str, font: Any) -> str:
    """Write letters that the font lacks without their accents, and what is left of them as question marks."""
    missing = bytes(font.getmask("\uffff"))
    written = []
    for letter in text:
        if ord(letter) > 127 and bytes(font.getmask(letter)) == missing:
            letter = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"
        written.append(letter)
    return "".join(written)


def _shorten(line: str, font: Any, max_width: int) -> str:
    if font.getlength(line) <= max_width:
        return line
    while line and font.getlength(line + "…") > max_width:
        line = line[:-1]
    return line + "…"
