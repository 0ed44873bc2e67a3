"""The simulated cohort of an experiment, as an ordinary dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fetusmap.atlas import PoseLibrary
from fetusmap.dataset import Case, is_dataset, load_dataset
from fetusmap.experiment.profile import COHORT, TEST_SPLIT, TRAINING_SPLIT, Network, Profile
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
        SimulationSettings(
            preset=profile.preset,
            skeleton=COHORT_SKELETON,
            presentation=profile.presentation_of_cases,
        ),
        count=profile.cases,
        seed=profile.seed,
        workers=workers,
        splits={TRAINING_SPLIT: part, TEST_SPLIT: 1 - part},
        shuffle=False,
    )


def load_test_cases(folder: Path) -> tuple[Case, ...]:
    """Return the cases on which no network of the experiment was trained."""
    return load_dataset(folder / COHORT).split(TEST_SPLIT)


def cases_to_train_on(folder: Path, profile: Profile, network: Network) -> tuple[Case, ...]:
    """Return the training cases; for tuning, without the last ones."""
    cases = load_dataset(folder / COHORT).split(TRAINING_SPLIT)
    return cases[: -profile.tuning_cases] if network.for_tuning else cases


def tuning_cases(folder: Path, profile: Profile) -> tuple[Case, ...]:
    """Return the last training cases, on which settings are chosen."""
    return load_dataset(folder / COHORT).split(TRAINING_SPLIT)[-profile.tuning_cases :]


def training_poses(folder: Path, profile: Profile, network: Network) -> PoseLibrary:
    """Return the paper's pose library: the annotations of the network's training cases."""
    cases = cases_to_train_on(folder, profile, network)
    return PoseLibrary.from_poses([case.load_pose() for case in cases])
