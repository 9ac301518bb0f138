"""Rows of the distance table: what was measured between two models, and everything that decides the value."""

import dataclasses
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ui2i.files import sha256_file

if TYPE_CHECKING:
    from tasks.models.domain_models import Model
    from ui2i.metrics.model_distance import PairDistance
    from ui2i.perceptual import Perceptual
    from ui2i.settings import DistanceConfig

Row = dict[str, Any]


def distance_rows(
    distances: "Sequence[PairDistance]",
    models: "Mapping[str, Model]",
    config: "DistanceConfig",
    perceptual: "Perceptual",
    *,
    domain: str,
    device: str,
    seconds: float,
) -> list[Row]:
    """Return one row of `DISTANCE_SCHEMA` a pair, all of one run.

    Args:
        models: by the names that `distances` use.
        domain: what the measurement was for.
        seconds: that it took.
    """
    from ui2i.provenance import provenance

    made = provenance(device)
    run = {
        "run_id": uuid.uuid4().hex,
        "measured_at": datetime.now(UTC),
        "domain": domain,
        "seed": config.seed,
        "truncation_psi": config.truncation_psi,
        "noise_mode": config.noise_mode,
        "backbone": perceptual.name,
        "backbone_hash": perceptual.weights_hash,
        "commit": made["commit"],
        "device": device,
        "device_name": made["device_name"],
        "num_models": len(models),
        "seconds": seconds,
        "versions": json.dumps(made["versions"], sort_keys=True),
    }
    return [run | _pair_columns(models[pair.source], models[pair.target], pair) for pair in distances]


def latent_rows(rows: Sequence[Row], distances: "Sequence[PairDistance]") -> list[Row]:
    """Return one row of `LATENT_DISTANCE_SCHEMA` a pair and latent, of distances that kept their values."""
    return [
        {
            "run_id": row["run_id"],
            "source": pair.source,
            "target": pair.target,
            "latent": latent,
            "distance": float(value),
        }
        for row, pair in zip(rows, distances, strict=True)
        for latent, value in enumerate(() if pair.values is None else pair.values)
    ]


def _pair_columns(source: "Model", target: "Model", pair: "PairDistance") -> Row:
    from ui2i.layer_swap import swapped_share

    values = dataclasses.asdict(pair)
    del values["values"]
    network, swap_resolution = target.generator.config, target.card.swap_resolution
    return values | {
        "source_domain": source.domain,
        "target_domain": target.domain,
        "source_mode": source.card.mode,
        "mode": target.card.mode,
        "swap_mode": target.card.swap_mode,
        "swap_resolution": swap_resolution,
        "swapped_share": None if swap_resolution is None else swapped_share(network, swap_resolution),
        "img_resolution": network.img_resolution,
        "source_hash": sha256_file(source.path),
        "target_hash": sha256_file(target.path),
        "source_dataset_hash": source.card.dataset_hash,
        "dataset_hash": target.card.dataset_hash,
    }
