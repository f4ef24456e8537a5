"""`dllmkit doctor`: what is installed, on which devices, and what works here."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sysconfig
from pathlib import Path
from typing import Any

from dllmkit.cli.plugins import problems
from dllmkit.cli.versions import PACKAGES, own_version, version_of
from dllmkit.errors import DllmkitError
from dllmkit.plugins import load_plugins


def doctor(as_json: bool = False) -> None:
    """Print what was found, a line each; nothing that is missing is an error."""
    report = examine()
    if as_json:
        print(json.dumps(report, indent=2))
        return
    for section, facts in report.items():
        print(f"{section}:")
        rows = facts.items() if isinstance(facts, dict) else [(None, fact) for fact in facts]
        width = max((len(name) for name, _ in rows if name), default=0)
        for name, fact in rows:
            print(f"  {name:{width}}  {_said(fact)}" if name else f"  {_said(fact)}")
        if not facts:
            print("  none")


def examine() -> dict[str, Any]:
    """Collect the report: versions, machine, model, plugins, and what works here."""
    loaded = load_plugins()
    return {
        "versions": {
            "dllmkit": own_version(),
            "python": platform.python_version(),
            **{package: version_of(package) for package in PACKAGES},
        },
        "machine": _machine(),
        "works here": _capabilities(),
        "bundled model": _bundled_model(),
        "plugins": [f"{p.package} ({p.distribution or 'no distribution'})" for p in loaded.providers],
        "problems of plugins": problems(loaded),
    }


def _machine() -> dict[str, Any]:
    facts: dict[str, Any] = {"system": f"{platform.system()} {platform.machine()}", "CPUs": os.cpu_count()}
    try:
        import torch
    except ImportError as error:
        return {**facts, "torch": f"cannot be imported: {error}"}
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_available() else range(0)
    facts["devices"] = ["cpu", *(f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in gpus)]
    facts["threads"] = torch.get_num_threads()
    facts["device: auto"], facts["dtype: auto"] = _automatic()
    return facts


def _automatic() -> tuple[str, str]:
    """What `runtime.device: auto` and `runtime.dtype: auto` mean here."""
    from dllmkit.models.dtype import choose_device, choose_dtype

    try:
        device = choose_device("auto")
        choice = choose_dtype("auto", device)
    except DllmkitError as error:
        return "unknown", str(error)
    return str(device), f"{str(choice.dtype).removeprefix('torch.')} ({choice.reason})"


def _capabilities() -> dict[str, Any]:
    try:
        import torch

        graphs = torch.cuda.is_available()
    except ImportError:
        graphs = False
    compiler = next((found for name in ("g++", "clang++", "c++") if (found := shutil.which(name))), None)
    headers = Path(sysconfig.get_path("include"), "Python.h").is_file()
    missing = [what for what, there in (("a C++ compiler", compiler), ("Python.h", headers)) if not there]
    return {
        "CUDA graphs": graphs,
        "compile toolchain": f"no: {' and '.join(missing)} not found" if missing else f"yes: {compiler}",
    }


def _bundled_model() -> dict[str, Any]:
    folder = Path(__file__).resolve().parent.parent / "tiny"
    weights = [path for path in sorted(folder.rglob("*.safetensors")) if (path.parent / "config.json").is_file()]
    size = sum(path.stat().st_size for path in weights) / 2**20
    return {"dllmkit/tiny": f"present, {size:.1f} MiB" if weights else "missing: this installation has no weights"}


def _said(fact: Any) -> str:
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    if isinstance(fact, dict):
        return f"plugin '{fact['plugin']}' ({fact['distribution'] or 'no distribution'}): {fact['message']}"
    if isinstance(fact, list):
        return ", ".join(fact)
    return "not installed" if fact is None else str(fact)
