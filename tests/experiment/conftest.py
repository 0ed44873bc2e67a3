"""A very small experiment, run from end to end once: nothing is learnt, every task is done.

Its networks have six steps, its atlases are 300, its doses few, and its intervals have 40 bootstrap
samples.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fetusmap.atlas import SHIPPED_LIBRARY, load_library, save_library
from fetusmap.experiment import Experiment, Profile

TINY = Profile(
    name="tiny",
    seed=4,
    cases=22,
    training_cases=20,
    preset="half",
    r4_scale=0.06,
    gcp_scale=0.075,
    widths=(8, 16),
    steps=6,
    decay_part=0.3,
    sigma_voxels=1.5,
    precision="bf16-mixed",
    checkpoint_minutes=0,
)


def shrink_package(atlases: Path, patch: pytest.MonkeyPatch) -> None:
    """Let this process use few atlases and few bootstrap samples."""
    patch.setattr("fetusmap.atlas.shipped.SHIPPED_LIBRARY", atlases)
    patch.setattr("fetusmap.experiment.plan.SHIPPED_LIBRARY", atlases)
    patch.setattr("fetusmap.experiment.dose.MAX_ITERATIONS", 2)
    patch.setattr("fetusmap.experiment.dose.LEARNING_RATES", (5e-4, 1e-4))
    patch.setattr("fetusmap.evaluate.statistics.INTERVAL_SAMPLES", 40)
    patch.setattr("fetusmap.evaluate.statistics.BAND_SAMPLES", 40)


@pytest.fixture(scope="session")
def tiny() -> Profile:
    """22 fetuses, six steps."""
    return TINY


@pytest.fixture(scope="session")
def few_atlases(tmp_path_factory) -> Path:
    """A file with 300 of the atlases of the package."""
    path = tmp_path_factory.mktemp("atlases") / "atlases.safetensors"
    save_library(load_library(SHIPPED_LIBRARY).select(range(300)), path)
    return path


@pytest.fixture(scope="module")
def small_package(few_atlases) -> Iterator[None]:
    """Few atlases and few bootstrap samples for the tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        shrink_package(few_atlases, patch)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny, small_package) -> Experiment:
    """The experiment, run without an interruption in this process."""
    work = Experiment(tmp_path_factory.mktemp("experiment") / "run", tiny, workers=0)
    work.run()
    return work


@pytest.fixture
def copied(finished, tiny, tmp_path) -> Callable[..., Experiment]:
    """A function that copies the finished experiment, so that a test can change it."""

    def copy(workers: int = 0) -> Experiment:
        folder = tmp_path / "run"
        if not folder.exists():
            shutil.copytree(finished.folder, folder)
        return Experiment(folder, tiny, workers=workers)

    return copy
