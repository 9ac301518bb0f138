"""The report, a designer's page: what is on it, that nothing on it is fetched or unescaped, how a browser takes it."""

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stage_calls import run
from test_measurement_stages import _stay_here as _stay_here
from test_measurement_stages import project as project
from test_measurement_stages import trained as trained
from test_measurement_stages import ui2i as ui2i
from tiny_project import write_images

from experiments.paper.tables import Cell, PaperTable
from experiments.paper.tables.html import paper_table
from tasks.project.params import load_params
from tasks.requests import report, worst_translations
from tasks.requests.worst_translations import Translated, input_pngs
from ui2i.data_uris import image_uri
from ui2i.errors import DataError
from ui2i.report import Section, curves, gallery, heat_map, image, paragraph, render, table

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)

PROBE = """
<script>
const seen = {errors: []};
addEventListener('error', event => seen.errors.push(String(event.message)));
addEventListener('securitypolicyviolation', event => seen.errors.push(event.violatedDirective));
addEventListener('load', () => {
  const tables = [...document.querySelectorAll('table.sortable')];
  const column = (table, place) => [...table.tBodies[0].rows].map(row => row.cells[place].textContent);
  seen.before = column(tables[0], 1);
  const button = tables[0].tHead.rows[0].cells[1].querySelector('button');
  button.click(); seen.ascending = column(tables[0], 1);
  button.click(); seen.descending = column(tables[0], 1);
  tables[0].tHead.rows[0].cells[0].querySelector('button').click(); seen.names = column(tables[0], 0);
  seen.sort = [...tables[0].tHead.rows[0].cells].map(head => head.getAttribute('aria-sort'));
  seen.images = [...document.images].map(image => image.complete && image.naturalWidth > 0);
  seen.tables = tables.length;
  const zoom = document.querySelector('button.zoom'), view = zoom.parentElement;
  zoom.click(); seen.large = view.scrollWidth / view.clientWidth; seen.expanded = zoom.getAttribute('aria-expanded');
  zoom.click(); seen.small = view.scrollWidth / view.clientWidth;
  seen.tooWide = [...document.querySelectorAll('body *')].filter(element => !element.closest('.scroll, .sheet') &&
    element.getBoundingClientRect().right > innerWidth + 1).map(element => element.tagName);
  seen.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  document.documentElement.setAttribute('data-seen', JSON.stringify(seen));
});
</script>
"""


class _Resources(HTMLParser):
    """Collects everything that a page could fetch, and checks that tags are closed."""

    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href") and not value.startswith("#")]
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        """SVG shapes close themselves."""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def resources(page):
    parser = _Resources()
    parser.feed(page)
    assert parser.open == []
    return parser.found


NUMBERS = [["b", "10.5 ± 0.1"], ["a", "9"], ["c", ""], ["d", "1,200"], ["e", "-3e-2"]]


def small_page(tmp_path):
    Image.fromarray(np.full((40, 2000, 3), 90, np.uint8)).save(tmp_path / "wide.png")
    pixel = image_uri(tmp_path / "wide.png", max_width=64)
    cells = [Cell(row="FT", column="face2cat", metric="d", value=0.5, sem=0.01)]
    cells += [Cell(row="FT", column="face2anime", metric="d", value=0.65, origin="paper")]
    parts = (
        table("Numbers", ["name", "value"], NUMBERS),
        paper_table(PaperTable(number="1", title="Table I", row_title="model", cells=tuple(cells))),
        heat_map("Distances", ["a", "b", "c"], {("a", "b"): 0.5, ("c", "b"): 0.25}),
        curves("Over time", ["1", "2"], {"x": [(0, 0.5, 0.01), (1, 0.6, 0.02)], "y": [(1, 0.1, 0.0)]}),
        image(tmp_path / "wide.png", "A wide image"),
        gallery(
            "The worst first", [("a-long-file-name: SSIM 0.12", [("input", pixel), ("FC-FT-LS16-blend0.5", pixel)])] * 9
        ),
        paragraph("The end."),
    )
    return render("Title", "Subtitle", [Section("One & two", parts)])


# What is written


def test_nothing_is_fetched_and_tags_are_closed(tmp_path):
    found = resources(small_page(tmp_path))
    assert found and all(address.startswith("data:") for address in found)


def test_text_is_escaped():
    bad = '<script>alert("x")</script>&'
    page = render(bad, bad, [Section(bad, (table(bad, [bad], [[bad]]), heat_map(bad, [bad], {}), paragraph(bad)))])
    assert page.count("<script>") == 1 and "alert(&#34;" in page
    assert resources(page)


def test_a_heat_map_has_both_halves():
    page = heat_map("Distances", ["a", "b", "c"], {("a", "b"): 0.5, ("c", "b"): 0.25})
    rows = re.findall(r"<tr><th scope=\"row.*?</tr>", page, re.DOTALL)
    assert [re.findall(r">([\d.]*)</td>", row) for row in rows] == [
        ["", "0.5000", ""], ["0.5000", "", "0.2500"], ["", "0.2500", ""],
    ]  # fmt: skip
    assert page.count("rgb(24,70,130)") == 2, "the largest is darkest"


def test_curves_put_values_where_they_belong():
    page = curves("Over time", ["1", "2"], {"x": [(0, 0.2, 0.0), (1, 0.4, 0.0)]})
    svg = base64.b64decode(re.search(r"data:image/svg\+xml;base64,([^\"]*)", page)[1]).decode()
    paths = re.findall(r'd="M ([\d.]+) ([\d.]+) \nL ([\d.]+) ([\d.]+) \n"[^>]*stroke: #1f77b4', svg)
    found = [[float(number) for number in path] for path in paths]
    x0, y0, x1, y1 = next(path for path in found if path[0] != path[2] and path[1] != path[3])
    assert x0 < x1 and y0 > y1, "later is right, larger is up"
    assert curves("Nothing", [], {}) == ""
    assert "data:image/svg" in curves("One run", ["1"], {"x": [(0, 0.0, 0.0)]})


