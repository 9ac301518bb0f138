"""Distances between any models, on request -> rows in data/tables/distance/measured.any.parquet."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from tasks.models.distance_rows import Row, distance_rows, latent_rows
from tasks.models.domain_models import named_model
from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.running.stage_cli import default_device
from ui2i.errors import ConfigError
from ui2i.files import check_replaceable, sha256_bytes
from ui2i.progress import Progress, no_progress


def measure(
    project: Project,
    names: Sequence[str],
    *,
    num_latents: int | None = None,
    values_file: Path | None = None,
    progress: Progress = no_progress,
) -> list[Row]:
    """Measure every pair of models (paper, Eq. 1), append the rows and return them. Interrupted, it can be taken up.

    Args:
        names: as tables name models, or .safetensors files; at least two different ones.
        num_latents: None: as `params.yaml` says.
        values_file: Parquet file to make with the distance of every single latent; None: none.

    Raises:
        UI2IError: there is no such model, they cannot be compared, a setting is out of range, or `values_file` is no
            place for a file.
    """
    from ui2i.metrics.model_distance import model_distances
    from ui2i.perceptual import load_perceptual
    from ui2i.tables import DISTANCE_SCHEMA, LATENT_DISTANCE_SCHEMA, append_rows, has_schema, write_table

    if len(set(names)) < max(2, len(names)):
        raise ConfigError(f"the models are {', '.join(names)}, expected at least two different ones; name another")
    if values_file is not None:
        check_replaceable(values_file, ".parquet", lambda path: has_schema(path, LATENT_DISTANCE_SCHEMA))
    params, device = load_params(project), default_device()
    config = params.distance
    if num_latents is not None:
        config = dataclasses.replace(config, num_latents=num_latents)
    models = {name: named_model(project, params, name, device=device) for name in names}
    perceptual = load_perceptual(params.perceptual, device)
    start = time.perf_counter()
    distances = model_distances(
        {name: model.generator for name, model in models.items()},
        perceptual,
        config,
        progress=progress,
        keep_values=values_file is not None,
        state_file=project.unfinished_distances(f"measured-{sha256_bytes(' '.join(names).encode())[:12]}"),
    )
    seconds = time.perf_counter() - start
    rows = distance_rows(distances, models, config, perceptual, domain="any", device=device, seconds=seconds)
    if values_file is not None:
        write_table(values_file, latent_rows(rows, distances), LATENT_DISTANCE_SCHEMA)
    append_rows(project.measured_distances, rows, DISTANCE_SCHEMA)  # last: what failed is measured again
    return rows
