"""`dllmkit bench` on small networks: counts are exact, times are there, mistakes are a message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from shell import ROOT, call

from dllmkit.bench.clock import HOST
from dllmkit.bench.report import DEFINITIONS
from dllmkit.bench.tables import disturbance, heading, tables
from dllmkit.cli.bench import BenchOptions, split
from dllmkit.errors import DllmkitError

SHAPE = str(ROOT / "tests" / "golden" / "llada-100" / "config.json")  # 5 layers, width 64, vocabulary 128
BLOCKS = ["decode.block_scheduler={name: fixed_blocks, block_length: 8}", "runtime.dtype=float32"]


def measured(capsys, *arguments: str) -> dict:
    outcome = call(capsys, "bench", *arguments, "--json")
    assert outcome.status == 0, outcome.err
    return json.loads(outcome.out)


def test_counts(capsys):
    """Prompts of 8 and 20 positions, 16 to generate in blocks of 8, 4 tokens a forward."""
    arguments = ["baseline/tiny", "fast_dllm/tiny-dual_cache", *BLOCKS, "--shape", SHAPE, "--gen-length", "16"]
    document = measured(
        capsys, *arguments, "--prompt-length", "8,20", "--commit-schedule", "4", "--repeats", "2", "--warmup", "1"
    )
    plain, cached = document["recipes"]
    for one in (plain, cached):
        m = one["metrics"]
        assert (m["prompts"], m["nfe"], m["tokens"], m["answer_tokens"], m["tpf"]) == (2, 8, 32, 32, 4.0)
        assert m["accuracy"] is None
        assert m["peak_bytes"] is None
        assert one["prompt_lengths"] == [8, 20]
        assert one["same_tokens"]
        assert len(one["seconds"]["repeats"]) == 2
        assert one["seconds"]["min"] <= one["seconds"]["median"] <= one["seconds"]["max"]
        assert m["seconds"] == one["seconds"]["median"] > 0
        assert m["tps"] == pytest.approx(32 / m["seconds"])
        assert len(one["warmup_seconds"]) == 1
        assert 0 < one["cpu_seconds"]["median"] < m["seconds"] + 0.1  # one thread
        assert one["preparing_seconds"] == [0.0] * 3
        assert one["first_call_seconds"] == one["warmup_seconds"][0]
    lengths = (24, 36)
    assert plain["metrics"]["query_tokens"] == 4 * sum(lengths)
    assert plain["metrics"]["attended"] == 4 * sum(n * n for n in lengths)
    assert cached["metrics"]["query_tokens"] == sum(2 * n + 2 * 8 for n in lengths)
    assert cached["metrics"]["attended"] == sum(2 * n * n + 2 * 8 * n for n in lengths)
    assert plain["metrics"]["flops"] == flops([(n, n, p) for n in lengths for p in (8, 4, 8, 4)])
    assert cached["metrics"]["flops"] == flops([(q, n, p) for n in lengths for q, p in ((n, 8), (8, 4)) * 2])
    assert plain["time_ratio"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert {kind: f["count"] for kind, f in plain["forwards"].items()} == {"refresh": 8}
    assert {kind: f["count"] for kind, f in cached["forwards"].items()} == {"refresh": 4, "refine": 4}
    assert cached["forwards"]["refine"]["query_tokens"] == 8


def flops(forwards):
    """Operations of the network in SHAPE, one row each: query, visible, proposed."""
    width, hidden, layers, vocabulary = 64, 160, 5, 128
    linear = 4 * width * width + 3 * width * hidden
    return sum(2 * layers * (q * linear + 2 * q * v * width) + 2 * p * width * vocabulary for q, v, p in forwards)


def test_shares_and_limits(capsys):
    arguments = ["dsb/tiny-cache", "dawn/tiny", "runtime.dtype=float32", "--shape", SHAPE, "--gen-length", "32"]
    document = measured(capsys, *arguments, "--commit-schedule", "3.5", "--repeats", "1")
    assert document["definitions"] == DEFINITIONS
    assert document["settings"]["commit_schedule"] == "3.5"
    assert document["environment"]["threads"] == 1
    for one in document["recipes"]:
        assert one["shares"].keys() == one["forwards"].keys()
        assert sum(share["of_all"] for share in one["shares"].values()) == pytest.approx(1)
        for share in one["shares"].values():
            device = [share[part] for part in ("forward", "propose", "select")]
            assert sum(device) + share["host"] == pytest.approx(1)
            assert sum(share[part] for part in HOST) == pytest.approx(share["host"])
            assert share["step"] is None  # not there, so not 0
        for f in one["forwards"].values():
            assert f["forward_over_limit"] >= f["forward_over_limit_best"] > 0
            assert f["step_over_limit"] >= f["step_over_limit_best"] > 0
            assert min(f["limit_ms"], f["head_limit_ms"], f["propose_ms"]) > 0
        heads = {p["rows"] for p in one["limit"]["products"] if p.get("outputs") == 128}
        assert heads
        assert {"linear", "attention"} == {p["kind"] for p in one["limit"]["products"]}
        assert one["recipe"]["runtime"]["threads"] == 1


def test_a_batch_is_refilled(capsys):
    arguments = ["baseline/tiny", *BLOCKS, "--shape", SHAPE, "--gen-length", "8", "--batch", "2", "--repeats", "1"]
    (one,) = measured(capsys, *arguments, "--prompt-length", "3,9,5", "--commit-schedule", "2")["recipes"]
    assert one["prompt_lengths"] == [3, 9, 5]
    assert one["metrics"]["nfe"] == 12
    assert one["metrics"]["query_tokens"] == 4 * (11 + 17 + 13)
    assert sum(f["count"] for f in one["forwards"].values()) < 12  # some forwards had two rows


def test_prompts_fill_the_batch(capsys):
    (one,) = measured(capsys, "dsb/tiny", "--gen-length", "32", "--batch", "3", "--repeats", "1")["recipes"]
    assert len(one["prompt_lengths"]) == 3
    assert one["metrics"]["prompts"] == 3


def test_a_recorded_run_is_replayed_on_other_weights(capsys, tmp_path):
    run = tmp_path / "run"
    given = ["dsb/tiny", "decode.gen_length=32", "runtime.dtype=float32"]
    assert call(capsys, "run", *given, "--prompt", "Sort: 4 2 9", "--out", str(run), "--no-live").status == 0
    steps = [json.loads(line) for line in (run / "trace.jsonl").read_text().splitlines()]
    counts = [len(line["tokens"]) for line in steps if line["kind"] == "step"]
    schedule = ["--shape", SHAPE, "--commit-schedule", str(run / "trace.jsonl"), "--repeats", "1"]
    (one,) = measured(capsys, *given, *schedule)["recipes"]
    due, nfe = 0, 0
    while due < 32:  # the recorded run ended at its end token; the schedule starts over
        due, nfe = due + counts[nfe % len(counts)], nfe + 1
    assert one["metrics"]["tokens"] == 32
    assert one["metrics"]["nfe"] >= nfe  # more, where fewer masks were eligible than due


def test_a_busy_machine_is_said():
    def document(seconds, cpu, device="cpu"):
        return {"recipes": [{"device": device, "seconds": {"median": seconds}, "cpu_seconds": {"median": cpu}}]}

    assert disturbance(document(10.0, 9.5)) is None
    assert disturbance(document(10.0, 19.5)) is None  # two threads
    assert disturbance(document(10.0, 1.0, "cuda:0")) is None
    said = "other programs had the processor for 60 % of the time: read `best`, not `ratio`"
    assert disturbance(document(10.0, 4.0)) == said


@pytest.mark.gpu
def test_on_a_gpu_parts_are_timed_apart_and_memory_is_counted(capsys):
    arguments = ["dsb/tiny-cache", "runtime.device=cuda", "--shape", SHAPE, "--gen-length", "32", "--repeats", "2"]
    (one,) = measured(capsys, *arguments, "--commit-schedule", "4")["recipes"]
    assert one["device"].startswith("cuda")
    assert one["metrics"]["peak_bytes"] > 0
    assert one["forwards"]["refine"]["forward_over_limit"] > 0


def test_tables_and_file(capsys, tmp_path):
    out, traces = tmp_path / "bench.json", tmp_path / "traces"
    arguments = ["baseline/tiny", "baseline/tiny", *BLOCKS, "--shape", SHAPE, "--gen-length", "8", "--repeats", "1"]
    outcome = call(capsys, "bench", *arguments, "--out", str(out), "--profile", str(traces))
    assert outcome.status == 0, outcome.err
    assert "note: random weights have flat confidences" in outcome.err
    document = json.loads(out.read_text())
    assert [one["name"] for one in document["recipes"]] == ["baseline/tiny", "baseline/tiny (2)"]
    for title in ("Time", "Work", "Beside the limit of this machine, ms each", "Shares of the time, %"):
        assert title in outcome.out
    assert heading(document) in outcome.out.replace("\n", " ")
    assert "1 prompt of 64 tokens, 8 to generate; batch 1; 1 round after 1 of warm-up" in heading(document)
    assert sorted(p.name for p in traces.iterdir()) == ["baseline.tiny", "baseline.tiny (2)"]
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for table in tables(document):
        console.print(table)
    assert "…" not in console.export_text()


def test_recipes_and_overrides_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a=b.yaml").write_text("")
    assert split(["x", "decode.seed=1", "a=b.yaml"]) == (["x", "a=b.yaml"], ["decode.seed=1"])
    with pytest.raises(DllmkitError, match="no recipe"):
        split(["decode.seed=1"])


def test_options_are_overrides_of_all_recipes():
    given = ["runtime.threads=3", "decode.seed=1"]
    assert BenchOptions().overrides(given) == ["runtime.threads=1", *given]  # later ones win
    options = BenchOptions(model="m", gen_length=8, batch=2, threads=4)
    asked = ["model.path=m", "decode.gen_length=8", "runtime.batch_size=2", "runtime.threads=4"]
    assert options.overrides(given) == ["runtime.threads=1", *given, *asked]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["baseline/tinny"], "did you mean 'baseline/tiny'"),
        (["baseline/tiny", "decode.gen_length=0"], "decode.gen_length = 0, expected >= 1"),
        (["baseline/tiny", "--shape", "9b"], "no shape '9b', and no config.json of that name"),
        (["baseline/tiny", "--shape", "tiny", "--model", "x"], "--model and --shape exclude each other: give one"),
        (
            ["baseline/tiny", "--prompts", "x", "--prompt-length", "3"],
            "--prompts and --prompt-length exclude each other",
        ),
        (["baseline/tiny", "--prompt-length", "3,0"], "--prompt-length 3,0: expected a number of tokens"),
        (["baseline/tiny", "--prompt-length", "500"], "together 756, but the model has 512 positions"),
        (["baseline/tiny", "--model", "nowhere"], "no folder 'nowhere'"),
        (["baseline/tiny", "--commit-schedule", "0"], "expected at least 1 token per forward, or a file"),
        (["baseline/tiny", "--out", "gone/x.json"], "--out gone/x.json: there is no folder gone"),
        (
            ["baseline/tiny", "--repeats", "0"],
            "Invalid value for '--repeats': Input should be greater than or equal to 1",
        ),
        (["decode.seed=1"], "no recipe: give at least one"),
        (["baseline/tiny", "--batch", "0"], "runtime.batch_size = 0, expected >= 1"),
    ],
)
def test_mistakes(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = call(capsys, "bench", *arguments)
    assert outcome.status == 2
    assert outcome.out == ""
    assert message in " ".join(outcome.err.split())
    assert "Traceback" not in outcome.err
