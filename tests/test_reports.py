"""The reproductions of reported mistakes that lie beside the repository, each in a process.

They are not part of the project. The situations themselves are tested where they belong.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPORTS = sorted((Path(__file__).resolve().parents[2] / "shared" / "reports").glob("*.py"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not REPORTS, reason="the reproductions are not here")
@pytest.mark.parametrize("script", REPORTS, ids=lambda path: path.stem)
def test_what_was_reported_is_right_now(script: Path, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("fetusmap")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(program)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=890,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "PASS" in done.stdout
    assert "FAIL" not in done.stdout, done.stdout
