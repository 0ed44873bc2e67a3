"""What the tests of training share: hand-made cases, a bright blob at each of their landmarks."""

import os
from functools import partial

import numpy as np
import pytest

from fetusmap.anatomy import load_skeleton, reference_pose
from fetusmap.detect import CanonicalGrid, WholeGrid
from fetusmap.geometry import Grid, random_rotations
from fetusmap.train import TrainingConfig
from fetusmap.train.cases import TrainingCase, cached, simulated_pool

CASES = 4
SEEDS = (1, 2, 3)  # of training, validation, and the product's held-out cases
BLOB_MM = 1.5


@pytest.fixture(scope="session", autouse=True)
def _environment():
    """Seeding everything leaves words in the environment; they go again."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]


@pytest.fixture(scope="session")
def skeleton():
    return load_skeleton()


@pytest.fixture(scope="session")
def make_case():
    """A function that makes a case of 1 mm voxels: some landmarks are blobs on grey ground."""

    def make(positions_mm, marked=range(16), *, speckle=0.0):
        points = np.asarray(positions_mm, dtype=np.float64)
        low, high = np.nanmin(points, axis=0) - 10, np.nanmax(points, axis=0) + 10
        grid = Grid.from_spacing([int(n) for n in np.ceil(high - low) + 1], 1.0, low)
        centers = grid.centers_mm()
        blobs = sum(
            np.exp(-0.5 * np.square(centers - points[row]).sum(axis=-1) / BLOB_MM**2)
            for row in marked
        )
        ground = 40 + speckle * np.random.default_rng(0).uniform(-1, 1, grid.shape)
        grey = np.clip(np.rint(ground + 200 * blobs), 1, 255).astype(np.uint8)
        return TrainingCase(grey, grid, points, np.isfinite(points).all(axis=1))

    return make


@pytest.fixture(scope="session")
def blob_case(make_case):
    """The example pose in its own frame, 60 mm long, every landmark a blob."""
    return make_case(reference_pose(60.0).positions_mm)


@pytest.fixture(scope="session")
def make_numbered(make_case):
    """A function of a seed and a number: a small fetus, each lying otherwise than the others."""

    def make(seed, number):
        rng = np.random.default_rng((seed, number))
        pose = reference_pose(30.0).positions_mm + rng.normal(0, 0.4, (16, 3))
        return make_case(pose @ random_rotations(rng, 1)[0].T, speckle=20.0)

    return make


@pytest.fixture(scope="session")
def filled_cache(tmp_path_factory, make_numbered):
    """A folder that holds the first cases of every seed, as if they had been simulated."""
    folder = tmp_path_factory.mktemp("cache")
    for seed in SEEDS:
        for number in range(CASES):
            place = simulated_pool(seed, CASES, folder).folder
            cached(partial(make_numbered, seed), place, number)
    return folder


@pytest.fixture
def cache(filled_cache, monkeypatch):
    """That folder; whoever asks for a case that is not in it fails instead of simulating it."""

    def refuse(*arguments):
        raise AssertionError(f"no ultrasound here: {arguments}")

    monkeypatch.setattr("fetusmap.train.cases.simulate_case", refuse)
    return filled_cache


@pytest.fixture
def small_looks(monkeypatch):
    """Both passes look at 32 x 32 x 32 voxels.

    With more than three levels the lowest one would have 2 x 2 x 2 voxels. Of two voxels along the
    first axis, oneDNN 3.12 computes other gradients of a bfloat16 kernel each time.
    """
    shape = (32, 32, 32)
    whole, canonical = (
        partial(WholeGrid, spacing_mm=2.0, shape=shape),
        partial(CanonicalGrid, step=0.09, shape=shape),
    )
    monkeypatch.setattr("fetusmap.train.stages.WholeGrid", whole)
    monkeypatch.setattr("fetusmap.train.stages.CanonicalGrid", canonical)


@pytest.fixture(scope="session")
def make_config():
    """A function that makes a configuration of a run of seconds, but for what is given."""

    def make(**changed):
        tiny = {
            "stage": "canonical",
            "steps": 6,
            "batch": 1,
            "warmup": 2,
            "widths": (8, 8, 8),
            "cases": CASES,
            "validation_cases": 2,
            "validate_every": 1000,
            "checkpoint_minutes": 0,
        }
        return TrainingConfig(**{**tiny, **changed})

    return make
