"""Every forward beside its own limit, with numbers that are known."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dllmkit.bench.clock import TimedForward
from dllmkit.bench.kinds import beside_limits, shares
from dllmkit.bench.runner import Pass
from dllmkit.bench.work import RowWork


class Fixed:
    """A network and its limits: a millisecond for each query row, two for each proposal."""

    layer_products = staticmethod(lambda work: {"layers": sum(row.query for row in work.rows)})
    head_products = staticmethod(lambda work: {"head": 2 * sum(row.proposed for row in work.rows)})
    total = staticmethod(lambda products: sum(products.values()) * 1e-3)


def forward(query: int, visible: int, **seconds: float) -> TimedForward:
    return TimedForward([RowWork(query, visible, 1)], seconds)


def passes(*factors: float) -> list[Pass]:
    return [
        Pass(
            1.0,
            [],
            [
                forward(10, 10, forward=0.02 * k, propose=0.004 * k, select=0.001, commit=0.003, other=0.0),
                forward(4, 10, forward=0.006 * k, propose=0.002, select=0.002, commit=0.0, other=0.0),
                forward(4, 10, forward=0.010 * k, propose=0.002, select=0.002, commit=0.002, other=0.0),
            ],
            1.0,
        )
        for k in factors
    ]


def test_medians_and_the_best():
    kinds = beside_limits(passes(1, 2, 4), Fixed(), Fixed())
    refresh, refine = kinds["refresh"], kinds["refine"]
    assert list(kinds) == ["refresh", "refine"]
    assert (refresh["count"], refine["count"]) == (1, 2)
    assert refresh["limit_ms"] == pytest.approx(10)
    assert refresh["forward_ms"] == pytest.approx(40)
    assert refresh["forward_over_limit"] == pytest.approx(4)
    assert refresh["forward_over_limit_best"] == pytest.approx(2)
    assert refresh["propose_ms"] == pytest.approx(8)
    assert refresh["head_limit_ms"] == pytest.approx(2)
    assert refresh["step_ms"] == pytest.approx(52)
    assert refresh["step_over_limit"] == pytest.approx(52 / 12)
    assert refine["forward_over_limit"] == pytest.approx((12 + 20) / 2 / 4)
    assert refine["step_over_limit_best"] == pytest.approx(10 / 6)
    assert refine["query_tokens"] == 4


def test_shares():
    (done,) = passes(1)
    divided = shares(done)
    assert divided["refresh"]["of_all"] == pytest.approx(28 / 54)
    assert divided["refine"]["of_all"] == pytest.approx(26 / 54)
    assert divided["refresh"]["forward"] == pytest.approx(20 / 28)
    assert divided["refine"]["select"] == pytest.approx(4 / 26)
    assert divided["refine"]["host"] == pytest.approx(2 / 26)
    assert divided["refine"]["pack"] is divided["refine"]["step"] is None


def test_a_compiled_step_is_one_piece():
    done = Pass(1.0, [], [forward(4, 10, step=0.009, commit=0.001, other=0.002)], 1.0)
    kinds = beside_limits([done], Fixed(), Fixed())
    refine = SimpleNamespace(**kinds["refine"])
    assert refine.forward_ms is refine.propose_ms is refine.forward_over_limit is refine.forward_over_limit_best is None
    assert refine.step_ms == pytest.approx(12)
    assert refine.step_over_limit == pytest.approx(2)
    assert shares(done)["refine"]["step"] == pytest.approx(9 / 12)
    assert shares(done)["refine"]["forward"] is None
