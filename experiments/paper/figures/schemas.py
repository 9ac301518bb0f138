"""The columns of the tables behind the figures; as in `ui2i.schemas`, with name and version in their metadata."""

from collections.abc import Mapping

import pyarrow as pa

from ui2i.columns import COLUMNS, Meaning, described

_TEXT, _INT, _FLOAT = pa.string(), pa.int64(), pa.float64()

_MODEL = {
    "base": _TEXT,
    "domain": _TEXT,
    "mode": _TEXT,
    "checkpoint_hash": _TEXT,
    "base_hash": _TEXT,
}
_MADE = {
    "seed": _INT,
    "truncation_psi": _FLOAT,
    "commit": _TEXT,
    "device": _TEXT,
    "versions": _TEXT,
}

_OWN_COLUMNS: Mapping[str, Meaning] = {
    "base": ("base of the family", ""),
    "domain": ("domain of the model; the base's own name for itself", ""),
    "mode": ("how the model was made: scratch, FT, FC-FT, FC-FT-LS8, Direct-LS8, ...", ""),
    "checkpoint_hash": ("SHA-256 of the checkpoint; of a swap made for the figure, of its fine layers' model", ""),
    "seed": ("seed of latents and intervals", ""),
    "direction": ("semantic direction of the base, 1 the strongest", ""),
    "strength": ("length of a step along the direction", "standard deviations of w"),
    "trait": ("what changes: smile; or a class of a category, 'glasses: round'", ""),
    "change": ("change of the trait by one step, mean over latents", "standard deviations"),
    "figure-changes/sem": ("standard error of the change", "standard deviations"),
    "style": ("style whose regressor read the images", ""),
    "skill": ("skill of the regressor for the attribute, on held-out drawings, 0 to 1", ""),
    "cosine": ("cosine of the changes in base and model; for the base itself: between halves of the latents", ""),
    "chance": ("mean cosine of the changes in the base and along the model's other directions", ""),
    "top_trait": ("trait that moves most in the base, of those that all models of the family show", ""),
    "top_change_base": ("change of that trait in the base", "standard deviations"),
    "top_change": ("change of that trait in the model", "standard deviations"),
    "top_rank": ("rank of that trait in the model by size of the change; 1: it moves most there too", ""),
    "num_traits": ("traits that both regressors read, over which the cosine is taken", "traits"),
    "figure": ("number of the figure: 7 or 8", ""),
    "metric": ("lpips, to the base's images; fd, kd, to the domain's; traits, told from both", ""),
    "attribute": ("attribute, of traits; null: the mean over all, or another metric", ""),
    "ci95_low": ("lower end of the 95 % interval over the choice of latents; null: not known", "of the metric"),
    "ci95_high": ("upper end of the 95 % interval over the choice of latents; null: not known", "of the metric"),
    "num_targets": ("images of the domain; null: none take part", "images"),
}


def _schema(
    table: str, version: int, columns: Mapping[str, pa.DataType], *, nullable: tuple[str, ...] = ()
) -> pa.Schema:
    fields = [pa.field(name, kind, nullable=name in nullable) for name, kind in columns.items()]
    fields = described(table, fields, {**COLUMNS, **_OWN_COLUMNS})
    return pa.schema(fields, metadata={"table": table, "schema_version": str(version)})


CHANGES_SCHEMA = _schema(
    "figure-changes",
    1,
    {
        **_MODEL,
        "direction": _INT,
        "strength": _FLOAT,
        "trait": _TEXT,
        "change": _FLOAT,
        "sem": _FLOAT,
        "style": _TEXT,
        "skill": _FLOAT,
        "regressor": _TEXT,
        "num_latents": _INT,
        **_MADE,
    },
)

AGREEMENT_SCHEMA = _schema(
    "figure-agreement",
    1,
    {
        **_MODEL,
        "direction": _INT,
        "strength": _FLOAT,
        "cosine": _FLOAT,
        "chance": _FLOAT,
        "top_trait": _TEXT,
        "top_change_base": _FLOAT,
        "top_change": _FLOAT,
        "top_rank": _INT,
        "num_traits": _INT,
        "num_latents": _INT,
        **_MADE,
    },
)

MEASURES_SCHEMA = _schema(
    "figure-measures",
    2,
    {
        "figure": _TEXT,
        **_MODEL,
        "swap_resolution": _INT,
        "metric": _TEXT,
        "attribute": _TEXT,
        "value": _FLOAT,
        "ci95_low": _FLOAT,
        "ci95_high": _FLOAT,
        "num_latents": _INT,
        "num_targets": _INT,
        "backbone": _TEXT,
        "backbone_hash": _TEXT,
        **_MADE,
    },
    nullable=("swap_resolution", "attribute", "ci95_low", "ci95_high", "num_targets"),
)
