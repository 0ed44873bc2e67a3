"""Run the studies that need no other data, and write one JSON file with a manifest."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from studies import (
    accuracy,
    alignment,
    checkpointing,
    experiment,
    prediction,
    quality,
    reading,
    refinement,
    resampling,
    session,
    simulation,
    startup,
)
from studies.measure import manifest

STUDIES = {
    "alignment": alignment.run,
    "resampling": resampling.run,
    "reading": reading.run,
    "startup": startup.run,
    "simulation": simulation.run,
    "prediction": prediction.run,
    "session": session.run,
    "accuracy": accuracy.run,
    "quality": quality.run,
    "refinement": refinement.run,
    "checkpointing": checkpointing.run,
    "experiment": experiment.run,
}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("studies/results.json"))
    parser.add_argument("--only", choices=STUDIES, nargs="+", default=list(STUDIES))
    arguments = parser.parse_args()
    described = manifest()
    results: dict[str, Any] = {}
    if len(arguments.only) < len(STUDIES) and arguments.output.exists():
        results = json.loads(arguments.output.read_text())  # the others stay as they were
    commits = dict(results.get("commits") or {})
    for name in arguments.only:
        results[name] = STUDIES[name]()
        commits[name] = described["commit"]
        print(name, json.dumps(results[name], indent=2))
    results |= {"manifest": described, "commits": commits}
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
