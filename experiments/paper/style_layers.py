"""How many style layers to replace: diversity against similarity to the input.

LPIPS_d is the mean distance between the versions of one input with different sampled appearances, LPIPS_s that between
a version and its input (paper, Table II). With every style input that is handed over both grow, or diversity would
cost nothing.
"""

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.paper.inversion_comparison import interval
from ui2i.errors import ConfigError
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.progress import Progress, no_progress
from ui2i.translation.styles import mix_styles, sample_style

FIGURE_INCHES = (6.4, 3.8)


@torch.no_grad()
def measure_style_layers(
    images: Float[Tensor, "n 3 r r"],
    ws: Float[Tensor, "n num_ws w_dim"],
    generator: Generator,
    perceptual: Perceptual,
    *,
    num_styles: int = 4,
    seed: int = 0,
    truncation_psi: float = 1.0,
    progress: Progress = no_progress,
) -> list[dict[str, float]]:
    """Return LPIPS_d and LPIPS_s for every number of style layers, 0 to num_ws.

    Args:
        images: the inputs, in [-1, 1].
        ws: their codes.
        generator: of the target domain.
        num_styles: sampled appearances, the same for all inputs and numbers of layers; the k-th has seed + k.
        progress: counts inputs times numbers of layers.

    Returns:
        Rows with num_style_layers and, each with the ends of its 95 % interval over inputs, lpips_d and lpips_s.

    Raises:
        ConfigError: there are fewer than two styles.
        DataError: there are fewer than two inputs.
    """
    if num_styles < 2:
        raise ConfigError(f"num_styles is {num_styles}, expected at least 2, whose outputs are compared; raise it")
    ws = generator.truncate(ws, truncation_psi)
    styles = [
        sample_style(generator, seed + number, truncation_psi=truncation_psi) for number in range(1, num_styles + 1)
    ]
    num_ws = generator.config.num_ws
    diversity: list[list[float]] = [[] for _ in range(num_ws + 1)]
    similarity: list[list[float]] = [[] for _ in range(num_ws + 1)]
    for place in range(len(images)):
        of_input = perceptual.features(images[place : place + 1])
        for num_layers in range(num_ws + 1):
            mixed = [mix_styles(ws[place : place + 1], style, num_layers) for style in styles]
            features = perceptual.features(generator.synthesis(torch.cat(mixed)).clamp(-1, 1))
            pairs = torch.tensor(list(itertools.combinations(range(num_styles), 2)), device=ws.device).T
            apart = perceptual.distance_from_features([f[pairs[0]] for f in features], [f[pairs[1]] for f in features])
            away = perceptual.distance_from_features(features, [f.expand(num_styles, -1, -1, -1) for f in of_input])
            diversity[num_layers].append(apart.mean().item())
            similarity[num_layers].append(away.mean().item())
        progress((place + 1) * (num_ws + 1), len(images) * (num_ws + 1), "styles")
    return [
        {
            "num_style_layers": num_layers,
            **_ends("lpips_d", diversity[num_layers]),
            **_ends("lpips_s", similarity[num_layers]),
        }
        for num_layers in range(num_ws + 1)
    ]


def save_style_layers_plot(path: str | os.PathLike[str], rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write a PNG with both measures over the number of style layers, with their intervals.

    Args:
        rows: by variant, as `measure_style_layers` returns them.
    """
    import io

    # Not pyplot, which keeps global state and looks for a display.
    from matplotlib.figure import Figure

    from ui2i.files import write_bytes

    figure = Figure(figsize=FIGURE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    for number, (variant, measured) in enumerate(rows.items()):
        layers = [row["num_style_layers"] for row in measured]
        for measure, marker in (("lpips_d", "o-"), ("lpips_s", "s--")):
            means = [row[measure] for row in measured]
            axes.plot(layers, means, marker, color=f"C{number}", markersize=4, label=f"{variant}: {_LABELS[measure]}")
            low, high = ([row[f"{measure}_ci95_{end}"] for row in measured] for end in ("low", "high"))
            axes.fill_between(layers, low, high, color=f"C{number}", alpha=0.15, linewidth=0)
    axes.set_xlabel("style inputs that the sampled appearance takes over")
    axes.set_ylabel("perceptual distance")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


_LABELS = {"lpips_d": "between outputs of an input", "lpips_s": "to the input"}


def _ends(measure: str, values: Sequence[float]) -> dict[str, float]:
    return dict(zip((measure, f"{measure}_ci95_low", f"{measure}_ci95_high"), interval(values), strict=True))
