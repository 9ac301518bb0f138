"""The settings of each part of the library. The defaults are the paper's, or StyleGAN2's where it is silent."""

from typing import Annotated, Literal

from PIL import ImageColor
from pydantic import AfterValidator, Field

from ui2i.settings.bounds import (
    Count,
    CountOrNone,
    ImageResolution,
    Positive,
    Resolution,
    Sample,
    Seed,
    Share,
    ShareBelowOne,
    Truncation,
    Weight,
    Whole,
)
from ui2i.settings.validation import Expected, dataclass

NoiseMode = Literal["const", "random", "none"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Augmentation = Literal["none", "ada", "diffaugment"]
BackboneName = Literal["st-alex", "alex", "vgg", "squeeze", "random"]
InversionMethod = Literal[
    "closed_form", "closed_form_mapping", "directions", "w", "w_plus", "closed_form_plus", "encoder", "in_domain"
]
Framing = Literal["center", "fit", "face"]
Resampling = Literal["lanczos", "bicubic", "box"]


def _check_colour(name: str) -> str:
    try:
        ImageColor.getrgb(name)
    except ValueError:
        raise Expected('a colour such as white or "#808080"; correct it') from None
    return name


Colour = Annotated[str, AfterValidator(_check_colour)]


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Architecture of a StyleGAN2 generator and its discriminator (config F by default).

    Layers at resolution r have `min(channel_base // r, channel_max)` channels.
    """

    img_resolution: ImageResolution = 256  # pixels
    z_dim: Count = 512
    w_dim: Count = 512
    num_mapping_layers: Count = 8
    mapping_lr_multiplier: Positive = 0.01
    channel_base: Count = 32768
    channel_max: Count = 512
    use_noise: bool = True  # False: no per-pixel noise inputs; their strengths stay 0
    conv_clamp: Positive | None = None  # None: activations are not clamped
    mbstd_group_size: Count = 4  # images per minibatch-stddev group

    def num_channels(self, resolution: int) -> int:
        """Width of the layers at `resolution` pixels."""
        return max(1, min(self.channel_base // resolution, self.channel_max))

    @property
    def block_resolutions(self) -> tuple[int, ...]:
        """Resolutions of the synthesis blocks, 4 first."""
        return tuple(2**k for k in range(2, self.img_resolution.bit_length()))

    @property
    def noise_resolutions(self) -> tuple[int, ...]:
        """Resolutions of the noise maps, one for each convolution: at 4 px one, at others two."""
        return (4, *(resolution for resolution in self.block_resolutions[1:] for _ in range(2)))

    @property
    def num_ws(self) -> int:
        """Number of style inputs of the synthesis network: 2 log2(resolution) - 2."""
        return 2 * len(self.block_resolutions)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings of StyleGAN2 training and fine-tuning (paper, section IV-B)."""

    total_kimg: Positive = 192.0  # thousands of real images shown; the paper's 12 000 iterations of 16
    batch_size: Count = 16
    learning_rate: Positive = 0.002
    adam_beta2: ShareBelowOne = 0.99
    r1_gamma: Weight = 10.0
    r1_interval: Count = 16  # discriminator steps between R1 penalties (lazy regularisation)
    path_length_weight: Weight = 2.0
    path_length_interval: CountOrNone = 4  # generator steps between path-length penalties; 0 = off
    path_length_batch_shrink: Count = 2
    path_length_decay: Share = 0.01
    style_mixing_prob: Share = 0.9
    ema_half_life_kimg: Positive = 10.0
    ema_rampup: Positive | None = None  # cap the half-life at this share of the images seen; None: no cap
    freeze_mapping: bool = False  # freeze-FC: freeze the mapping network (paper, section III-A)
    # Freeze the synthesis blocks from 4 px up to this resolution (FreezeG); None: freeze none.
    freeze_generator_resolution: Resolution | None = None
    # Freeze the discriminator blocks from the image down to this resolution (FreezeD, arXiv 2002.10964).
    freeze_discriminator_resolution: Resolution | None = None
    mirror: bool | None = None  # show each image and its mirror image; None: unless the images all look one way
    augment: Augmentation = "none"  # of what the discriminator sees (arXiv 2006.06676, 2006.10738)
    ada_target: Annotated[float, Field(ge=-1, le=1)] = 0.6  # of r_t, the mean sign of the logits of real images
    ada_speed_kimg: Positive = 500.0  # thousands of images in which the probability can rise from 0 to 1
    ada_interval: Count = 4  # steps between adjustments of the probability
    precision: Precision = "auto"  # of activations; auto: bf16 where the device computes it natively, else fp32
    num_micro_batches: CountOrNone = 1  # micro-batches per batch, to save memory; 0: as few as fit
    snapshot_kimg: Positive = 4.0  # thousands of images between resumable states and sample grids
    evaluation_kimg: Positive | None = None  # thousands of images between measurements on held-out images; None: never
    evaluation_images: Sample = 2000  # generated for each measurement
    patience: Count | None = None  # measurements without improvement before training stops and returns to the best
    seed: Seed = 0

    @property
    def num_steps(self) -> int:
        """Number of batches in which `total_kimg` are shown, at least one."""
        return max(1, -(-round(self.total_kimg * 1000) // self.batch_size))

    def __post_init__(self) -> None:
        if self.patience is not None and self.evaluation_kimg is None:
            raise Expected(
                "measurements to wait for; set both", came=f"patience is {self.patience} without evaluation_kimg"
            )


@dataclass(frozen=True, kw_only=True)
class PerceptualConfig:
    """Which network measures distances between images, and where its backbone comes from."""

    # st-alex: ST-LPIPS, which a package brings along; alex, vgg, squeeze: LPIPS; random: an untrained squeeze.
    backbone: BackboneName = "st-alex"
    # File with the weights of alex, vgg or squeeze; None: torchvision's cache, then its download.
    weights: str | None = None
    name: str | None = None  # the backbone's name in tables; None: derived from `backbone` or the file's name


@dataclass(frozen=True, kw_only=True)
class DistanceConfig:
    """Protocol of the model distance (paper, Eq. 1)."""

    num_latents: Sample = 2000
    batch_size: Count = 32
    truncation_psi: Truncation = 1.0
    noise_mode: NoiseMode = "const"
    seed: Seed = 0


@dataclass(frozen=True, kw_only=True)
class InversionConfig:
    """Latent optimisation (paper, Eq. 5 to 9)."""

    method: InversionMethod = "closed_form"
    num_steps: Count = 1000  # the method encoder takes none
    learning_rate: Positive | None = None  # None: the method's own tuned rate
    start: Literal["mean", "encoder"] = "mean"  # of the search; in_domain starts at the encoder's latent code anyway
    batch_size: Count = 16
    l1_weight: Weight = 1.0
    perceptual_weight: Weight = 1.0
    # lpips, as in the paper's code; features: the backbone's without LPIPS' learned weights, as in Eq. 5.
    perceptual_loss: Literal["lpips", "features"] = "lpips"
    domain_weight: Weight = 0.1  # of in_domain: on the distance of the latent code to the encoder's of its own image
    # Fading noise that is added to latent codes, in lengths of w; None: 0.05 (StyleGAN2's) from the mean, else none.
    latent_noise: Weight | None = None
    optimize_noise: bool = True  # search for the noise maps too, where the generator has any
    noise_regularization: Weight = 1e5  # weight that keeps them white noise (arXiv 1912.04958, appendix D)
    seed: Seed = 0  # of the fading noise

    @property
    def needs_encoder(self) -> bool:
        """Whether there must be an encoder of the generator."""
        return self.method in ("encoder", "in_domain") or self.start == "encoder"


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The encoder, which predicts latent codes from images, and its training."""

    total_kimg: Positive = 400.0  # thousands of images shown, generated and real ones together
    batch_size: Count = 16
    real_share: ShareBelowOne = 0.5  # of a batch: images of the dataset, whose latent codes are not known
    learning_rate: Positive = 0.002
    channel_base: Count | None = None  # as NetworkConfig's, of the encoder; None: the generator's
    channel_max: Count | None = None
    latent_weight: Weight = 1.0  # on the squared error of the latent code, in variances of w
    l1_weight: Weight = 1.0  # on the image of the latent code, as for the next
    perceptual_weight: Weight = 1.0
    truncation_psi: Truncation = 1.0  # of the generated images
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # of training, as TrainingConfig's; reading is fp32
    snapshot_kimg: Positive = 10.0  # thousands of images between saved states and rows of the log
    num_held_out: Count = 64  # images of each kind on which the encoder is evaluated
    seed: Seed = 0


@dataclass(frozen=True, kw_only=True)
class TranslatorConfig:
    """A feed-forward translator, which imitates two models of a family, and its training."""

    total_kimg: Positive = 12.0  # thousands of pairs shown
    num_pairs: Count = 5000  # generated once: the same latent codes by both models
    min_truncation_psi: Truncation = 0.7  # each pair has its own psi, from this to 1
    batch_size: Count = 8
    learning_rate: Positive = 0.002
    l1_weight: Weight = 1.0
    edge_weight: Weight = 1.0  # on the steps between neighbouring pixels
    perceptual_weight: Weight = 0.5  # on LPIPS
    adversarial_weight: Weight = 0.1  # on a patch discriminator, which compares with the domain's images; 0: none
    mirror: bool = True  # show each pair and its mirror image
    warp_share: Share = 0.5  # of the pairs: turned, scaled and shifted, both sides alike
    width: Count | None = None  # channels of the U-Net's finest level; None: 24 up to 128 px, 32 above
    snapshot_kimg: Positive = 1.0  # thousands of pairs between saved states and rows of the log
    num_held_out: Sample = 256  # further pairs on which the translator is evaluated
    seed: Seed = 0

    def __post_init__(self) -> None:
        if self.l1_weight + self.perceptual_weight == 0:
            raise Expected("one of them above 0; set it", came="l1_weight and perceptual_weight are 0")


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """How images become a prepared dataset."""

    img_resolution: Count = 256
    framing: Framing = "center"  # the centered square; the whole image, padded; or each face, upright, as in FFHQ
    face_landmarks: str | None = None  # for the framing face: a table (.csv, .parquet); None: photographs are searched
    max_faces: Count = 1  # how many faces to take from one image, the largest first
    resampling: Resampling = "lanczos"  # resizing filter; the published 256 px FFHQ used box
    background: Colour = "white"  # under transparent pixels and beside padded images: a name or "#rrggbb"
    max_images: Count | None = None  # None: all
    max_upscale: Positive = 2.0  # an image that would have to be enlarged more is too small
    # An image with a larger ratio of its sides is rejected.
    max_aspect: Annotated[float, Field(ge=1)] = 3.0
    min_contrast: Weight = 2.0  # levels of 255: smallest standard deviation of the most varied channel
    # Largest difference between near duplicates, of the perceptual hash's 256 bits; None keeps near duplicates.
    near_duplicate_bits: Annotated[Whole, Field(ge=0, le=32)] | None = 16
    test_share: ShareBelowOne = 0.1  # share of images kept from training, chosen by their hash
    max_reject_share: Share = 0.2  # the stage fails if a larger share of the images is unusable
