"""The example packages work by `pip install` alone, in an environment of its own; a broken one beside them stops nothing."""

from __future__ import annotations

import itertools
import json
import shutil

import numpy as np
import pytest
from newcomer import new_environment
from shell import ROOT

from dllmkit.state import Request, Row

EXAMPLE = ROOT / "docs" / "examples" / "dllmkit-zigzag"
PACKAGES = sorted(path.parent for path in EXAMPLE.parent.glob("*/pyproject.toml"))

BROKEN = {
    "pyproject.toml": (
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "dllmkit-broken"\nversion = "2.0"\n'
        '[project.entry-points.dllmkit]\nbroken = "dllmkit_broken"\n'
    ),
    "dllmkit_broken.py": "import a_module_that_nobody_has\n",
}
EXPECTED = "could not be loaded: ModuleNotFoundError: No module named 'a_module_that_nobody_has'"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A new environment with all packages installed by pip."""
    environment = new_environment(tmp_path_factory.mktemp("environment"))
    broken = environment.folder / "broken"
    broken.mkdir()
    for name, text in BROKEN.items():
        (broken / name).write_text(text)
    copies = [shutil.copytree(folder, environment.folder / folder.name) for folder in PACKAGES]
    environment.install(*copies, broken)
    return environment


def test_it_is_listed_with_its_package_and_the_broken_one_by_name(environment):
    outcome = environment.run(environment.python, "-m", "dllmkit", "plugins", "--json")
    assert outcome.status == 0, outcome.err
    report = json.loads(outcome.out)
    (zigzag,) = [c for c in report["components"] if c["name"] == "zigzag"]
    assert (zigzag["package"], zigzag["distribution"]) == ("dllmkit_zigzag", "dllmkit-zigzag 0.1.0")
    assert [p["name"] for p in zigzag["parameters"]] == ["block_length"]
    assert {"fixed_blocks", "dilated", "grounded"} <= {c["name"] for c in report["components"]}
    assert report["problems"] == [{"plugin": "broken", "distribution": "dllmkit-broken 2.0", "message": EXPECTED}]


def test_a_recipe_decodes_with_it(environment):
    overrides = ["decode.block_scheduler=zigzag", "decode.block_scheduler.block_length=8", "decode.gen_length=32"]
    overrides += ["decode.stop_rules=[]", "decode.unmask_selector=quota"]
    run = ["-m", "dllmkit", "run", "baseline/tiny", *overrides, "--prompt", "Sort: 3 1 2", "--json"]
    outcome = environment.run(environment.python, *run)
    assert outcome.status == 0, outcome.err
    (line,) = outcome.out.splitlines()
    steps = json.loads(line)["commit_step"]
    blocks = [steps[at : at + 8] for at in range(0, 32, 8)]
    order = sorted(range(4), key=lambda block: min(blocks[block]))
    assert order == [0, 3, 1, 2]
    assert all(max(blocks[a]) < min(blocks[b]) for a, b in itertools.pairwise(order))
    warned = [line for line in outcome.err.splitlines() if line.startswith("warning: ")]
    assert warned == [f"warning: plugin 'broken' (dllmkit-broken 2.0): {EXPECTED}"]


def test_it_is_as_small_as_it_is_said_to_be():
    lines = sum(len((EXAMPLE / name).read_text().splitlines()) for name in ("pyproject.toml", "dllmkit_zigzag.py"))
    assert lines < 60


@pytest.mark.parametrize(("gen_length", "block_length"), [(1, 1), (7, 3), (8, 4), (5, 32), (9, 2)])
def test_its_block_always_holds_a_mask(monkeypatch, gen_length, block_length):
    monkeypatch.syspath_prepend(EXAMPLE)
    from dllmkit_zigzag import Zigzag

    row = Row(Request(0, (5, 6, 7), gen_length, mask_id=0))
    schedule = Zigzag(block_length).begin(row)
    while row.n_committed < gen_length:
        block = schedule(row)
        masks = row.masks(block.start, block.stop)
        assert len(masks), "the block holds no mask"
        row.commit(masks[-1:], np.array([1]), np.array([0.5]))
