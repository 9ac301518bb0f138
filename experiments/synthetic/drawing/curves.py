"""Polylines: smooth curves through points, ellipses, arcs and ribbons. Points are float arrays [n, 2]."""

from collections.abc import Sequence
from functools import cache

import numpy as np

Points = np.ndarray
PointList = Sequence[tuple[float, float]] | np.ndarray


@cache
def _spline_basis(num_points: int, samples: int, closed: bool) -> np.ndarray:
    """Matrix [m, num_points] that takes control points to a Catmull-Rom curve through them."""
    t = np.arange(samples) / samples
    weights = np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], axis=1)
    num_segments = num_points if closed else num_points - 1
    basis = np.zeros((num_segments * samples + (0 if closed else 1), num_points))
    for segment in range(num_segments):
        for tap in range(4):
            point = segment + tap - 1
            point = point % num_points if closed else min(max(point, 0), num_points - 1)
            basis[segment * samples : (segment + 1) * samples, point] += weights[:, tap] / 2
    if not closed:
        basis[-1, -1] = 1.0
    return basis


def smooth_closed(points: PointList, samples: int = 6) -> Points:
    """Closed Catmull-Rom curve through `points`, `samples` points a segment."""
    control = np.asarray(points, dtype=np.float64)
    return _spline_basis(len(control), samples, True) @ control


def smooth_open(points: PointList, samples: int = 6) -> Points:
    """Open Catmull-Rom curve from the first to the last of `points`."""
    control = np.asarray(points, dtype=np.float64)
    return _spline_basis(len(control), samples, False) @ control


@cache
def _unit_circle(num: int) -> np.ndarray:
    """`num` points on the circle of radius 1, [num, 2]."""
    angle = np.linspace(0, 2 * np.pi, num, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def ellipse(centre: tuple[float, float] | np.ndarray, radius_x: float, radius_y: float, num: int = 28) -> Points:
    """Closed ellipse of `num` points."""
    return np.asarray(centre) + np.array((radius_x, radius_y)) * _unit_circle(num)


def rounded_box(x: float, y: float, radius_x: float, radius_y: float, exponent: float, num: int = 32) -> Points:
    """Closed superellipse around (x, y): exponent 1 is an ellipse, towards 0 a rectangle."""
    circle = _unit_circle(num)
    return np.array((x, y)) + np.array((radius_x, radius_y)) * np.sign(circle) * np.abs(circle) ** exponent


def ribbon(centre_line: Points, half_widths: np.ndarray | float) -> Points:
    """Closed outline of a stroke along `centre_line` [n, 2] whose half width may change along it."""
    tangent = np.empty_like(centre_line)
    tangent[1:-1] = (centre_line[2:] - centre_line[:-2]) / 2
    tangent[0], tangent[-1] = centre_line[1] - centre_line[0], centre_line[-1] - centre_line[-2]
    tangent /= np.sqrt((tangent * tangent).sum(axis=1, keepdims=True)) + 1e-9
    normal = np.empty_like(tangent)
    normal[:, 0], normal[:, 1] = -tangent[:, 1] * half_widths, tangent[:, 0] * half_widths
    return np.concatenate([centre_line + normal, (centre_line - normal)[::-1]])


def rotate(points: Points, angle: float, centre: tuple[float, float]) -> Points:
    """Turn `points` by `angle` radians (clockwise on screen, since y points down) about `centre`."""
    c, s = np.cos(angle), np.sin(angle)
    return (points - centre) @ np.array([[c, s], [-s, c]]) + centre


def taper(num: int, start: float, middle: float, end: float) -> np.ndarray:
    """Half widths of a stroke that swells from `start` to `middle` and thins out to `end`."""
    return np.interp(np.linspace(0, 1, num), [0.0, 0.45, 1.0], [start, middle, end])
