"""Pieces of the page as HTML: tables, heat maps, images. All text that comes in is escaped."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from PIL import Image

MAX_IMAGE_WIDTH = 1600  # pixels; wider ones are made smaller
MAX_PNG_BYTES = 1_500_000  # larger ones become JPEG


def paragraph(text: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, reference_columns: Sequence[int] = ()
) -> str:
    """Return a table whose columns sort by a click on their heading.

    Args:
        rows: plain text; a cell that begins with a number sorts by it.
        reference_columns: places of columns that are somebody else's values, set apart by their look.
    """
    heads = "".join(
        f'<th scope="col"{_reference(place, reference_columns)}><button type="button">{escape(name)}</button></th>'
        for place, name in enumerate(header)
    )
    body = "".join(
        "<tr>" + "".join(_cell(text, place in reference_columns) for place, text in enumerate(row)) + "</tr>"
        for row in rows
    )
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    return (
        f'{heading}<div class="scroll"><table class="sortable"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody>'
        "</table></div>"
    )


def heat_map(title: str, names: Sequence[str], values: Mapping[tuple[str, str], float]) -> str:
    """Return a square of numbers, the darker the larger; both (a, b) and (b, a) may hold a pair's value."""
    largest = max(values.values(), default=0.0) or 1.0
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = []
    for row in names:
        cells = [values.get((row, column), values.get((column, row))) for column in names]
        rows.append(f'<tr><th scope="row">{escape(row)}</th>{"".join(_heat(value, largest) for value in cells)}</tr>')
    return (
        f'<h3>{escape(title)}</h3><div class="scroll"><table class="heat"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def image(path: Path, caption: str) -> str:
    """Return an image as part of the page, made smaller where it is very large."""
    data, kind = _image_bytes(path)
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    text = escape(caption, quote=True)
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def _reference(place: int, reference_columns: Sequence[int]) -> str:
    return ' class="reference"' if place in reference_columns else ""


def _cell(text: str, is_reference: bool) -> str:
    number = re.match(r"-?[\d,]*\.?\d+(e-?\d+)?(?=$|\s)", text)
    value = number[0].replace(",", "") if number else text
    kinds = [kind for kind, applies in (("number", number), ("reference", is_reference)) if applies]
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    return f'<td{kind} data-value="{escape(value, quote=True)}">{escape(text)}</td>'


def _heat(value: float | None, largest: float) -> str:
    if value is None:
        return "<td></td>"
    share = min(1.0, max(0.0, value / largest))
    # From white to a dark blue, in which the text turns white.
    red, green, blue = (round(255 + (end - 255) * share**0.8) for end in (24, 70, 130))
    ink = "#fff" if share > 0.55 else "#1d2530"
    return f'<td style="background:rgb({red},{green},{blue});color:{ink}">{value:.4f}</td>'


def _image_bytes(path: Path) -> tuple[bytes, str]:
    data = path.read_bytes()
    with Image.open(path) as file:
        if file.width <= MAX_IMAGE_WIDTH and len(data) <= MAX_PNG_BYTES and file.format == "PNG":
            return data, "png"
        image = file.convert("RGB")
    if image.width > MAX_IMAGE_WIDTH:
        height = round(image.height * MAX_IMAGE_WIDTH / image.width)
        image = image.resize((MAX_IMAGE_WIDTH, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=88)
    return buffer.getvalue(), "jpeg"
