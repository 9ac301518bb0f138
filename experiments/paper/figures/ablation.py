"""The images of Figures 7 and 8: the same latents through every way to make a model of a domain.

Figure 7 sets fine-tuning with a free mapping network (FT), with a frozen one (FC-FT) and with swapped layers (FC-FT-LS)
side by side. Figure 8 sets swaps after fine-tuning beside Direct-LS, the same swap between models that were trained
independently: with a domain's own model from scratch, if there is one, and with another base.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8

from experiments.paper.figures.models import DIRECT, SCRATCH, Family, FigureModel, of_mode, variants
from experiments.paper.figures.sheets import Sheet, white
from ui2i.contact_sheet import Row, contact_sheet

Images = UInt8[np.ndarray, "n r r 3"]
ImagesByModel = Mapping[str, Images]
"""By the model's name: the same latents in the same order."""


def ablation_models(models: Sequence[FigureModel]) -> list[FigureModel]:
    """Return the models of a domain that Figure 7 compares: FT, other modes of fine-tuning, the swapped variants."""
    tuned = [model for model in models if model.swap_resolution is None and model.mode != SCRATCH]
    tuned.sort(key=lambda model: model.mode != "FT")  # stable: FT first
    return [*tuned, *variants(models)]


def swap_models(models: Sequence[FigureModel], direct: Sequence[FigureModel]) -> list[FigureModel]:
    """Return the models of a domain that Figure 8 compares, from the most independent to the most of the base.

    Args:
        models: its modes and variants.
        direct: its model from scratch with layers swapped; may be empty.
    """
    independent = of_mode(models, SCRATCH)
    return [*([] if independent is None else [independent]), *direct, models[0], *variants(models)]


def ablation_sheet(family: Family, images: ImagesByModel) -> Sheet:
    """Return a family's part of Figure 7: the base's row, then each domain's; each column is one latent."""
    rows = [Row(family.base.domain, images[family.base.name])]
    for models in family.domains.values():
        shown = ablation_models(models)
        shown = [model for model in shown if model.swap_resolution is None] + variants(shown)[:1]
        rows += [Row(f"{model.domain}\n{model.mode}", images[model.name]) for model in shown]
    return contact_sheet(rows)


def swap_sheet(
    family: Family,
    direct: Mapping[str, Sequence[FigureModel]],
    others: Sequence[Sequence[FigureModel]],
    images: ImagesByModel,
) -> Sheet:
    """Return a family's part of Figure 8: each row is a domain, each column a way to make its model.

    The first row shows the first latent, the next the next.

    Args:
        direct: by domain, its model from scratch with layers of the base.
        others: other bases, each followed by itself with layers of this base.
    """
    lists = [swap_models(models, direct.get(domain, ())) for domain, models in family.domains.items()]
    lists += [list(models) for models in others]
    modes = sorted({_column(model) for models in lists for model in models}, key=_rank)
    rows = []
    sources = images[family.base.name]
    for number, models in enumerate(lists):
        place = number % len(sources)
        by_column = {_column(model): images[model.name][place] for model in models}
        cells = [by_column.get(mode, white(sources[place])) for mode in modes]
        rows.append(Row(models[0].domain, np.stack([sources[place], *cells])))
    return contact_sheet(rows, ["source", *modes])


def _column(model: FigureModel) -> str:
    """Return a model's column heading."""
    if model.mode == SCRATCH:
        return "from scratch"
    if model.swap_resolution is not None and not model.mode.startswith(DIRECT):
        return f"LS{model.swap_resolution}"
    return model.mode


def _rank(heading: str) -> tuple[int, int]:
    """Order headings: from scratch, Direct-LS, no swap, LS; each by resolution."""
    resolution = int("0" + "".join(letter for letter in heading if letter.isdigit()))
    kinds = [heading == "from scratch", heading.startswith(DIRECT), not heading.startswith("LS"), True]
    return kinds.index(True), resolution
