"""The paper's own values (arXiv 2010.05713, Tables I to III), for reference columns.

They are of other models, other images at 256 to 1024 px and another perceptual network than anything measured here,
so orders may be compared and sizes may not.
"""

from typing import Any

TABLE_1_COLUMNS = ("face2anime", "face2cartoon", "face2portrait", "cartoon2metface", "cat2dog", "cat2wild")
TABLE_1: dict[str, tuple[float, ...]] = {
    "w/o FT": (0.747, 0.632, 0.759, 0.692, 0.672, 0.593),
    "FT": (0.650, 0.551, 0.636, 0.627, 0.625, 0.570),
    "FC-FT": (0.639, 0.483, 0.612, 0.587, 0.599, 0.568),
    "FC-FT-LS8": (0.610, 0.450, 0.515, 0.537, 0.598, 0.567),  # the paper's LS1
    "FC-FT-LS16": (0.571, 0.398, 0.455, 0.478, 0.595, 0.561),  # LS3
    "FC-FT-LS32": (0.548, 0.315, 0.379, 0.398, 0.581, 0.557),  # LS5
}

TABLE_2_METRICS = ("FID", "LPIPS_d", "LPIPS_s")
TABLE_2: dict[str, dict[str, tuple[float, float, float]]] = {
    "CycleGAN": {"face2portrait": (54.472, 0.649, 0.587), "face2anime": (78.452, 0.645, 0.598)},
    "MUNIT": {"face2portrait": (62.683, 0.650, 0.677), "face2anime": (66.261, 0.749, 0.770)},
    "DRIT++": {"face2portrait": (76.271, 0.706, 0.667), "face2anime": (72.293, 0.647, 0.751)},
    "Ours (FC-FT)": {"face2portrait": (32.480, 0.743, 0.489), "face2anime": (52.930, 0.767, 0.591)},
    "Ours (FC-FT-LS)": {"face2portrait": (34.147, 0.742, 0.468), "face2anime": (53.737, 0.767, 0.573)},
}

TABLE_3: dict[str, float] = {
    "w_plus": 0.613,
    "in_domain": 0.623,
    "encoder": 0.587,
    "w": 0.655,
    "closed_form": 0.667,
}
"""SSIM by the name that the method has in `ui2i.inversion`."""

TABLE_3_NAMES: dict[str, str] = {
    "w_plus": "Image2StyleGAN",
    "in_domain": "IdInvert-inv",
    "encoder": "IdInvert-enc",
    "w": "StyleGan2-proj",
    "closed_form": "Ours",
}


def table_1_cells() -> list[dict[str, Any]]:
    """Return Table I as row, column and value."""
    return [
        {"row": row, "column": column, "value": value}
        for row, values in TABLE_1.items()
        for column, value in zip(TABLE_1_COLUMNS, values, strict=True)
    ]


def table_2_cells() -> list[dict[str, Any]]:
    """Return Table II as row, column, metric and value."""
    return [
        {"row": row, "column": column, "metric": metric, "value": value}
        for row, columns in TABLE_2.items()
        for column, values in columns.items()
        for metric, value in zip(TABLE_2_METRICS, values, strict=True)
    ]
