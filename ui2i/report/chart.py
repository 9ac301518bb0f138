"""Values over runs as an image of lines with error bars, in SVG."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from html import escape

Point = tuple[int, float, float]  # place of the run, value, standard error

COLOURS = ("#1f5fa8", "#d9730d", "#2e8b57", "#b0307c", "#7a5bc0", "#8c6d31", "#18838c", "#c0392b")
WIDTH, HEIGHT = 720, 260  # in SVG units, as what follows
LEFT, RIGHT, TOP, BOTTOM = 54, 20, 12, 34  # of the margins, for labels
ASIDE = 5.0  # between lines at one run, so that error bars do not hide each other
NUM_BAR_SEMS = 2  # length of an error bar to either side


@dataclasses.dataclass(frozen=True)
class _Scale:
    """Where runs and values are in the image."""

    num_runs: int
    low: float
    high: float

    @classmethod
    def around(cls, points: Sequence[Point], num_runs: int) -> "_Scale":
        """Return a scale with room for all points and their error bars."""
        low = min(value - NUM_BAR_SEMS * sem for _, value, sem in points)
        high = max(value + NUM_BAR_SEMS * sem for _, value, sem in points)
        pad = 0.08 * (high - low) or 0.05 * max(abs(high), 1e-3)
        return cls(num_runs, low - pad, high + pad)

    def x(self, run: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (run + 0.5) / self.num_runs, 1)

    def y(self, value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low), 1)


def curves(title: str, times: Sequence[str], lines: Mapping[str, Sequence[Point]]) -> str:
    """Return a figure with one line a name; empty if there is no value.

    Args:
        times: when each run was, for the axis below.
        lines: by name: place of the run in `times`, value, standard error.
    """
    points = [point for line in lines.values() for point in line]
    if not points:
        return ""
    scale = _Scale.around(points, len(times))
    marks = [_axis(scale, times)]
    marks += [
        _line(scale, line, COLOURS[number % len(COLOURS)], aside=ASIDE * (number - (len(lines) - 1) / 2))
        for number, line in enumerate(lines.values())
    ]
    legend = " ".join(
        f'<span style="color:{COLOURS[number % len(COLOURS)]}">&#9632;</span> {escape(name)}'
        for number, name in enumerate(lines)
    )
    return (
        f'<figure><h3>{escape(title)}</h3><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title, quote=True)}" font-size="12" fill="#5d6876">{"".join(marks)}</svg>'
        f"<figcaption>{legend}</figcaption></figure>"
    )


def _axis(scale: _Scale, times: Sequence[str]) -> str:
    """Return lines across at round numbers, and the times of at most six runs."""
    span = scale.high - scale.low
    power = 10 ** math.floor(math.log10(span / 2))
    step = power * next(factor for factor in (5, 2, 1) if span / (factor * power) >= 2)
    marks = []
    for number in range(math.ceil(scale.low / step), math.floor(scale.high / step) + 1):
        y = scale.y(number * step)
        marks.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#d8dee6"/>')
        marks.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{number * step:.4g}</text>')
    for run in range(0, len(times), math.ceil(len(times) / 6)):
        place = f'x="{scale.x(run)}" y="{HEIGHT - 12}"'
        marks.append(f'<text {place} text-anchor="middle">{escape(times[run])}</text>')
    return "".join(marks)


def _line(scale: _Scale, line: Sequence[Point], colour: str, *, aside: float) -> str:
    places = [(round(scale.x(run) + aside, 1), value, sem) for run, value, sem in line]
    path = "M" + "L".join(f"{x} {scale.y(value)}" for x, value, _ in places)
    marks = [f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>']
    for x, value, sem in places:
        low, high = scale.y(value - NUM_BAR_SEMS * sem), scale.y(value + NUM_BAR_SEMS * sem)
        marks.append(f'<path d="M{x} {low}V{high}" stroke="{colour}" opacity=".5"/>')
        marks.append(f'<circle cx="{x}" cy="{scale.y(value)}" r="3" fill="{colour}"/>')
    return "".join(marks)
