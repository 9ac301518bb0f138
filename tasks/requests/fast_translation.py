"""`ui2i translate --fast`: a folder of anybody's images through a domain's translator, in this process."""

import collections
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.models.framing import choose_framer
from tasks.models.translator_models import check_translator, translator_path
from tasks.project.params import Params, find_entry, load_params
from tasks.project.paths import Project
from tasks.requests.translation_request import TranslationRequest
from ui2i.errors import ConfigError
from ui2i.files import sha256_file
from ui2i.progress import Progress, no_progress

if TYPE_CHECKING:
    from ui2i.distillation.card import TranslatorCard
    from ui2i.distillation.folder import Translate

TAKEN = ("images", "domain", "out", "framing", "variants")
OPTIONS = {
    "source": "--from",
    "swap_resolutions": "--swap-resolution",
    "references": "--reference",
    "directions": "--direction",
    "strengths": "--strength",
}
"""Fields of a request whose options have other names."""


@dataclasses.dataclass(frozen=True)
class FoundTranslator:
    """A translator that is still that of its models."""

    card: "TranslatorCard"
    translate: "Translate"
    hash: str  # SHA-256 of its file
    engine: str  # torch or onnxruntime


def translate_fast(
    project: Project, request: TranslationRequest, *, progress: Progress = no_progress
) -> FoundTranslator:
    """Translate a request's images with the translator of its domain, and return that.

    Raises:
        ConfigError: the request asks for what a translator cannot do.
        CheckpointError: there is no translator, it is damaged, or it is of other models than are there now.
        DataError: there are no (readable) images, or the output folder holds something else.
    """
    from ui2i.distillation.folder import translate_folder_fast

    _refuse_more(request)
    params = load_params(project)
    find_entry(params.domains, request.domain, "domains")
    found = find_translator(project, params, request.domain)
    if request.variants not in ((), (found.card.variant,)):
        raise ConfigError(
            f"--variant is {', '.join(request.variants)}, expected {found.card.variant}, which the translator of "
            f"{request.domain} imitates; leave it out, or leave out --fast"
        )
    translate_folder_fast(
        request.images,
        found.translate,
        found.card,
        request.out,
        engine=found.engine,
        translator_hash=found.hash,
        framer=choose_framer(project, params, found.card.framing, request.framing),
        progress=progress,
    )
    return found


def describe_images(folder: Path) -> list[str]:
    """Return in lines what came of the images of a folder that `translate_fast` wrote."""
    from ui2i.datasets.manifest import REJECTS_NAME
    from ui2i.images.left_out import REASONS, read_left_out
    from ui2i.tables import read_parquet
    from ui2i.translation_files import LEFT_OUT_NAME, MANIFEST_NAME

    num_translated = len(read_parquet(folder / MANIFEST_NAME))
    reasons = collections.Counter(read_parquet(folder / REJECTS_NAME)["reason"].to_pylist())
    said = [f"{num_translated} of {num_translated + reasons.total()} images translated"]
    if reasons:
        shown = ", ".join(f"{count} {REASONS.get(reason, reason)}" for reason, count in reasons.items())
        said.append(f"{reasons.total()} could not be used: {shown}; see {REJECTS_NAME}")
    left_out = read_left_out(folder / LEFT_OUT_NAME)
    return [*said, f"of the source, {left_out}"] if left_out else said


def find_translator(project: Project, params: Params, domain: str) -> FoundTranslator:
    """Return the translator of a domain: its ONNX file if that is there, as is onnxruntime, else the network.

    Raises:
        CheckpointError: there is none, it is damaged, or it is of other models than are there now.
    """
    path = translator_path(project, params, domain)
    found = _exported(project, domain, sha256_file(path)) or _network(path)
    check_translator(project, params, path, found.card)
    return found


def _exported(project: Project, domain: str, translator_hash: str) -> FoundTranslator | None:
    """Return the domain's ONNX file; None: there is none of this translator, or no onnxruntime."""
    from ui2i.distillation.onnx_session import OnnxTranslator, has_runtime

    path = project.onnx_translator(domain)
    if not path.is_file() or not has_runtime():
        return None
    exported = OnnxTranslator(path)
    if exported.translator_hash != translator_hash:  # the translator was trained again since
        return None
    return FoundTranslator(exported.card, exported, translator_hash, "onnxruntime")


def _network(path: Path) -> FoundTranslator:
    import torch

    from ui2i.distillation.translator_file import load_translator
    from ui2i.images import to_tensor, to_uint8

    network = load_translator(path)

    def translate(images: Any) -> Any:
        with torch.inference_mode():
            return to_uint8(network(to_tensor(images).contiguous(memory_format=torch.channels_last)))

    return FoundTranslator(network.card, translate, sha256_file(path), "torch")


def _refuse_more(request: TranslationRequest) -> None:
    """Refuse a request for what only the pipeline does."""
    for field in dataclasses.fields(request):
        default = None if field.default is dataclasses.MISSING else field.default
        if field.name in TAKEN or getattr(request, field.name) == default:
            continue
        option = OPTIONS.get(field.name, f"--{field.name.replace('_', '-')}")
        raise ConfigError(
            f"{option} came with --fast, expected none: a translator has no latent codes to change; leave out "
            f"{option}, or leave out --fast"
        )
