"""A folder of anybody's images -> their translations to a domain. No stage of DVC: both folders lie anywhere."""

import argparse
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.project.paths import Project
from tasks.running import stage_cli
from tasks.running.stage_cli import Job, Stage, default_device
from ui2i.errors import DataError
from ui2i.files import sha256_bytes

if TYPE_CHECKING:
    from tasks.models.domain_models import Model
    from ui2i.config import InversionConfig
    from ui2i.translation import TranslationConfig


def work(job: Job, options: argparse.Namespace) -> None:
    """Translate with the chosen models of the domain (paper, Eq. 4).

    Args:
        options: as `_parser` has them; None or empty: as `params.yaml` says.

    Raises:
        DataError: there are no images.
        ConfigError: a model does not exist, or a setting is out of range.
        CheckpointError: the models are of two families.
    """
    from tasks.models.inversion_models import encoder_of, latent_store
    from tasks.models.translation_models import are_related, choose_source, choose_targets
    from ui2i.perceptual import load_perceptual
    from ui2i.translation import translate_folder

    if not options.images.is_dir():
        raise DataError(f"{options.images} is no folder, expected one with images; check the path")
    device = default_device()
    source = choose_source(job.project, job.params, job.name, options.source, device=device)
    targets = choose_targets(
        job.project,
        job.params,
        job.name,
        variants=options.variant,
        swap_resolutions=options.swap_resolution,
        swap_mode=options.swap_mode,
        device=device,
    )
    if options.part is not None:
        _find_part(job, options, source, device)
        return
    inversion = _inversion(job.params.inversion, options)
    encoder, encoder_hash = encoder_of(job.project, source.domain, source.hash, inversion, device=device)
    translate_folder(
        options.images,
        source.generator,
        {target.variant: target.generator for target in targets},
        load_perceptual(job.params.perceptual, device),
        inversion,
        options.out,
        domain=job.name,
        source_hash=source.hash,
        target_hashes={target.variant: target.hash for target in targets},
        source_domain=source.domain,
        config=_translation(job, options),
        references=options.reference or None,
        reference_generator=targets[0].own_generator,
        encoder=encoder,
        encoder_hash=encoder_hash,
        store=latent_store(job.project),
        force=options.force or all(are_related(source, target) for target in targets),
        progress=job.progress,
    )


def _find_part(job: Job, options: argparse.Namespace, source: "Model", device: str) -> None:
    """Leave the codes of one part of the images in the store, and nothing else."""
    from tasks.models.inversion_models import encoder_of, latent_store
    from ui2i.perceptual import load_perceptual
    from ui2i.translation import find_codes

    inversion, store = _inversion(job.params.inversion, options), latent_store(job.project)
    if store is None:
        return
    encoder, encoder_hash = encoder_of(job.project, source.domain, source.hash, inversion, device=device)
    find_codes(
        options.images,
        source.generator,
        load_perceptual(job.params.perceptual, device),
        inversion,
        store,
        part=options.part[0] - 1,
        num_parts=options.part[1],
        source_hash=source.hash,
        framing=_translation(job, options).framing,
        encoder=encoder,
        encoder_hash=encoder_hash,
        progress=job.progress,
    )


