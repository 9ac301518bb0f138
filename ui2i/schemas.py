"""The columns of every Parquet table of results: one definition each, with name and version in its metadata.

Raise the version with every change; where older files can still be read as the new version, say how in
`ui2i.tables.READABLE_VERSIONS`.
"""

from collections.abc import Sequence

import pyarrow as pa

_TEXT, _INT, _FLOAT = pa.string(), pa.int64(), pa.float64()


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _schema(table: str, version: int, fields: Sequence[pa.Field]) -> pa.Schema:
    return pa.schema(fields, metadata={"table": table, "schema_version": str(version)})


DISTANCE_SCHEMA = _schema(
    "distance",
    3,
    [
        _required("run_id", _TEXT),
        _required("measured_at", pa.timestamp("us", tz="UTC")),
        _required("domain", _TEXT),
        _required("source", _TEXT),  # name of the first generator
        _required("target", _TEXT),  # name of the second, with its variant: cartoon/FC-FT-LS8
        _required("source_domain", _TEXT),
        _required("target_domain", _TEXT),
        pa.field("source_mode", _TEXT),  # null: measured before version 2, likewise below
        _required("mode", _TEXT),  # of the target: scratch, FT, FC-FT, FC-FT-LS8, ...
        pa.field("swap_mode", _TEXT),  # weights or blend; null: no layers swapped
        pa.field("swap_resolution", _INT),  # pixels; null: no layers swapped
        pa.field("swapped_share", _FLOAT),  # of the synthesis blocks, 0 to 1; null: no layers swapped
        _required("mean", _FLOAT),  # LPIPS (paper, Eq. 1)
        _required("std", _FLOAT),  # of single latents
        _required("sem", _FLOAT),
        _required("ci95_low", _FLOAT),
        _required("ci95_high", _FLOAT),
        _required("num_latents", _INT),
        _required("seed", _INT),
        _required("truncation_psi", _FLOAT),
        _required("noise_mode", _TEXT),
        _required("latent_space", _TEXT),  # z; or w: the mapping networks are equal, so w was shared too
        _required("backbone", _TEXT),
        _required("backbone_hash", _TEXT),
        _required("img_resolution", _INT),  # pixels
        _required("source_hash", _TEXT),  # sha256 of the checkpoint
        _required("target_hash", _TEXT),
        pa.field("source_dataset_hash", _TEXT),  # of the source's training images; null: not known
        pa.field("dataset_hash", _TEXT),  # of the target's
        _required("commit", _TEXT),
        _required("device", _TEXT),
        pa.field("device_name", _TEXT),
        pa.field("num_models", _INT),  # measured together, in `seconds`
        _required("seconds", _FLOAT),  # for the whole measurement, without what an interrupted one had done before
        _required("versions", _TEXT),  # JSON: package -> version
    ],
)

LATENT_DISTANCE_SCHEMA = _schema(
    "latent-distance",
    1,
    [
        _required("run_id", _TEXT),  # of the distance table
        _required("source", _TEXT),
        _required("target", _TEXT),
        _required("latent", _INT),  # place in the stream of latents that the seed gives
        _required("distance", _FLOAT),  # LPIPS between the two images of this latent
    ],
)

EVALUATION_SCHEMA = _schema(
    "evaluation",
    2,
    [
        _required("run_id", _TEXT),
        _required("measured_at", pa.timestamp("us", tz="UTC")),
        _required("source_domain", _TEXT),  # of the inputs
        _required("domain", _TEXT),  # of the outputs
        _required("system", _TEXT),  # FC-FT, FC-FT-LS8, ..., or what other systems call themselves
        _required("inputs", _TEXT),  # generated: the base's images of random latents; images: files
        pa.field("fid", _FLOAT),  # on Inception's features; null: its weights are not there
        pa.field("kid", _FLOAT),  # likewise
        _required("fd", _FLOAT),  # Frechet distance on the backbone's features: no FID
        _required("kd", _FLOAT),  # kernel distance, likewise
        _required("lpips_d", _FLOAT),  # between random pairs of outputs: diversity
        _required("lpips_d_sem", _FLOAT),
        pa.field("lpips_s", _FLOAT),  # between outputs and their inputs: similarity; null: there were no inputs
        pa.field("lpips_s_sem", _FLOAT),
        _required("num_outputs", _INT),
        _required("num_pairs", _INT),  # of which lpips_d is the mean
        _required("num_targets", _INT),
        _required("seed", _INT),  # of the latents and pairs
        pa.field("truncation_psi", _FLOAT),  # null: files, of which it is not known
        _required("img_resolution", _INT),  # pixels
        _required("resizer", _TEXT),  # of files that are no squares of the size: filter, and framing other than center
        _required("dtype", _TEXT),  # in which features are computed; statistics are float64
        _required("backbone", _TEXT),
        _required("backbone_hash", _TEXT),
        pa.field("inception", _TEXT),  # package and version whose network it is; null: no FID
        pa.field("inception_hash", _TEXT),
        pa.field("checkpoint_hash", _TEXT),  # of the generator; null: files
        pa.field("base_hash", _TEXT),
        _required("outputs_hash", _TEXT),  # of the evaluated images
        pa.field("dataset_hash", _TEXT),  # of the target images
        _required("commit", _TEXT),
        _required("device", _TEXT),
        _required("seconds", _FLOAT),  # for this system
        _required("versions", _TEXT),  # JSON: package -> version
    ],
)

