"""The page itself: styles, the script that sorts tables, and sections one after the other.

Nothing is fetched: styles, script and images are part of the file, and the page's own policy forbids anything else.
"""

import dataclasses
import re
from collections.abc import Sequence
from html import escape

STYLE = """
:root { color-scheme: light; --ink: #1d2530; --faint: #5d6876; --line: #d8dee6; --accent: #1f5fa8; --paper: #f4f1e8; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: .5rem 0 0; } h2 { margin: 2.4rem 0 .4rem; font-size: 1.25rem; }
h2 { border-top: 2px solid var(--line); padding-top: .8rem; } h3 { margin: 1.4rem 0 .3rem; font-size: 1.02rem; }
p, figcaption { color: var(--faint); margin: .3rem 0; max-width: 60rem; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin: .8rem 0; } a { color: var(--accent); }
.scroll { overflow-x: auto; } figure { margin: .8rem 0; } svg { width: 46rem; }
img, svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .28rem .6rem; border-bottom: 1px solid var(--line); text-align: left; overflow-wrap: normal; }
th:first-child, td:first-child, td.number { white-space: nowrap; } td.number { text-align: right; }
th { vertical-align: bottom; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid var(--accent); }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
.reference { background: var(--paper); font-style: italic; }
.heat td { text-align: center; min-width: 4.2rem; border: 1px solid #fff; } .heat th { border: 0; font-weight: 500; }
@media (max-width: 40rem) { body { font-size: 14px; padding: .7rem; } th, td { padding: .24rem .4rem; } }
@media print { nav { display: none; } body { max-width: none; font-size: 10px; } .scroll { overflow: visible; }
  h2 { break-after: avoid; } figure, tr { break-inside: avoid; } table { font-size: 8px; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""

SCRIPT = """
document.querySelectorAll('table.sortable').forEach(table => {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector('button').addEventListener('click', () => {
    const down = head.getAttribute('aria-sort') === 'ascending';
    heads.forEach(other => other.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const key = row => row.cells[column].dataset.value;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === '' || y === '') return (x === '') - (y === '');
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return down ? -order : order;
    });
    table.tBodies[0].append(...rows);
  }));
});
"""


@dataclasses.dataclass(frozen=True)
class Section:
    """One part of the page."""

    title: str
    parts: tuple[str, ...]  # HTML, made by `ui2i.report.parts`


def render(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """Return the whole page.

    Args:
        title: plain text, as is `subtitle`.
    """
    links = "".join(f'<a href="#{_anchor(section.title)}">{escape(section.title)}</a>' for section in sections)
    body = "".join(
        f'<section id="{_anchor(section.title)}"><h2>{escape(section.title)}</h2>{"".join(section.parts)}</section>'
        for section in sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1><p>{escape(subtitle)}</p><nav>{links}</nav>{body}"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
