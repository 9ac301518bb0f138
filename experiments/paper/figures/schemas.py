"""The columns of the tables behind the figures; as in `ui2i.schemas`, with name and version in their metadata."""

from collections.abc import Mapping

import pyarrow as pa

_TEXT, _INT, _FLOAT = pa.string(), pa.int64(), pa.float64()

_MODEL = {
    "base": _TEXT,  # of the family
    "domain": _TEXT,  # of the model; the base's own name for itself
    "mode": _TEXT,  # scratch, FT, FC-FT, FC-FT-LS8, Direct-LS8, ...
    "checkpoint_hash": _TEXT,  # of a swap made for the figure: of the model that gave its fine layers
    "base_hash": _TEXT,
}
_MADE = {
    "seed": _INT,  # of latents and intervals
    "truncation_psi": _FLOAT,
    "commit": _TEXT,
    "device": _TEXT,
    "versions": _TEXT,  # JSON: package -> version
}


def _schema(
    table: str, version: int, columns: Mapping[str, pa.DataType], *, nullable: tuple[str, ...] = ()
) -> pa.Schema:
    fields = [pa.field(name, kind, nullable=name in nullable) for name, kind in columns.items()]
    return pa.schema(fields, metadata={"table": table, "schema_version": str(version)})


CHANGES_SCHEMA = _schema(
    "figure-changes",
    1,
    {
        **_MODEL,
        "direction": _INT,  # semantic direction of the base, 1 the strongest
        "strength": _FLOAT,  # of a step along it, in standard deviations of w
        "trait": _TEXT,  # smile; or a class of a category, "glasses: round"
        "change": _FLOAT,  # of the trait by one step, in its standard deviations; mean over latents
        "sem": _FLOAT,
        "style": _TEXT,  # whose regressor read the images
        "skill": _FLOAT,  # of the regressor for the attribute, on held-out drawings: 0 to 1
        "regressor": _TEXT,  # hash of what made it
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
        "cosine": _FLOAT,  # of the changes in the base and the model; of the base itself: between halves of latents
        "chance": _FLOAT,  # of the changes in the base and those along the model's other directions, the mean
        "top_trait": _TEXT,  # that moves most in the base, of those that can be read in all models of the family
        "top_change_base": _FLOAT,
        "top_change": _FLOAT,  # of the same trait in the model
        "top_rank": _INT,  # of it in the model, by size of the change; 1: it moves most there too
        "num_traits": _INT,  # that both readers read, over which the cosine is taken
        "num_latents": _INT,
        **_MADE,
    },
)

MEASURES_SCHEMA = _schema(
    "figure-measures",
    2,
    {
        "figure": _TEXT,  # 7 or 8
        **_MODEL,
        "swap_resolution": _INT,  # pixels; null: no layers swapped
        "metric": _TEXT,  # lpips, to the base's images; fd, kd, to the domain's; traits, told from both
        "attribute": _TEXT,  # of traits; null: the mean over all, or another metric
        "value": _FLOAT,
        "ci95_low": _FLOAT,  # over the choice of latents; null: not known, of fd and kd
        "ci95_high": _FLOAT,
        "num_latents": _INT,
        "num_targets": _INT,  # images of the domain; null: none take part
        "backbone": _TEXT,
        "backbone_hash": _TEXT,
        **_MADE,
    },
    nullable=("swap_resolution", "attribute", "ci95_low", "ci95_high", "num_targets"),
)
