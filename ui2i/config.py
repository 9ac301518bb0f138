"""Every setting of the library, as frozen dataclasses. The defaults are the paper's, or StyleGAN2's where it is silent.

Experiments keep their numbers in `params.yaml`; `from_mapping` turns a section of it into one of these and refuses
keys that do not exist.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from PIL import ImageColor

from ui2i.errors import ConfigError

NoiseMode = Literal["const", "random", "none"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Augmentation = Literal["none", "ada", "diffaugment"]
TrunkName = Literal["alex", "vgg", "squeeze", "random"]
InversionMethod = Literal["closed_form", "directions", "w", "w_plus", "closed_form_plus", "encoder", "in_domain"]
Framing = Literal["center", "fit", "face"]
Resampling = Literal["lanczos", "bicubic", "box"]
ConfigT = typing.TypeVar("ConfigT")


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Architecture of a StyleGAN2 generator and its discriminator (config F by default).

    Layers at resolution r have `min(channel_base // r, channel_max)` channels.
    """

    img_resolution: int = 256  # pixels, a power of two in 32..1024
    z_dim: int = 512
    w_dim: int = 512
    num_mapping_layers: int = 8
    mapping_lr_multiplier: float = 0.01
    channel_base: int = 32768
    channel_max: int = 512
    use_noise: bool = True  # False: no per-pixel noise inputs; their strengths stay 0
    conv_clamp: float | None = None  # None: activations are not clamped
    mbstd_group_size: int = 4  # images per minibatch-stddev group

    def __post_init__(self) -> None:
        res = self.img_resolution
        if res not in (32, 64, 128, 256, 512, 1024):
            raise ConfigError(f"img_resolution is {res}, expected a power of two from 32 to 1024; resize the pictures")
        for name in ("z_dim", "w_dim", "num_mapping_layers", "channel_base", "channel_max", "mbstd_group_size"):
            _require_positive(name, getattr(self, name))

    def num_channels(self, resolution: int) -> int:
        """Width of the layers at `resolution` pixels."""
        return max(1, min(self.channel_base // resolution, self.channel_max))

    @property
    def block_resolutions(self) -> tuple[int, ...]:
        """Resolutions of the synthesis blocks, 4 first."""
        return tuple(2**k for k in range(2, self.img_resolution.bit_length()))

    @property
    def num_ws(self) -> int:
        """Number of style inputs of the synthesis network: 2 log2(resolution) - 2."""
        return 2 * len(self.block_resolutions)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings of StyleGAN2 training and fine-tuning (paper, section IV-B)."""

    total_kimg: float = 192.0  # thousands of real images shown; the paper's 12 000 iterations of 16
    batch_size: int = 16
    learning_rate: float = 0.002
    adam_beta2: float = 0.99
    r1_gamma: float = 10.0
    r1_interval: int = 16  # discriminator steps between R1 penalties (lazy regularisation)
    path_length_weight: float = 2.0
    path_length_interval: int = 4  # generator steps between path-length penalties; 0 = off
    path_length_batch_shrink: int = 2
    path_length_decay: float = 0.01
    style_mixing_prob: float = 0.9
    ema_half_life_kimg: float = 10.0
    ema_rampup: float | None = None  # cap the half-life at this share of the images seen; None: no cap
    freeze_mapping: bool = False  # freeze-FC: the mapping network takes no update (paper, section III-A)
    # Synthesis blocks from 4 px up to this resolution take no update (FreezeG); None: all do.
    freeze_generator_resolution: int | None = None
    # Discriminator blocks from the picture down to this resolution take no update (FreezeD, arXiv 2002.10964).
    freeze_discriminator_resolution: int | None = None
    mirror: bool = True  # show each picture and its mirror image
    augment: Augmentation = "none"  # of what the discriminator sees (arXiv 2006.06676, 2006.10738)
    ada_target: float = 0.6  # of r_t, the mean sign of the logits of real pictures
    ada_speed_kimg: float = 500.0  # in which the probability can go from 0 to 1
    ada_interval: int = 4  # steps between adjustments of the probability
    precision: Precision = "auto"  # of activations; auto: bf16 where the device computes it natively, else fp32
    num_micro_batches: int = 1  # parts that a batch is worked off in, to save memory; 0: as few as fit
    snapshot_kimg: float = 4.0  # thousands of images between resumable states and sample grids
    evaluation_kimg: float | None = None  # between measurements against held-out pictures; None: none
    evaluation_images: int = 2000  # generated for each measurement
    patience: int | None = None  # measurements without a better one before training stops and returns to the best
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (
            "total_kimg",
            "batch_size",
            "learning_rate",
            "r1_interval",
            "path_length_batch_shrink",
            "ema_half_life_kimg",
            "ada_speed_kimg",
            "ada_interval",
            "snapshot_kimg",
            "evaluation_images",
        ):
            _require_positive(name, getattr(self, name))
        for name in ("evaluation_kimg", "patience"):
            if getattr(self, name) is not None:
                _require_positive(name, getattr(self, name))
        if self.path_length_interval < 0:
            raise ConfigError(f"path_length_interval is {self.path_length_interval}, expected 0 (off) or a step count")
        if self.num_micro_batches < 0:
            raise ConfigError(f"num_micro_batches is {self.num_micro_batches}, expected 0 (as few as fit) or a count")
        if not 0 <= self.adam_beta2 < 1:
            raise ConfigError(f"adam_beta2 is {self.adam_beta2}, expected a share from 0 to below 1; 0.99 is usual")
        if not 0 <= self.style_mixing_prob <= 1:
            raise ConfigError(f"style_mixing_prob is {self.style_mixing_prob}, expected a probability from 0 to 1")
        if not -1 <= self.ada_target <= 1:
            raise ConfigError(f"ada_target is {self.ada_target}, expected a mean sign from -1 to 1; 0.6 is usual")
        if self.patience is not None and self.evaluation_kimg is None:
            raise ConfigError(
                f"patience is {self.patience} without evaluation_kimg, expected measurements to wait for; set both"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerceptualConfig:
    """Which LPIPS network measures distances, and where its backbone comes from."""

    trunk: TrunkName = "alex"  # random: an untrained squeeze backbone, named in every table it makes
    weights: str | None = None  # file with the backbone's weights; None: torchvision's cache, then its download
    name: str | None = None  # the trunk's name in tables; None: made from `trunk` or from the file's name


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistanceConfig:
    """Protocol of the model distance (paper, Eq. 1)."""

    num_latents: int = 2000
    batch_size: int = 32
    truncation_psi: float = 1.0
    noise_mode: NoiseMode = "const"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_latents < 2:
            raise ConfigError(f"num_latents is {self.num_latents}, expected at least 2; the paper takes 2000")
        _require_positive("batch_size", self.batch_size)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InversionConfig:
    """Latent optimisation (paper, Eq. 5 to 9)."""

    method: InversionMethod = "closed_form"
    num_steps: int = 1000  # the method encoder takes none
    learning_rate: float | None = None  # None: the method's own tuned rate
    start: Literal["mean", "encoder"] = "mean"  # of the search; in_domain starts at the encoder's code anyway
    batch_size: int = 16
    l1_weight: float = 1.0
    perceptual_weight: float = 1.0
    # lpips, as the paper's code does; features: the trunk's without LPIPS' learned weights, as Eq. 5 has it.
    perceptual_loss: Literal["lpips", "features"] = "lpips"
    domain_weight: float = 0.1  # of the method in_domain, on the way from the code to the encoder's of its own image
    # Of the noise that is added to codes and fades, in lengths of w; None: 0.05 (StyleGAN2's) from the mean, else none.
    latent_noise: float | None = None
    optimize_noise: bool = True  # search for the noise maps too, where the generator has any
    noise_regularization: float = 1e5  # weight that keeps them white noise (arXiv 1912.04958, appendix D)
    seed: int = 0  # of the fading noise

    def __post_init__(self) -> None:
        for name in ("num_steps", "batch_size"):
            _require_positive(name, getattr(self, name))
        for name in ("l1_weight", "perceptual_weight", "domain_weight", "latent_noise", "noise_regularization"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ConfigError(f"inversion.{name} is {value}, expected 0 or more; correct it in params.yaml")

    @property
    def needs_encoder(self) -> bool:
        """Whether there must be an encoder of the generator."""
        return self.method in ("encoder", "in_domain") or self.start == "encoder"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The network that reads codes from pictures, and its training."""

    total_kimg: float = 400.0  # thousands of pictures shown, generated and real ones together
    batch_size: int = 16
    real_share: float = 0.5  # of a batch: pictures of the dataset, whose codes are not known
    learning_rate: float = 0.002
    channel_base: int | None = None  # as NetworkConfig's, of the encoder; None: the generator's
    channel_max: int | None = None
    latent_weight: float = 1.0  # on the squared error of the code, in variances of w
    l1_weight: float = 1.0  # on the image of the code, as for the next
    perceptual_weight: float = 1.0
    truncation_psi: float = 1.0  # of the generated pictures
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # of training, as TrainingConfig's; reading is fp32
    snapshot_kimg: float = 10.0  # thousands of pictures between saved states and rows of the log
    num_held_out: int = 64  # pictures of each kind that say how well codes are read
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("total_kimg", "batch_size", "learning_rate", "snapshot_kimg", "num_held_out"):
            _require_positive(name, getattr(self, name))
        for name in ("channel_base", "channel_max"):
            if getattr(self, name) is not None:
                _require_positive(name, getattr(self, name))
        if not 0 <= self.real_share < 1:
            raise ConfigError(f"real_share is {self.real_share}, expected a share from 0 to below 1; 0.5 is usual")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegressorConfig:
    """A network that reads the attributes of drawn pictures, and the drawings it is trained on."""

    num_drawings: int = 12_000
    num_held_out: int = 1000  # further drawings, which say how well each attribute is read
    num_epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 0.002
    width: int = 32  # channels of the first layer
    noise: float = 0.1  # the most that is added to a picture in [-1, 1], as a standard deviation
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # of training, as TrainingConfig's; reading is fp32
    seed: int = 1_000_000  # of the drawings and the training; no pictures that are judged may have it

    def __post_init__(self) -> None:
        for name in ("num_drawings", "num_held_out", "num_epochs", "batch_size", "learning_rate", "width"):
            _require_positive(name, getattr(self, name))
        if min(self.num_drawings, self.num_held_out, self.batch_size) < 2:
            raise ConfigError(
                f"num_drawings is {self.num_drawings}, num_held_out {self.num_held_out} and batch_size "
                f"{self.batch_size}, expected at least 2 each; raise them"
            )
        if self.noise < 0 or self.seed < 0:
            raise ConfigError(f"noise is {self.noise} and seed {self.seed}, expected 0 or more; correct them")


@dataclasses.dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """How pictures become a prepared dataset."""

    img_resolution: int = 256
    framing: Framing = "center"  # the centered square; the whole picture, padded; or each face, upright, as in FFHQ
    face_landmarks: str | None = None  # for the framing face: a model of MediaPipe (.task) or a table (.csv, .parquet)
    max_faces: int = 1  # pictures to make of one with several faces, the largest first
    resampling: Resampling = "lanczos"  # filter of resizing; box is that of the published 256 px FFHQ
    background: str = "white"  # under transparent pixels and beside padded pictures: a name or "#rrggbb"
    max_images: int | None = None  # None: all
    max_upscale: float = 2.0  # a picture that would have to be enlarged more is too small
    max_aspect: float = 3.0  # a picture longer than this times its width, or the reverse, is rejected
    min_contrast: float = 2.0  # standard deviation, in levels of 255, of the liveliest channel; below: near-uniform
    # Of 256 bits of the perceptual hash, how many may differ between near duplicates; None: these are kept.
    near_duplicate_bits: int | None = 16
    test_share: float = 0.1  # share of pictures kept from training, chosen by their hash
    max_reject_share: float = 0.2  # a larger share of unusable pictures stops the stage

    def __post_init__(self) -> None:
        for name in ("img_resolution", "max_faces", "max_upscale"):
            _require_positive(name, getattr(self, name))
        if not 0 <= self.test_share < 1:
            raise ConfigError(f"test_share is {self.test_share}, expected a share from 0 to below 1")
        if self.max_images is not None:
            _require_positive("max_images", self.max_images)
        if not self.max_aspect >= 1:
            raise ConfigError(f"max_aspect is {self.max_aspect}, expected the ratio of the sides, at least 1")
        if not self.min_contrast >= 0:
            raise ConfigError(f"min_contrast is {self.min_contrast}, expected levels from 0 (all pass)")
        if self.near_duplicate_bits is not None and not 0 <= self.near_duplicate_bits <= 32:
            raise ConfigError(
                f"near_duplicate_bits is {self.near_duplicate_bits}, expected 0 to 32 of 256 bits, or null; beyond 32 "
                "different pictures pass for duplicates"
            )
        try:
            ImageColor.getrgb(self.background)
        except ValueError as error:
            raise ConfigError(
                f'background is {self.background!r}, expected a colour such as white or "#808080"; correct it'
            ) from error


def from_mapping(config_type: type[ConfigT], values: Mapping[str, Any], *, section: str) -> ConfigT:
    """Build a config from a section of `params.yaml`.

    Args:
        section: the section's name, for error messages.

    Raises:
        ConfigError: a key does not exist in `config_type`, or a value has the wrong type.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{section} is {values!r}, expected settings as key: value; write {{}} for the defaults")
    hints = typing.get_type_hints(config_type)
    known = {field.name: hints[field.name] for field in dataclasses.fields(config_type)}  # type: ignore[arg-type]
    kwargs: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(sorted(known))}"
            raise ConfigError(f"{section} has the unknown key {key!r}, expected one of {len(known)} settings; {hint}")
        kwargs[key] = _coerce(value, known[key], where=f"{section}.{key}")
    return config_type(**kwargs)


def to_mapping(config: Any) -> dict[str, Any]:
    """Return the config's fields as plain values, ready for JSON."""
    return dataclasses.asdict(config)


def _coerce(value: Any, hint: Any, *, where: str) -> Any:
    """Check `value` against a type hint made of bool, int, float, str, None and Literal."""
    origin = typing.get_origin(hint)
    options = typing.get_args(hint) if origin in (typing.Union, types.UnionType) else (hint,)
    for option in options:
        if typing.get_origin(option) is Literal:
            if value in typing.get_args(option):
                return value
        elif option is type(None):
            if value is None:
                return None
        elif option is float and type(value) in (int, float):
            return float(value)
        elif type(value) is option:
            return value
    expected = " or ".join(_describe(option) for option in options)
    raise ConfigError(f"{where} is {value!r}, expected {expected}; correct it in params.yaml")


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(hint)))
    return "null" if hint is type(None) else hint.__name__


def _require_positive(name: str, value: float) -> None:
    if not value > 0:  # so that NaN is refused too
        raise ConfigError(f"{name} is {value}, expected a number above 0; correct it in params.yaml")
