"""Trains pairs of models, FT and FC-FT with the same seed, and measures their differences; what is done stays done.

    python -m experiments.paper.seeds --project reproduction --domain cartoon --pairs 4 --out seeds

writes `curves.parquet` (distances along each training), `latents.parquet` (each latent's distance at its end),
`findings.txt` and `curves.png` to the folder. Rerun an interrupted command to resume; run it for other domains and with
more pairs to add to the same folder. A pair of 10 thousand images takes an hour of processor time at 64 px (AVX2).

    python -m experiments.paper.seeds ... --apart avatar

also fine-tunes another base of the project to the domain with each seed: a finished model that shares no weights with
the domain's base, by which "independently trained" is judged.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.project.paths import find_project
from tasks.running.command_line import USER_ERROR, print_error
from ui2i.errors import ConfigError, UI2IError

MODES = ("FT", "FC-FT")
CURVES_FILE, LATENTS_FILE, FINDINGS_FILE, PLOT_FILE = "curves.parquet", "latents.parquet", "findings.txt", "curves.png"
ALONG_LATENTS = 500  # latents of the distances along a training
CURVE_COLUMNS = ("kimg", "fd", "kd", "d", "d_sem")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 after printing one line `error: ...`."""
    options = _parser().parse_args(arguments)
    try:
        options.out = options.out.resolve()
        os.chdir(find_project(options.project).root)  # paths in params.yaml count from there
        for seed in range(options.first_seed, options.first_seed + options.pairs):
            make_pair(options, seed)
            write_findings(options.out)
    except (UI2IError, OSError) as error:
        print_error(error)
        return USER_ERROR
    print((options.out / FINDINGS_FILE).read_text(encoding="utf-8"), end="")
    return 0


def make_pair(options: argparse.Namespace, seed: int) -> None:
    """Train both models of a pair, and add their rows to the tables; nothing if they are there."""
    from experiments.paper.seeds.measuring import latent_distances, variants
    from experiments.paper.tables.model_distance import APART
    from tasks.models.model_folder import read_model
    from tasks.project.params import find_entry, load_params, training_config
    from tasks.running.stage_cli import default_device
    from ui2i.perceptual import load_perceptual

    project, device = find_project(None), default_device()
    params = load_params(project)
    domain = find_entry(params.domains, options.domain, "domains")
    key = {"base": domain.base, "domain": options.domain, "seed": seed}
    total_kimg = options.kimg or training_config(params, options.domain, "FC-FT").total_kimg
    _check_alike(options.out / CURVES_FILE, key, total_kimg)
    if _has(options.out / LATENTS_FILE, key | ({"variant": APART} if options.apart else {})):
        return
    base = project.checkpoint(domain.base)
    generator, _, _ = read_model(base, device=device)
    perceptual = load_perceptual(params.perceptual, device)
    along = _evaluator(options.domain, params, project, generator, perceptual, device)
    start = {"kimg": 0.0, **along(generator)}
    models, curves = {}, [{**key, "mode": mode, **start} for mode in MODES]
    arms = [(mode, mode, base) for mode in MODES]
    if options.apart:
        arms.append((APART, "FT", project.checkpoint(options.apart)))
    for name, mode, folder in arms:
        state = _train(options, seed, name, mode, folder, params, project, along, device)
        models[name] = state.generator_ema
        measured = [row for row in state.log if "fd" in row]
        curves += [{**key, "mode": name, **{column: row[column] for column in CURVE_COLUMNS}} for row in measured]
    found = variants(models, generator, params.swap.resolutions)
    last = curves[-1]["kimg"]
    curves += [
        {**key, "mode": name, "kimg": last, **along(model)} for name, model in found.items() if name not in models
    ]
    latents = latent_distances(found, generator, perceptual, params.distance)
    _append(options.out / CURVES_FILE, [{**row, "total_kimg": total_kimg} for row in curves])
    _append(options.out / LATENTS_FILE, [{**key, **row} for row in latents])


