"""The page: everything of the trace is in it, nothing in it can become markup, and it stays small."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from runs import HOSTILE, write_run

from dllmkit.errors import DllmkitError
from dllmkit.observe.lines import from_runs
from dllmkit.observe.trace import Trace
from dllmkit.view.page import SCRIPTS, render
from dllmkit.view.runs import ViewedRun
from dllmkit_baseline.eos import Eos
from dllmkit_baseline.fixed_blocks import FixedBlocks
from dllmkit_baseline.quota import Quota
from dllmkit_dsb.dsb_cache import DsbCache
from dllmkit_dsb.sliding_block import SlidingBlock


class Elements(HTMLParser):
    """The elements of a page, with the text of those that hold some."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self.inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), ""))
        self.inside = True

    def handle_data(self, data: str) -> None:
        if self.inside:
            tag, attrs, text = self.found[-1]
            self.found[-1] = (tag, attrs, text + data)

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attrs, text) for name, attrs, text in self.found if name == tag]


def data_of(page: str) -> dict[str, Any]:
    (text,) = (text for attrs, text in Elements(page).of("script") if attrs.get("id") == "data")
    return json.loads(text)  # type: ignore[no-any-return]


def page_of(*paths: Path, row: int | None = None) -> str:
    return render([ViewedRun.open(path) for path in paths], row)


def test_everything_of_the_trace_is_there(tmp_path: Path) -> None:
    components = {"block_scheduler": SlidingBlock(6, None), "cache_policy": DsbCache(2), "stop_rules": (Eos(),)}
    path = write_run(tmp_path / "run", [[1, 2, 3], [4, 5]], **components)
    data = data_of(page_of(path))
    assert [entry["row"] for entry in data["rows"]] == [0, 1]
    assert data["runs"][0]["components"] == "model toy · none · dawn (tau_high 0.6)"
    trace = Trace.load(path / "trace.jsonl")
    assert data["runs"][0]["texts"] == {str(token): text for token, text in trace.texts.items()}
    for entry in data["rows"]:
        (row,), steps = entry["runs"], trace.of(entry["row"])
        assert row["prompt"] == list(steps[0].request.prompt)
        assert (row["length"], row["stopReason"]) == (steps[0].request.length, steps[-1].stop_reason)
        assert row["answer"] == f"answer {entry['row']}"
        for shown, step in zip(row["steps"], steps, strict=True):
            for name in ("visible", "query", "eligible", "chosen"):
                assert from_runs(shown[name]).tolist() == getattr(step, name).tolist()
            assert (shown["block"], shown["refresh"]) == (list(step.block), step.refresh)
            assert shown["tokens"] == step.tokens.tolist()
            assert shown["confidence"] == pytest.approx(step.confidence, abs=1e-4)
            assert step.details is not None
            assert shown["details"]["tokens"] == step.details.tokens.tolist()
            assert from_runs(shown["details"]["sets"]["anchors"]).tolist() == step.details.sets["anchors"].tolist()
            edges = step.details.edges["depends"]
            assert [edge[:2] for edge in shown["details"]["edges"]["depends"]] == [
                list(pair) for pair in zip(edges.source.tolist(), edges.target.tolist(), strict=True)
            ]


def test_hostile_text_is_data(tmp_path: Path) -> None:
    path = write_run(tmp_path / "<b onclick=alert(3)>&amp;", texts=lambda token: HOSTILE)
    page = page_of(path)
    elements = Elements(page)
    assert len(elements.of("script")) == 2
    assert elements.of("img") == elements.of("b") == []
    assert data_of(page)["runs"][0]["texts"]["1"] == HOSTILE
    assert page.count("</script") == 2
    ((_, title),) = elements.of("title")
    assert title == "<b onclick=alert(3)>&amp; · dllmkit view"
    page.encode("utf-8")