def command(project: Project, domain: str, images: Path, out: Path, options: Mapping[str, Any]) -> list[str]:
    """Return the command that does it, for a process of its own.

    Args:
        options: by their names on the command line, without dashes in front; lists are repeated, true is a flag, and
            what is None or false is left out.
    """
    arguments = ["--project", str(project.root), "--domain", domain, "--images", str(images), "--out", str(out)]
    for name, value in options.items():
        if value is True:
            arguments.append(f"--{name}")
        elif value is not None and value is not False:
            values = value if isinstance(value, (list, tuple)) else [value]
            arguments += [f"--{name}={item}" for item in values]  # with =, so that a number may be negative
    return [sys.executable, "-m", "tasks.requests.translate_folder", *arguments]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status, as stages do."""
    options = _parser().parse_args(arguments)
    options.images, options.out = options.images.resolve(), options.out.resolve()
    options.reference = [path.resolve() for path in options.reference]
    stage = Stage(
        name="translate_folder",
        summary="",
        option="domain",
        output=functools.partial(_locked, out=options.out, part=options.part),
        work=functools.partial(work, options=options),
    )
    place = [] if options.project is None else ["--project", options.project]
    return stage_cli.main(stage, ["--domain", options.domain, *place])


def _locked(project: Project, _domain: str, *, out: Path, part: tuple[int, int] | None) -> Path:
    """Return what stands for the output in the project, where locks are."""
    suffix = "" if part is None else f"-part{part[0]}"
    return project.data_dir / "translations" / f"folder-{sha256_bytes(str(out).encode())[:16]}{suffix}"


def _part(text: str) -> tuple[int, int]:
    part, _, count = text.partition("/")
    if not (part.isdigit() and count.isdigit() and 1 <= int(part) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part, expected I/N with I from 1 to N; write 1/2 or 2/2")
    return int(part), int(count)


def _inversion(config: "InversionConfig", options: argparse.Namespace) -> "InversionConfig":
    from ui2i.config import from_mapping, to_mapping

    given = {"method": options.method, "num_steps": options.steps, "start": options.start}
    values = to_mapping(config) | {name: value for name, value in given.items() if value is not None}
    if values["method"] != config.method or values["start"] != config.start:
        values["learning_rate"] = None  # the rate in params.yaml was meant for the method there
    return from_mapping(type(config), values, section="inversion")


def _translation(job: Job, options: argparse.Namespace) -> "TranslationConfig":
    from ui2i.translation import TranslationConfig

    settings = job.params.translate
    given = {
        "truncation_psi": options.psi,
        "num_styles": options.styles,
        "num_style_layers": options.style_layers,
        "style_seed": options.seed,
        "directions": tuple(options.direction) or None,
        "strengths": tuple(options.strength) or None,
        "framing": options.framing,
    }
    defaults = {
        "truncation_psi": settings.truncation_psi,
        "num_styles": settings.num_styles,
        "num_style_layers": settings.num_style_layers,
    }
    return TranslationConfig(**defaults | {name: value for name, value in given.items() if value is not None})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tasks.requests.translate_folder",
        description="Translate a folder of images to the domain NAME.",
        epilog="example: python -m tasks.requests.translate_folder --domain cartoon --images ~/faces --out ~/cartoons "
        "--variant FC-FT-LS8; the same with a run's log and limits: ui2i translate",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--domain", metavar="NAME", required=True, help="a domain or base in params.yaml")
    add("--images", metavar="FOLDER", type=Path, required=True, help="images of the source's kind")
    add("--out", metavar="FOLDER", type=Path, required=True, help="made anew")
    add("--from", dest="source", metavar="NAME", help="domain of the images (default: the base of the target)")
    add("--variant", action="append", default=[], help="FC-FT, FC-FT-LS8, ...; may be given again, as may others")
    add("--swap-resolution", action="append", type=int, default=[], help="swap the base's layers up to these pixels in")
    add("--swap-mode", choices=("weights", "features", "blend"), default="weights", help="how (default: weights)")
    add("--psi", type=float, help="below 1 pulls the codes towards the models' mean")
    add("--styles", type=int, help="further versions with sampled appearance")
    add("--seed", type=int, help="the k-th of these has this + k")
    add("--reference", action="append", type=Path, default=[], help="image whose appearance a version takes on")
    add("--style-layers", type=int, help="style inputs that another appearance takes over, from the image's side")
    add("--direction", action="append", type=int, default=[], help="semantic direction to move along, 1 the strongest")
    add("--strength", action="append", type=float, default=[], help="how far, in standard deviations (default: 2)")
    add("--method", help="of inversion: closed_form, directions, w, closed_form_plus, w_plus, encoder, in_domain")
    add("--steps", type=int, help="of inversion")
    add("--start", help="of inversion: mean or encoder")
    add("--framing", choices=("center", "fit"), help="the centered square, or all of an image on white")
    add("--force", action="store_true", help="translate between models of two families")
    add(
        "--part",
        metavar="I/N",
        type=_part,
        help="only find the codes of every Nth batch, from the Ith on, for the command without it",
    )
    add("--project", metavar="FOLDER", help="the folder with params.yaml (default: this or above)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
