"""The shipped model: its poses do not depend on how a scan is stored, rotated or mirrored.

If the voxels stay as they are, the pose is the same up to rounding. If they are resampled, stored
in another order or mirrored, the networks receive other arrays of the same scan. The tolerances
are about twice the differences that were measured on six simulated scans (0.09 to 0.5 mm on
average).
"""

from dataclasses import replace

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.geometry import Grid, random_rotations
from fetusmap.io import load_volume, save_volume
from fetusmap.simulate import SimulationSettings, simulate_case

ODD_MM = (0.83, 1.21, 0.97)
MAX_OTHER_ARRAY_MM = 1.0
"""Largest mean difference if the networks receive another array of the same scan."""


@pytest.fixture(scope="module")
def estimator():
    return fm.PoseEstimator.from_pretrained(device="cpu")


@pytest.fixture(scope="module", params=[0, 5])
def made(request):
    return simulate_case(SimulationSettings(preset="half"), 7, request.param)


@pytest.fixture(scope="module")
def found(estimator, made):
    return estimator(made.volume).pose.positions_mm


def oblique(volume):
    """The same scan in oblique voxels of odd size."""
    turn = random_rotations(np.random.default_rng(3), 1)[0]
    reach = np.abs(turn.T @ volume.grid.direction) @ volume.grid.extent_mm
    shape = [int(n) for n in np.ceil(reach / ODD_MM)]
    resampled = fm.resample(volume, Grid.centered(shape, ODD_MM, volume.grid.center_mm, turn))
    return replace(resampled, array=np.clip(np.rint(resampled.array), 0, 255).astype(np.uint8))


def mean_distance(first, second):
    return float(np.linalg.norm(first - second, axis=1).mean())


def test_it_finds_the_fetus(made, found):
    assert mean_distance(found, made.pose.positions_mm) < 2.5


@pytest.mark.parametrize("made", [5], indirect=True)
def test_the_format_changes_nothing(estimator, made, tmp_path):
    scan = oblique(made.volume)
    poses = []
    for suffix in (".nii.gz", ".nrrd", ".mha"):
        save_volume(scan, tmp_path / f"scan{suffix}")
        poses.append(estimator(load_volume(tmp_path / f"scan{suffix}")).pose.positions_mm)
    for other in poses[1:]:
        np.testing.assert_allclose(other, poses[0], atol=1e-3)


def test_oblique_voxels_of_odd_size_give_the_same_pose(estimator, made, found):
    assert mean_distance(estimator(oblique(made.volume)).pose.positions_mm, found) < 0.6


def test_a_scan_that_lies_elsewhere_gives_the_pose_there(estimator, made, found):
    there = np.eye(4)
    there[:3, :3] = random_rotations(np.random.default_rng(4), 1)[0]
    there[:3, 3] = 5, -70, 900
    grid = Grid(made.volume.grid.shape, there @ made.volume.grid.affine)
    moved = estimator(replace(made.volume, grid=grid)).pose.positions_mm
    np.testing.assert_allclose(moved, found @ there[:3, :3].T + there[:3, 3], atol=1e-3)


def test_the_order_in_which_voxels_are_stored_hardly_matters(estimator, made, found):
    volume = made.volume
    stored = replace(
        volume,
        array=np.ascontiguousarray(np.transpose(volume.array, (2, 0, 1))[::-1]),
        grid=volume.grid.permute([2, 0, 1]).flip(0),
    )
    assert mean_distance(estimator(stored).pose.positions_mm, found) < MAX_OTHER_ARRAY_MM


def test_the_mirror_image_has_the_mirrored_pose_with_its_sides_exchanged(
    estimator, made, found, tmp_path
):
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    grid = Grid(made.volume.grid.shape, mirror @ made.volume.grid.affine)
    seen = estimator(replace(made.volume, grid=grid)).pose
    expected = (found @ mirror[:3, :3])[seen.skeleton.mirror_index]
    assert mean_distance(seen.positions_mm, expected) < MAX_OTHER_ARRAY_MM
