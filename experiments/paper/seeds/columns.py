"""Compares two domains' models that were trained with one seed: a column of Table I such as cartoon2portrait.

    python -m experiments.paper.seeds.columns --project reproduction --source cartoon --target portrait \
        --first-seed 1 --pairs 2 --out seeds

trains what is not there yet of both domains' FT and FC-FT, in the folder of `experiments.paper.seeds`, as long as
params.yaml says. It adds each latent's distance between the models of one kind to `columns.parquet`: FT, FC-FT, and
FC-FT with the base's coarse layers in both. Each seed is one training of the column. Rerun the command to resume; seeds
that are in the table are not measured again.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.paper.seeds.options import MODES, add_place, run_command, trainings_of_one_base
from experiments.paper.tables.published import COLUMNS
from ui2i.errors import ConfigError

if TYPE_CHECKING:
    from experiments.paper.seeds.trainings import Trainings
    from ui2i.networks.generator import Generator
    from ui2i.perceptual import Perceptual


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 after printing one line `error: ...`."""
    return run_command(_parser(), arguments, make_columns)


def make_columns(options: argparse.Namespace) -> None:
    """Add the rows of every seed that is not in the table.

    Raises:
        ConfigError: both domains are the same, have different bases, or the table is of another backbone.
        TrainingError, CheckpointError: a training cannot be had.
    """
    from experiments.paper.seeds.made import check_backbone, note_what_made
    from experiments.paper.seeds.tables import add_rows
    from ui2i.perceptual import load_perceptual

    if options.source == options.target:
        raise ConfigError(f"--source and --target are {options.source}, expected two domains; name another")
    options.domains = [options.source, options.target]
    trainings = trainings_of_one_base(options)
    first = trainings[options.source]
    perceptual = load_perceptual(first.params.perceptual, first.device)
    check_backbone(options.out, perceptual)
    for seed in range(options.first_seed, options.first_seed + options.pairs):
        key = {"base": options.source, "domain": options.target, "seed": seed}
        if _is_measured(options.out / COLUMNS, key):
            continue
        models = {domain: _models(each, seed, perceptual) for domain, each in trainings.items()}
        rows = [{**key, **row} for row in _distances(models, options.source, options.target, first, perceptual)]
        for domain, each in trainings.items():
            name = f"{domain} in {options.source}2{options.target}, seed {seed}"
            note_what_made(options.out, name, each, perceptual)
        add_rows(options.out / COLUMNS, rows)  # last: with them a seed is done
    print(options.out / COLUMNS)


def _models(trainings: "Trainings", seed: int, perceptual: "Perceptual") -> "dict[str, Generator]":
    """Return a domain's FT and FC-FT of a seed, which are trained where they are missing, and the swapped FC-FT."""
    from experiments.paper.seeds.measuring import BASE_MAPPING, variants

    base, _ = trainings.start_of("FT")
    along = trainings.evaluator(base, perceptual)
    trained = {mode: trainings.train(seed, mode, along).generator_ema for mode in MODES}
    found = variants(trained, base, trainings.params.swap.resolutions)
    return {name: model for name, model in found.items() if name != BASE_MAPPING}  # no row of Table I


def _distances(
    models: "Mapping[str, Mapping[str, Generator]]",
    source: str,
    target: str,
    trainings: "Trainings",
    perceptual: "Perceptual",
) -> Iterator[dict[str, Any]]:
    """Yield a row for each kind of model and latent."""
    from experiments.paper.seeds.measuring import pair_distances

    for variant, generator in models[source].items():
        both = {source: generator, target: models[target][variant]}
        for place, value in enumerate(pair_distances(both, perceptual, trainings.params.distance)):
            yield {"variant": variant, "latent": place, "d": value}


def _is_measured(path: Path, key: Mapping[str, Any]) -> bool:
    import pandas as pd

    if not path.is_file():
        return False
    rows = pd.read_parquet(path, columns=list(key))
    return bool((rows == pd.Series(key)).all(axis=1).any())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--source", metavar="NAME", required=True, help="domain of the project, the column's first")
    add("--target", metavar="NAME", required=True, help="another domain of the same base, the column's second")
    add("--pairs", metavar="N", type=int, default=4, help="number of seeds (default: 4)")
    add("--first-seed", metavar="N", type=int, default=0, help="the first seed; the others follow (default: 0)")
    add_place(parser)
    parser.set_defaults(apart=None, kimg=None, apart_kimg=None)
    return parser


if __name__ == "__main__":
    sys.exit(main())
