"""Turning a smooth field of colour into brush strokes.

A stroke is a short bent bar of one colour. All strokes of a layer are laid at once: the points of every stroke are
written, in the order of painting, into a map of stroke numbers at twice the resolution, so that a stroke covers those
before it. Each is brighter along one edge and darker along the other, as thick paint is in light from a window.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from experiments.synthetic.drawing.canvas import Mask

FINENESS = 2
"""Cells of the map of strokes to a pixel, along each side."""
NUM_DIRECTIONS, NUM_BENDS = 64, 5
"""Strokes come in so many directions and curvatures, whose points are worked out once."""
MAX_BEND = 2.0
"""Most that a stroke bends: its middle line is across = bend * along**2 in frame units."""
POINT_BITS = 20
"""The map holds stroke * 2**POINT_BITS + point of the stroke: below 2,048 strokes, a million points each."""


@dataclass(frozen=True, kw_only=True)
class Brush:
    """The strokes of a layer; lengths in frame units."""

    spacing: float
    half_length: float
    half_width: float
    unsteadiness: float
    """Standard deviation of a stroke's direction, in radians."""
    mixing: float
    """Standard deviation of a stroke's brightness, as a share of it."""
    relief: float
    """How much brighter and darker the two edges of a stroke are, as a share of its brightness."""


@dataclass(frozen=True)
class Stencils:
    """Points of the strokes of all directions and bends, on a map of `fine` cells a side with a margin."""

    offsets: np.ndarray
    """Distance in the flattened map of each point from the stroke's middle, [NUM_DIRECTIONS * NUM_BENDS, k]."""
    across: np.ndarray
    """Where across its stroke each point lies, -1 to 1, [k]."""
    margin: int
    width: int
    """Cells a row of the map, margins included."""


@cache
def _stencils(half_length: float, half_width: float, fine: int) -> Stencils:
    along = np.arange(-half_length, half_length, 0.9 / fine)
    across = np.arange(-half_width, half_width, 0.9 / fine)
    s, t = np.meshgrid(along - along.mean(), across - across.mean())
    inside = (s / half_length) ** 4 + (t / half_width) ** 2 <= 1.0
    s, t = s[inside], t[inside]
    bends = np.linspace(-MAX_BEND, MAX_BEND, NUM_BENDS)[:, None]
    directions = np.linspace(0, 2 * np.pi, NUM_DIRECTIONS, endpoint=False)[:, None, None]
    bent = t + bends * s**2
    x = np.round((np.cos(directions) * s - np.sin(directions) * bent) * fine).astype(np.int64)
    y = np.round((np.sin(directions) * s + np.cos(directions) * bent) * fine).astype(np.int64)
    margin = int(max(np.abs(x).max(), np.abs(y).max())) + 1
    width = fine + 2 * margin
    offsets = (y * width + x).reshape(-1, len(s)).astype(np.int32)
    return Stencils(offsets, (t / half_width).astype(np.float32), margin, width)


@cache
def _cells(num: int) -> np.ndarray:
    """Corners [num * num, 2] of a grid's cells in units of a cell, in an order without pattern."""
    cells = np.stack(np.meshgrid(np.arange(num), np.arange(num)), axis=-1).reshape(-1, 2)
    return np.random.default_rng(0).permutation(cells).astype(np.float32)


