"""The columns of every Parquet table of results: one definition each, with name and version in its metadata.

What a column means is said once, in `ui2i.columns`, and written into every file. Raise the version with every change;
where older files can still be read as the new version, say how in `ui2i.tables.READABLE_VERSIONS`.
"""

from collections.abc import Sequence

import pyarrow as pa

from ui2i.columns import described

_TEXT, _INT, _FLOAT = pa.string(), pa.int64(), pa.float64()


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _schema(table: str, version: int, fields: Sequence[pa.Field]) -> pa.Schema:
    return pa.schema(described(table, fields), metadata={"table": table, "schema_version": str(version)})


DISTANCE_SCHEMA = _schema(
    "distance",
    3,
    [
        _required("run_id", _TEXT),
        _required("measured_at", pa.timestamp("us", tz="UTC")),
        _required("domain", _TEXT),
        _required("source", _TEXT),
        _required("target", _TEXT),
        _required("source_domain", _TEXT),
        _required("target_domain", _TEXT),
        pa.field("source_mode", _TEXT),
        _required("mode", _TEXT),
        pa.field("swap_mode", _TEXT),
        pa.field("swap_resolution", _INT),
        pa.field("swapped_share", _FLOAT),
        _required("mean", _FLOAT),
        _required("std", _FLOAT),
        _required("sem", _FLOAT),
        _required("ci95_low", _FLOAT),
        _required("ci95_high", _FLOAT),
        _required("num_latents", _INT),
        _required("seed", _INT),
        _required("truncation_psi", _FLOAT),
        _required("noise_mode", _TEXT),
        _required("latent_space", _TEXT),
        _required("backbone", _TEXT),
        _required("backbone_hash", _TEXT),
        _required("img_resolution", _INT),
        _required("source_hash", _TEXT),
        _required("target_hash", _TEXT),
        pa.field("source_dataset_hash", _TEXT),
        pa.field("dataset_hash", _TEXT),
        _required("commit", _TEXT),
        _required("device", _TEXT),
        pa.field("device_name", _TEXT),
        pa.field("num_models", _INT),
        _required("seconds", _FLOAT),
        _required("versions", _TEXT),
    ],
)

LATENT_DISTANCE_SCHEMA = _schema(
    "latent-distance",
    1,
    [
        _required("run_id", _TEXT),
        _required("source", _TEXT),
        _required("target", _TEXT),
        _required("latent", _INT),
        _required("distance", _FLOAT),
    ],
)

EVALUATION_SCHEMA = _schema(
    "evaluation",
    3,
    [
        _required("run_id", _TEXT),
        _required("measured_at", pa.timestamp("us", tz="UTC")),
        _required("source_domain", _TEXT),
        _required("domain", _TEXT),
        _required("system", _TEXT),
        _required("inputs", _TEXT),
        pa.field("fid", _FLOAT),
        pa.field("kid", _FLOAT),
        _required("fd", _FLOAT),
        pa.field("fd_sem", _FLOAT),
        _required("kd", _FLOAT),
        _required("lpips_d", _FLOAT),
        _required("lpips_d_sem", _FLOAT),
        pa.field("lpips_s", _FLOAT),
        pa.field("lpips_s_sem", _FLOAT),
        _required("num_outputs", _INT),
        _required("num_pairs", _INT),
        _required("num_targets", _INT),
        _required("seed", _INT),
        pa.field("truncation_psi", _FLOAT),
        _required("img_resolution", _INT),
        _required("resizer", _TEXT),
        _required("dtype", _TEXT),
        _required("backbone", _TEXT),
        _required("backbone_hash", _TEXT),
        *(pa.field(name, _TEXT) for name in ("fd_network", "fd_network_hash", "inception", "inception_hash")),
        pa.field("checkpoint_hash", _TEXT),
        pa.field("base_hash", _TEXT),
        _required("outputs_hash", _TEXT),
        pa.field("dataset_hash", _TEXT),
        _required("commit", _TEXT),
        _required("device", _TEXT),
        _required("seconds", _FLOAT),
        _required("versions", _TEXT),
    ],
)

