"""Trains pairs of models, FT and FC-FT with the same seed, and measures their differences; what is done stays done.

    python -m experiments.paper.seeds --project reproduction --domain cartoon --pairs 4 --out seeds

writes `curves.parquet` (distances along each training), `latents.parquet` (each latent's distance at its end),
`made.json` (what made them), `findings.txt` and `curves.png` to the folder. Rerun an interrupted command to resume; run
it for other domains and with more pairs to add to the same folder. A pair of 10 thousand images takes an hour of
processor time at 64 px (AVX2).

    python -m experiments.paper.seeds ... --apart avatar

also fine-tunes another base of the project to the domain with each seed: a model that shares no weights with the
domain's base, by which "independently trained" is judged. `--apart-kimg` trains it longer
than the others, where it has not come near enough to the domain.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.paper.seeds.options import MODES, add_options, run_command, trainings_of
from ui2i.errors import ConfigError

if TYPE_CHECKING:
    from experiments.paper.seeds.trainings import Trainings

CURVES_FILE, LATENTS_FILE, FINDINGS_FILE, PLOT_FILE = "curves.parquet", "latents.parquet", "findings.txt", "curves.png"
ROUNDING_KIMG = 1e-4  # of tables in single precision
CURVE_COLUMNS = ("kimg", "fd", "kd", "d", "d_sem")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 after printing one line `error: ...`."""
    return run_command(_parser(), arguments, make_pairs)


def make_pairs(options: argparse.Namespace) -> None:
    """Make pair after pair, and say what all of them found so far."""
    for seed in range(options.first_seed, options.first_seed + options.pairs):
        make_pair(options, seed)
        write_findings(options.out)
    print((options.out / FINDINGS_FILE).read_text(encoding="utf-8"), end="")


def make_pair(options: argparse.Namespace, seed: int) -> None:
    """Train both models of a pair, and add their rows to the tables; nothing if they are there."""
    from experiments.paper.seeds.made import check_backbone, note_what_made
    from experiments.paper.seeds.measuring import latent_distances, variants
    from experiments.paper.seeds.tables import add_rows
    from experiments.paper.tables.model_distance import APART
    from ui2i.perceptual import load_perceptual

    trainings = trainings_of(options, options.domain)
    key = {"base": trainings.base, "domain": options.domain, "seed": seed}
    _check_alike(options.out / CURVES_FILE, key, trainings.length)
    if _is_measured(options.out / CURVES_FILE, key, trainings):
        return
    generator, _ = trainings.start_of("FT")
    perceptual = load_perceptual(trainings.params.perceptual, trainings.device)
    check_backbone(options.out, perceptual)
    along = trainings.evaluator(generator, perceptual)
    start = {"kimg": 0.0, **along(generator)}
    models, curves = {}, [{**key, "mode": mode, **start} for mode in MODES]
    for name in (*MODES, APART) if options.apart else MODES:
        state = trainings.train(seed, name, along)
        models[name] = state.generator_ema
        measured = [row for row in state.log if "fd" in row]
        curves += [{**key, "mode": name, **{column: row[column] for column in CURVE_COLUMNS}} for row in measured]
    found = variants(models, generator, trainings.params.swap.resolutions)
    curves += [
        {**key, "mode": name, "kimg": trainings.length, **along(model)}
        for name, model in found.items()
        if name not in models
    ]
    latents = latent_distances(found, generator, perceptual, trainings.params.distance)
    add_rows(options.out / LATENTS_FILE, [{**key, **row} for row in latents])
    note_what_made(options.out, part_name(key), trainings, perceptual)
    rows = [{**row, "total_kimg": trainings.length} for row in curves]
    add_rows(options.out / CURVES_FILE, rows)  # last: with them a pair is done


def part_name(key: dict[str, Any]) -> str:
    """Return the name of a pair in the note of what made the tables."""
    return f"{key['domain']}, seed {key['seed']}"


def write_findings(out: Path) -> None:
    """Write what the tables of a folder say, in words and as curves."""
    import pandas as pd

    from experiments.paper.seeds.findings import find_differences, swap_bounds
    from experiments.paper.seeds.plot import save_curves
    from ui2i.files import write_text

    if not (out / LATENTS_FILE).is_file():
        return
    curves = pd.read_parquet(out / CURVES_FILE)
    save_curves(out / PLOT_FILE, curves)
    findings = find_differences(pd.read_parquet(out / LATENTS_FILE), curves)
    lines = [*(f"{finding} [{finding.status}]" for finding in findings), *swap_bounds(curves)]
    write_text(out / FINDINGS_FILE, "".join(f"{line}\n" for line in lines))


def _is_measured(path: Path, key: dict[str, Any], trainings: "Trainings") -> bool:
    """Return whether the curves have the pair, and the model of the other base in the length that is asked for."""
    import pandas as pd

    from experiments.paper.seeds.made import read_notes
    from experiments.paper.tables.model_distance import APART

    if not path.is_file():
        return False
    rows = pd.read_parquet(path)
    own = rows[(rows[list(key)] == pd.Series(key)).all(axis=1)]
    if trainings.apart is None:
        return len(own) > 0
    note = read_notes(path.parent).get(part_name(key), {})
    if note.get("apart") != trainings.apart:
        return False
    return bool((own.loc[own["mode"] == APART, "kimg"] >= trainings.config(APART).total_kimg - ROUNDING_KIMG).any())


def _check_alike(path: Path, key: dict[str, Any], total_kimg: float) -> None:
    """Refuse a folder whose pairs of the domain are of another base or length: findings would mix them.

    Raises:
        ConfigError: it is one.
    """
    import numpy as np
    import pandas as pd

    if not path.is_file():
        return
    rows = pd.read_parquet(path)
    rows = rows[rows["domain"] == key["domain"]]
    lengths = rows["total_kimg"].dropna() if "total_kimg" in rows else rows["kimg"][:0]  # earlier tables lack it
    if (rows["base"] != key["base"]).any() or not np.isclose(lengths, total_kimg).all():
        had = ", ".join(f"{length:g} kimg" for length in lengths.unique())
        raise ConfigError(
            f"{path} has pairs of {key['domain']} from {', '.join(rows['base'].unique())} {had and f'of {had}'}, "
            f"expected {key['base']} and {total_kimg:g} kimg as asked for; name another folder with --out"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--domain", metavar="NAME", required=True, help="domain of the project to train again and again")
    add("--pairs", metavar="N", type=int, default=4, help="pairs of trainings (default: 4)")
    add("--first-seed", metavar="N", type=int, default=0, help="seed of the first pair; the others follow (default: 0)")
    add_options(parser, apart_is_required=False)
    return parser


if __name__ == "__main__":
    sys.exit(main())
