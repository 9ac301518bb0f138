"""The columns of every Parquet table of results: one definition each, with name and version in its metadata.

What a column means is said once, in `ui2i.columns`, and written into every file. Raise the version with every change;
where older files can still be read as the new version, say how in `ui2i.tables.READABLE_VERSIONS`.
"""

from collections.abc import Sequence

import pyarrow as pa

from ui2i.columns import described, required

_TEXT, _INT, _FLOAT = pa.string(), pa.int64(), pa.float64()


def _schema(table: str, version: int, fields: Sequence[pa.Field]) -> pa.Schema:
    return pa.schema(described(table, fields), metadata={"table": table, "schema_version": str(version)})


DISTANCE_SCHEMA = _schema(
    "distance",
    3,
    [
        required("run_id", _TEXT),
        required("measured_at", pa.timestamp("us", tz="UTC")),
        required("domain", _TEXT),
        required("source", _TEXT),
        required("target", _TEXT),
        required("source_domain", _TEXT),
        required("target_domain", _TEXT),
        pa.field("source_mode", _TEXT),
        required("mode", _TEXT),
        pa.field("swap_mode", _TEXT),
        pa.field("swap_resolution", _INT),
        pa.field("swapped_share", _FLOAT),
        required("mean", _FLOAT),
        required("std", _FLOAT),
        required("sem", _FLOAT),
        required("ci95_low", _FLOAT),
        required("ci95_high", _FLOAT),
        required("num_latents", _INT),
        required("seed", _INT),
        required("truncation_psi", _FLOAT),
        required("noise_mode", _TEXT),
        required("latent_space", _TEXT),
        required("backbone", _TEXT),
        required("backbone_hash", _TEXT),
        required("img_resolution", _INT),
        required("source_hash", _TEXT),
        required("target_hash", _TEXT),
        pa.field("source_dataset_hash", _TEXT),
        pa.field("dataset_hash", _TEXT),
        required("commit", _TEXT),
        required("device", _TEXT),
        pa.field("device_name", _TEXT),
        pa.field("num_models", _INT),
        required("seconds", _FLOAT),
        required("versions", _TEXT),
    ],
)

LATENT_DISTANCE_SCHEMA = _schema(
    "latent-distance",
    1,
    [
        required("run_id", _TEXT),
        required("source", _TEXT),
        required("target", _TEXT),
        required("latent", _INT),
        required("distance", _FLOAT),
    ],
)

EVALUATION_SCHEMA = _schema(
    "evaluation",
    3,
    [
        required("run_id", _TEXT),
        required("measured_at", pa.timestamp("us", tz="UTC")),
        required("source_domain", _TEXT),
        required("domain", _TEXT),
        required("system", _TEXT),
        required("inputs", _TEXT),
        pa.field("fid", _FLOAT),
        pa.field("kid", _FLOAT),
        required("fd", _FLOAT),
        pa.field("fd_sem", _FLOAT),
        required("kd", _FLOAT),
        required("lpips_d", _FLOAT),
        required("lpips_d_sem", _FLOAT),
        pa.field("lpips_s", _FLOAT),
        pa.field("lpips_s_sem", _FLOAT),
        required("num_outputs", _INT),
        required("num_pairs", _INT),
        required("num_targets", _INT),
        required("seed", _INT),
        pa.field("truncation_psi", _FLOAT),
        required("img_resolution", _INT),
        required("resizer", _TEXT),
        required("dtype", _TEXT),
        required("backbone", _TEXT),
        required("backbone_hash", _TEXT),
        *(pa.field(name, _TEXT) for name in ("fd_network", "fd_network_hash", "inception", "inception_hash")),
        pa.field("checkpoint_hash", _TEXT),
        pa.field("base_hash", _TEXT),
        required("outputs_hash", _TEXT),
        pa.field("dataset_hash", _TEXT),
        required("commit", _TEXT),
        required("device", _TEXT),
        required("seconds", _FLOAT),
        required("versions", _TEXT),
    ],
)

SWAP_CHOICE_SCHEMA = _schema(
    "swap-choice",
    2,
    [
        required("domain", _TEXT),
        required("variant", _TEXT),
        pa.field("swap_mode", _TEXT),
        pa.field("swap_resolution", _INT),
        pa.field("swapped_share", _FLOAT),
        required("fidelity", _FLOAT),
        required("fidelity_metric", _TEXT),
        required("lpips_s", _FLOAT),
        required("lpips_s_sem", _FLOAT),
        required("is_on_front", pa.bool_()),
        required("is_recommended", pa.bool_()),
        required("num_outputs", _INT),
        required("seed", _INT),
        required("backbone", _TEXT),
        required("backbone_hash", _TEXT),
        required("target_hash", _TEXT),
        required("base_hash", _TEXT),
        required("commit", _TEXT),
    ],
)

PAPER_TABLE_SCHEMA = _schema(
    "paper-table",
    1,
    [
        required("table", _TEXT),
        required("row", _TEXT),
        required("column", _TEXT),
        required("metric", _TEXT),
        required("value", _FLOAT),
        pa.field("sem", _FLOAT),
        pa.field("count", _INT),
        required("origin", _TEXT),
        pa.field("run_id", _TEXT),
    ],
)

