"""Fixtures for tests of training: hand-made cases with a bright blob at each landmark."""

import os
from functools import partial

import numpy as np
import pytest

from fetusmap.anatomy import built_in_skeletons, load_skeleton, reference_pose
from fetusmap.detect import BodyFrameGrid, WholeVolumeGrid
from fetusmap.geometry import Grid, random_rotations
from fetusmap.train import parse_training_config
from fetusmap.train.cases import TrainingCase, cached, simulated_pool

CASES = 4
SEEDS = (1, 2, 3)  # of training, validation, and the product's held-out cases
BLOB_MM = 1.5


@pytest.fixture(scope="session", autouse=True)
def _environment():
    """Remove the environment variables that seeding everything sets."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]


@pytest.fixture(scope="session")
def skeleton():
    """The paper's."""
    return load_skeleton()


@pytest.fixture(scope="session")
def more():
    """The skeleton of both passes without a dataset."""
    return load_skeleton("fetus-22")


@pytest.fixture(scope="session")
def make_case():
    """A function that makes a case of 1 mm voxels: some landmarks are blobs on grey ground."""

    def make(positions_mm, marked=None, *, speckle=0.0):
        points = np.asarray(positions_mm, dtype=np.float64)
        rows = range(len(points)) if marked is None else marked
        low, high = np.nanmin(points, axis=0) - 10, np.nanmax(points, axis=0) + 10
        grid = Grid.from_spacing([int(n) for n in np.ceil(high - low) + 1], 1.0, low)
        centers = grid.centers_mm()
        blobs = sum(
            np.exp(-0.5 * np.square(centers - points[row]).sum(axis=-1) / BLOB_MM**2)
            for row in rows
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
    """A function of a skeleton, a seed and a number: a small fetus, lying otherwise than others."""

    def make(skeleton, seed, number):
        rng = np.random.default_rng((seed, number))
        pose = reference_pose(30.0, skeleton).positions_mm
        pose = pose + rng.normal(0, 0.4, (len(skeleton), 3))
        return make_case(pose @ random_rotations(rng, 1)[0].T, speckle=20.0)

    return make


@pytest.fixture(scope="session")
def filled_cache(tmp_path_factory, make_numbered):
    """A folder that holds the first cases of every seed, as if they had been simulated."""
    folder = tmp_path_factory.mktemp("cache")
    for skeleton in map(load_skeleton, built_in_skeletons()):
        for seed in SEEDS:
            place = simulated_pool(seed, CASES, folder, skeleton).folder
            for number in range(CASES):
                cached(partial(make_numbered, skeleton, seed), place, number)
    return folder


@pytest.fixture(scope="session")
def forbid_simulation():
    """A function of a monkeypatch: a case that is not cached raises instead of being simulated."""

    def refuse(*arguments):
        raise AssertionError(f"a case was simulated: {arguments}")

    return lambda patch: patch.setattr("fetusmap.train.cases.simulate_case", refuse)


@pytest.fixture
def cache(filled_cache, forbid_simulation, monkeypatch):
    """That folder; a case that is missing in it raises an error instead of being simulated."""
    forbid_simulation(monkeypatch)
    return filled_cache


@pytest.fixture(scope="session")
def shrink_grids():
    """A function of a monkeypatch: both passes have inputs of 32 x 32 x 32 voxels.

    With more than three levels the lowest one would have 2 x 2 x 2 voxels. Of two voxels along the
    first axis, oneDNN 3.12 computes other gradients of a bfloat16 kernel each time.
    """
    shape = (32, 32, 32)

    def shrink(patch):
        whole = partial(WholeVolumeGrid, spacing_mm=2.0, shape=shape)
        in_body = partial(BodyFrameGrid, step=0.09, shape=shape)
        patch.setattr("fetusmap.train.stages.WholeVolumeGrid", whole)
        patch.setattr("fetusmap.train.stages.BodyFrameGrid", in_body)

    return shrink


@pytest.fixture
def small_grids(shrink_grids, monkeypatch):
    """Both passes have inputs of 32 x 32 x 32 voxels."""
    shrink_grids(monkeypatch)


@pytest.fixture(scope="session")
def make_config():
    """A function that makes the configuration of a run of seconds, with changes."""

    def make(stage="canonical", **changed):
        tiny = {
            "stage": stage,
            "steps": 6,
            "widths": (8, 8, 8),
            "cases": CASES,
            "validation_cases": 2,
            "validate_every": 1000,
            "checkpoint_minutes": 0,
        }
        if stage in ("coarse", "canonical"):
            tiny |= {"batch": 1, "warmup": 2}
        return parse_training_config({**tiny, **changed}, "test")

    return make