def test_large_images_are_made_smaller(tmp_path):
    page = small_page(tmp_path)
    assert "data:image/jpeg" in page and "data:image/png" not in page
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)).save(
        tmp_path / "noise.png"
    )
    for limit in (2_000, 20_000):
        uri = image_uri(tmp_path / "noise.png", max_bytes=limit)
        assert limit / 3 < len(base64.b64decode(uri.partition(",")[2])) <= limit
    Image.new("RGB", (30, 30)).save(tmp_path / "small.png")
    assert "data:image/png" in image(tmp_path / "small.png", "")


# In a browser


def seen_by_chromium(page, tmp_path, width):
    path = tmp_path / f"page-{width}.html"
    path.write_text(page.replace("</head>", PROBE + "</head>"), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--virtual-time-budget=3000"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900"]
    command = [CHROMIUM, *options, "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    found = re.search(r'data-seen="(.*?)">', done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(found[1].replace("&quot;", '"')), console


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [400, 1280])
def test_chromium_renders_sorts_and_reports_no_error(tmp_path, width):
    seen, console = seen_by_chromium(small_page(tmp_path), tmp_path, width)
    assert (seen["errors"], console) == ([], [])
    assert seen["before"] == [value for _, value in NUMBERS]
    assert seen["ascending"] == ["-3e-2", "9", "10.5 ± 0.1", "1,200", ""], "empty cells last"
    assert seen["descending"] == ["1,200", "10.5 ± 0.1", "9", "-3e-2", ""]
    assert seen["names"] == ["a", "b", "c", "d", "e"]
    assert seen["sort"] == ["ascending", None]
    assert set(seen["images"]) == {True}
    assert seen["tables"] == 2
    assert seen["overflow"] <= 0, "the page is no wider than the screen"
    assert seen["tooWide"] == []
    assert (seen["expanded"], seen["small"]) == ("true", 1.0)
    assert seen["large"] > 2.4, "a click enlarges a sheet"  # 2.5, less a scroll bar


# The command


def test_the_report_of_a_project(project, ui2i, monkeypatch, tmp_path):
    status, _, err = ui2i("report")
    assert status == 2 and "nothing was measured yet" in err
    for module in ("distance", "evaluate", "distance"):
        assert run(project, module, "cartoon") == 0
    status, out, _ = ui2i("report")
    assert status == 0 and "report.html" in out
    assert ui2i("report")[0] == 0, "an earlier one is replaced"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ui2i("report", "--out=~/page.html")[0] == 0
    assert ui2i("report", "--out", "~/quoted.html")[0] == 0
    assert {path.name for path in tmp_path.glob("*.html")} == {"page.html", "quoted.html"}
    assert not Path("~").exists(), "no shell expands these"
    page = (project.data_dir / "tables" / "report.html").read_text()
    assert all(address.startswith("data:") for address in resources(page))
    for expected in (
        "Table I.",
        "Table II.",
        "paper: face2anime",
        "Domain cartoon",
        "cartoon/FC-FT-LS16",
        "Provenance",
    ):
        assert expected in page
    assert page.count("<img") == 2  # the same latents in every model, and the distances over the runs
    order = [page.index(f"<h2>{title}") for title in ("Domains", "Domain cartoon", "The paper", "Provenance")]
    assert order == sorted(order)
    assert page.index("Newest distances") < order[1]
    svg = base64.b64decode(re.search(r"data:image/svg\+xml;base64,([^\"]*)", page)[1]).decode()
    assert svg.count('"LineCollection_') == 2 * 4, "of four models, in the plot and in the legend"
    assert "<!-- mean distance -->" in svg and "<!-- run (UTC) -->" in svg, "both axes say what they show"


def test_a_damaged_shard_of_inputs_is_an_error_in_words(tmp_path):
    (tmp_path / "images-00000.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(DataError, match=r"cannot be read .* run the stage ingest again"):
        input_pngs(tmp_path, ["a.png"])


def test_the_worst_translations_come_first(project, ui2i):
    write_images(project.raw("face"), count=40, seed=1)
    for stage, name in (("ingest", "face"), ("distance", "cartoon"), ("translate", "cartoon")):
        assert run(project, stage, name) == 0
    status, _, _ = ui2i("report")
    assert status == 0
    page = (project.data_dir / "tables" / "report.html").read_text()
    title = re.search(r"the worst reconstruction \(SSIM\) first: (\d+) of \1", page)
    assert title is not None
    cards = page[title.end() :]
    values = [float(value) for value in re.findall(r"<figcaption>[^<]*SSIM (-?[\d.]+)</figcaption>", cards)]
    assert len(values) == int(title[1]) > 1 and values == sorted(values)
    assert re.findall(r"<small>([^<]*)</small>", cards)[:3] == ["input", "reconstruction", "FC-FT"]


def test_no_image_of_a_gallery_is_large(project, tmp_path, monkeypatch):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8))
    noise.save(tmp_path / "noise.png")
    png = (tmp_path / "noise.png").read_bytes()
    shown = Translated(name="a", score=None, ssim=0.5, png=png, outputs=(("FC-FT", tmp_path / "noise.png"),))
    monkeypatch.setattr(worst_translations, "worst_translations", lambda *_: ([shown], 1))
    page = "".join(report._worst_first(project, load_params(project), "cartoon"))
    uris = re.findall(r'src="([^"]*)"', page)
    assert len(png) > report.MAX_CARD_BYTES and len(uris) == 2
    assert max(map(len, uris)) < 1.4 * report.MAX_CARD_BYTES