def write_findings(out: Path) -> None:
    """Write what the tables of a folder say, in words and as curves."""
    import pandas as pd

    from experiments.paper.seeds.findings import find_differences
    from experiments.paper.seeds.plot import save_curves
    from ui2i.files import write_text

    if not (out / LATENTS_FILE).is_file():
        return
    curves = pd.read_parquet(out / CURVES_FILE)
    save_curves(out / PLOT_FILE, curves)
    findings = find_differences(pd.read_parquet(out / LATENTS_FILE), curves)
    write_text(out / FINDINGS_FILE, "".join(f"{finding} [{finding.status}]\n" for finding in findings))


def _evaluator(domain: str, params: Any, project: Any, base: Any, perceptual: Any, device: str) -> Any:
    """Return what is measured along a training."""
    from experiments.paper.seeds.measuring import AlongTraining
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.metrics.frechet import held_out_evaluator

    held_out = PreparedDataset(project.prepared(domain), "test")
    num_images = params.finetune.evaluation_images
    return AlongTraining(
        to_domain=held_out_evaluator(held_out, perceptual, num_images=num_images, device=device),
        base=base,
        perceptual=perceptual,
        config=dataclasses.replace(params.distance, num_latents=min(ALONG_LATENTS, params.distance.num_latents)),
    )


def _train(
    options: argparse.Namespace,
    seed: int,
    name: str,
    mode: Any,
    base: Path,
    params: Any,
    project: Any,
    evaluator: Any,
    device: str,
) -> Any:
    """Return the last state of one training, whose log has the measurements along it."""
    from tasks.models.model_folder import GENERATOR_FILE, read_model
    from tasks.project.params import training_config
    from tasks.running.progress import report_progress
    from ui2i.checkpoints import file_hash
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.training.loop import train

    config = training_config(params, options.domain, mode)
    total_kimg = options.kimg or config.total_kimg
    config = dataclasses.replace(
        config, seed=seed, total_kimg=total_kimg, evaluation_kimg=options.every_kimg, snapshot_kimg=options.every_kimg
    )
    generator, discriminator, _ = read_model(base, device=device)
    with report_progress(f"{options.domain} {name} {seed}") as progress:
        return train(
            PreparedDataset(project.prepared(options.domain)),
            options.out / "runs" / options.domain / str(seed) / name,
            generator.config,
            config,
            base=(generator, discriminator),
            base_hash=file_hash(base / GENERATOR_FILE),
            device=device,
            evaluator=evaluator,
            progress=progress,
        )


def _has(path: Path, key: dict[str, Any]) -> bool:
    import pandas as pd

    if not path.is_file():
        return False
    rows = pd.read_parquet(path, columns=list(key))
    return bool((rows == pd.Series(key)).all(axis=1).any())


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


def _append(path: Path, rows: list[dict[str, Any]]) -> None:
    """Add rows to a table, in place of any with the same domain and seed."""
    import pandas as pd

    from ui2i.files import atomic_file

    new = pd.DataFrame(rows)
    if path.is_file():
        old = pd.read_parquet(path)
        is_same = (old["domain"] == new["domain"][0]) & (old["seed"] == new["seed"][0])
        new = pd.concat([old[~is_same], new], ignore_index=True)
    floats = dict.fromkeys(new.select_dtypes("float64"), "float32")
    with atomic_file(path) as temporary:
        new.astype(floats).to_parquet(temporary, compression="zstd", index=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--project", metavar="FOLDER", help="a project with the domain's prepared images and its base (default: this)")
    add("--domain", metavar="NAME", required=True, help="domain of the project to train again and again")
    add("--pairs", metavar="N", type=int, default=4, help="pairs of trainings (default: 4)")
    add("--first-seed", metavar="N", type=int, default=0, help="seed of the first pair; the others follow (default: 0)")
    add("--apart", metavar="BASE", help="also fine-tune this base of the project, as a model trained apart")
    add("--kimg", metavar="N", type=float, help="thousands of images of each training (default: as params.yaml says)")
    add("--every-kimg", metavar="N", type=float, default=2.0, help="thousands of images between measurements")
    add("--out", metavar="DIR", type=Path, required=True, help="output folder, for tables and resumable trainings")
    return parser


if __name__ == "__main__":
    sys.exit(main())
