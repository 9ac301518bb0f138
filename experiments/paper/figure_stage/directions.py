"""Figure 6: semantic directions of each base in every model of its family, and tables of what they change."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.paper import paper_paths
from experiments.paper.figure_stage.setup import Setup, regressors
from tasks.running.progress import part_of
from ui2i.progress import Progress

if TYPE_CHECKING:
    import numpy as np

    from experiments.paper.figures.direction_sheet import Title
    from experiments.paper.figures.directions import Agreement
    from experiments.paper.figures.models import Family, FigureModel
    from experiments.paper.figures.traits import TraitRegressor

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moved:
    """What the directions changed in one model."""

    model: "FigureModel"
    regressor: "TraitRegressor"
    changes: "np.ndarray"  # [directions, n, traits] in standard deviations

    def of(self, names: Sequence[str]) -> "np.ndarray":
        """Return the changes of some traits, mean over the latents [directions, traits]."""
        return self.of_latents(slice(None), names)

    def of_latents(self, chosen: slice, names: Sequence[str]) -> "np.ndarray":
        """Return the same over some of the latents."""
        places = [self.regressor.names.index(name) for name in names]
        return self.changes[:, chosen, places].mean(axis=1)


def make_figure6(setup: Setup, progress: Progress) -> dict[str, Any]:
    """Write Figure 6 and its two tables, and return its numbers by base."""
    from experiments.paper.figures.schemas import AGREEMENT_SCHEMA, CHANGES_SCHEMA
    from experiments.paper.figures.sheets import below, save_webp
    from ui2i.tables import write_table

    sheets, numbers, changes, agreements = [], {}, [], []
    for place, family in enumerate(setup.families):
        part = part_of(progress, place, len(setup.families), family.base.domain)
        moved = move(setup, family, part)
        shown, titles = _shown(setup, moved)
        sheets.append(_sheet(setup, family, shown, titles))
        if moved:
            changes += [row for each in moved for row in _change_rows(setup, family, each)]
            rows, numbers[family.base.domain] = compare(setup, family, moved)
            agreements += rows
    save_webp(paper_paths.figure(setup.job.project, "6"), below(sheets))
    write_table(paper_paths.figure(setup.job.project, "6").with_suffix(".parquet"), changes, CHANGES_SCHEMA)
    write_table(
        paper_paths.figure(setup.job.project, "6").with_suffix(".agreement.parquet"), agreements, AGREEMENT_SCHEMA
    )
    return numbers


def move(setup: Setup, family: "Family", progress: Progress) -> list[Moved]:
    """Measure the base first, then the modes of every domain; nothing if their attributes cannot be read."""
    from experiments.paper.figures.directions import direction_changes, direction_steps
    from experiments.paper.figures.traits import trait_regressor

    settings = setup.settings
    found = regressors(setup, family, part_of(progress, 0, 2, ""))
    if not found:
        return []
    trait_regressors = {name: trait_regressor(regressor, settings.min_skill) for name, regressor in found.items()}
    if not _common(list(trait_regressors.values())):
        return []
    z = setup.latents(settings.num_moved, family.base.generator.config.z_dim)
    steps = direction_steps(family.base.generator, _directions(setup), settings.strength)
    models = [family.base]
    models += [model for each in family.domains.values() for model in each if model.swap_resolution is None]
    moved = []
    for place, model in enumerate(models):
        regressor = trait_regressors[model.domain]
        changes = direction_changes(
            model.generator,
            z,
            steps,
            regressor.read,
            truncation_psi=settings.truncation_psi,
            progress=part_of(part_of(progress, 1, 2, ""), place, len(models), model.name),
        )
        moved.append(Moved(model=model, regressor=regressor, changes=changes))
    return moved


def _common(trait_regressors: "Sequence[TraitRegressor]") -> list[str]:
    """Return the names of the traits that all regressors predict, in the first one's order."""
    return [name for name in trait_regressors[0].names if all(name in each.names for each in trait_regressors)]


def _directions(setup: Setup) -> range:
    return range(1, setup.settings.num_directions + 1)


def _shown(setup: Setup, moved: list[Moved]) -> "tuple[list[int], list[Title]]":
    """Return the directions that the image shows, chosen by the base alone, and what they move there most.

    Of the traits, those count that can be read in all models.
    """
    from experiments.paper.figures.directions import most_moved, telling_directions

    if not moved:
        shown = list(_directions(setup))[:2]
        return shown, [("-", f"direction {direction}", "+") for direction in shown]
    common = _common([each.regressor for each in moved])
    changes = moved[0].of(common)
    places = telling_directions(changes, common, 2)
    tops = [most_moved(changes, common)[place] for place in places]
    ends = [("less", "more") if change > 0 else ("more", "less") for _, change in tops]
    titles = [(first, name.replace("_", " "), last) for (name, _), (first, last) in zip(tops, ends, strict=True)]
    return [place + 1 for place in places], titles


