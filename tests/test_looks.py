"""The domain check as an ONNX file: it judges images as the check itself does, or is not written."""

import numpy as np
import pytest
from test_domain_check import blobs
from test_domain_check import extractors as extractors

from ui2i.distillation.onnx_session import INPUT, open_session
from ui2i.domain_check import fit_reference
from ui2i.errors import CheckpointError
from ui2i.images import to_tensor
from ui2i.web import looks
from ui2i.web.kept_exports import KeptExports
from ui2i.web.looks import OUTPUT, write_check


def reference_of(extractor):
    own, held_out = (extractor(blobs(count, seed, 90)) for count, seed in ((80, 1), (40, 2)))
    values = {"features": extractor.kind, "features_hash": extractor.hash, "base_hash": "0", "dataset_hash": None}
    return fit_reference(own, held_out, origin="images", **values)


def test_the_file_judges_as_the_check_does(extractors, tmp_path, monkeypatch):
    extractor = extractors["discriminator"]  # thumbnails: tests/test_web_walk.py
    reference = reference_of(extractor)
    path = tmp_path / "face.check.onnx"
    exports = KeptExports(tmp_path / "kept")
    assert write_check(path, reference, extractor, blobs(4, 3, 90), exports=exports) == {
        "file": path.name,
        "img_resolution": 32,
    }
    images = np.concatenate([blobs(6, 4, 90), blobs(6, 5, 200)])
    (found,) = open_session(path).run([OUTPUT], {INPUT: to_tensor(images).numpy()})
    expected = reference.distances(extractor(images))
    np.testing.assert_allclose(found, expected, rtol=0.02)
    assert expected[:6].max() < 1 < expected[6:].min(), "both verdicts are compared"
    monkeypatch.setattr(looks, "onnx_model", None)  # it is not exported again
    again = tmp_path / "again" / path.name
    again.parent.mkdir()
    write_check(again, reference, extractor, blobs(4, 3, 90), exports=exports)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_a_file_that_judges_otherwise_is_refused(extractors, tmp_path, monkeypatch):
    monkeypatch.setattr(looks, "MAX_DIFFERENCE", 0.0)
    with pytest.raises(CheckpointError, match="the exported domain check differs from its own by up to 0"):
        write_check(
            tmp_path / "x.onnx",
            reference_of(extractors["thumbnail"]),
            extractors["thumbnail"],
            blobs(4, 3, 90),
            exports=KeptExports(tmp_path / "kept"),
        )
    assert not (tmp_path / "kept").exists()


def test_a_file_that_the_runtime_refuses_without_a_word(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError

    monkeypatch.setattr("onnxruntime.InferenceSession", refuse)
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"no readable ONNX file \(RuntimeError\)"):
        open_session(tmp_path / "a.onnx")
