"""What people see of domains and runs, and what a server knows of parameters; no server is needed."""

import typing
from datetime import UTC, datetime

import pytest
from prefect.utilities.callables import parameter_schema
from tiny_project import distance_row, write_base, write_images

from cli.overview import reason
from flows import pipeline
from flows.naming import run_name
from tasks.requests import domain_status
from tasks.requests.domain_status import domain_statuses
from tasks.requests.translation_request import TranslationRequest
from ui2i.settings import InversionMethod
from ui2i.tables import DISTANCE_SCHEMA, append_rows

# What people see


def test_a_run_s_name_says_what_it_does_with_what(project, tmp_path):
    write_images(tmp_path / "portraits", count=3)
    request = {"images": str(tmp_path / "portraits"), "domain": "cartoon", "out": "x"}
    place = {"project": str(project.root)}
    assert run_name("translate", {"request": request}) == "translate 3 images of portraits to cartoon"
    assert run_name("translate", {"request": TranslationRequest(**request)}).endswith(
        "3 images of portraits to cartoon"
    )
    assert run_name("re-evaluate", {"domains": None} | place) == "re-evaluate cartoon"
    assert run_name("re-evaluate", {"domains": 5} | place) == "re-evaluate 5", "which the server refuses, in a line"
    assert run_name("re-evaluate", {"domains": ["a", "b", "c", "d"]}) == "re-evaluate 4 domains"
    assert run_name("new-domain", {"name": "cat", "base": "face", "images": None}) == "new-domain cat"
    images = {"images": str(tmp_path / "portraits")}
    assert run_name("new-domain", {"name": "cat"} | images) == "new-domain cat from 3 images of portraits"
    assert run_name("pretrain", {"name": "cat", "images": "/not/there"}) == "pretrain cat from there"


def test_status_says_of_each_domain_where_it_stands(project):
    (untrained,) = domain_statuses(project)
    assert (untrained.trained, untrained.measured) == (None, None)
    assert untrained.verdict == "not trained: `dvc repro distance@cartoon`"
    project.checkpoint("cartoon").mkdir(parents=True)
    write_base(project, "cartoon").rename(project.mode_checkpoint("cartoon", "FC-FT"))
    (unmeasured,) = domain_statuses(project)
    assert unmeasured.trained is not None
    assert unmeasured.verdict == "not measured: `ui2i re-evaluate cartoon`"
    append_rows(project.distance_table("cartoon"), [distance_row("run", "cartoon/FC-FT", 0.4)], DISTANCE_SCHEMA)
    (found,) = domain_statuses(project)
    assert found.measured == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert found.verdict.startswith("unknown: DVC does not answer"), "there is no dvc.lock"
    (quick,) = domain_statuses(project, asks_dvc=False)
    assert (quick.trained, quick.measured, quick.verdict) == (found.trained, found.measured, "")


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        (set(), "up to date"),
        ({"finetune@cartoon"}, "stale: `dvc repro translate@cartoon` runs finetune@cartoon and what follows"),
    ],
)
def test_a_domain_is_stale_if_a_stage_of_it_has_changed(changed, verdict):
    now, own = datetime.now(UTC), ["ingest@cartoon", "finetune@cartoon", "translate@cartoon"]
    assert domain_status._verdict("cartoon", now, now, own, changed) == verdict


def test_long_reasons_keep_begin_and_end():
    class FakeRun:
        class state:  # noqa: N801
            message = "begin " + "x" * 1000 + " end"

    text = reason(FakeRun)
    assert text.startswith("begin ")
    assert text.endswith(" end")
    assert len(text) < 420


# Parameters


def test_a_server_knows_what_parameters_a_flow_takes():
    schema = parameter_schema(pipeline.new_domain).model_dump()
    properties = schema["properties"]
    assert schema["required"] == ["name"]
    assert properties["name"]["pattern"] == "^[a-z0-9][a-z0-9-]{0,63}$"
    (modes,) = [option["items"] for option in properties["modes"]["anyOf"] if "items" in option]
    assert modes["enum"] == ["FC-FT", "FT", "FreezeD", "FreezeG", "scratch"]
    (overrides,) = [option for option in properties["overrides"]["anyOf"] if option.get("type") == "object"]
    assert overrides["additionalProperties"] is False
    assert "total_kimg" in overrides["properties"]
    assert "freeze_mapping" not in overrides["properties"]
    request = parameter_schema(pipeline.translate).model_dump()["definitions"]["TranslationRequest"]["properties"]
    (method,) = [option for option in request["method"]["anyOf"] if "enum" in option]
    assert tuple(method["enum"]) == typing.get_args(InversionMethod)
    assert request["domain"]["pattern"] == properties["name"]["pattern"]


def test_times_are_in_utc():
    from cli.overview import when

    assert when(datetime(2026, 1, 2, 3, 4, tzinfo=UTC)) == "2026-01-02 03:04"
    assert when(None) == ""
