"""Where the labels of points go so that they do not overlap one another, or any point."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

RADII = (3, 8, 14, 22, 32, 44, 58, 74, 94, 118, 146, 180, 220)
ANGLES = 24
PASSES = 4


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, x: float, y: float, radius: float) -> Box:
        """The square around a point."""
        return cls(x - radius, y - radius, x + radius, y + radius)

    def overlap(self, other: Box) -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return width * height if width > 0 and height > 0 else 0.0

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """The point of the rectangle that is nearest to (x, y)."""
        return min(max(x, self.left), self.right), min(max(y, self.top), self.bottom)


def place(
    points: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], area: Box, radius: float
) -> list[Box]:
    """Return a rectangle of each size (width, height) near its point, inside `area`.

    Labels are placed one after another where they cost least, then each again a few times with all others in place: an
    overlap costs more than any distance. `radius` is that of a point.
    """
    markers = [Box.around(x, y, radius) for x, y in points]
    placed: list[Box | None] = [None] * len(points)
    crowded = sorted(range(len(points)), key=lambda i: -_neighbours(points, i))
    for _ in range(PASSES):
        for i in crowded:
            others = [(points[j], box) for j, box in enumerate(placed) if j != i and box is not None]
            placed[i] = _cheapest(i, sizes[i], points, markers, others, area)
    return [box for box in placed if box is not None]


def _cheapest(
    i: int, size: tuple[float, float], points: Sequence[tuple[float, float]], markers: Sequence[Box],
    others: Sequence[tuple[tuple[float, float], Box]], area: Box,
) -> Box:  # fmt: skip
    """The best place for one label: ring by ring, until no farther ring can cost less."""
    radius = (markers[i].right - markers[i].left) / 2
    best, least = None, math.inf
    for distance in RADII:
        if distance > least:
            break
        for box in _ring(points[i], size, radius + distance, area):
            cost = _cost(i, box, points, markers, others, distance, least)
            if cost < least:
                best, least = box, cost
    assert best is not None
    return best


def _neighbours(points: Sequence[tuple[float, float]], i: int) -> int:
    return sum(1 for point in points if math.dist(point, points[i]) < 60)


def _ring(point: tuple[float, float], size: tuple[float, float], distance: float, area: Box) -> Iterator[Box]:
    """Rectangles all around a point, an edge or a corner of each `distance` away, moved into the area where they stick out."""
    (x, y), (width, height) = point, size
    for turn in range(ANGLES):
        angle = 2 * math.pi * turn / ANGLES
        cx = x + math.cos(angle) * (distance + width / 2)
        cy = y + math.sin(angle) * (distance + height / 2)
        left = min(max(cx - width / 2, area.left), area.right - width)
        top = min(max(cy - height / 2, area.top), area.bottom - height)
        yield Box(left, top, left + width, top + height)


def _cost(
    i: int, box: Box, points: Sequence[tuple[float, float]], markers: Sequence[Box],
    others: Sequence[tuple[tuple[float, float], Box]], distance: float, limit: float,
) -> float:  # fmt: skip
    """Distance, and what is in the way: overlaps weigh most, then leaders that run through something.

    Counting stops once the limit is passed.
    """
    cost = distance + 1e3 * sum(box.overlap(marker) for marker in markers)
    cost += 1e4 * sum(box.overlap(other) for _, other in others)
    if cost >= limit:
        return cost
    start, end = points[i], box.nearest(*points[i])
    own = math.dist(start, end)
    for j, marker in enumerate(markers):
        if j == i:
            continue
        if _near(start, end, points[j]) < (marker.right - marker.left) / 2:
            cost += 40
        if math.dist(points[j], box.nearest(*points[j])) < own:
            cost += 15  # it could be taken for the label of that one
    for point, other in others:
        if cost >= limit:
            return cost
        tip = other.nearest(*point)
        if _crosses(start, end, point, tip):
            cost += 60
        cost += 200 * (_through(start, end, other) + _through(point, tip, box))
    return cost


def _near(a: tuple[float, float], b: tuple[float, float], p: tuple[float, float]) -> float:
    """The distance of p from the segment a b."""
    length = math.dist(a, b) ** 2
    if not length:
        return math.dist(a, p)
    t = max(0.0, min(1.0, ((p[0] - a[0]) * (b[0] - a[0]) + (p[1] - a[1]) * (b[1] - a[1])) / length))
    return math.dist(p, (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])))


def _crosses(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float], d: tuple[float, float]) -> bool:
    """Whether the segments a b and c d cross."""

    def side(p: tuple[float, float], q: tuple[float, float], r: tuple[float, float]) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _through(a: tuple[float, float], b: tuple[float, float], box: Box) -> bool:
    """Whether the segment a b passes through the rectangle."""
    corners = [(box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom)]
    return any(_crosses(a, b, corners[i], corners[(i + 1) % 4]) for i in range(4))
