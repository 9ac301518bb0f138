"""What each column of the tables means and its unit: for the Parquet files, the docs and `ui2i tables columns`.

A column means the same in every table that has it; where a table means something else, its entry is `table/column`.
"""

from collections.abc import Iterable, Mapping

import pyarrow as pa

DESCRIPTION, UNIT = b"description", b"unit"  # keys of a field's metadata

Meaning = tuple[str, str]  # description, and unit; no unit: text, or a number without one

_LOW = "lower end of the 95 % interval of the mean (Student's t)"
_HIGH = "upper end of the 95 % interval of the mean (Student's t)"

COLUMNS: Mapping[str, Meaning] = {
    # Which run and which models
    "run_id": ("identifies the measurement; all rows of one run share it", ""),
    "measured_at": ("when the run measured", "UTC"),
    "domain": ("domain of the outputs", ""),
    "distance/domain": ("domain whose models are measured", ""),
    "source": ("name of the first generator", ""),
    "target": ("name of the second generator, with its variant: cartoon/FC-FT-LS8", ""),
    "source_domain": ("domain of the inputs", ""),
    "distance/source_domain": ("domain of the first generator", ""),
    "translation/source_domain": ("domain whose model inverted the image; null before version 2", ""),
    "target_domain": ("domain of the second generator", ""),
    "source_mode": ("how the first generator was trained; null before version 2", ""),
    "mode": ("how the second generator was trained: scratch, FT, FC-FT, FC-FT-LS8, ...", ""),
    "variant": ("model of the domain: FT, FC-FT, FC-FT-LS8, ...", ""),
    "system": ("what made the outputs: a variant (FC-FT, FC-FT-LS8), or another system's own name", ""),
    "inputs": ("generated: the base's images of random latents; images: files", ""),
    "swap_mode": ("how layers are swapped: weights, features or blend; null: none are", ""),
    "swap_resolution": ("blocks up to this resolution come from the base; null: no layers swapped", "px"),
    "swapped_share": ("share of the synthesis blocks that were swapped, 0 to 1; null: none were", ""),
    # Values
    "mean": (
        "mean distance between the two generators' images of the same latents (paper, Eq. 1)",
        "perceptual distance",
    ),
    "std": ("standard deviation over single latents", "perceptual distance"),
    "sem": ("standard error of the mean", "perceptual distance"),
    "paper-table/sem": ("standard error of the value; null: not known", "of the metric"),
    "ci95_low": ("lower end of the 95 % interval of the mean", "perceptual distance"),
    "ci95_high": ("upper end of the 95 % interval of the mean", "perceptual distance"),
    "kept/ci95_low": ("lower end of the 95 % interval of kept", ""),
    "kept/ci95_high": ("upper end of the 95 % interval of kept", ""),
    "fid": ("FID on Inception's features; null: its weights were not there", ""),
    "kid": ("KID on Inception's features; null: its weights were not there", ""),
    "fd": ("Frechet distance on the features of fd_network; not an FID", ""),
    "fd_sem": ("bootstrap standard error of fd; null: not measured", ""),
    "training/fd": ("Frechet distance to held-out images, on the features that the card names; null: not measured", ""),
    "kd": ("kernel distance on the features of fd_network; not a KID", ""),
    "training/kd": ("kernel distance to held-out images, as fd; null: not measured", ""),
    "lpips_d": ("diversity: mean distance between random pairs of outputs", "perceptual distance"),
    "style-layers/lpips_d": ("diversity: mean distance between outputs of one input", "perceptual distance"),
    "lpips_d_sem": ("standard error of lpips_d", "perceptual distance"),
    "lpips_d_ci95_low": (_LOW, "perceptual distance"),
    "lpips_d_ci95_high": (_HIGH, "perceptual distance"),
    "lpips_s": (
        "mean distance between outputs and their inputs, lower is more similar; null: no inputs",
        "perceptual distance",
    ),
    "lpips_s_sem": ("standard error of lpips_s", "perceptual distance"),
    "lpips_s_ci95_low": (_LOW, "perceptual distance"),
    "lpips_s_ci95_high": (_HIGH, "perceptual distance"),
    "ssim": ("SSIM between an image and its reconstruction by the base, higher is better", "SSIM"),
    "ssim_ci95_low": (_LOW, "SSIM"),
    "ssim_ci95_high": (_HIGH, "SSIM"),
    "lpips": ("distance between an image and its reconstruction by the base, lower is better", "perceptual distance"),
    "lpips_ci95_low": (_LOW, "perceptual distance"),
    "lpips_ci95_high": (_HIGH, "perceptual distance"),
    "l2": ("mean squared difference between an image and its reconstruction, both in [-1, 1]", ""),
    "l2_ci95_low": (_LOW, ""),
    "l2_ci95_high": (_HIGH, ""),
    "latent_error": ("mean squared difference from the known latent code; null: real images", "variances of w"),
    "latent_error_ci95_low": (_LOW, "variances of w"),
    "latent_error_ci95_high": (_HIGH, "variances of w"),
    "loss": ("the inversion's loss at its end", ""),
    "fidelity": ("distance of outputs to the target domain, lower is better", "of fidelity_metric"),
    "fidelity_metric": ("fid, or fd_<network>", ""),
    "is_on_front": ("no other variant is better in both fidelity and similarity", ""),
    "is_recommended": ("the variant that ui2i choose-swap recommends", ""),
    "distance": ("distance of the translation to its true counterpart", "of the metric"),
    "latent-distance/distance": ("distance between the two generators' images of this latent", "perceptual distance"),
    "copy_distance": ("distance of the input to the true counterpart", "of the metric"),
    "chance_distance": ("mean distance of random images of the domain to the true counterpart", "of the metric"),
    "score": ("1 - distance / chance_distance: 1 is the truth, 0 is chance", ""),
    "copy_score": ("1 - copy_distance / chance_distance: the score of an unchanged input", ""),
    "num_draws": ("random images of the domain behind chance_distance", "images"),
    "style": ("style in which the true counterpart was drawn", ""),
    "kept/style": ("style whose regressor read the images", ""),
    "synthetic_seed": ("seed with which the true counterpart was drawn", ""),
    "synthetic_index": ("index with which the true counterpart was drawn", ""),
    "attribute": ("what is to be kept: an attribute of the drawing", ""),
    "measure": ("how agreement is measured: correlation, mean cosine or accuracy", ""),
    "agreement": ("agreement of the true attribute with the one read from the translation", "of the measure"),
    "ceiling": ("the same agreement, read from the true counterparts", "of the measure"),
    "chance": ("the same agreement, readings shuffled", "of the measure"),
    "kept": ("(agreement - chance) / (ceiling - chance); null: the ceiling is at chance", ""),
    "skill": ("skill of the regressor on held-out drawings, 0 to 1", ""),
    "regressor": ("hash of what made the regressor", ""),
    "kind": ("of images: generated, whose latent codes are known, or real", ""),
    "kept/kind": ("of attribute: number, hue or category", ""),
    # A table of the paper
    "table": ("number of the paper's table: 1, 2 or 3", ""),
    "row": ("row of the table", ""),
    "column": ("column of the table: face2cartoon, ...", ""),
    "metric": ("what is measured; its unit is the value's", ""),
    "truth/metric": ("lpips; ssim: distances are 1 - SSIM; rmse: of images in [-1, 1]", ""),
    "value": ("the value", "of the metric"),
    "count": ("latents or images that the value is a mean of; null: not known", ""),
    "origin": ("measured; or paper: the authors' own value, for their models and images", ""),
    "paper-table/run_id": ("run that the value was taken from; null: the paper", ""),
    # How much was measured
    "num_latents": ("latents that were compared", "latents"),
    "latent": ("position in the stream of latents that the seed gives", ""),
    "num_outputs": ("outputs that were evaluated", "images"),
    "num_pairs": ("pairs of outputs that lpips_d is the mean of", "pairs"),
    "num_targets": ("images of the target domain that outputs are compared with", "images"),
    "num_images": ("images that were measured", "images"),
    "num_models": ("models that were measured together, in `seconds`", "models"),
    "num_styles": ("sampled appearances of each image", ""),
    "num_style_layers": ("style inputs that another latent code replaced", "layers"),
    "num_ws": ("style inputs of the model", "layers"),
    # How it was measured
    "seed": ("seed of latents, pairs or noise", ""),
    "style-layers/seed": ("the k-th appearance, from 1, has seed + k", ""),
    "truth/seed": ("seed of the choice of random images", ""),
    "truncation_psi": ("truncation of the generated images; null: files whose psi is unknown", ""),
    "noise_mode": ("noise inputs of the generators: const, random or none", ""),
    "latent_space": ("space in which latents are shared: z; or w, since the mapping networks are equal", ""),
    "img_resolution": ("edge of the images", "px"),
    "backbone": (
        "network whose features perceptual distances compare: st-alex is ST-LPIPS; alex, vgg and squeeze are LPIPS",
        "",
    ),
    "backbone_hash": ("SHA-256 of the backbone's weights; values with different ones are not comparable", ""),
    "fd_network": ("network whose features fd and kd compare; null: the backbone", ""),
    "fd_network_hash": ("SHA-256 of the weights of fd_network; null: the backbone", ""),
    "perceptual_loss": ("perceptual loss of the inversion", ""),
    "inception": ("package and version of the Inception network; null: no FID", ""),
    "inception_hash": ("SHA-256 of Inception's weights; null: no FID", ""),
    "resizer": ("how files of another size were resized: filter, and framing other than center", ""),
    "dtype": ("precision of the features; statistics are float64", ""),
    "device": ("cpu or cuda", ""),
    "device_name": ("name of the GPU, or the CPU's architecture; null before version 2", ""),
    "seconds": ("time of the whole measurement, without what an interrupted run had done before", "s"),
    "evaluation/seconds": ("time for this system", "s"),
    "training/seconds": ("time since the row before", "s"),
    # Where it comes from
    "source_hash": ("SHA-256 of the first generator's checkpoint", ""),
    "target_hash": ("SHA-256 of the second generator's checkpoint", ""),
    "swap-choice/target_hash": ("SHA-256 of the checkpoint whose layers are swapped", ""),
    "source_dataset_hash": ("hash of the first generator's training images; null: not known", ""),
    "dataset_hash": ("hash of the second generator's training images; null: not known", ""),
    "evaluation/dataset_hash": ("hash of the target images; null: not known", ""),
    "checkpoint_hash": ("SHA-256 of the target generator's checkpoint; null: files", ""),
    "base_hash": ("SHA-256 of the base generator's checkpoint; null: not known", ""),
    "translator_hash": ("SHA-256 of the translator's file", ""),
    "engine": ("what ran the translator: torch or onnxruntime", ""),
    "encoder_hash": ("SHA-256 of the encoder; null: none was needed", ""),
    "outputs_hash": ("hash of the evaluated images", ""),
    "commit": ("commit of the code", ""),
    "versions": ("versions of the packages, as JSON", ""),
    # Images and their inversion
    "index": ("position of the image in the dataset or folder", ""),
    "image": ("path in the dataset, or number of the generated image", ""),
    "input_path": ("path of the input image", ""),
    "input_sha256": ("SHA-256 of the input file", ""),
    "input_width": ("width before framing; null: the image came in memory", "px"),
    "input_height": ("height before framing; null: the image came in memory", "px"),
    "framing": ("how the image was framed: center, fit or face", ""),
    "output_file": ("path of the output, relative to the table", ""),
    "base": ("model that inverted the images", ""),
    "method": ("method of inversion", ""),
    "start": ("where the inversion starts: mean or encoder", ""),
    "steps": ("steps of the inversion", "steps"),
    "learning_rate": ("learning rate of the inversion", ""),
    "settings": ("all settings of the inversion, as JSON", ""),
    "losses": ("the inversion's loss before each step and after the last", ""),
    "seconds_per_image": ("time of the image's batch, per image", "s"),
    "latents/seconds": ("time of the image's batch, per image", "s"),
    "w_dim": ("dimensions of w", ""),
    "ws": ("the latent code: num_ws * w_dim values, layer by layer", ""),
    "noise": ("noise maps, lowest resolution first; null: the generator's own", ""),
    "latent_sha256": ("SHA-256 of the latent code, which latents.parquet holds", ""),
    "reference_path": ("image whose latent code gave the style; null: a sampled one, of `seed`", ""),
    "reference_sha256": ("SHA-256 of the reference image", ""),
    "domain_distance": (
        "distance from the source's training images; 1: 99 % of held-out images are nearer; null: not compared",
        "",
    ),
    "looks_like_source": ("domain_distance is at most 1; null: not compared", ""),
    "domain_reference": ("what domain_distance is measured from: images, or samples of the source; null: nothing", ""),
    "reconstructs_as_source": ("SSIM as of the source's own held-out images; null: not compared", ""),
    "direction": ("semantic direction that was applied, 1 the strongest", ""),
    "strength": ("how far along the direction", "standard deviations of w"),
    "path": ("path of the file", ""),
    "reason": ("why it was rejected", ""),
    "size_bytes": ("size of the file", "bytes"),
    "sha256": ("SHA-256 of the file; null: its bytes were not read", ""),
    # Images of a dataset
    "id": ("position of the image in the dataset, as in the shards", ""),
    "part": ("which of the images that were cut from one file", ""),
    "width": ("width of the upright image; null: it was not decoded", "px"),
    "height": ("height of the upright image; null: it was not decoded", "px"),
    "duplicate_of": ("path of the image that was kept instead", ""),
    "phash": ("perceptual hash", ""),
    "thumbnail": ("mean colours of 16 x 16 cells, row by row", "levels of 255"),
    "file_format": ("format as Pillow names it; empty: not decoded", ""),
    "details/mode": ("pixel mode of the source as Pillow names it", ""),
    "rejects/mode": ("pixel mode of the source as Pillow names it; empty: not decoded", ""),
    "detail": ("the reason in a sentence", ""),
    "level_sums": ("sums of red, green and blue over all pixels", "levels of 0 to 255"),
    "level_squares": ("sums of the squares of red, green and blue over all pixels", "squared levels"),
    "corners": ("x and y of the four corners, from top left clockwise; null: the square was not turned", "px"),
    # Training
    "kimg": ("real images shown so far", "thousand images"),
    "loss_generator": ("generator loss", ""),
    "loss_discriminator": ("discriminator loss", ""),
    "logits_real": ("mean logit of real images", ""),
    "logits_fake": ("mean logit of generated images", ""),
    "path_length": ("path length; null: not computed since the row before", ""),
    "r1": ("R1 penalty; null: not computed since the row before", ""),
    "real_sign": ("mean sign of the logits of real images, r_t of adaptive augmentation", ""),
    "augment_probability": ("probability of augmentation; null: no adaptive augmentation", ""),
    "diversity": ("standard deviation over samples, mean over pixels in [-1, 1]; null: no snapshot in this row", ""),
    "memory_gib": ("peak memory so far", "GiB"),
    "data_seconds": ("time spent waiting for images since the row before", "s"),
    "images_per_second": ("training speed", "images/s"),
}


def required(name: str, kind: pa.DataType) -> pa.Field:
    """Return a column that has a value in every row."""
    return pa.field(name, kind, nullable=False)


def described(table: str, fields: Iterable[pa.Field], meanings: Mapping[str, Meaning] = COLUMNS) -> list[pa.Field]:
    """Return the fields with description and unit in their metadata, which the Parquet files then carry.

    Args:
        table: name of the table, for columns that mean something else in it.
        meanings: by `column` or `table/column`.
    """
    return [_described(field, *meanings.get(f"{table}/{field.name}", meanings[field.name])) for field in fields]


def meaning(field: pa.Field) -> Meaning:
    """Return a field's description and unit; both are empty in files of older versions."""
    metadata = field.metadata or {}
    return metadata.get(DESCRIPTION, b"").decode(), metadata.get(UNIT, b"").decode()


def _described(field: pa.Field, description: str, unit: str) -> pa.Field:
    return field.with_metadata({DESCRIPTION: description.encode()} | ({UNIT: unit.encode()} if unit else {}))