SWAP_CHOICE_SCHEMA = _schema(
    "swap-choice",
    2,
    [
        _required("domain", _TEXT),
        _required("variant", _TEXT),  # FC-FT, FC-FT-LS8-weights, ...
        pa.field("swap_mode", _TEXT),  # weights, features or blend; null: no layers swapped
        pa.field("swap_resolution", _INT),  # pixels
        pa.field("swapped_share", _FLOAT),  # of the synthesis blocks
        _required("fidelity", _FLOAT),  # lower is better
        _required("fidelity_metric", _TEXT),  # fid, or fd_<backbone>
        _required("lpips_s", _FLOAT),  # lower is more similar to the input
        _required("lpips_s_sem", _FLOAT),
        _required("is_on_front", pa.bool_()),  # no other variant is better in both
        _required("is_recommended", pa.bool_()),
        _required("num_outputs", _INT),
        _required("seed", _INT),
        _required("backbone", _TEXT),
        _required("backbone_hash", _TEXT),
        _required("target_hash", _TEXT),  # of the checkpoint whose layers are swapped
        _required("base_hash", _TEXT),
        _required("commit", _TEXT),
    ],
)

PAPER_TABLE_SCHEMA = _schema(
    "paper-table",
    1,
    [
        _required("table", _TEXT),  # 1, 2 or 3
        _required("row", _TEXT),
        _required("column", _TEXT),  # face2cartoon, ...
        _required("metric", _TEXT),
        _required("value", _FLOAT),
        pa.field("sem", _FLOAT),
        pa.field("count", _INT),  # of latents or images
        _required("origin", _TEXT),  # measured; or paper: the authors' own value, of their models and images
        pa.field("run_id", _TEXT),  # in the table it was taken from
    ],
)

TRANSLATION_SCHEMA = _schema(
    "translation",
    4,
    [
        _required("index", _INT),  # of the image in the dataset or folder
        _required("input_path", _TEXT),
        _required("input_sha256", _TEXT),
        _required("output_file", _TEXT),  # relative to the table
        _required("method", _TEXT),  # of inversion
        _required("domain", _TEXT),
        _required("variant", _TEXT),  # FT, FC-FT, FC-FT-LS8, ...
        _required("checkpoint_hash", _TEXT),  # of the target generator
        _required("base_hash", _TEXT),  # of the generator that the image was inverted with
        _required("seed", _INT),
        _required("ssim", _FLOAT),  # between the image and its reconstruction by the base
        _required("lpips", _FLOAT),
        _required("loss", _FLOAT),
        _required("seconds_per_image", _FLOAT),
        _required("steps", _INT),
        _required("backbone", _TEXT),
        _required("commit", _TEXT),
        # Since version 2; in tables of version 1 they are null.
        pa.field("source_domain", _TEXT),  # whose model inverted the image
        pa.field("start", _TEXT),  # of the inversion: mean, encoder
        pa.field("encoder_hash", _TEXT),  # sha256 of the encoder; null: none was needed, likewise below
        pa.field("backbone_hash", _TEXT),
        pa.field("latent_sha256", _TEXT),  # of the image's latent code, which latents.parquet holds
        pa.field("input_width", _INT),  # pixels, before the image was framed; null: it came in memory
        pa.field("input_height", _INT),
        pa.field("framing", _TEXT),  # center, fit, face
        pa.field("truncation_psi", _FLOAT),  # of the translation
        pa.field("num_style_layers", _INT),  # that another latent code took over
        pa.field("reference_path", _TEXT),  # image whose latent code that was; null: a sampled one, of `seed`
        pa.field("reference_sha256", _TEXT),
        pa.field("direction", _INT),  # semantic direction, 1 the strongest
        pa.field("strength", _FLOAT),  # along it, in standard deviations of w
        # Since version 4; null: not compared.
        pa.field("domain_distance", _FLOAT),  # from the source's training images; 1: 99 % of held-out ones are nearer
        pa.field("looks_like_source", pa.bool_()),  # it is at most 1
        pa.field("domain_reference", _TEXT),  # images, or samples of the source, which vary less
        pa.field("reconstructs_as_source", pa.bool_()),  # SSIM as of the source's own held-out images
    ],
)

