"""How many layers an appearance takes over -> data/tables/styles/<domain>.parquet and .png. Not a DVC stage."""

from collections.abc import Sequence
from typing import Any

from experiments.paper import paper_paths
from tasks.models.inversion_models import encoder_of, latent_store
from tasks.models.translation_models import choose_source, choose_targets
from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.running.locks import hold_output
from tasks.running.progress import part_of
from tasks.running.stage_cli import default_device
from ui2i.progress import Progress, no_progress


def measure(
    project: Project,
    domain: str,
    *,
    num_images: int = 16,
    num_styles: int = 4,
    variants: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = no_progress,
) -> list[dict[str, Any]]:
    """Translate the first images of the base's test split with sampled appearances in 0, 1, ... of the layers.

    Args:
        variants: empty: the first mode and its variants.
        seed: of the appearances.

    Returns:
        The rows of the table, by variant, then number of layers.

    Raises:
        ConfigError: there is no such domain or variant, or fewer than two styles.
        CheckpointError: a model is missing.
        DataError: there are fewer than two images.
    """
    from experiments.paper.style_layers import measure_style_layers, save_style_layers_plot
    from tasks.stages.translate import first_images
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.images import to_tensor
    from ui2i.inversion import Inverter, stack_latents
    from ui2i.perceptual import load_perceptual
    from ui2i.provenance import code_commit
    from ui2i.tables import STYLE_LAYERS_SCHEMA, write_table

    params, device = load_params(project), default_device()
    source = choose_source(project, params, domain, None, device=device)
    targets = choose_targets(project, params, domain, variants=variants, device=device)
    perceptual = load_perceptual(params.perceptual, device)
    encoder, encoder_hash = encoder_of(project, source.domain, source.hash, params.inversion, device=device)
    inverter = Inverter(
        source.generator,
        perceptual,
        params.inversion,
        base_hash=source.hash,
        encoder=encoder,
        encoder_hash=encoder_hash,
        store=latent_store(project),
    )
    images = first_images(PreparedDataset(project.prepared(source.domain), "test"), num_images).images
    path, num_parts = paper_paths.style_layers_table(project, domain), 1 + len(targets)
    with hold_output(project, path):
        latents = inverter.find(images, progress=part_of(progress, 0, num_parts, "latent codes"))
        ws, _ = stack_latents(latents, source.generator)
        shared = {
            "domain": domain,
            "base_hash": source.hash,
            "num_ws": source.generator.config.num_ws,
            "num_images": len(images),
            "num_styles": num_styles,
            "method": params.inversion.method,
            "seed": seed,
            "truncation_psi": params.translate.truncation_psi,
            "backbone": perceptual.name,
            "backbone_hash": perceptual.weights_hash,
            "commit": code_commit(),
        }
        rows: dict[str, list[dict[str, Any]]] = {}
        for part, target in enumerate(targets, start=1):
            measured = measure_style_layers(
                to_tensor(images).to(ws.device),
                ws,
                target.generator,
                perceptual,
                num_styles=num_styles,
                seed=seed,
                truncation_psi=params.translate.truncation_psi,
                progress=part_of(progress, part, num_parts, target.variant),
            )
            own = {"variant": target.variant, "checkpoint_hash": target.hash}
            rows[target.variant] = [{**shared, **own, **row} for row in measured]
        table = [row for variant in rows.values() for row in variant]
        write_table(path, table, STYLE_LAYERS_SCHEMA)
        save_style_layers_plot(path.with_suffix(".png"), rows)
    return table
