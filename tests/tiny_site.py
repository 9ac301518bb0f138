"""A site of pages with ONNX models of one operation each, so that what pages do is tested without any export."""

import functools
import json
import shutil
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from web_browsing import static_host

from ui2i.distillation.onnx_session import CARD_KEY, HASH_KEY
from ui2i.web.site import SiteContent, write_site

SIDE = 32  # pixels
FAMILY_SIDE = 4
DOMAINS = {"cartoon": "Neg", "sketch": "Identity"}  # what each translator does
FAMILIES = ("face", "cat")
PARAMETER = "b4.bias"

WATCH_ERRORS = """
window.errors = [];
for (const kind of ["error", "unhandledrejection"]) {
  addEventListener(kind, event => window.errors.push(String(event.reason ?? event.message)));
}
const real = setTimeout; // what is shown for seconds is gone at once
window.setTimeout = (work, after) => real(work, after > 1000 ? 0 : after);
arguments[0]();
"""

Answers = Callable[[str, str], tuple[int, Any] | None]


def write_tiny_site(folder: Path, runtime: Path, served_pages: dict[str, str] | None = None) -> Path:
    """Write a site with two translators, whose domain check knows every image, and two families of two models."""
    (folder / "made").mkdir(parents=True)
    translators = [_write_translator(folder / "made" / f"{name}.onnx", name) for name in DOMAINS]
    content = SiteContent(
        translators=translators,
        checks={"face": _write_check},
        families=[functools.partial(_write_family, name=name) for name in FAMILIES],
        served_pages=served_pages or {},
    )
    write_site(folder / "site", content, runtime)
    return folder / "site"


def api_handler(answers: Answers) -> type[SimpleHTTPRequestHandler]:
    """Return a handler that serves a folder, but first asks what to answer to a method and a path; None: the file."""

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self._answered():
                super().do_GET()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answered()

        do_DELETE = do_POST  # noqa: N815

        def _answered(self) -> bool:
            found = answers(self.command, self.path)
            if found is None:
                return False
            status, said = found
            content = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            self.send_response(status)
            if status in (301, 308):
                self.send_header("Location", said)
            if isinstance(said, str):
                self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return True

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@pytest.fixture
def show(window, tmp_path):
    """Show a page of a site, without files that it should have, or with other contents of some."""
    hosts = []

    def shown(site, page="index", lacking=(), contents=None, answers=None):
        folder = tmp_path / f"site{len(hosts)}"
        shutil.copytree(site, folder)
        for name in lacking:
            (folder / name).unlink()
        for name, change in (contents or {}).items():
            (folder / name).write_text(change((folder / name).read_text()))
        hosts.append(static_host(folder, answers and api_handler(answers)))
        window.resize(1200, 900)
        window.open(f"{hosts[-1].__enter__()}/{page}.html")
        window.run(WATCH_ERRORS)
        return window

    yield shown
    for host in hosts:
        host.__exit__(None, None, None)


def _images(name: str, count: str | int, side: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [count, 3, side, side])


def _vectors(name: str, *shape: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], **notes: Any) -> Path:
    constants = notes.pop("constants", [])
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializer=constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {key: str(value) for key, value in notes.items()})
    path.write_bytes(model.SerializeToString())
    return path


def _write_translator(path: Path, name: str) -> Path:
    card = {"source": "face", "domain": name, "variant": "FC-FT", "source_hash": "0", "target_hash": "0"}
    notes = {CARD_KEY: json.dumps({**card, "img_resolution": SIDE}), HASH_KEY: "0"}
    node = helper.make_node(DOMAINS[name], ["images"], ["translations"])
    return _save(path, [node], [_images("images", "n", SIDE)], [_images("translations", "n", SIDE)], **notes)


def _write_check(path: Path) -> dict[str, Any]:
    node = helper.make_node("ReduceMax", ["images"], ["distances"], axes=[1, 2, 3], keepdims=0)
    _save(path, [node], [_images("images", "n", SIDE)], [_vectors("distances", "n")])
    return {"file": path.name, "img_resolution": SIDE}


def _write_family(folder: Path, *, name: str) -> dict[str, Any]:
    """An image is the latent code in each row, and the parameter."""
    scale = helper.make_node("Mul", ["z", "truncation_psi"], ["w"])
    w, psi = _vectors("w", "n", FAMILY_SIDE), _vectors("truncation_psi", "n", 1)
    _save(folder / f"{name}.mapping.onnx", [scale], [_vectors("z", "n", FAMILY_SIDE), psi], [w])
    shape = numpy_helper.from_array(np.array([-1, 1, 1, FAMILY_SIDE]), "shape")
    nodes = [
        helper.make_node("Reshape", ["ws", "shape"], ["rows"]),
        helper.make_node("Add", ["rows", PARAMETER], ["images"]),
    ]
    inputs = [_vectors("ws", "n", 1, FAMILY_SIDE), _images(PARAMETER, 1, FAMILY_SIDE)]
    images = _images("images", "n", FAMILY_SIDE)
    _save(folder / f"{name}.synthesis.onnx", nodes, inputs, [images], constants=[shape])
    size = 3 * FAMILY_SIDE**2
    models = [{"name": model, "file": f"{model.replace('/', '-')}.weights"} for model in (name, f"{name}/FC-FT")]
    for place, model in enumerate(models):
        np.full(size, place - 0.5, "<f2").tofile(folder / model["file"])
    entry = {"name": PARAMETER, "shape": [1, 3, FAMILY_SIDE, FAMILY_SIDE], "offset": 0, "size": size}
    sizes = {"img_resolution": FAMILY_SIDE, "z_dim": FAMILY_SIDE, "w_dim": FAMILY_SIDE, "num_ws": 1}
    files = {"mapping": f"{name}.mapping.onnx", "synthesis": f"{name}.synthesis.onnx"}
    direction = np.eye(1, FAMILY_SIDE).tolist()
    family = {"base": name, "models": models, "parameters": [entry], "directions": direction, "w_spread": 1.0}
    return {**family, **files, **sizes, "resolutions": [FAMILY_SIDE]}
