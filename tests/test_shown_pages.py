"""Where a project's pages are shown, and who links to them: reports and artifacts, never with the token."""

import os
import re
import socket

import numpy as np
import pytest
from PIL import Image
from table_rows import row
from tiny_project import distance_row

from cli import app
from cli.web import _listener
from flows import artifacts
from tasks.requests.report import render_report, write_report
from tasks.requests.shown_pages import last_port, shown, shown_at, translations_link
from tasks.running.locks import HeldError
from ui2i.tables import DISTANCE_SCHEMA, TRANSLATION_SCHEMA, append_rows
from ui2i.translation_files import MANIFEST_NAME, SHEET_NAME


@pytest.fixture
def measured(project):
    """With distances of two models, and translations by one of them."""
    rows = [distance_row("run", f"cartoon/{mode}", mean) for mode, mean in (("FC-FT", 0.4), ("FT", 0.2))]
    append_rows(project.distance_table("cartoon"), rows, DISTANCE_SCHEMA)
    translated = row(TRANSLATION_SCHEMA, 0, input_path="a.png", output_file="a-FC-FT.png", variant="FC-FT")
    append_rows(project.translations("cartoon") / MANIFEST_NAME, [translated], TRANSLATION_SCHEMA)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(project.translations("cartoon") / SHEET_NAME)
    return project


def test_the_address_is_known_while_the_pages_are_shown(project):
    assert shown_at(project) is None and last_port(project) is None
    with shown(project, 8600):
        assert shown_at(project) == "http://127.0.0.1:8600"
        message = rf"is being shown by process {os.getpid()} on .*wait for it or stop it"
        with pytest.raises(HeldError, match=message), shown(project, 8601):
            pytest.fail("two servers")
        assert shown_at(project) == "http://127.0.0.1:8600"
    assert shown_at(project) is None
    assert last_port(project) == 8600, "the next server takes it again, so that links stay good"


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"port": "x"}', '{"port": 0}', '{"port": 70000}', "null"])
def test_a_damaged_note_of_the_port_is_no_port(project, content):
    project.served_address.parent.mkdir(parents=True)
    project.served_address.write_text(content)
    assert last_port(project) is None
    with _listener(project, None) as listener:
        assert listener.getsockname()[1] > 0


def test_a_port_that_is_taken_is_only_insisted_on_if_it_was_named(project, monkeypatch, capsys):
    monkeypatch.chdir(project.root)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with shown(project, port):
            pass
        with _listener(project, None) as listener:
            assert listener.getsockname()[1] != port
        assert app.run(["serve", "--port", str(port)]) == 2
    assert f"port {port} cannot be listened on" in capsys.readouterr().err
    with _listener(project, None) as listener:
        assert listener.getsockname()[1] == port


def test_a_second_server_is_told_who_shows_the_project(project, monkeypatch, capsys):
    monkeypatch.chdir(project.root)
    with shown(project, 8600):
        assert app.run(["serve"]) == 2
    assert f"this project is being shown by process {os.getpid()}" in capsys.readouterr().err


def test_numbers_of_the_report_link_to_their_images_while_the_pages_are_shown(measured, tmp_path):
    write_report(measured, tmp_path / "report.html")
    assert "<a href=" not in _tables((tmp_path / "report.html").read_text())
    with shown(measured, 8600):
        write_report(measured, tmp_path / "report.html")
    links = re.findall(r'<a href="([^"]+)" target="_top">([^<]+)</a>', (tmp_path / "report.html").read_text())
    assert links == [("http://127.0.0.1:8600/measure.html?domain=cartoon&amp;variant=FC-FT", "0.4000")]
    assert 'href="/measure.html?domain=cartoon&amp;variant=FC-FT"' in render_report(measured, "")


def _tables(page):
    return "".join(re.findall(r"(?s)<table.*?</table>", page))


def test_artifacts_link_to_the_pages_while_these_are_shown(measured, monkeypatch):
    left = []
    monkeypatch.setattr(artifacts, "create_table_artifact", lambda rows, **other: left.append(other["description"]))
    monkeypatch.setattr(artifacts, "create_markdown_artifact", lambda text, **_: left.append(text))

    def leave():
        left.clear()
        artifacts.show_distances(measured, "cartoon")
        artifacts.show_contact_sheet(measured.translations("cartoon"), "cartoon", project=measured)
        return list(left)

    assert not any("http" in text for text in leave())
    with shown(measured, 8600):
        for text in leave():
            assert "(http://127.0.0.1:8600/measure.html?domain=cartoon)" in text
            assert "token" not in text
    artifacts.show_contact_sheet(measured.translations("cartoon"), "cartoon")
    assert "http" not in left[-1], "a folder of somebody's own is not on the pages"


def test_a_link_escapes_names():
    assert translations_link("", "a b", "x&y") == "/measure.html?domain=a+b&variant=x%26y"
