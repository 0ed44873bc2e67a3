"""Train our own two-pass pipeline under the rules of the peers: their cases, minutes and thread.

The shipped model was trained on sixty times as many cases, so its row does not compare pipelines.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from fetusmap.anatomy import Pose, Provenance
from fetusmap.atlas import PoseLibrary
from fetusmap.dataset import Case, load_dataset
from fetusmap.detect import Cascade, Detector
from fetusmap.experiment.predicting import COSTS
from fetusmap.experiment.profile import COHORT, TEST_SPLIT, TRAINING_SPLIT
from fetusmap.experiment.resources import Cost, measured
from fetusmap.experiment.rows import PEERS
from fetusmap.files.writing import write_text
from fetusmap.io import save_pose
from fetusmap.preprocess import prepare
from fetusmap.train import (
    CanonicalConfig,
    CasePool,
    CoarseConfig,
    RunFolder,
    fabric_for,
    pool_of_dataset,
    stage_of,
    train,
)
from studies.peers.common import (
    NETWORKS,
    minutes_of_land,
    move_into_place,
    single_thread,
    write_cost,
)

NAME = "Cascade-100"


def run_cascade(folder: Path, minutes: float, seed: int) -> None:
    """Train both passes, each for half of the minutes, and write the row.

    Repeat the command to continue a training that was interrupted.
    """
    cohort = load_dataset(folder / COHORT)
    pool = pool_of_dataset(cohort.split(TRAINING_SPLIT), folder / "cache")
    shared = {
        "seed": seed, "minutes": minutes / 2, "dataset": str(folder / COHORT),
        "split": TRAINING_SPLIT, "validation_cases": 0,
    }  # fmt: skip
    configs = (CoarseConfig(**shared), CanonicalConfig(**shared))
    with single_thread(), measured() as cost:
        coarse, canonical = (_train(config, pool, folder) for config in configs)
    write_cost(cost, folder / COSTS / f"{NAME}.json")
    cases = cohort.split(TRAINING_SPLIT)
    library = PoseLibrary.from_poses([case.load_pose() for case in cases]).mirrored()
    cascade = Cascade(pool.skeleton, coarse, canonical, library)
    about = (
        f"our own two passes with the {pool.count} training poses and their mirror images as the "
        f"library, trained on the experiment's training cases for {minutes:g} min on one thread, "
        "half of them for each pass. Positions only: the confidences are not calibrated."
    )
    with tempfile.TemporaryDirectory(dir=folder, prefix=".peer-") as temporary:
        row = Path(temporary) / NAME
        row.mkdir()
        for case in cohort.split(TEST_SPLIT):
            pose, spent = _predict(cascade, case)
            save_pose(pose, row / f"{case.name}.json")
            write_cost(spent, folder / COSTS / NAME / f"{case.name}.json")
        write_text(row / "about.txt", about + "\n")
        move_into_place(row, folder / PEERS / NAME)


def _train(config: CoarseConfig | CanonicalConfig, pool: CasePool, folder: Path) -> Detector:
    run = RunFolder(folder / NETWORKS / NAME / config.stage, config, pool.hashes or None)
    network = train(
        config, run, folder / "cache", pool=pool, fabric=fabric_for(config, "cpu"), workers=0
    )
    stage = stage_of(config, pool.skeleton)
    return Detector(network, stage.input_grid, stage.channels, sigma_voxels=config.sigma_voxels)


def _predict(cascade: Cascade, case: Case) -> tuple[Pose, Cost]:
    volume = case.load_volume()
    with single_thread(), measured() as cost:
        prepared = prepare(volume)
        found = cascade.detect(prepared.volume)
        skeleton = cascade.skeleton
        positions, masses = np.full((len(skeleton), 3), np.nan), np.zeros(len(skeleton))
        if found:
            best = found[0].transformed(prepared.world_from_network)
            positions, masses = best.positions_mm, best.masses
    return Pose(skeleton, positions, masses, provenance=Provenance(notes={"peer": NAME})), cost


def main() -> None:
    """Train and predict."""
    parser = argparse.ArgumentParser(prog="python -m studies.peers.cascade", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="RUN_DIR", help="of fetusmap experiment")
    parser.add_argument("--minutes", type=float, help="of training; those of Land-R4 unless given")
    parser.add_argument("--seed", type=int, default=2019)
    arguments = parser.parse_args()
    minutes = arguments.minutes or minutes_of_land(arguments.folder)
    run_cascade(arguments.folder, minutes, arguments.seed)


if __name__ == "__main__":
    main()