_INVERTED_WITH = [
    _required("base", _TEXT),
    _required("base_hash", _TEXT),  # sha256 of the generator's checkpoint
    _required("kind", _TEXT),  # of images: generated, whose latent codes are known; real
    _required("method", _TEXT),  # of inversion
    _required("start", _TEXT),  # mean, encoder
    _required("steps", _INT),
    _required("learning_rate", _FLOAT),
    _required("seed", _INT),
    _required("perceptual_loss", _TEXT),
    _required("backbone", _TEXT),
    _required("backbone_hash", _TEXT),
    pa.field("encoder_hash", _TEXT),  # sha256; null: none was needed
    _required("img_resolution", _INT),  # pixels
    _required("commit", _TEXT),
    _required("device", _TEXT),
]

INVERTED_SCHEMA = _schema(
    "inverted",
    2,
    [
        _required("image", _TEXT),  # path in the dataset, or number of the generated image
        _required("ssim", _FLOAT),  # between image and reconstruction
        _required("lpips", _FLOAT),
        _required("l2", _FLOAT),  # mean squared difference of images in [-1, 1]
        pa.field("latent_error", _FLOAT),  # mean squared difference from the known latent code, in variances of w
        _required("loss", _FLOAT),
        _required("seconds_per_image", _FLOAT),  # of its batch
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
            pa.field(
                f"{measure}{part}", _FLOAT, nullable=measure == "latent_error"
            )  # latent_error: null for real images
            for measure in ("ssim", "lpips", "l2", "latent_error")
            for part in ("", "_ci95_low", "_ci95_high")  # mean, and its 95 % interval (Student's t)
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
        _required("num_ws", _INT),  # style inputs of the model
        _required("num_images", _INT),
        _required("num_styles", _INT),  # of each image
        *(
            _required(f"{measure}{part}", _FLOAT)
            for measure in ("lpips_d", "lpips_s")  # between outputs of one input; between an output and its input
            for part in ("", "_ci95_low", "_ci95_high")  # mean over inputs, and its 95 % interval (Student's t)
        ),
        _required("method", _TEXT),  # of inversion
        _required("seed", _INT),  # the k-th style, from 1, has seed + k
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
        _required("index", _INT),  # as in the translations' table, likewise up to checkpoint_hash
        _required("input_path", _TEXT),
        _required("domain", _TEXT),
        _required("variant", _TEXT),
        _required("checkpoint_hash", _TEXT),
        _required("style", _TEXT),  # in which the counterpart was drawn, from
        _required("synthetic_seed", _INT),
        _required("synthetic_index", _INT),
        _required("metric", _TEXT),  # lpips; ssim: distances are 1 - SSIM; rmse: of images in [-1, 1]
        _required("distance", _FLOAT),  # of the translation to its true counterpart
        _required("copy_distance", _FLOAT),  # of the input to it
        _required("chance_distance", _FLOAT),  # of random images of the domain to it, their mean
        _required("score", _FLOAT),  # 1 - distance / chance_distance
        _required("copy_score", _FLOAT),
        _required("num_draws", _INT),  # random images
        _required("seed", _INT),  # of their choice
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
        _required("style", _TEXT),  # whose regressor read the images
        _required("attribute", _TEXT),
        _required("kind", _TEXT),  # number, hue, category
        _required("measure", _TEXT),  # correlation, mean cosine, accuracy
        _required("agreement", _FLOAT),  # between the true attribute and the one read from the translation
        _required("ceiling", _FLOAT),  # the same, read from the true counterparts
        _required("chance", _FLOAT),  # the same, readings shuffled
        pa.field("kept", _FLOAT),  # (agreement - chance) / (ceiling - chance); null: the ceiling is at chance
        pa.field("ci95_low", _FLOAT),  # of kept
        pa.field("ci95_high", _FLOAT),
        _required("skill", _FLOAT),  # of the regressor on held-out drawings: 0 to 1
        _required("num_images", _INT),
        _required("regressor", _TEXT),  # hash of what made it
        _required("commit", _TEXT),
    ],
)

TRAINING_SCHEMA = _schema(
    "training",
    2,
    [
        _required("kimg", _FLOAT),  # thousands of real images shown so far
        _required("loss_generator", _FLOAT),
        _required("loss_discriminator", _FLOAT),
        _required("logits_real", _FLOAT),
        _required("logits_fake", _FLOAT),
        pa.field("path_length", _FLOAT),  # null: not computed since the row before
        pa.field("r1", _FLOAT),  # null: not computed since the row before
        _required("real_sign", _FLOAT),  # mean sign of the logits of real images, the r_t of adaptive augmentation
        pa.field("augment_probability", _FLOAT),  # null: no adaptive augmentation
        pa.field("diversity", _FLOAT),  # how much samples differ from each other; null: no snapshot in this row
        pa.field("fd", _FLOAT),  # Frechet distance to held-out images, see the card; null: not measured
        pa.field("kd", _FLOAT),  # kernel distance, likewise
        _required("memory_gib", _FLOAT),  # the most so far
        _required("seconds", _FLOAT),  # since the row before
        _required("data_seconds", _FLOAT),  # of these, waiting for images
        _required("images_per_second", _FLOAT),
    ],
)
