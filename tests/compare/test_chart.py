"""Charts: axes hold what is drawn, labels neither overlap nor stick out, front and markers are where they belong."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dllmkit.compare.report.axis import Axis, axis_over
from dllmkit.compare.report.chart import NARROW, WIDE, Point, chart
from dllmkit.compare.report.labels import Box, place

AREA = Box(40, 10, 860, 430)
values = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=12)


@given(values)
def test_an_axis_holds_its_values(found):
    axis = axis_over(found, 50, 850)
    pixels = [axis(value) for value in sorted(found)]
    assert all(50 <= pixel <= 850 for pixel in pixels)
    assert pixels == sorted(pixels)
    ticks = axis.ticks(8)
    assert len(ticks) <= 10
    assert all(axis.low <= tick <= axis.high for tick in ticks)


def test_the_scale_keeps_values_apart():
    assert not axis_over([1, 20, 24, 27, 30, 33, 38, 43, 49], 0, 800).logarithmic
    assert axis_over([1, 2, 4, 8, 16, 32, 64, 128], 0, 800).logarithmic


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(79.2, 100.3, [80, 85, 90, 95, 100]), (0.9, 2.1, [1, 1.2, 1.4, 1.6, 1.8, 2.0])]
)
def test_round_ticks(low, high, expected):
    assert Axis(low, high, 0, 100).ticks(6) == expected


def test_logarithmic_ticks():
    assert Axis(0.9, 60, 0, 100, logarithmic=True).ticks(7) == [1, 2, 5, 10, 20, 50]


@settings(max_examples=15)
@given(st.lists(st.tuples(st.floats(300, 500), st.floats(150, 250)), min_size=1, max_size=12), st.integers(20, 150))
def test_labels_of_a_crowd_do_not_overlap(points, width):
    boxes = place(points, [(width, 16)] * len(points), AREA, 8)
    assert len(boxes) == len(points)
    for i, box in enumerate(boxes):
        assert box.left >= AREA.left
        assert box.right <= AREA.right
        assert box.top >= AREA.top
        assert box.bottom <= AREA.bottom
        assert (box.right - box.left, box.bottom - box.top) == pytest.approx((width, 16))
        assert all(box.overlap(other) == 0 for other in boxes[:i])
        assert all(box.overlap(Box.around(*point, 8)) == 0 for point in points)


def test_a_label_alone_is_close():
    (box,) = place([(400, 200)], [(60, 16)], AREA, 8)
    x, y = box.nearest(400, 200)
    assert abs(x - 400) + abs(y - 200) < 16


POINTS = [
    Point(1, "one & only", 1.0, 95.0, 91.0, 97.0, True),
    Point(2, "<b>two</b>", 20.0, 92.0, 88.0, 95.0, True),
    Point(3, "three", 15.0, 91.0, 87.0, 94.0, False),
]


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_the_drawing(layout):
    text = chart(POINTS, "times as fast", layout)
    root = ElementTree.fromstring(text)  # well-formed, so everything is escaped
    circles = root.findall("circle")
    assert sorted(circle.get("class") for circle in circles) == ["point off", "point on"]
    assert len(root.findall("path[@class='reference']")) == 1
    labels = {label.text for label in root.findall("text") if label.get("class").startswith("label")}
    assert labels == ({"one & only", "<b>two</b>", "three"} if layout.named else {"1", "2", "3"})
    for element in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(element.get(name, 0)) <= layout.width
        for name in ("y", "y1", "y2", "cy"):
            assert 0 <= float(element.get(name, 0)) <= layout.height
    by_x = {float(c.get("cx")): float(c.get("cy")) for c in circles}
    left, right = min(by_x), max(by_x)
    assert by_x[right] < by_x[left]  # the faster one is also the more accurate one: higher up


def test_the_front_goes_down_in_stairs():
    line = re.search(r'class="front" d="([^"]+)"', chart(POINTS, "x", WIDE))[1]
    heights = [float(y) for y in re.findall(r"V([\d.]+)", line)]
    assert heights == sorted(heights)  # pixels grow downwards
    assert len(heights) == 3


def test_many_points_have_numbers_but_for_the_front():
    many = [Point(i, f"point {i}", 1.0 + i, 90 - i, 85 - i, 95 - i, i == 5) for i in range(1, 21)]
    root = ElementTree.fromstring(chart(many, "x", WIDE))
    labels = {label.text for label in root.findall("text") if label.get("class").startswith("label")}
    assert labels == {"point 1", "point 5", *(str(i) for i in range(2, 21) if i != 5)}


def test_one_point_and_equal_points_can_be_drawn():
    ElementTree.fromstring(chart(POINTS[:1], "x", WIDE))
    ElementTree.fromstring(chart([POINTS[0], POINTS[0]], "x", NARROW))
