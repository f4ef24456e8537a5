"""Host state of a row."""

from __future__ import annotations

import numpy as np
import pytest

from dllmkit.state import UNCOMMITTED, Request, Row

MASK = 9


def row(prompt=(1, 2, MASK), gen_length=6):
    return Row(Request(0, tuple(prompt), gen_length, MASK))


def test_a_new_row():
    one = row()
    assert one.canvas.tolist() == [1, 2, MASK, *[MASK] * 6]
    assert one.committed.tolist() == [True] * 3 + [False] * 6  # the prompt's [MASK] is not one of ours
    assert (one.first_mask, one.n_committed, one.step, one.length, one.prompt_length) == (3, 0, 0, 9, 3)
    assert one.masks(0, 6).tolist() == [3, 4, 5]


def test_commits_in_any_order():
    one = row()
    one.commit(np.array([4, 7]), np.array([5, MASK - 1]), np.array([0.5, 0.25]))
    assert (one.first_mask, one.n_committed) == (3, 2)
    one.nfe = 1
    one.commit(np.array([3]), np.array([6]), np.array([1.0]))
    assert one.first_mask == 5
    assert one.canvas.tolist() == [1, 2, MASK, 6, 5, MASK, MASK, 8, MASK]
    assert one.commit_step.tolist() == [1, 0, UNCOMMITTED, UNCOMMITTED, 0, UNCOMMITTED]
    assert one.confidence[[0, 1, 4]].tolist() == [1.0, 0.5, 0.25]
    assert one.last_commit.tolist() == [3]
    one.commit(np.array([5, 6, 8]), np.array([0, 0, 0]), np.ones(3))
    assert one.first_mask == one.length


def test_a_position_is_committed_once():
    one = row()
    one.commit(np.array([3]), np.array([5]), np.array([0.5]))
    with pytest.raises(AssertionError, match="committed already"):
        one.commit(np.array([3]), np.array([5]), np.array([0.5]))
    with pytest.raises(AssertionError, match="committed already"):
        one.commit(np.array([0]), np.array([5]), np.array([0.5]))  # the prompt


def test_plugins_cannot_write_the_canvas():
    one = row()
    for array in (one.canvas, one.committed):
        with pytest.raises(ValueError, match="read-only"):
            array[4] = 1


def test_fill_ends_a_row():
    one = row()
    one.commit(np.array([3, 4, 7]), np.array([5, 8, 1]), np.array([0.5, 0.75, 0.9]))
    one.fill(5, 8, "eos")
    assert one.finished
    assert one.stop_reason == "eos"
    assert one.canvas.tolist() == [1, 2, MASK, 5, 8, 8, 8, 8, 8]
    assert one.commit_step.tolist() == [0, 0, *[UNCOMMITTED] * 4]
    assert np.isnan(one.confidence[2:]).all()
