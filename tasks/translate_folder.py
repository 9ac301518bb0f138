"""A folder of anybody's pictures -> their translations to a domain. No stage of DVC: both folders lie anywhere."""

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks import stage_cli
from tasks.project import Project
from tasks.stage_cli import Job, Stage, default_device
from ui2i.errors import ConfigError, DataError
from ui2i.files import sha256_bytes

if TYPE_CHECKING:
    from tasks.domain_models import Model
    from ui2i.config import InversionConfig


def work(job: Job, options: argparse.Namespace) -> None:
    """Translate with the chosen models of the domain (paper, Eq. 4).

    Args:
        options: images, out, variant, psi, method, steps; None or empty: as `params.yaml` says.

    Raises:
        DataError: there are no pictures.
        ConfigError: a variant does not exist, or a setting is out of range.
    """
    from tasks.domain_models import base_model, target_models
    from ui2i.checkpoints import file_hash
    from ui2i.perceptual import load_perceptual
    from ui2i.translation import translate_folder

    if not options.images.is_dir():
        raise DataError(f"{options.images} is no folder, expected one with pictures; check the path")
    device, settings = default_device(), job.params.translate
    base = base_model(job.project, job.params, job.name, device=device)
    targets = _chosen(target_models(job.project, job.params, job.name, device=device), options.variant)
    translate_folder(
        options.images,
        base.generator,
        {model.card.mode: model.generator for model in targets},
        load_perceptual(job.params.perceptual, device),
        _inversion(job.params.inversion, options),
        options.out,
        domain=job.name,
        source_hash=file_hash(base.path),
        target_hashes={model.card.mode: file_hash(model.path) for model in targets},
        truncation_psi=settings.truncation_psi if options.psi is None else options.psi,
        num_styles=settings.num_styles,
        num_style_layers=settings.num_style_layers,
        progress=job.progress,
    )


def command(
    project: Project,
    domain: str,
    images: Path,
    out: Path,
    *,
    variants: Sequence[str] = (),
    psi: float | None = None,
    method: str | None = None,
    num_steps: int | None = None,
) -> list[str]:
    """Return the command that does it, for a process of its own."""
    given = {"--psi": psi, "--method": method, "--steps": num_steps}
    arguments = ["--project", str(project.root), "--domain", domain, "--images", str(images), "--out", str(out)]
    arguments += [part for variant in variants for part in ("--variant", variant)]
    arguments += [part for option, value in given.items() if value is not None for part in (option, str(value))]
    return [sys.executable, "-m", "tasks.translate_folder", *arguments]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status, as stages do."""
    options = _parser().parse_args(arguments)
    options.images, options.out = options.images.resolve(), options.out.resolve()
    stage = Stage(
        name="translate_folder",
        summary="",
        option="domain",
        output=functools.partial(_locked, out=options.out),
        work=functools.partial(work, options=options),
    )
    place = [] if options.project is None else ["--project", options.project]
    return stage_cli.main(stage, ["--domain", options.domain, *place])


def _locked(project: Project, _domain: str, *, out: Path) -> Path:
    """Return what stands for the output in the project, where locks are."""
    return project.data_dir / "translations" / f"folder-{sha256_bytes(str(out).encode())[:16]}"


def _chosen(models: "list[Model]", variants: Sequence[str]) -> "list[Model]":
    """Return the models named, or the first mode and all its variants."""
    if not variants:
        return [model for model in models if model == models[0] or model.card.swap_resolution is not None]
    by_name = {model.card.mode: model for model in models}
    for variant in variants:
        if variant not in by_name:
            raise ConfigError(
                f"{models[0].domain} has no variant {variant!r}, expected some of {', '.join(by_name)}; "
                "correct the name, or add the mode or resolution to params.yaml and run the domain again"
            )
    return [by_name[variant] for variant in dict.fromkeys(variants)]


def _inversion(config: "InversionConfig", options: argparse.Namespace) -> "InversionConfig":
    from ui2i.config import from_mapping, to_mapping

    given = {"method": options.method, "num_steps": options.steps}
    values = to_mapping(config) | {name: value for name, value in given.items() if value is not None}
    if options.method not in (None, config.method):
        values["learning_rate"] = None  # the rate in params.yaml was meant for the method there
    return from_mapping(type(config), values, section="inversion")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tasks.translate_folder",
        description="Translate a folder of pictures to the domain NAME.",
        epilog="example: python -m tasks.translate_folder --domain cartoon --images ~/faces --out ~/cartoons "
        "--variant FC-FT-LS8; the same with a run's log and limits: ui2i translate",
    )
    parser.add_argument("--domain", metavar="NAME", required=True, help="the domain in params.yaml")
    parser.add_argument("--images", metavar="FOLDER", type=Path, required=True, help="pictures of the base's kind")
    parser.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="made anew")
    parser.add_argument("--variant", action="append", default=[], help="FC-FT, FC-FT-LS8, ...; may be given again")
    parser.add_argument("--psi", type=float, help="below 1 pulls the codes towards the models' mean")
    parser.add_argument("--method", help="of inversion: closed_form, directions, w, w_plus")
    parser.add_argument("--steps", type=int, help="of inversion")
    parser.add_argument("--project", metavar="FOLDER", help="the folder with params.yaml (default: this or above)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