TRANSLATION_SCHEMA = _schema(
    "translation",
    4,
    [
        required("index", _INT),
        required("input_path", _TEXT),
        required("input_sha256", _TEXT),
        required("output_file", _TEXT),
        required("method", _TEXT),
        required("domain", _TEXT),
        required("variant", _TEXT),
        required("checkpoint_hash", _TEXT),
        required("base_hash", _TEXT),
        required("seed", _INT),
        required("ssim", _FLOAT),
        required("lpips", _FLOAT),
        required("loss", _FLOAT),
        required("seconds_per_image", _FLOAT),
        required("steps", _INT),
        required("backbone", _TEXT),
        required("commit", _TEXT),
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
    required("base", _TEXT),
    required("base_hash", _TEXT),
    required("kind", _TEXT),
    required("method", _TEXT),
    required("start", _TEXT),
    required("steps", _INT),
    required("learning_rate", _FLOAT),
    required("seed", _INT),
    required("perceptual_loss", _TEXT),
    required("backbone", _TEXT),
    required("backbone_hash", _TEXT),
    pa.field("encoder_hash", _TEXT),
    required("img_resolution", _INT),
    required("commit", _TEXT),
    required("device", _TEXT),
]

INVERTED_SCHEMA = _schema(
    "inverted",
    2,
    [
        required("image", _TEXT),
        required("ssim", _FLOAT),
        required("lpips", _FLOAT),
        required("l2", _FLOAT),
        pa.field("latent_error", _FLOAT),
        required("loss", _FLOAT),
        required("seconds_per_image", _FLOAT),
        *_INVERTED_WITH,
    ],
)

INVERSION_SCHEMA = _schema(
    "inversion",
    2,
    [
        *_INVERTED_WITH,
        required("num_images", _INT),
        *(
            pa.field(f"{measure}{part}", _FLOAT, nullable=measure == "latent_error")
            for measure in ("ssim", "lpips", "l2", "latent_error")
            for part in ("", "_ci95_low", "_ci95_high")
        ),
        required("seconds_per_image", _FLOAT),
    ],
)

STYLE_LAYERS_SCHEMA = _schema(
    "style-layers",
    2,
    [
        required("domain", _TEXT),
        required("variant", _TEXT),
        required("checkpoint_hash", _TEXT),
        required("base_hash", _TEXT),
        required("num_style_layers", _INT),
        required("num_ws", _INT),
        required("num_images", _INT),
        required("num_styles", _INT),
        *(
            required(f"{measure}{part}", _FLOAT)
            for measure in ("lpips_d", "lpips_s")
            for part in ("", "_ci95_low", "_ci95_high")
        ),
        required("method", _TEXT),
        required("seed", _INT),
        required("truncation_psi", _FLOAT),
        required("backbone", _TEXT),
        required("backbone_hash", _TEXT),
        required("commit", _TEXT),
    ],
)

TRUTH_SCHEMA = _schema(
    "truth",
    2,
    [
        required("index", _INT),
        required("input_path", _TEXT),
        required("domain", _TEXT),
        required("variant", _TEXT),
        required("checkpoint_hash", _TEXT),
        required("style", _TEXT),
        required("synthetic_seed", _INT),
        required("synthetic_index", _INT),
        required("metric", _TEXT),
        required("distance", _FLOAT),
        required("copy_distance", _FLOAT),
        required("chance_distance", _FLOAT),
        required("score", _FLOAT),
        required("copy_score", _FLOAT),
        required("num_draws", _INT),
        required("seed", _INT),
        required("backbone", _TEXT),
        required("backbone_hash", _TEXT),
        required("commit", _TEXT),
    ],
)

KEPT_SCHEMA = _schema(
    "kept",
    2,
    [
        required("domain", _TEXT),
        required("variant", _TEXT),
        required("checkpoint_hash", _TEXT),
        required("style", _TEXT),
        required("attribute", _TEXT),
        required("kind", _TEXT),
        required("measure", _TEXT),
        required("agreement", _FLOAT),
        required("ceiling", _FLOAT),
        required("chance", _FLOAT),
        pa.field("kept", _FLOAT),
        pa.field("ci95_low", _FLOAT),
        pa.field("ci95_high", _FLOAT),
        required("skill", _FLOAT),
        required("num_images", _INT),
        required("regressor", _TEXT),
        required("commit", _TEXT),
    ],
)

TRAINING_SCHEMA = _schema(
    "training",
    2,
    [
        required("kimg", _FLOAT),
        required("loss_generator", _FLOAT),
        required("loss_discriminator", _FLOAT),
        required("logits_real", _FLOAT),
        required("logits_fake", _FLOAT),
        pa.field("path_length", _FLOAT),
        pa.field("r1", _FLOAT),
        required("real_sign", _FLOAT),
        pa.field("augment_probability", _FLOAT),
        pa.field("diversity", _FLOAT),
        pa.field("fd", _FLOAT),
        pa.field("kd", _FLOAT),
        required("memory_gib", _FLOAT),
        required("seconds", _FLOAT),
        required("data_seconds", _FLOAT),
        required("images_per_second", _FLOAT),
    ],
)
