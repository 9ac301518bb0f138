"""From images to latent codes, in the spaces that the paper compares and by an encoder (Eq. 5 and 9, Table III)."""

from ui2i.inversion.codes import CodeSpread, code_spread
from ui2i.inversion.encoder import Encoder
from ui2i.inversion.encoder_file import load_encoder, save_encoder
from ui2i.inversion.encoder_training import TrainedEncoder, measure_encoder, train_encoder
from ui2i.inversion.latents import LATENTS_SCHEMA, Inverter, Latent, latent_from_row, stack_latents
from ui2i.inversion.optimize import InversionResult, invert, learning_rate
from ui2i.inversion.spaces import SEARCHES, LatentSpace, Search, latent_space

__all__ = [
    "LATENTS_SCHEMA",
    "SEARCHES",
    "CodeSpread",
    "Encoder",
    "InversionResult",
    "Inverter",
    "Latent",
    "LatentSpace",
    "Search",
    "TrainedEncoder",
    "code_spread",
    "invert",
    "latent_from_row",
    "latent_space",
    "learning_rate",
    "load_encoder",
    "measure_encoder",
    "save_encoder",
    "stack_latents",
    "train_encoder",
]
