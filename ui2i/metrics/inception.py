"""Inception's features as FID and KID have them, by the package torch-fidelity: an extra of this project (`fid`).

torch-fidelity takes 8-bit images, resizes them to 299 px as TensorFlow 1 did and runs the network of 2015 that all
published values rest on (torchvision's Inception is another one). Its weights are not part of the package: they are
read from a file, or from torch hub's cache, where the package itself would put them. Nothing is downloaded here.
"""

import contextlib
import io
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.errors import BackboneError, is_out_of_memory
from ui2i.files import sha256_file
from ui2i.images import to_uint8
from ui2i.published_weights import read_published
from ui2i.untrusted import first_line

WEIGHTS_NAME = "weights-inception-2015-12-05-6726825d.pth"
NUM_FEATURES = 2048


class Inception:
    """Inception with fixed weights; made by `load_inception`.

    Attributes:
        name: package and version.
        weights_hash: SHA-256 of the file of weights.
    """

    def __init__(self, network: Any, *, name: str, weights_hash: str) -> None:
        self.network = network
        self.name = name
        self.weights_hash = weights_hash

    @torch.no_grad()
    def embed(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 2048"]:
        """Return the features [N, 2048] of images [N, 3, H, W] in [-1, 1], which are rounded to 8 bits."""
        levels = torch.from_numpy(to_uint8(images)).permute(0, 3, 1, 2).contiguous().to(images.device)
        (features,) = self.network(levels)
        return features


def load_inception(weights: Path | None = None, device: torch.device | str = "cpu") -> Inception | None:
    """Return Inception, or None where nothing is asked for and its weights or the package are not there.

    Args:
        weights: file of weights; None: the one in torch hub's cache, if there is one.

    Raises:
        BackboneError: a file is named and is missing, damaged, not finite or of another network; or the package is not
            installed.
    """
    path = cached_weights() if weights is None else weights
    if weights is None and not path.is_file():
        return None
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        if weights is None:
            return None
        raise BackboneError(
            f"evaluation.inception_weights is {weights} and torch-fidelity is not installed ({error}), expected both; "
            "install ui2i[fid] or remove the setting"
        ) from error
    if not path.is_file():
        raise BackboneError(
            f"Inception's weights are not at {path}, where evaluation.inception_weights says, expected "
            f"torch-fidelity's {WEIGHTS_NAME}; put a copy there, or remove the setting to do without FID"
        )
    way_out = f"fetch torch-fidelity's {WEIGHTS_NAME} again"
    # The package itself would run code that a file brings along.
    read_published(path, what="Inception's weights", way_out=way_out)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            network = FeatureExtractorInceptionV3(
                "inception-v3-compat", [str(NUM_FEATURES)], feature_extractor_weights_path=str(path)
            )
    except Exception as error:  # what the package makes of another network's weights can be nearly anything
        if is_out_of_memory(error):
            raise
        raise BackboneError(
            f"{path} does not fit Inception ({first_line(error)}), expected torch-fidelity's {WEIGHTS_NAME}; {way_out}"
        ) from error
    name = f"torch-fidelity {version('torch-fidelity')}"
    return Inception(network.eval().to(device), name=name, weights_hash=sha256_file(path))


def cached_weights() -> Path:
    """Return where torch-fidelity keeps Inception's weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS_NAME
