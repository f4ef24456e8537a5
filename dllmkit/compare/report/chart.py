"""A chart of accuracy against speed, as SVG that takes its colours from the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from dllmkit.compare.report.axis import Axis, axis_over
from dllmkit.compare.report.labels import Box, place

CHARACTER, BOLD = 0.62, 0.7  # width of a character over the size of the font: wider than in most fonts


@dataclass(frozen=True, slots=True)
class Point:
    """A recipe in a chart; accuracy and its interval in percent."""

    number: int
    label: str
    x: float
    accuracy: float
    low: float
    high: float
    on_front: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """The size of a chart in pixels and the room around its plot; `named` says whether labels are names or numbers."""

    name: str
    width: int
    height: int
    font: float
    left: int
    bottom: int
    named: bool
    right: int = 16
    top: int = 14
    radius: float = 5.0


WIDE = Layout("wide", 900, 480, 13, 58, 52, named=True)
NARROW = Layout("narrow", 358, 340, 12, 44, 46, named=False)
NAMES = 14  # points from which only those on the front and the reference are named, others numbered


def chart(points: Sequence[Point], title: str, layout: Layout) -> str:
    """Draw accuracy (percent, with its interval) over x; the first point is the reference. Everything said is escaped."""
    x = axis_over([p.x for p in points], layout.left, layout.width - layout.right)
    title += " (logarithmic)" if x.logarithmic else ""
    accuracies = [v for p in points for v in (p.low, p.high)]
    low, high = min(accuracies), max(accuracies)
    margin = 0.06 * (high - low) or 1.0
    y = Axis(max(0.0, low - margin), min(100.5, high + margin), layout.height - layout.bottom, layout.top)
    parts = [
        *_grid(x, y, title, layout),
        *_front(points, x, y),
        *_intervals(points, x, y),
        *_labels(points, x, y, layout),
        *(_marker(points[0], p, x, y, layout.radius) for p in sorted(points, key=lambda p: p.on_front)),
    ]
    names = "; ".join(f"{p.label}: {p.accuracy:.1f} % at {p.x:.3g}" for p in points)
    return (
        f'<svg class="chart {layout.name}" viewBox="0 0 {layout.width} {layout.height}" role="img" '
        f'aria-label="{escape(f"Accuracy over {title}. {names}")}" font-size="{layout.font}">{"".join(parts)}</svg>'
    )


def _grid(x: Axis, y: Axis, title: str, layout: Layout) -> Iterator[str]:
    for tick in y.ticks(6):
        yield f'<line class="grid" x1="{x.start}" x2="{x.stop}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        yield f'<text class="tick" x="{x.start - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
    for tick in x.ticks(8 if layout.named else 5):
        yield f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{y.start}" y2="{y.stop}"/>'
        yield f'<text class="tick" x="{x(tick):.1f}" y="{y.start + 18}" text-anchor="middle">{tick:g}</text>'
    middle = (y.start + y.stop) / 2
    yield f'<text class="axis" x="{(x.start + x.stop) / 2}" y="{layout.height - 8}" text-anchor="middle">{escape(title)}</text>'
    yield (f'<text class="axis" transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">accuracy, %</text>')


def _front(points: Sequence[Point], x: Axis, y: Axis) -> Iterator[str]:
    """The front as stairs: up to a point's x, its accuracy can be had."""
    corners = sorted({(p.x, p.accuracy) for p in points if p.on_front})
    if not corners:
        return
    path = [f"M{x.start} {y(corners[0][1]):.1f}"]
    for at, accuracy in corners:
        path.append(f"V{y(accuracy):.1f}H{x(at):.1f}")
    line = "".join(path) + f"V{y.start}"
    yield f'<path class="under" d="{line}H{x.start}Z"/><path class="front" d="{line}"/>'


def _intervals(points: Sequence[Point], x: Axis, y: Axis) -> Iterator[str]:
    for p in points:
        at, kind = f"{x(p.x):.1f}", "on" if p.on_front else "off"
        yield f'<line class="interval {kind}" x1="{at}" x2="{at}" y1="{y(p.low):.1f}" y2="{y(p.high):.1f}"/>'


def _marker(reference: Point, p: Point, x: Axis, y: Axis, radius: float) -> str:
    said = f"<title>{escape(f'{p.label}: {p.accuracy:.1f} % ({p.low:.1f} to {p.high:.1f}), {p.x:.4g}')}</title>"
    cx, cy = x(p.x), y(p.accuracy)
    if p is reference:
        return f'<path class="reference" d="M{cx:.1f} {cy - 8:.1f}l8 8l-8 8l-8 -8Z">{said}</path>'
    kind = "on" if p.on_front else "off"
    return f'<circle class="point {kind}" cx="{cx:.1f}" cy="{cy:.1f}" r="{radius}">{said}</circle>'


def _labels(points: Sequence[Point], x: Axis, y: Axis, layout: Layout) -> Iterator[str]:
    spots = [(x(p.x), y(p.accuracy)) for p in points]
    few = layout.named and len(points) <= NAMES
    texts = [p.label if few or (layout.named and (p.on_front or p is points[0])) else str(p.number) for p in points]
    strong = [p.on_front or p is points[0] for p in points]
    sizes = [
        (len(text) * layout.font * (BOLD if bold else CHARACTER) + 4, layout.font * 1.25)
        for text, bold in zip(texts, strong, strict=True)
    ]
    room = Box(x.start + 2, y.stop, x.stop + layout.right - 2, y.start - 2)
    boxes = place(spots, sizes, room, layout.radius + 3)
    for text, bold, spot, box in zip(texts, strong, spots, boxes, strict=True):
        inner = (box.right - box.left) / 5  # a leader ends below the word, not at its edge
        end = Box(box.left + inner, box.top, box.right - inner, box.bottom).nearest(*spot)
        nearest = min(spots, key=lambda other: math.dist(other, box.nearest(*other)))
        if nearest != spot or math.dist(box.nearest(*spot), spot) > layout.radius + 9:
            yield f'<line class="leader" x1="{spot[0]:.1f}" y1="{spot[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"/>'
        middle = (box.left + box.right) / 2
        yield (
            f'<text class="label{" strong" if bold else ""}" x="{middle:.1f}" y="{box.bottom - 0.28 * layout.font:.1f}" '
            f'text-anchor="middle">{escape(text)}</text>'
        )
