"""Figure 4: one input in every domain of its family, and there with several sampled appearances (Eq. 10)."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from experiments.paper.figures.models import Family
from experiments.paper.figures.sheets import Sheet, white
from experiments.paper.style_layers import measure_style_layers
from ui2i.contact_sheet import Row, contact_sheet
from ui2i.images import to_tensor, to_uint8
from ui2i.perceptual import Perceptual
from ui2i.translation import TranslationConfig
from ui2i.translation.outputs import RECONSTRUCTION, plan_outputs

Images = UInt8[np.ndarray, "n r r 3"]


def multi_modal_images(
    family: Family, ws: Float[Tensor, "n num_ws w_dim"], config: TranslationConfig, *, seed: int
) -> dict[str, Images]:
    """Return the translations of these latent codes, by variant.

    These are `reconstruction`; each domain's name; and `<domain>-style<k>`, with the k-th sampled appearance.
    """
    outputs = plan_outputs(
        family.base.generator,
        {domain: model.generator for domain, model in family.first.items()},
        source_hash=family.base.hash,
        target_hashes={domain: model.hash for domain, model in family.first.items()},
        seed=seed,
        config=config,
        force=True,  # that a domain is of this family is what the project says, whatever its first mode froze
    )
    return {output.variant: to_uint8(output.generate(ws)) for output in outputs}


def multi_modal_sheet(family: Family, inputs: Images, images: Mapping[str, Images], num_styles: int) -> Sheet:
    """Return a sheet with a row for each input and domain: input, latent code, translation, styles.

    Args:
        images: as `multi_modal_images` returns them.
    """
    rows = []
    for place, image in enumerate(inputs):
        source = [image, images[RECONSTRUCTION][place]]
        for domain in family.domains:
            names = [domain, *(f"{domain}-style{number}" for number in range(1, num_styles + 1))]
            rows.append(Row(domain, np.stack([*source, *(images[name][place] for name in names)])))
            source = [white(image)] * 2
    labels = ["input", "reconstruction", "translated", *(f"style {number}" for number in range(1, num_styles + 1))]
    return contact_sheet(rows, labels)


def measure_multi_modal(
    family: Family,
    inputs: Images,
    ws: Float[Tensor, "n num_ws w_dim"],
    perceptual: Perceptual,
    config: TranslationConfig,
    *,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Return, by domain, the diversity of an input's styles (lpips_d) and their distance to it (lpips_s).

    Nothing is measured of a single input or a single style, between which there is no distance.
    """
    if len(inputs) < 2 or config.num_styles < 2:
        return {}
    numbers = {}
    for domain, model in family.first.items():
        rows = measure_style_layers(
            to_tensor(inputs).to(ws.device),
            ws,
            model.generator,
            perceptual,
            num_styles=config.num_styles,
            seed=seed,
            truncation_psi=config.truncation_psi,
        )
        row = rows[config.num_style_layers]
        numbers[domain] = {name: row[name] for name in ("num_style_layers", "lpips_d", "lpips_s")}
    return numbers
