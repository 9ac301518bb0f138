"""Figure 5: the content of one image with the appearance of another, a reference of the target domain."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from experiments.paper.figures.models import Family
from experiments.paper.figures.sheets import Sheet, white
from ui2i.contact_sheet import Row, contact_sheet
from ui2i.images import to_tensor, to_uint8
from ui2i.perceptual import Perceptual
from ui2i.translation import Reference, TranslationConfig
from ui2i.translation.outputs import plan_outputs

Images = UInt8[np.ndarray, "n r r 3"]
Guided = UInt8[np.ndarray, "contents references r r 3"]


def guided_images(
    family: Family,
    domain: str,
    ws: Float[Tensor, "n num_ws w_dim"],
    references: Sequence[Reference],
    config: TranslationConfig,
) -> tuple[Images, Guided]:
    """Return translations of contents to a domain, plain and with each reference's appearance."""
    model = family.first[domain]
    outputs = plan_outputs(
        family.base.generator,
        {domain: model.generator},
        source_hash=family.base.hash,
        target_hashes={domain: model.hash},
        seed=0,  # of appearances that are not sampled here
        config=config,
        references=references,
        force=True,  # that a domain is of this family is what the project says, whatever its first mode froze
    )
    _, plain, *guided = [to_uint8(output.generate(ws)) for output in outputs]
    return plain, np.stack(guided, axis=1)


def guided_sheet(contents: Images, references: Mapping[str, Images], guided: Mapping[str, Guided]) -> Sheet:
    """Return a sheet with a row for each content and a column for each reference, which stand above and at the left.

    Args:
        references: by domain, as `guided`.
    """
    columns = [image for images in references.values() for image in images]
    labels = ["content", *(domain for domain, images in references.items() for _ in images)]
    rows = [Row("reference", np.stack([white(contents[0]), *columns]))]
    for place, image in enumerate(contents):
        outputs = [output for images in guided.values() for output in images[place]]
        rows.append(Row("", np.stack([image, *outputs])))
    return contact_sheet(rows, labels)


@torch.no_grad()
def measure_guided(
    translations: Images, references: Images, guided: Guided, perceptual: Perceptual
) -> dict[str, float | None]:
    """Return mean LPIPS of outputs to their own reference and translation, and to the others' for comparison.

    Of a single content or reference there are no others: None.

    Args:
        translations: of the contents, without a reference.
    """
    num_contents, num_references = guided.shape[:2]
    device = perceptual.heads[0].device
    of_outputs = perceptual.features(to_tensor(guided.reshape(-1, *guided.shape[2:])).to(device))
    to_references = _distances(perceptual, of_outputs, references).reshape(num_contents, num_references, -1)
    to_contents = _distances(perceptual, of_outputs, translations).reshape(num_contents, num_references, -1)
    own_reference, other_reference = _own_and_others(to_references.mean(axis=0))
    own_content, other_content = _own_and_others(to_contents.mean(axis=1))
    return {
        "lpips_own_reference": own_reference,
        "lpips_other_references": other_reference,
        "lpips_own_translation": own_content,
        "lpips_other_translations": other_content,
    }


def _distances(perceptual: Perceptual, features: list[Tensor], images: Images) -> np.ndarray:
    """Return LPIPS [outputs, images] between every output and every image."""
    columns = []
    for image in to_tensor(images).to(features[0].device):
        of_image = perceptual.features(image[None])
        expanded = [maps.expand(len(features[0]), -1, -1, -1) for maps in of_image]
        columns.append(perceptual.distance_from_features(features, expanded).double().cpu().numpy())
    return np.stack(columns, axis=1)


def _own_and_others(distances: np.ndarray) -> tuple[float, float | None]:
    """Return the mean of a square's diagonal, and of the rest."""
    own = np.eye(len(distances), dtype=bool)
    return float(distances[own].mean()), float(distances[~own].mean()) if len(distances) > 1 else None
