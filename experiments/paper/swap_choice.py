"""How many layers to swap: what each resolution and mode costs in fidelity and gains in similarity to the input.

Swapping more layers brings the output nearer to the input and takes it away from the target domain. A variant that
another beats in both is never worth taking; those that are left are the Pareto front. On it the recommended variant is
the one nearest to the corner that has the best value of both, each axis scaled to the span of the front (the utopia
point of multi-objective optimisation). The scale is a convention: who cares more for one side walks along the front.
"""

import dataclasses
import io
import math
import os
from collections.abc import Sequence

from ui2i.files import write_bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwapVariant:
    """One way of swapping, measured."""

    name: str  # FC-FT, FC-FT-LS8, FC-FT-LS8-blend, ...
    swap_mode: str | None  # weights, features or blend; None: no layers swapped
    swap_resolution: int | None  # pixels
    fidelity: float  # FID or a Frechet distance; lower is better
    lpips_s: float  # lower is more similar to the input
    lpips_s_sem: float


@dataclasses.dataclass(frozen=True)
class SwapChoice:
    """All variants measured, those worth taking, and the one recommended."""

    variants: tuple[SwapVariant, ...]
    fidelity_metric: str  # fid, or fd_<backbone>
    front: tuple[SwapVariant, ...]  # the most faithful first
    recommended: SwapVariant
    reason: str

    @property
    def header(self) -> tuple[str, ...]:
        """Headings of `text_rows`."""
        return "variant", f"{self.fidelity_metric} ↓", "LPIPS_s ↓", "on the front", ""

    def text_rows(self) -> list[tuple[str, ...]]:
        """Return a row a variant, the most faithful first."""
        return [
            (
                variant.name,
                f"{variant.fidelity:.4f}",
                f"{variant.lpips_s:.4f} ± {variant.lpips_s_sem:.4f}",
                "yes" if variant in self.front else "",
                "recommended" if variant == self.recommended else "",
            )
            for variant in sorted(self.variants, key=lambda variant: variant.fidelity)
        ]


def choose_swap(variants: Sequence[SwapVariant], fidelity_metric: str) -> SwapChoice:
    """Return the Pareto front of `variants`, at least one, and the one to take with the reason."""
    front = pareto_front(variants)
    recommended = min(front, key=lambda variant: _distance_to_corner(variant, front))
    return SwapChoice(
        tuple(variants), fidelity_metric, tuple(front), recommended, _reason(recommended, front, fidelity_metric)
    )


def pareto_front(variants: Sequence[SwapVariant]) -> list[SwapVariant]:
    """Return the variants that no other beats in both values, the most faithful first; of equal ones the first."""
    front: list[SwapVariant] = []
    for variant in sorted(variants, key=lambda variant: (variant.fidelity, variant.lpips_s)):
        if not front or variant.lpips_s < front[-1].lpips_s:
            front.append(variant)
    return front


def save_plot(path: str | os.PathLike[str], choice: SwapChoice, title: str) -> None:
    """Write a PNG: fidelity over similarity, a line a mode along the resolutions, the front and the recommendation."""
    # Not pyplot, which keeps global state and looks for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(
        [variant.lpips_s for variant in choice.front],
        [variant.fidelity for variant in choice.front],
        color="0.75", linewidth=6, zorder=0, label="Pareto front", solid_capstyle="round",
    )  # fmt: skip
    unswapped = [variant for variant in choice.variants if variant.swap_mode is None]
    for mode in dict.fromkeys(variant.swap_mode for variant in choice.variants if variant.swap_mode):
        own = [variant for variant in choice.variants if variant.swap_mode == mode]
        own = [*unswapped, *sorted(own, key=lambda variant: variant.swap_resolution or 0)]
        axes.plot([it.lpips_s for it in own], [it.fidelity for it in own], marker="o", linewidth=1.4, label=mode)
        for variant in own:
            if variant.swap_resolution is not None:
                place = variant.lpips_s, variant.fidelity
                axes.annotate(
                    str(variant.swap_resolution), place, xytext=(5, 4), textcoords="offset points", fontsize=8
                )
    best = choice.recommended
    axes.plot(best.lpips_s, best.fidelity, marker="*", markersize=18, color="black", linestyle="", label=best.name)
    axes.set_xlabel("LPIPS_s to the input (left: more similar)")
    axes.set_ylabel(f"{choice.fidelity_metric} to the target (down: more faithful)")
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


def _distance_to_corner(variant: SwapVariant, front: Sequence[SwapVariant]) -> float:
    """Distance to the best of both values, with the front's span as the unit of each axis."""
    fidelities, similarities = [it.fidelity for it in front], [it.lpips_s for it in front]
    return math.hypot(_scaled(variant.fidelity, fidelities), _scaled(variant.lpips_s, similarities))


def _scaled(value: float, values: Sequence[float]) -> float:
    span = max(values) - min(values)
    return (value - min(values)) / span if span else 0.0


def _reason(best: SwapVariant, front: Sequence[SwapVariant], metric: str) -> str:
    """Say what the recommended variant costs and gains against its neighbours on the front."""
    if len(front) == 1:
        return f"{best.name}: no other variant is more faithful or more similar."
    place = list(front).index(best)
    parts = [f"{best.name} is nearest to the best of both values on the front of {len(front)} variants"]
    if place > 0:
        parts.append(_against(best, front[place - 1], metric, "more faithful"))
    if place < len(front) - 1:
        parts.append(_against(best, front[place + 1], metric, "more similar"))
    return "; ".join(parts) + "."


def _against(best: SwapVariant, other: SwapVariant, metric: str, side: str) -> str:
    return (
        f"against {other.name}, the next that is {side}, it has {_change(best.fidelity, other.fidelity)} {metric} and "
        f"{_change(best.lpips_s, other.lpips_s)} LPIPS_s"
    )


def _change(value: float, other: float) -> str:
    if other == 0:
        return f"{value:.3f} instead of 0"
    percent = 100 * (value - other) / abs(other)
    return f"{abs(percent):.0f} % {'more' if percent > 0 else 'less'}"
