"""A folder of anybody's images -> their translations to a domain. No stage of DVC: both folders lie anywhere."""

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.project.paths import Project
from tasks.requests.translation_request import TranslationRequest
from tasks.running import stage_cli
from tasks.running.command_line import USER_ERROR, print_error
from tasks.running.stage_cli import Job, Stage, default_device
from ui2i.errors import ConfigError
from ui2i.files import sha256_bytes
from ui2i.names import printable

if TYPE_CHECKING:
    from tasks.models.domain_models import Model
    from tasks.models.translation_models import Translator
    from tasks.project.params import Params


def work(job: Job, request: TranslationRequest, part: tuple[int, int] | None = None) -> None:
    """Translate with the chosen models of the domain (paper, Eq. 4).

    Args:
        part: I and N: only find the latent codes of every Nth batch, from the Ith on.

    Raises:
        DataError: there are no images, or one is unlike the source's and `strict` refuses that.
        ConfigError: a model does not exist, a setting is out of range, or two of them contradict each other.
        CheckpointError: the models are of two families.
    """
    from tasks.models.domain_checks import find_check
    from tasks.models.framing import choose_framer, framing_of
    from tasks.models.inversion_models import encoder_of, inversion_of, latent_store
    from tasks.models.translation_models import are_related
    from ui2i.inversion import Inverter
    from ui2i.perceptual import load_perceptual
    from ui2i.translation import find_codes, translate_folder

    project, params, device = job.project, job.params, default_device()
    source, targets = chosen_models(project, params, request, device=device)
    inversion = request.inversion(inversion_of(project, params, source.domain))
    config = request.translation(params.translate)
    encoder, encoder_hash = encoder_of(project, source.domain, source.hash, inversion, device=device)
    perceptual, store = load_perceptual(params.perceptual, device), latent_store(project)
    framing = framing_of(project, source.domain, source.card)
    shared: dict[str, Any] = {
        "source_hash": source.hash,
        "framer": choose_framer(project, params, framing, request.framing),
        "encoder": encoder,
        "encoder_hash": encoder_hash,
        "progress": job.progress,
    }
    if part is not None:
        if store is not None:
            place, num_parts = part[0] - 1, part[1]
            find_codes(
                request.images,
                source.generator,
                perceptual,
                inversion,
                store,
                part=place,
                num_parts=num_parts,
                **shared,
            )
        return
    inverted: dict[str, Any] = {
        "base_hash": source.hash,
        "encoder": encoder,
        "encoder_hash": encoder_hash,
        "store": store,
    }
    inverter = Inverter(source.generator, perceptual, inversion, **inverted)
    translate_folder(
        request.images,
        source.generator,
        {target.variant: target.generator for target in targets},
        perceptual,
        inversion,
        request.out,
        domain=job.name,
        target_hashes={target.variant: target.hash for target in targets},
        source_domain=source.domain,
        config=config,
        references=request.references or None,
        reference_generator=targets[0].own_generator,
        store=store,
        check=find_check(project, source, inverter, device=device),
        is_strict=request.strict,
        force=request.force or all(are_related(source, target) for target in targets),
        **shared,
    )


def chosen_models(
    project: Project, params: "Params", request: TranslationRequest, *, device: str
) -> "tuple[Model, list[Translator]]":
    """Return the model that inverts, and those that generate.

    Raises:
        ConfigError: a model does not exist, or what is asked for contradicts itself.
        CheckpointError: a model's file is missing or damaged.
    """
    from tasks.models.translation_models import choose_only, choose_source, choose_targets

    source = choose_source(project, params, request.domain, request.source, device=device)
    if request.only is None:
        swaps: dict[str, Any] = {"swap_resolutions": request.swap_resolutions, "swap_mode": request.swap_mode}
        return source, choose_targets(
            project, params, request.domain, variants=request.variants, device=device, **swaps
        )
    if request.variants or request.swap_resolutions:
        raise ConfigError(
            f"--only {request.only} came with other variants, expected it alone; leave out --variant and "
            "--swap-resolution"
        )
    return source, choose_only(project, params, request.domain, request.only, device=device)


def command(project: Project, request: TranslationRequest) -> list[str]:
    """Return the command that does it, for a process of its own."""
    module = "tasks.requests.translate_folder"
    return [sys.executable, "-m", module, "--project", str(project.root), "--request", request.to_json()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status, as stages do."""
    options = _parser().parse_args(arguments)
    try:
        request = TranslationRequest.from_json(options.request)
    except ConfigError as error:
        print_error(error)
        return USER_ERROR
    stage = Stage(
        name="translate_folder",
        summary="",
        option="domain",
        output=functools.partial(_locked, out=request.out, part=options.part),
        shown=printable(str(request.out)),
        work=functools.partial(work, request=request, part=options.part),
    )
    place = [] if options.project is None else ["--project", options.project]
    return stage_cli.main(stage, ["--domain", request.domain, *place])


def _locked(project: Project, _domain: str, *, out: Path, part: tuple[int, int] | None) -> Path:
    """Return what stands for the output in the project, where locks are."""
    suffix = "" if part is None else f"-part{part[0]}"
    return project.translations(f"folder-{sha256_bytes(str(out).encode())[:16]}{suffix}")


def _part(text: str) -> tuple[int, int]:
    part, _, count = text.partition("/")
    if not (part.isdigit() and count.isdigit() and 1 <= int(part) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part, expected I/N with I from 1 to N; write 1/2 or 2/2")
    return int(part), int(count)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tasks.requests.translate_folder",
        description="What `ui2i translate` starts: translate images as a request says.",
        allow_abbrev=False,
    )
    parser.add_argument("--request", metavar="JSON", required=True, help="a TranslationRequest")
    parser.add_argument(
        "--part",
        metavar="I/N",
        type=_part,
        help="only find the latent codes of every Nth batch, from the Ith on, for the command without it",
    )
    parser.add_argument("--project", metavar="FOLDER", help="the folder with params.yaml (default: this or above)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