def _middles(spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Points [n, 2], one anywhere in each cell of a grid over the frame."""
    num = int(np.ceil(1 / spacing))
    cells = _cells(num)
    return (cells + rng.random(cells.shape, dtype=np.float32)) / np.float32(num)


def brushed(field: np.ndarray, where: Mask, flow: Mask, brush: Brush, rng: np.random.Generator) -> np.ndarray:
    """The field of colour [R, R, 3] as strokes.

    Args:
        field: each stroke takes the colour at its middle; where no stroke comes it stays.
        where: strokes are laid where this is not 0, [R, R].
        flow: direction of the strokes [R, R] in radians.
        brush: what they look like.
        rng: places them.
    """
    field, size = np.array(field, dtype=np.float32), len(field)
    middles = _middles(brush.spacing, rng)
    whims = rng.standard_normal((2, len(middles)), dtype=np.float32)
    bends = rng.integers(NUM_BENDS, size=len(middles))
    column, row = np.minimum(middles * size, size - 1).astype(np.int64).T  # rounding may make a middle 1
    chosen = np.flatnonzero(where[row, column] > 0)  # last, so that a stroke's whims do not depend on the others
    if not len(chosen):
        return field
    column, row, whims = column[chosen], row[chosen], whims[:, chosen]
    brightness = 1 + brush.mixing * whims[0]
    colours = np.concatenate([field[row, column].T * brightness, np.ones_like(brightness[None])])
    turns = (flow[row, column] + brush.unsteadiness * whims[1]) * (NUM_DIRECTIONS / (2 * np.pi))
    directions = np.round(turns).astype(np.int64) % NUM_DIRECTIONS
    rows = slice(int(row.min()), int(row.max()) + 1)
    paint, cover = _averaged(_laid(middles[chosen], directions, bends[chosen], colours, brush, size, rows))
    field[rows] = field[rows] * (1 - cover[..., None]) + paint
    return field


def _laid(
    middles: np.ndarray,
    directions: np.ndarray,
    bends: np.ndarray,
    colours: np.ndarray,
    brush: Brush,
    size: int,
    rows: slice,
) -> np.ndarray:
    """Strokes on a blank sheet: colour and, last, coverage, [4, FINENESS rows, FINENESS size].

    Args:
        middles: [n, 2] in frame units, in the order of painting.
        directions: which of the directions, [n].
        bends: which of the bends, [n].
        colours: [4, n], the last row 1.
        brush: the strokes' size and relief.
        size: pixels a side of the image.
        rows: of pixels; the sheet has only these.
    """
    fine, first, last = size * FINENESS, rows.start * FINENESS, rows.stop * FINENESS
    stencils = _stencils(brush.half_length, brush.half_width, fine)
    margin, width, num_points = stencils.margin, stencils.width, stencils.offsets.shape[1]
    cells = np.minimum(middles * fine, fine - 1).astype(np.int64)
    origin = (cells[:, 1] - first + margin) * width + cells[:, 0] + margin
    places = origin[:, None] + stencils.offsets[directions * NUM_BENDS + bends]
    codes = (np.arange(len(middles), dtype=np.int32)[:, None] << POINT_BITS) + np.arange(num_points, dtype=np.int32)
    top = np.full((last - first + 2 * margin) * width, -1, dtype=np.int32)
    top[places.ravel()] = codes.ravel()  # of several points in a cell the last one stays
    top = top.reshape(-1, width)[margin:-margin, margin:-margin].ravel()
    stroke, point = top >> POINT_BITS, top & ((1 << POINT_BITS) - 1)
    angle = directions * (2 * np.pi / NUM_DIRECTIONS)
    lean = (brush.relief * (np.cos(angle) + 0.6 * np.sin(angle))).astype(np.float32)
    ridge = 1 - np.take(stencils.across, point, mode="clip") * np.take(lean, stroke, mode="clip")
    planes = np.stack([np.take(channel, stroke, mode="clip") for channel in colours])
    planes[:3] *= ridge
    planes *= top >= 0
    return planes.reshape(4, last - first, fine)


def _averaged(planes: np.ndarray) -> tuple[np.ndarray, Mask]:
    """Colour times coverage [r, R, 3] and coverage [r, R] of a sheet of twice the resolution."""
    halved = planes[:, ::2] + planes[:, 1::2]
    halved = (halved[:, :, ::2] + halved[:, :, 1::2]) * np.float32(1 / FINENESS**2)
    return halved[:3].transpose(1, 2, 0), halved[3]
