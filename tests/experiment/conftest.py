"""A very small experiment, from end to end."""

import pytest

from fetusmap.experiment import Experiment, Profile

TINY = Profile(
    name="tiny",
    seed=4,
    cases=12,
    training_cases=10,
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


@pytest.fixture(scope="session")
def tiny() -> Profile:
    """Twelve fetuses, six steps: nothing is learnt, everything is done."""
    return TINY


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tiny) -> Experiment:
    """Run without any interruption, in this process."""
    work = Experiment(tmp_path_factory.mktemp("experiment") / "run", tiny, workers=0)
    work.run()
    return work