SWAP_CHOICE_SCHEMA = _schema(
    "swap-choice",
    2,
    [
        _required("domain", _TEXT),
        _required("variant", _TEXT),
        pa.field("swap_mode", _TEXT),
        pa.field("swap_resolution", _INT),
        pa.field("swapped_share", _FLOAT),
        _required("fidelity", _FLOAT),
        _required("fidelity_metric", _TEXT),
        _required("lpips_s", _FLOAT),
        _required("lpips_s_sem", _FLOAT),
        _required("is_on_front", pa.bool_()),
        _required("is_recommended", pa.bool_()),
        _required("num_outputs", _INT),
        _required("seed", _INT),
        _required("backbone", _TEXT),
        _required("backbone_hash", _TEXT),
        _required("target_hash", _TEXT),
        _required("base_hash", _TEXT),
        _required("commit", _TEXT),
    ],
)

PAPER_TABLE_SCHEMA = _schema(
    "paper-table",
    1,
    [
        _required("table", _TEXT),
        _required("row", _TEXT),
        _required("column", _TEXT),
        _required("metric", _TEXT),
        _required("value", _FLOAT),
        pa.field("sem", _FLOAT),
        pa.field("count", _INT),
        _required("origin", _TEXT),
        pa.field("run_id", _TEXT),
    ],
)

TRANSLATION_SCHEMA = _schema(
    "translation",
    4,
    [
        _required("index", _INT),
        _required("input_path", _TEXT),
        _required("input_sha256", _TEXT),
        _required("output_file", _TEXT),
        _required("method", _TEXT),
        _required("domain", _TEXT),
        _required("variant", _TEXT),
        _required("checkpoint_hash", _TEXT),
        _required("base_hash", _TEXT),
        _required("seed", _INT),
        _required("ssim", _FLOAT),
        _required("lpips", _FLOAT),
        _required("loss", _FLOAT),
        _required("seconds_per_image", _FLOAT),
        _required("steps", _INT),
        _required("backbone", _TEXT),
        _required("commit", _TEXT),
        # Since version 2; in tables of version 1 they are null.
        pa.field("source_domain", _TEXT),
        pa.field("start", _TEXT),
        pa.field("encoder_hash", _TEXT),
        pa.field("backbone_hash", _TEXT),
        pa.field("latent_sha256", _TEXT),
        pa.field("input_width", _INT),
        pa.field("input_height", _INT),
        pa.field("framing", _TEXT),
        pa.field("truncation_psi", _FLOAT),
        pa.field("num_style_layers", _INT),
        pa.field("reference_path", _TEXT),
        pa.field("reference_sha256", _TEXT),
        pa.field("direction", _INT),
        pa.field("strength", _FLOAT),
        # Since version 4.
        pa.field("domain_distance", _FLOAT),
        pa.field("looks_like_source", pa.bool_()),
        pa.field("domain_reference", _TEXT),
        pa.field("reconstructs_as_source", pa.bool_()),
    ],
)

_INVERTED_WITH = [
    _required("base", _TEXT),
    _required("base_hash", _TEXT),
    _required("kind", _TEXT),
    _required("method", _TEXT),
    _required("start", _TEXT),
    _required("steps", _INT),
    _required("learning_rate", _FLOAT),
    _required("seed", _INT),
    _required("perceptual_loss", _TEXT),
    _required("backbone", _TEXT),
    _required("backbone_hash", _TEXT),
    pa.field("encoder_hash", _TEXT),
    _required("img_resolution", _INT),
    _required("commit", _TEXT),
    _required("device", _TEXT),
]

