"""Compares models of several domains that were trained with one seed, and models trained apart with them.

    python -m experiments.paper.seeds.apart --project reproduction --domains cartoon portrait --apart avatar --out seeds

trains what is not there yet of each domain's FT, FC-FT and FT of another base, in the folder of
`experiments.paper.seeds`, and writes there

- `pairs.parquet`: the distances between two domains' models at each latent (paper, section IV-E), in either order: FT,
  FC-FT, and FT of the first domain with FT of another base of the second, which share no weights;
- `models.parquet`: the Frechet distance of each model to its domain, by which a model of another base is finished;
- `agreement.parquet`: how far a direction of the base moves the same attributes in each model (paper, Fig. 6);
- `made.json`: what made them.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.paper.seeds.options import add_options, run_command, trainings_of_one_base
from experiments.paper.tables.model_distance import APART
from experiments.paper.tables.published import ACROSS, AGREED, BETWEEN
from tasks.running.stage_cli import Job
from ui2i.errors import ConfigError
from ui2i.files import sha256_file

if TYPE_CHECKING:
    from experiments.paper.figures.models import Family
    from experiments.paper.seeds.trainings import Trainings
    from ui2i.perceptual import Perceptual
    from ui2i.training.state import TrainingState

NAMES = ("FT", "FC-FT", APART)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 after printing one line `error: ...`."""
    return run_command(_parser(), arguments, compare_domains)


def compare_domains(options: argparse.Namespace) -> None:
    """Write both tables.

    Raises:
        ConfigError: the domains have different bases, or `--apart` names the base that they share.
        TrainingError, CheckpointError: a training cannot be had.
    """
    from experiments.paper.seeds.made import note_what_made
    from experiments.paper.seeds.tables import add_rows
    from ui2i.perceptual import load_perceptual

    trainings = trainings_of_one_base(options)
    first = next(iter(trainings.values()))
    if options.apart == first.base:
        raise ConfigError(
            f"expected another base with --apart, got {first.base}, from which they are fine-tuned; name another"
        )
    perceptual = load_perceptual(first.params.perceptual, first.device)
    states = _train(trainings, options.seed, perceptual)
    add_rows(options.out / ACROSS, list(_nearness(states, options.seed, first.base)))
    family = _family(trainings, options.seed, states)
    add_rows(options.out / BETWEEN, list(_between(family, options.seed, perceptual, first)))
    write_agreement(options.out / AGREED, family, first)
    for domain, each in trainings.items():
        note_what_made(options.out, f"{domain} among {', '.join(trainings)}, seed {options.seed}", each, perceptual)


def write_agreement(path: Path, family: "Family", trainings: "Trainings") -> None:
    """Write how far the directions of the base move the same attributes in all models; nothing if none can be read.

    Rows of other domains stay in the table.
    """
    from experiments.paper.figure_stage.directions import compare, move
    from experiments.paper.figure_stage.setup import set_up_families
    from experiments.paper.figures.schemas import AGREEMENT_SCHEMA
    from experiments.paper.seeds.tables import replace_rows
    from experiments.paper.settings import Figures, sections_of
    from tasks.running.progress import report_progress

    settings = next(iter(sections_of(trainings.params).figures.values()), Figures())
    with report_progress("directions") as progress:
        job = Job(project=trainings.project, params=trainings.params, name="", progress=progress, restart=False)
        setup = set_up_families(job, settings, [family], trainings.device)
        moved = move(setup, family, progress)
    if moved:
        rows, _ = compare(setup, family, moved)
        replace_rows(path, rows, AGREEMENT_SCHEMA, key=("base", "domain"))


def _train(
    trainings: "Mapping[str, Trainings]", seed: int, perceptual: "Perceptual"
) -> "dict[tuple[str, str], TrainingState]":
    """Return the last state of every domain's models, which are trained where they are missing."""
    states = {}
    for domain, each in trainings.items():
        along = each.evaluator(each.start_of("FT")[0], perceptual)
        states.update({(domain, name): each.train(seed, name, along) for name in NAMES})
    return states


def _nearness(states: "Mapping[tuple[str, str], TrainingState]", seed: int, base: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each model: how near its last measurement was to the domain."""
    for (domain, name), state in states.items():
        last = [row for row in state.log if "fd" in row][-1]
        key = {"base": base, "domain": domain, "seed": seed, "mode": name}
        yield {**key, **{column: float(last[column]) for column in ("kimg", "fd", "kd")}}


def _family(
    trainings: "Mapping[str, Trainings]", seed: int, states: "Mapping[tuple[str, str], TrainingState]"
) -> "Family":
    """Return the base and the models of all domains."""
    from experiments.paper.figure_stage.setup import base_of
    from experiments.paper.figures.models import Family, FigureModel
    from ui2i.training.snapshots import STATE_FILE

    domain, first = next(iter(trainings.items()))
    return Family(
        base=base_of(first.project, first.params, domain, first.device),
        domains={
            domain: [
                FigureModel(
                    domain=domain,
                    mode=name,
                    generator=states[domain, name].generator_ema,
                    hash=sha256_file(each.folder_of(seed, name) / STATE_FILE),
                )
                for name in NAMES
            ]
            for domain, each in trainings.items()
        },
    )


def _between(family: "Family", seed: int, perceptual: "Perceptual", trainings: "Trainings") -> Iterator[dict[str, Any]]:
    """Yield a row for each two domains in either order, variant and latent; `APART` has the second of another base."""
    from experiments.paper.seeds.measuring import pair_distances

    models = {(domain, each.mode): each.generator for domain, found in family.domains.items() for each in found}

    def measured(source: str, target: str, name: str) -> list[float]:
        both = {source: models[source, "FT" if name == APART else name], target: models[target, name]}
        return list(pair_distances(both, perceptual, trainings.params.distance))

    for source, target in itertools.combinations(family.domains, 2):
        same = {name: measured(source, target, name) for name in NAMES if name != APART}
        for one, other in ((source, target), (target, source)):
            for name, values in {**same, APART: measured(one, other, APART)}.items():
                key = {"base": one, "domain": other, "seed": seed, "variant": name}
                yield from ({**key, "latent": place, "d": value} for place, value in enumerate(values))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--domains", metavar="NAME", nargs="+", required=True, help="domains of one base, those to compare")
    add("--seed", metavar="N", type=int, default=0, help="of the trainings (default: 0)")
    add_options(parser, apart_is_required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
