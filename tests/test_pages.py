"""What an operator sees: Prefect's pages in a browser, and the way there from `ui2i status` on a terminal."""

import json
import re
import sys

import numpy as np
import pytest
from PIL import Image
from terminal import screen
from test_doors import up as up
from test_doors import window as window
from tiny_project import distance_row, make_project

from flows.artifacts import SHEET_BYTES, artifact_key, show_contact_sheet, show_distances
from flows.naming import tag_this_run, this_run_name
from ui2i.errors import DataError
from ui2i.tables import DISTANCE_SCHEMA, append_rows

pytestmark = pytest.mark.slow  # a server, a browser; texts and states are in test_flows.py and test_operations.py

TEXT = "document.body.innerText"


@pytest.fixture(scope="module")
def left(up, window, tmp_path_factory):
    """A project, one run of it that left artifacts and one that failed, and a window that the server has let in."""
    from prefect import flow
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    project = make_project(tmp_path_factory.mktemp("pages") / "project")
    rows = [distance_row("run", f"cartoon/{mode}", mean) for mode, mean in (("FC-FT", 0.4), ("FC-FT-LS8", 0.2))]
    append_rows(project.distance_table("cartoon"), rows, DISTANCE_SCHEMA)
    project.translations("cartoon").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (900, 2400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(project.translations("cartoon") / "contact_sheet.png")

    @flow(name="re-evaluate", flow_run_name=this_run_name)
    def leave(domains):
        tag_this_run("re-evaluate", *domains)
        if domains == ["anime"]:
            raise DataError("anime has no images, expected some; add them")
        show_distances(project, "cartoon")
        show_contact_sheet(project.translations("cartoon"), "cartoon")

    with temporary_settings({PREFECT_API_URL: up.url, PREFECT_API_AUTH_STRING: up.password}):
        leave(["cartoon"])
        leave(["anime"], return_state=True)
    window.open(f"http://{up.address}/")
    window.run("localStorage.setItem('prefect-password', btoa(arguments[0])); arguments[1]()", up.password)
    return project


def ids(up, kind, name):
    found = json.loads(up.ask(f"{kind}/filter", {}, **up.basic, **{"Content-Type": "application/json"})[1])
    return {it[name]: it["id"] for it in found}


def test_the_sheet_is_an_image_on_its_page(up, left, window):
    sheet = ids(up, "artifacts", "key")[artifact_key("contact-sheet", "cartoon")]
    window.open(f"http://{up.address}/artifacts/artifact/{sheet}")
    width, num_bytes = window.wait_for(
        "[...document.images].filter(image => image.src.startsWith('data:image/jpeg') && image.naturalWidth > 300)"
        ".map(image => [image.naturalWidth, image.src.length])[0]"
    )
    assert width <= 1200
    assert num_bytes < 1.4 * SHEET_BYTES
    assert "base64" not in window.wait_for(TEXT), "an address would fill the page"


def test_distances_are_a_table_on_their_page(up, left, window):
    distances = ids(up, "artifacts", "key")[artifact_key("distance", "cartoon")]
    window.open(f"http://{up.address}/artifacts/artifact/{distances}")
    window.wait_for(f"{TEXT}.includes('cartoon/FC-FT-LS8')")
    assert {"model", "0.2000", "0.1800 to 0.2200"} <= set(window.wait_for(TEXT).split("\n") + window.wait_for(
        "[...document.querySelectorAll('td, th')].map(cell => cell.innerText.trim())"
    ))  # fmt: skip


def test_a_run_says_what_it_did_and_to_which_domain(up, left, window):
    run = ids(up, "flow_runs", "name")["re-evaluate cartoon"]
    window.open(f"http://{up.address}/runs/flow-run/{run}")
    window.wait_for(f"{TEXT}.includes('re-evaluate cartoon')")
    assert {"re-evaluate", "cartoon"} <= set(window.wait_for(TEXT).split("\n"))


def test_status_leads_to_the_log_of_a_run_that_failed(up, left, window, monkeypatch):
    environment = {"PREFECT_API_URL": up.url, "PREFECT_API_AUTH_STRING": up.password, "PREFECT_HOME": str(left.root)}
    command = ["env", *(f"{name}={value}" for name, value in environment.items()), sys.executable, "-m", "cli.app"]
    shown = screen([*command, "status"], left.root, 80)
    assert re.search(r"cartoon +2026-01-02 03:04 +not trained", shown)
    assert "re-evaluate anime" in shown and "anime has no images" in shown
    link = re.search(rf"http://{re.escape(up.address)}/runs/flow-run/[0-9a-f-]{{36}}", shown)[0]
    window.open(link)
    window.wait_for(f"{TEXT}.includes('re-evaluate anime')")
    assert max(map(len, shown.splitlines())) <= 80