INVERTED_SCHEMA = _schema(
    "inverted",
    2,
    [
        _required("image", _TEXT),
        _required("ssim", _FLOAT),
        _required("lpips", _FLOAT),
        _required("l2", _FLOAT),
        pa.field("latent_error", _FLOAT),
        _required("loss", _FLOAT),
        _required("seconds_per_image", _FLOAT),
        *_INVERTED_WITH,
    ],
)

INVERSION_SCHEMA = _schema(
    "inversion",
    2,
    [
        *_INVERTED_WITH,
        _required("num_images", _INT),
        *(
            pa.field(f"{measure}{part}", _FLOAT, nullable=measure == "latent_error")
            for measure in ("ssim", "lpips", "l2", "latent_error")
            for part in ("", "_ci95_low", "_ci95_high")
        ),
        _required("seconds_per_image", _FLOAT),
    ],
)

STYLE_LAYERS_SCHEMA = _schema(
    "style-layers",
    2,
    [
        _required("domain", _TEXT),
        _required("variant", _TEXT),
        _required("checkpoint_hash", _TEXT),
        _required("base_hash", _TEXT),
        _required("num_style_layers", _INT),
        _required("num_ws", _INT),
        _required("num_images", _INT),
        _required("num_styles", _INT),
        *(
            _required(f"{measure}{part}", _FLOAT)
            for measure in ("lpips_d", "lpips_s")
            for part in ("", "_ci95_low", "_ci95_high")
        ),
        _required("method", _TEXT),
        _required("seed", _INT),
        _required("truncation_psi", _FLOAT),
        _required("backbone", _TEXT),
        _required("backbone_hash", _TEXT),
        _required("commit", _TEXT),
    ],
)

TRUTH_SCHEMA = _schema(
    "truth",
    2,
    [
        _required("index", _INT),
        _required("input_path", _TEXT),
        _required("domain", _TEXT),
        _required("variant", _TEXT),
        _required("checkpoint_hash", _TEXT),
        _required("style", _TEXT),
        _required("synthetic_seed", _INT),
        _required("synthetic_index", _INT),
        _required("metric", _TEXT),
        _required("distance", _FLOAT),
        _required("copy_distance", _FLOAT),
        _required("chance_distance", _FLOAT),
        _required("score", _FLOAT),
        _required("copy_score", _FLOAT),
        _required("num_draws", _INT),
        _required("seed", _INT),
        _required("backbone", _TEXT),
        _required("backbone_hash", _TEXT),
        _required("commit", _TEXT),
    ],
)

KEPT_SCHEMA = _schema(
    "kept",
    2,
    [
        _required("domain", _TEXT),
        _required("variant", _TEXT),
        _required("checkpoint_hash", _TEXT),
        _required("style", _TEXT),
        _required("attribute", _TEXT),
        _required("kind", _TEXT),
        _required("measure", _TEXT),
        _required("agreement", _FLOAT),
        _required("ceiling", _FLOAT),
        _required("chance", _FLOAT),
        pa.field("kept", _FLOAT),
        pa.field("ci95_low", _FLOAT),
        pa.field("ci95_high", _FLOAT),
        _required("skill", _FLOAT),
        _required("num_images", _INT),
        _required("regressor", _TEXT),
        _required("commit", _TEXT),
    ],
)

TRAINING_SCHEMA = _schema(
    "training",
    2,
    [
        _required("kimg", _FLOAT),
        _required("loss_generator", _FLOAT),
        _required("loss_discriminator", _FLOAT),
        _required("logits_real", _FLOAT),
        _required("logits_fake", _FLOAT),
        pa.field("path_length", _FLOAT),
        pa.field("r1", _FLOAT),
        _required("real_sign", _FLOAT),
        pa.field("augment_probability", _FLOAT),
        pa.field("diversity", _FLOAT),
        pa.field("fd", _FLOAT),
        pa.field("kd", _FLOAT),
        _required("memory_gib", _FLOAT),
        _required("seconds", _FLOAT),
        _required("data_seconds", _FLOAT),
        _required("images_per_second", _FLOAT),
    ],
)
