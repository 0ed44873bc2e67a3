"""The simulated cohort of an experiment, as an ordinary dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fetusmap.atlas import PoseLibrary
from fetusmap.dataset import Case, is_dataset, load_dataset
from fetusmap.experiment.profile import COHORT, TEST_SPLIT, TRAINING_SPLIT, Profile
from fetusmap.simulate import SimulationSettings, simulate_dataset

COHORT_SKELETON = "fetus-16"
"""The paper's landmarks."""


def make_cohort(folder: Path, profile: Profile, workers: int) -> Iterator[Case]:
    """Simulate the cases of the cohort that are missing; yield each case, in order.

    The first cases are the training split, the others the test split. Each case is another fetus.
    """
    if is_dataset(folder / COHORT):
        yield from load_dataset(folder / COHORT).cases
        return
    part = profile.training_cases / profile.cases
    yield from simulate_dataset(
        folder / COHORT,
        SimulationSettings(preset=profile.preset, skeleton=COHORT_SKELETON),
        count=profile.cases,
        seed=profile.seed,
        workers=workers,
        splits={TRAINING_SPLIT: part, TEST_SPLIT: 1 - part},
        shuffle=False,
    )


def load_test_cases(folder: Path) -> tuple[Case, ...]:
    """Return the cases on which no network of the experiment was trained."""
    return load_dataset(folder / COHORT).split(TEST_SPLIT)


def training_poses(folder: Path) -> PoseLibrary:
    """Return the paper's pose library: the annotations of the training cases."""
    cases = load_dataset(folder / COHORT).split(TRAINING_SPLIT)
    return PoseLibrary.from_poses([case.load_pose() for case in cases])
