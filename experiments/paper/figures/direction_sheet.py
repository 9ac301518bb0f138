"""The image of Figure 6: a latent moved along directions of the base, in the base and in the models of its family."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from experiments.paper.figures.models import Family
from experiments.paper.figures.sheets import Sheet
from ui2i.contact_sheet import Row, contact_sheet
from ui2i.images import to_uint8
from ui2i.translation import TranslationConfig
from ui2i.translation.outputs import plan_outputs

Images = UInt8[np.ndarray, "n r r 3"]

PLACES = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Where on the way each column stands, in strengths."""

Title = tuple[str, str, str]
"""What is written above a direction's first, middle and last column."""


def moved_images(
    family: Family, ws: Float[Tensor, "1 num_ws w_dim"], directions: Sequence[int], strength: float
) -> dict[str, Images]:
    """Return, by name of the model's domain, one latent at `PLACES` along each direction, one direction after another.

    Args:
        ws: its latent code, in the base.
        directions: of the base, 1 the strongest.
        strength: in standard deviations of w.
    """
    models = {family.base.domain: family.base, **family.first}
    outputs = plan_outputs(
        family.base.generator,
        {domain: model.generator for domain, model in models.items()},
        source_hash=family.base.hash,
        target_hashes={domain: model.hash for domain, model in models.items()},
        seed=0,  # of appearances that are not sampled here
        config=TranslationConfig(directions=tuple(directions), strengths=tuple(strength * at for at in PLACES)),
        force=True,  # that a domain is of this family is what the project says, whatever its first mode froze
    )
    moved = [output for output in outputs if output.direction is not None]
    return {
        domain: np.concatenate([to_uint8(it.generate(ws)) for it in moved if it.generator is model.generator])
        for domain, model in models.items()
    }


def direction_sheet(moved: dict[str, Images], titles: Sequence[Title]) -> Sheet:
    """Return a sheet with a row for each model.

    Args:
        images: as `moved_images` returns them.
        titles: one a direction.
    """
    labels = []
    for first, middle, last in titles:
        labels += [first, "", middle, "", last]
    return contact_sheet([Row(domain, images) for domain, images in moved.items()], labels)
