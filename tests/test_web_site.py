"""Generators as ONNX, and the site: what is in the folder, and what is refused."""

import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tiny_models import random_generator, random_ws
from tiny_project import files_below
from web_project import web_project as web_project
from web_project import web_runtime as web_runtime

from cli import app
from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.requests import web_site
from tasks.requests.web_site import write_project_site
from ui2i.checkpoints import load_generator
from ui2i.distillation import generator_onnx
from ui2i.distillation.generator_onnx import export_generator, part_paths
from ui2i.distillation.onnx_session import OnnxTranslator, open_session
from ui2i.errors import CheckpointError, DataError
from ui2i.layer_swap import blend_weights
from ui2i.web import runtime as runtime_module
from ui2i.web.runtime import RuntimeMissingError, ensure_runtime
from ui2i.web.site import SiteContent, write_site


@pytest.fixture(scope="module")
def site(web_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the tiny project."""
    out = tmp_path_factory.mktemp("site") / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(web_project.root)
        assert app.run(["web", "--out", str(out)]) == 0
    return out


def models_of(site: Path) -> dict:
    return json.loads((site / "models" / "models.json").read_text())


# Generators as ONNX


@pytest.mark.slow  # tests/test_web_walk.py compares a browser's images
def test_a_generator_is_two_files_that_agree_with_it(web_project, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(web_project.root)
    assert app.run(["export-onnx", "face", "--generator", "--out", str(tmp_path / "f.onnx")]) == 0
    assert "images differ by at most" in capsys.readouterr().out
    mapping, synthesis = part_paths(tmp_path / "f.onnx")
    generator, card = load_generator(web_project.checkpoint("face") / "generator.safetensors")
    z = torch.randn(5, 8, generator=torch.Generator().manual_seed(9))
    psi = np.array([[0], [0.3], [0.7], [1], [1.2]], np.float32)
    (w,) = open_session(mapping).run(["w"], {"z": z.numpy(), "truncation_psi": psi})
    with torch.no_grad():
        expected = torch.stack([generator.truncate(generator.mapping(z), float(p))[i] for i, p in enumerate(psi[:, 0])])
    np.testing.assert_allclose(w, expected.numpy(), atol=1e-5)
    ws = random_ws(generator, 3) + torch.randn(3, generator.config.num_ws, 8)  # one latent code a layer
    (images,) = open_session(synthesis).run(["images"], {"ws": ws.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(images, generator.synthesis(ws).numpy(), atol=1e-4)
    assert b".py" not in synthesis.read_bytes(), "no path of the machine that wrote it"
    notes = {entry.key: entry.value for entry in onnx.load(synthesis).metadata_props}
    assert json.loads(notes["ui2i.card"])["domain"] == card.domain == "face"
    assert json.loads(notes["ui2i.network"])["img_resolution"] == 32
    assert app.run(["export-onnx", "face", "--generator", "--out", str(web_project.params_path)]) == 2
    assert app.run(["export-onnx", "cartoon", "--variant", "FC-FT"]) == 2
    assert "--variant is FC-FT without --generator" in capsys.readouterr().err


def test_files_that_differ_from_the_generator_replace_nothing(tmp_path, monkeypatch):
    generator = random_generator(1, use_noise=True)
    (tmp_path / "g.synthesis.onnx").write_bytes(b"earlier")
    model = generator_onnx.synthesis_model(generator)
    monkeypatch.setattr(generator_onnx, "synthesis_model", lambda _: model)
    generator.synthesis.block(32).torgb.bias.add_(0.02)
    card = generator_onnx.ModelCard(domain="face", mode="scratch")
    with pytest.raises(CheckpointError, match=r"differ from its own by up to 0\.02.*nothing was written"):
        export_generator(tmp_path / "g.onnx", generator, card, generator_hash="0")
    assert (tmp_path / "g.synthesis.onnx").read_bytes() == b"earlier"
    assert {path.name for path in tmp_path.iterdir()} == {"g.synthesis.onnx"}


# The site


@pytest.mark.slow
def test_the_site_offers_what_the_project_has(site, web_project):
    offered = models_of(site)
    (translator,) = offered["translators"]
    assert (translator["domain"], translator["variant"], translator["img_resolution"]) == ("cartoon", "FC-FT", 32)
    assert OnnxTranslator(site / translator["file"]).card.source == "face"
    (family,) = offered["families"]
    assert [model["name"] for model in family["models"]] == ["face", "cartoon/FC-FT"]
    assert all((site / model["file"]).is_file() for model in family["models"])
    assert len(family["directions"]) == 8
    assert offered["offline"]


@pytest.mark.slow
def test_a_page_can_mix_parameters_as_layer_swaps_do(site, web_project):
    """The same arithmetic as the page's, on its own files, against the library's swap."""
    (family,) = models_of(site)["families"]
    stored = [np.fromfile(site / model["file"], "<f2").astype(np.float32) for model in family["models"]]
    feeds = {}
    for parameter in family["parameters"]:
        match = re.match(r"b(\d+)\.(\w+)", parameter["name"])
        below = np.log2(8 / int(match[1])) + 0.5
        share = 0.0 if match[2] == "torgb" else 1 / (1 + np.exp(-below / 0.7))
        part = slice(parameter["offset"], parameter["offset"] + parameter["size"])
        values = share * stored[0][part] + (1 - share) * stored[1][part]
        feeds[parameter["name"]] = values.astype(np.float32).reshape(parameter["shape"])
    face = load_generator(web_project.checkpoint("face") / "generator.safetensors")[0]
    cartoon = load_generator(web_project.mode_checkpoint("cartoon", "FC-FT") / "generator.safetensors")[0]
    ws = random_ws(face, 4)
    (found,) = open_session(site / family["synthesis"]).run(["images"], {"ws": ws.numpy(), **feeds})
    with torch.no_grad():
        expected = blend_weights(face, cartoon, 8, 0.7).synthesis(ws).numpy()
    levels = np.abs(found - expected).max() * 127.5
    assert levels < 2, "float16 parameters cost less than two levels"
    assert np.abs(expected - face.synthesis(ws).detach().numpy()).max() * 127.5 > 20


@pytest.mark.slow
def test_the_site_is_small_whole_and_reaches_nothing_else(site, web_runtime):
    files = {path.relative_to(site).as_posix(): path for path in site.rglob("*") if path.is_file()}
    assert sum(path.stat().st_size for path in files.values()) < 20e6
    worker = files["sw.js"].read_text()
    listed = set(json.loads(re.search(r"const FILES = (\[.*\]);", worker)[1]))
    assert listed == {"./", *files} - {"sw.js", "_headers"}
    for name in ("index.html", "explore.html"):
        text = files[name].read_text()
        assert "connect-src &#39;self&#39;" in text and "unsafe-inline" not in text
        assert not re.findall(r"https?://", text)
    own = [path for name, path in files.items() if name.endswith((".js", ".css"))]
    assert own and not any(re.search(r"https?://", path.read_text()) for path in own)


@pytest.mark.slow
def test_a_site_replaces_a_site_and_nothing_else(web_project, site, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(web_project.root)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("work")
    assert app.run(["web", "cartoon", "--out", str(tmp_path / "mine")]) == 2
    assert "is no site" in capsys.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "work"
    assert app.run(["web", "alien", "--out", str(tmp_path / "new")]) == 2
    assert "alien" in capsys.readouterr().err
    with pytest.raises(DataError, match="none of sketch has a model or a translator"):
        write_project_site(web_project, ["sketch"], tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_what_one_domain_lacks_is_said_and_hinders_no_other(web_project, site, tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_project_site(web_project, ["cartoon", "cartoon"], out)
    assert [translator["domain"] for translator in models_of(out)["translators"]] == ["cartoon"], "listed once"
    model = web_project.mode_checkpoint("cartoon", "FC-FT") / "generator.safetensors"
    kept = model.read_bytes()
    model.write_bytes(web_project.variant("cartoon", 8).read_bytes())  # the model was trained on
    _, lacking = write_project_site(web_project, ["cartoon"], out)
    model.write_bytes(kept)
    assert (
        len(lacking) == 1 and "translator of cartoon is left out" in lacking[0] and "imitates the model" in lacking[0]
    )
    assert models_of(out)["translators"] == [] and models_of(out)["families"]
    exported, images = web_project.onnx_translator("cartoon"), web_project.prepared("face")
    exported.rename(tmp_path / "exported")
    images.rename(tmp_path / "images")
    _, lacking = write_project_site(web_project, ["cartoon"], out)
    (tmp_path / "exported").rename(exported)
    (tmp_path / "images").rename(images)
    assert len(lacking) == 1 and "translator of cartoon is left out" in lacking[0] and "face" in lacking[0]


@pytest.mark.slow
def test_where_all_is_lacking_the_reasons_are_said(web_project, site, tmp_path):
    base = web_project.checkpoint("face")
    base.rename(tmp_path / "base")
    lacking = []
    try:
        with pytest.raises(
            DataError, match=r"none of cartoon has .*\(the translator of cartoon is left out: .*no model"
        ):
            write_project_site(web_project, ["cartoon"], tmp_path / "out")
        params = load_params(web_project)
        assert web_site._checks(web_project, params, [web_project.onnx_translator("cartoon")], lacking) == {}
    finally:
        (tmp_path / "base").rename(base)
    assert len(lacking) == 1 and "images for cartoon are not compared with those of face: " in lacking[0]
    assert not (tmp_path / "out").exists()


@pytest.fixture
def write_empty_site(tmp_path: Path) -> Callable[[], Path]:
    """A function that writes a site without models into one and the same folder."""
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    for name in (runtime_module.MODULE, runtime_module.CODE):
        (runtime / name).write_bytes(b"")

    def write() -> Path:
        write_site(tmp_path / "site", SiteContent(translators=[]), runtime)
        return tmp_path / "site"

    return write


def test_what_lies_beside_a_site_stays(write_empty_site: Callable[[], Path]) -> None:
    site = write_empty_site()
    before = files_below(site)
    mine = {"CNAME", ".git/HEAD", ".git/refs/heads/pages", "about/index.html", "models/mine.onnx", "js/.keep"}
    for name in mine:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(name)
    (site / "latest").symlink_to("about")
    worker = (site / "sw.js").read_text()
    stale = re.sub(r"(?m)^(const FILES = .*)\];$", r'\1, "models/old.onnx"];', worker)
    (site / "sw.js").write_text(stale)
    (site / "models" / "old.onnx").write_text("of the earlier site")
    write_empty_site()
    assert files_below(site) == before | mine
    assert all((site / name).read_text() == name for name in mine) and (site / "latest").readlink() == Path("about")
    assert (site / "sw.js").read_text() == worker, "visitors fetch the site's own files alone"
    assert {path.name for path in site.parent.iterdir()} == {"runtime", "site"}


def test_a_site_without_its_list_loses_nothing(write_empty_site: Callable[[], Path]) -> None:
    site = write_empty_site()
    (site / "sw.js").unlink()
    (site / "models" / "old.onnx").write_text("whose?")
    assert (write_empty_site() / "models" / "old.onnx").read_text() == "whose?"


def test_a_site_takes_no_name_of_what_lies_beside_it(write_empty_site: Callable[[], Path]) -> None:
    site = write_empty_site()
    worker = (site / "sw.js").read_text()
    (site / "sw.js").write_text(worker.replace('"explore.html", ', ""))
    (site / "explore.html").write_text("mine")
    with pytest.raises(DataError, match=r"holds explore\.html, which no earlier site wrote and the new one would"):
        write_empty_site()
    assert (site / "explore.html").read_text() == "mine"


# onnxruntime-web


def test_the_runtime_is_only_taken_unchanged(tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "other.tgz", "w:gz"):
        pass
    with pytest.raises(RuntimeMissingError, match="another SHA-512 than onnxruntime-web"):
        ensure_runtime(tmp_path / "kept", tmp_path / "other.tgz")
    with pytest.raises(RuntimeMissingError, match=r"none\.tgz cannot be read"):
        ensure_runtime(tmp_path / "kept", tmp_path / "none.tgz")
    monkeypatch.setattr(runtime_module.shutil, "which", lambda _: None)
    with pytest.raises(RuntimeMissingError, match=r"npm is not installed.*pass the file with --runtime"):
        ensure_runtime(tmp_path / "kept")
    failing = tmp_path / "npm"
    failing.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setattr(runtime_module.shutil, "which", lambda _: str(failing))
    with pytest.raises(RuntimeMissingError, match=r"cannot be fetched \(no network\)"):
        ensure_runtime(tmp_path / "kept")
    failing.write_text("#!/bin/sh\nexec sleep 600\n")
    monkeypatch.setattr(runtime_module, "_SECONDS", 0.1)
    with pytest.raises(RuntimeMissingError, match=r"cannot be fetched \(npm did not end within 0\.1 seconds\)"):
        ensure_runtime(tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