def _sheet(setup: Setup, family: "Family", shown: list[int], titles: "list[Title]") -> "np.ndarray":
    from experiments.paper.figures.direction_sheet import direction_sheet, moved_images

    generator = family.base.generator
    z = setup.latents(1, generator.config.z_dim).to(generator.w_avg.device)
    ws = generator.broadcast(generator.truncate(generator.mapping(z), setup.settings.truncation_psi))
    return direction_sheet(moved_images(family, ws, shown, setup.settings.strength), titles)


def compare(setup: Setup, family: "Family", moved: list[Moved]) -> tuple[list[Row], dict[str, Any]]:
    """Return rows of `AGREEMENT_SCHEMA` and a summary: each model's changes compared with the base's.

    The base's own are compared between two halves of the latents.
    """
    from experiments.paper.figures.directions import compare_changes

    base, rows, tops = moved[0], [], []
    half = base.changes.shape[1] // 2
    common = _common([each.regressor for each in moved])
    summaries, changes = {}, {}
    for each in moved:
        names = _common([base.regressor, each.regressor])
        pair = (base.of(names), each.of(names))
        if each is base:
            pair = (base.of_latents(slice(half), names), base.of_latents(slice(half, None), names))
        agreement = compare_changes(*pair, seed=setup.settings.seed)
        tops = _tops(base.of(common), each.of(common), common)
        summaries[each.model.name] = _summary(agreement, tops)
        changes[each.model.name] = [row["top_change"] for row in tops]
        rows += [
            _model_columns(family, each.model)
            | {"direction": direction, "strength": setup.settings.strength, "num_traits": len(names)}
            | {"num_latents": base.changes.shape[1], "cosine": float(agreement.cosines[place])}
            | {"chance": float(agreement.chance[place]), **tops[place], **setup.made}
            for place, direction in enumerate(_directions(setup))
        ]
    moves = [
        {"trait": row["top_trait"], "change": {name: values[place] for name, values in changes.items()}}
        for place, row in enumerate(tops)
    ]
    return rows, {"models": summaries, "directions": dict(zip(_directions(setup), moves, strict=True))}


def _tops(base: "np.ndarray", model: "np.ndarray", names: Sequence[str]) -> list[Row]:
    """Return for each direction what moves most in the base, and how it moves in the model."""
    import numpy as np

    rows = []
    for ours, theirs in zip(base, model, strict=True):
        place = int(np.abs(ours).argmax())
        rank = 1 + int((np.abs(theirs) > np.abs(theirs[place])).sum())
        values = {"top_change_base": float(ours[place]), "top_change": float(theirs[place])}
        rows.append({"top_trait": names[place], "top_rank": rank, **values})
    return rows


def _summary(agreement: "Agreement", tops: list[Row]) -> dict[str, Any]:
    same = [row["top_change"] * row["top_change_base"] > 0 for row in tops]
    return {
        "cosine": agreement.mean,
        "cosine_of_other_directions": agreement.chance_mean,
        "cosine_of_other_directions_std": agreement.chance_std,
        "p_value": agreement.p_value,
        "directions": len(tops),
        "top_trait_moves_the_same_way": sum(same),
        "top_trait_is_the_top_here_too": sum(row["top_rank"] == 1 for row in tops),
    }


def _change_rows(setup: Setup, family: "Family", moved: Moved) -> list[Row]:
    from experiments.paper.truth import settings_hash
    from ui2i.metrics.moments import estimate

    regressor = moved.regressor.regressor
    shared = {
        **_model_columns(family, moved.model),
        **setup.made,
        "strength": setup.settings.strength,
        "style": regressor.style,
        "num_latents": moved.changes.shape[1],
        "regressor": settings_hash(regressor.style, regressor.config, family.base.generator.config.img_resolution),
    }
    rows = []
    for place, direction in enumerate(_directions(setup)):
        for column, trait in enumerate(moved.regressor.traits):
            value = estimate(moved.changes[place, :, column])
            skill = regressor.held_out[trait.attribute].skill
            own = {"trait": trait.name, "change": value.mean, "sem": value.sem, "skill": skill}
            rows.append({**shared, "direction": direction, **own})
    return rows


def _model_columns(family: "Family", model: "FigureModel") -> Row:
    return {
        "base": family.base.domain,
        "domain": model.domain,
        "mode": model.mode,
        "checkpoint_hash": model.hash,
        "base_hash": family.base.hash,
    }
