"""The ground truth of translations between synthetic domains. No training sees it.

The same person drawn in two styles is a pair. `pairs` knows who is in a synthetic image and draws its true counterpart,
`cases` matches a folder of translations with these, `scores` says how near each comes to the truth, and `kept`, with a
`regressor` that reads attributes from images, which attributes it kept. Nothing here is used in training.
"""

from experiments.paper.truth.cache import cached_regressor, load_regressor, save_regressor, settings_hash
from experiments.paper.truth.cases import Cases, Pairs, find_pairs, load_cases
from experiments.paper.truth.columns import Column, attribute_columns
from experiments.paper.truth.kept import KeptAttribute, kept_attributes
from experiments.paper.truth.pairs import DrawnImage, check_unpaired, draw_images, read_drawn
from experiments.paper.truth.regressor import AttributeRegressor, HeldOut
from experiments.paper.truth.regressor_training import train_regressor
from experiments.paper.truth.scores import METRICS, ImageScore, Summary, score_translations, summarize
from ui2i.translation.outputs import RECONSTRUCTION

__all__ = [
    "METRICS",
    "RECONSTRUCTION",
    "AttributeRegressor",
    "Cases",
    "Column",
    "DrawnImage",
    "HeldOut",
    "ImageScore",
    "KeptAttribute",
    "Pairs",
    "Summary",
    "attribute_columns",
    "cached_regressor",
    "check_unpaired",
    "draw_images",
    "find_pairs",
    "kept_attributes",
    "load_cases",
    "load_regressor",
    "read_drawn",
    "save_regressor",
    "score_translations",
    "settings_hash",
    "summarize",
    "train_regressor",
]
