"""docs/how-to/add-a-model-family.md: its code runs as it stands, and its family conforms."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-model-family.md"


def test_the_documented_family_conforms(tmp_path: Path) -> None:
    blocks = re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert [name for name, _ in blocks] == [
        "dllmkit_mydlm/family.py",
        "dllmkit_mydlm/__init__.py",
        "tests/test_mydlm.py",
    ]
    for name, code in blocks:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(code, encoding="utf-8")
    code = (
        "import sys; sys.path.insert(0, '.'); import pytest, dllmkit_mydlm\n"
        "assert dllmkit_mydlm.dllmkit_model_families() == {'mydlm': 'dllmkit_mydlm.family:MyDlm'}\n"
        "sys.exit(pytest.main(['-q', '-s', '-p', 'no:cacheprovider', 'tests']))"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stdout + out.stderr
    assert "cached = full | relative difference" in out.stdout
