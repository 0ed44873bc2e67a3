"""How long a user waits for the first line of help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from studies.measure import interleaved_seconds


def run() -> dict[str, object]:
    """Time whole processes, the bare interpreter among them."""
    program = Path(sys.executable).with_name("fetusmap")

    def process(*words: str) -> object:
        return subprocess.run(words, check=True, capture_output=True)

    return dict(
        interleaved_seconds(
            {
                "help_s": lambda: process(str(program), "--help"),
                "import_fetusmap_s": lambda: process(sys.executable, "-c", "import fetusmap"),
                "bare_python_s": lambda: process(sys.executable, "-c", "pass"),
            }
        )
    )
