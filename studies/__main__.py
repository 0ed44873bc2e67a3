"""Run the studies that need no other data, and write one JSON file with a manifest."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

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
from studies.measure import RESULTS, store_result

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
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--only", choices=STUDIES, nargs="+", default=list(STUDIES))
    arguments = parser.parse_args()
    for name in arguments.only:
        found = STUDIES[name]()
        print(name, json.dumps(found, indent=2))
        store_result(arguments.output, name, found)
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
