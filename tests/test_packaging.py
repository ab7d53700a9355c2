"""What users get who install the wheel instead of cloning the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from moo_bnas.shipped import shipped

ROOT = Path(__file__).parent.parent


def test_the_wheel_carries_the_definitions_and_its_types(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(unpacked)
    names = {str(p.relative_to(unpacked)) for p in unpacked.rglob("*") if p.is_file()}
    assert "moo_bnas/py.typed" in names
    assert {n.split("/")[0] for n in names} == {"moo_bnas", "moo_bnas-0.1.0.dist-info"}
    code = "from moo_bnas.shipped import shipped; print(*shipped())"
    listed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.split() == list(shipped())
