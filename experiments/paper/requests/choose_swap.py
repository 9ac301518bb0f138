"""How many layers to swap in a domain -> data/tables/swap/<domain>.parquet, with a plot and the reason beside it.

As in the stage evaluate@, inputs are what the base makes of random latents and outputs what each variant makes of them.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tasks.project.params import Params, load_params
from tasks.project.paths import Project
from tasks.running.progress import part_of
from tasks.running.stage_cli import default_device
from tasks.stages.evaluate import outputs_of
from ui2i.errors import ConfigError
from ui2i.progress import Progress, no_progress

if TYPE_CHECKING:
    from torch import Tensor

    from experiments.paper.swap_choice import SwapChoice
    from tasks.models.domain_models import Model
    from ui2i.metrics.image_sets import ImageSet
    from ui2i.networks.generator import Generator
    from ui2i.perceptual import Perceptual
    from ui2i.variants import SwapConfig, SwapMode

MODES: "tuple[SwapMode, ...]" = ("weights", "features", "blend")


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """A variant that is made when it is its turn, so that one at a time is in memory."""

    name: str
    swap_mode: str | None
    swap_resolution: int | None
    outputs: "Callable[[], ImageSet]"


def choose(
    project: Project,
    domain: str,
    *,
    num_images: int | None = None,
    modes: Sequence[str] = MODES,
    progress: Progress = no_progress,
) -> "SwapChoice":
    """Measure every resolution and mode of swapping the domain's first model, write what was found and return it.

    Args:
        num_images: outputs of each variant; None: as `params.yaml` says.
        modes: some of `MODES`.

    Raises:
        UI2IError: there is no such domain or mode, or models or images are missing.
    """
    from experiments.paper.swap_choice import SwapVariant, choose_swap
    from tasks.models.domain_models import base_model, target_models
    from tasks.models.evaluation_rows import find_inception
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.metrics.evaluation import embed_set, evaluate
    from ui2i.metrics.image_sets import of_dataset
    from ui2i.perceptual import load_perceptual
    from ui2i.samples import sample_latents

    _check_modes(modes)
    params, device = load_params(project), default_device()
    settings = params.evaluation
    base = base_model(project, params, domain, device=device)
    first = target_models(project, params, domain, device=device)[0]
    perceptual = load_perceptual(params.perceptual, device)
    inception = find_inception(project, params, device)
    target = embed_set(of_dataset(PreparedDataset(project.prepared(domain), split=None), device), perceptual, inception)
    z = sample_latents(
        settings.seed, settings.num_images if num_images is None else num_images, base.generator.config.z_dim
    )
    inputs = outputs_of(base.generator, z, settings.truncation_psi, device)
    candidates = list(_candidates(base.generator, first, z, params, device, modes))
    variants: list[SwapVariant] = []
    for place, candidate in enumerate(candidates):
        advance = part_of(progress, place, len(candidates), candidate.name)
        found = evaluate(
            candidate.outputs(), inputs, target, perceptual, inception, seed=settings.seed, progress=advance
        )
        assert found.lpips_s is not None  # there are inputs
        variants.append(
            SwapVariant(
                name=candidate.name,
                swap_mode=candidate.swap_mode,
                swap_resolution=candidate.swap_resolution,
                fidelity=found.fd if found.fid is None else found.fid,
                lpips_s=found.lpips_s.mean,
                lpips_s_sem=found.lpips_s.sem,
            )
        )
    choice = choose_swap(variants, f"fd_{perceptual.name}" if inception is None else "fid")
    _write(project, domain, choice, base, first, perceptual, seed=settings.seed, num_outputs=len(z))
    return choice


def _candidates(
    source: "Generator", first: "Model", z: "Tensor", params: Params, device: str, modes: Sequence[str]
) -> Iterator[_Candidate]:
    """Yield the model without a swap, then every mode at every resolution that leaves a block to the target."""
    from ui2i.layer_swap import VariantName, swap

    psi, mode_name = params.evaluation.truncation_psi, first.card.mode

    def outputs(config: "SwapConfig") -> "ImageSet":
        return outputs_of(swap(source, first.generator, config), z, psi, device)

    yield _Candidate(mode_name, None, None, lambda: outputs_of(first.generator, z, psi, device))
    for mode in modes:
        for resolution in first.generator.config.block_resolutions[:-1]:
            config = params.swap.at(resolution, mode)  # type: ignore[arg-type]  # _check_modes has been there
            name = str(VariantName(mode=mode_name, swap=config))
            yield _Candidate(name, mode, resolution, functools.partial(outputs, config))


def _write(
    project: Project,
    domain: str,
    choice: "SwapChoice",
    base: "Model",
    first: "Model",
    perceptual: "Perceptual",
    **columns: int,
) -> None:
    from experiments.paper.swap_choice import save_plot
    from ui2i.files import sha256_file, write_text
    from ui2i.layer_swap import swapped_share
    from ui2i.markdown import markdown_table
    from ui2i.provenance import code_commit
    from ui2i.tables import SWAP_CHOICE_SCHEMA, write_table

    shared: dict[str, Any] = {
        "domain": domain,
        "fidelity_metric": choice.fidelity_metric,
        "backbone": perceptual.name,
        "backbone_hash": perceptual.weights_hash,
        "target_hash": sha256_file(first.path),
        "base_hash": sha256_file(base.path),
        "commit": code_commit(),
    }
    rows = []
    for variant in choice.variants:
        values = dataclasses.asdict(variant)
        resolution = variant.swap_resolution
        own = {
            "variant": values.pop("name"),
            "swapped_share": None if resolution is None else swapped_share(first.generator.config, resolution),
            "is_on_front": variant in choice.front,
            "is_recommended": variant == choice.recommended,
        }
        rows.append(values | own | shared | columns)
    path = project.swap_choice(domain)
    write_table(path, rows, SWAP_CHOICE_SCHEMA)
    save_plot(path.with_suffix(".png"), choice, f"{domain}: layers of {base.name} in {first.card.mode}")
    table = markdown_table(choice.header, choice.text_rows())
    write_text(path.with_suffix(".md"), f"**{domain}: how many layers to swap**\n\n{table}\n{choice.reason}\n")


def _check_modes(modes: Sequence[str]) -> None:
    for mode in modes:
        if mode not in MODES:
            raise ConfigError(f"the mode is {mode!r}, expected one of {', '.join(MODES)}; choose one of these")
