"""Exports that are kept: found by what they were made of, and made again where they are not whole."""

from pathlib import Path

import pytest

from ui2i.web import kept_exports
from ui2i.web.kept_exports import KeptExports

CONTENT = bytes(range(256)) * 40


class Exporter:
    """Counts how often it is asked."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content, self.count = content, 0

    def __call__(self) -> bytes:
        self.count += 1
        return self.content


def test_an_export_is_made_once(tmp_path: Path) -> None:
    exports, export = KeptExports(tmp_path / "kept"), Exporter()
    assert [exports.find("face.onnx", ["a", "b"], export) for _ in range(3)] == [CONTENT] * 3
    assert export.count == 1
    assert exports.find("moon.onnx", ["a", "b"], Exporter(b"moon")) == b"moon"
    assert exports.find("face.onnx", ["a", "b"], export) == CONTENT and export.count == 1


@pytest.mark.parametrize("change", ["model", "code"])
def test_a_changed_model_or_exporter_makes_another_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    exports = KeptExports(tmp_path)
    exports.find("face.onnx", ["a"], Exporter())
    if change == "code":
        monkeypatch.setattr(kept_exports, "code_version", lambda: "another")
    assert exports.find("face.onnx", ["b" if change == "model" else "a"], Exporter(b"new")) == b"new"
    assert len(list(tmp_path.iterdir())) == 1, "the earlier one is gone"


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "another file"])
def test_a_damaged_one_is_made_again(tmp_path: Path, damage: str) -> None:
    exports, export = KeptExports(tmp_path), Exporter()
    exports.find("face.onnx", ["a"], export)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    middle = len(whole) // 2
    damaged = {
        "empty": b"",
        "cut": whole[:middle],
        "changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "another file": CONTENT,
    }
    path.write_bytes(damaged[damage])
    assert exports.find("face.onnx", ["a"], export) == CONTENT and export.count == 2
    assert path.read_bytes() == whole
