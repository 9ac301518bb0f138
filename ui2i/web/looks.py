"""The domain check as one ONNX file, with which a page tells whether an image looks like what a model was trained on.

    images [n, 3, R, R] in [-1, 1]  ->  distances [n]; up to 1 an image looks like the model's own

The file has the network that reads features, in half precision, and the statistics of the model's own images.
"""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from ui2i.distillation.onnx_export import halve_weights, onnx_model
from ui2i.distillation.onnx_session import INPUT, open_session
from ui2i.domain_check import DomainReference, Extractor
from ui2i.errors import CheckpointError
from ui2i.files import sha256_bytes
from ui2i.images import to_tensor
from ui2i.web.kept_exports import KeptExports

OUTPUT = "distances"
STATISTICS = ("mean", "scale", "directions", "variances")  # of `DomainReference`
MAX_DIFFERENCE = 0.02  # of a distance, as a share of it: what half precision may cost


class _Distance(nn.Module):
    """images [n, 3, R, R] -> `DomainReference.distances` [n]."""

    def __init__(self, reference: DomainReference, features: nn.Module) -> None:
        super().__init__()
        self.features = features
        for name in STATISTICS:
            self.register_buffer(name, torch.from_numpy(getattr(reference, name)).float())
        self.residual_variance = reference.residual_variance
        self.threshold = reference.threshold

    def forward(self, images: Float[Tensor, "n 3 r r"]) -> Float[Tensor, " n"]:
        """Return how far images are off."""
        scaled = (self.features(images) - self.mean) / self.scale
        along = (scaled @ self.directions).square()
        beside = (scaled.square().sum(1) - along.sum(1)).clamp(min=0)
        return ((along / self.variances).sum(1) + beside / self.residual_variance).sqrt() / self.threshold


def write_check(
    path: Path,
    reference: DomainReference,
    extractor: Extractor,
    images: UInt8[np.ndarray, "n r r 3"],
    *,
    exports: KeptExports,
) -> dict[str, Any]:
    """Write a domain check, on the CPU, and return what a page must know of it.

    Args:
        extractor: of the reference's features.
        images: at least two, on which the file must agree with the check.
        exports: of earlier sites.

    Raises:
        ConfigError: a package is not installed.
        CheckpointError: the file does not agree.
    """
    assert extractor.hash == reference.features_hash
    statistics = [sha256_bytes(getattr(reference, name).tobytes()) for name in STATISTICS]
    numbers = str((images.shape[1], reference.residual_variance, reference.threshold))
    made_of = [extractor.hash, *statistics, numbers]
    path.write_bytes(exports.find(path.name, made_of, lambda: _export(path, reference, extractor, images)))
    return {"file": path.name, "img_resolution": images.shape[1]}


def _export(
    path: Path, reference: DomainReference, extractor: Extractor, images: UInt8[np.ndarray, "n r r 3"]
) -> bytes:
    """Write the ONNX model to `path`, compare it there with the check, and return it."""
    network = _Distance(reference, _rounded(extractor.read)).eval()
    model = onnx_model(network, (to_tensor(images[:2]),), inputs=[INPUT], output=OUTPUT, fold=False)
    halve_weights(model)
    content: bytes = model.SerializeToString()
    path.write_bytes(content)
    expected = reference.distances(extractor(images))
    (found,) = open_session(path).run([OUTPUT], {INPUT: to_tensor(images).numpy()})
    difference = float(np.abs(found / expected - 1).max())
    if not difference <= MAX_DIFFERENCE:
        raise CheckpointError(
            f"the exported domain check differs from its own by up to {difference:.1%}, expected at most "
            f"{MAX_DIFFERENCE:.0%}; try another version of onnxruntime"
        )
    return content


def _rounded(features: nn.Module) -> nn.Module:
    """Return a copy whose parameters are numbers of half precision."""
    made = copy.deepcopy(features)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(parameter.half())
    return made