def test_it_loads_nothing_and_runs_only_its_own_script(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run"))
    elements = Elements(page)
    assert not [attrs for _, attrs, _ in elements.found if {"src", "href", "style", "onclick"} & attrs.keys()]
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    (policy,) = (attrs["content"] for attrs, _ in elements.of("meta") if "http-equiv" in attrs)
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for tag in ("script", "style"):
        (text,) = (text for attrs, text in elements.of(tag) if attrs.get("id") != "data")
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_two_runs_show_the_rows_that_both_have(tmp_path: Path) -> None:
    both = write_run(tmp_path / "a", [[1, 2, 3], [4, 5]])
    other = write_run(tmp_path / "b", [[1, 2, 3]], unmask_selector=Quota(24), details=False)
    data = data_of(page_of(both, other))
    assert [entry["row"] for entry in data["rows"]] == [0]
    dawn, quota = data["rows"][0]["runs"]
    assert len(quota["steps"]) == 24 > len(dawn["steps"])
    assert "details" not in quota["steps"][0]
    assert [run["name"] for run in data["runs"]] == ["a", "b"]
    assert [entry["row"] for entry in data_of(page_of(both, row=1))["rows"]] == [1]
    with pytest.raises(DllmkitError, match=r"b has no row 1; it has 0$"):
        page_of(both, other, row=1)


def test_a_long_answer_stays_below_2_mb(tmp_path: Path) -> None:
    """The worst: 512 tokens, one a step, all eligible from the start, and every proposal recorded."""
    path = write_run(
        tmp_path / "run", gen_length=512, block_scheduler=FixedBlocks(512), unmask_selector=Quota(512),
        texts=lambda token: f" word{token}",
    )  # fmt: skip
    page = page_of(path)
    assert len(page.encode()) < 2_000_000
    steps = data_of(page)["rows"][0]["runs"][0]["steps"]
    assert len(steps) == 512
    assert all(len(step["details"]["confidence"]) == 512 - number for number, step in enumerate(steps))


def test_a_row_that_is_too_large_goes_without_details(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_run(tmp_path / "run", [[1, 2], [3, 4]])
    monkeypatch.setattr("dllmkit.view.page.LARGEST", 2_000)
    data = data_of(page_of(path))
    assert len(data["rows"]) == 1
    assert not any("details" in step for step in data["rows"][0]["runs"][0]["steps"])
    assert data["note"] == (
        "Prompt 1 is too large to be shown with its details. "
        "1 of 2 prompts are left out: dllmkit view --row N shows one."
    )


def test_many_rows_fill_one_page_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_run(tmp_path / "run", [[1 + i % 20] for i in range(70)], gen_length=6)
    whole = data_of(page_of(path))
    assert ([entry["row"] for entry in whole["rows"]], whole["note"]) == (list(range(70)), "")
    monkeypatch.setattr("dllmkit.view.page.LARGEST", 40_000)
    data = data_of(page_of(path))
    n = len(data["rows"])
    assert 2 < n < 70
    assert data["rows"] == whole["rows"][:n]
    assert data["note"] == f"{70 - n} of 70 prompts are left out: dllmkit view --row N shows one."


def test_a_run_that_was_killed_is_shown_as_far_as_it_got(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run")
    lines = (path / "trace.jsonl").read_text().splitlines(keepends=True)
    (path / "trace.jsonl").write_text("".join(lines[:3]) + lines[3][:20])
    (path / "recipe.yaml").unlink()
    data = data_of(page_of(path))
    (row,) = data["rows"][0]["runs"]
    assert (len(row["steps"]), row["stopReason"], row["fill"], row["answer"]) == (2, None, None, None)
    assert data["runs"][0]["components"] == ""


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DllmkitError, match="nowhere does not exist: give a folder that `dllmkit run RECIPE --out DIR`"):
        ViewedRun.open(tmp_path / "nowhere")
    with pytest.raises(DllmkitError, match=r"has no trace\.jsonl: give a folder"):
        ViewedRun.open(tmp_path)
    (tmp_path / "trace.jsonl").write_text("")
    with pytest.raises(DllmkitError, match=r"trace\.jsonl has no step yet: nothing to show"):
        ViewedRun.open(tmp_path)
    (tmp_path / "trace.jsonl").write_text('{"schema":1,"kind":"step","row":0}\n')
    with pytest.raises(DllmkitError, match="has trace schema 1"):
        ViewedRun.open(tmp_path)


def test_the_parts_of_the_page_are_short_files() -> None:
    folder = Path(render.__code__.co_filename).parent
    for name in (*SCRIPTS, "view.css", "template.html"):
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 400, name
        assert max(map(len, lines)) <= 160, name
