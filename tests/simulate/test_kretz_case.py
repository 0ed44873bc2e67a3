"""A simulated case as a Kretz file: the same scan, with the same landmarks, in another world."""

import numpy as np
import pytest

from fetusmap.dataset import load_dataset
from fetusmap.errors import BadInput
from fetusmap.estimate import PoseEstimator
from fetusmap.geometry.affine import affine_from, apply_affine, is_reflection
from fetusmap.io import Conversion, load_volume
from fetusmap.io.volumes.kretz_writer import kretz_from_lattice
from fetusmap.simulate import SimulationSettings, simulate_case, simulate_dataset
from fetusmap.simulate.kretz_case import write_as_kretz
from fetusmap.volume import interpolate_linearly

SETTINGS = SimulationSettings("half", weeks=(10.0, 11.0))
SEED = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kretz") / "cohort"
    list(simulate_dataset(folder, SETTINGS, count=1, seed=SEED, file_format="vol"))
    return folder


@pytest.fixture(scope="module")
def usual():
    """The same case as it is usually written, with its beams."""
    return simulate_case(SETTINGS, SEED, 0, beams=True)


def test_the_landmarks_are_the_same_in_the_world_of_the_file(folder, usual):
    (case,) = load_dataset(folder).cases
    pose, there = case.load_pose(), kretz_from_lattice(usual.beams.lattice)
    assert case.volume_path.name == "sim-000000.vol"
    assert not is_reflection(there)
    expected = apply_affine(there, usual.pose.positions_mm)
    seen = usual.pose.confidence > 0
    assert seen.sum() > 10
    assert np.abs(pose.positions_mm - expected)[seen].max() < 1e-6
    # The file holds the whole sweep, so it shows whatever the cropped volume shows.
    assert (pose.confidence[seen] == 1).all()
    assert case.load_volume().grid.contains(pose.positions_mm[seen]).all()


def test_the_voxels_show_the_same_at_the_same_places(folder, usual):
    """Both are scan conversions of the same beams, on grids that do not coincide."""
    (case,) = load_dataset(folder).cases
    volume = load_volume(case.volume_path, conversion=Conversion(voxel_size_mm=1.0))
    world_from_own = kretz_from_lattice(usual.beams.lattice) @ usual.volume.grid.affine
    own = usual.volume.array
    inner = (slice(8, -8),) * 3

    def agreement(shift):
        map_ = volume.grid.index_from_world @ affine_from(np.eye(3), shift) @ world_from_own
        back = interpolate_linearly(volume.array, map_, own.shape)
        return np.corrcoef(own[inner].ravel(), back[inner].ravel())[0, 1]

    there = agreement(np.zeros(3))
    assert there > 0.97
    # 0.7 mm aside it is clearly worse in each direction: nothing is shifted.
    for axis in (*np.eye(3), *-np.eye(3)):
        assert agreement(0.7 * axis) < there - 0.005


@pytest.mark.slow
def test_the_same_pose_is_predicted_from_both_formats(folder, usual):
    """Closer to each other than either is to the truth, and no side is exchanged."""
    (case,) = load_dataset(folder).cases
    estimator = PoseEstimator.from_pretrained(device="cpu")
    there = kretz_from_lattice(usual.beams.lattice)
    own = apply_affine(there, estimator(usual.volume).pose.positions_mm)
    back = estimator(case.load_volume()).pose.positions_mm
    distance = np.linalg.norm(own - back, axis=1)
    assert np.nanmedian(distance) < 0.6
    assert np.nanmax(distance) < 6


def test_the_same_seed_gives_the_same_bytes(folder, usual, tmp_path):
    drawn_again = tmp_path / "cohort"
    list(simulate_dataset(drawn_again, SETTINGS, count=1, seed=SEED, file_format="vol"))
    for name in ("volumes/sim-000000.vol", "landmarks/sim-000000.json", "cases.csv"):
        assert (drawn_again / name).read_bytes() == (folder / name).read_bytes()


def test_what_cannot_be_written_is_refused(tmp_path, usual):
    with pytest.raises(BadInput, match=r"one of nii.gz, vol"):
        simulate_dataset(tmp_path / "a", SETTINGS, count=1, seed=0, file_format="dcm")
    with pytest.raises(BadInput, match="beams=True"):
        write_as_kretz(None, simulate_case(SETTINGS, SEED, 0), tmp_path / "a.vol")


def test_another_format_is_another_dataset(folder):
    with pytest.raises(BadInput, match="finished dataset"):
        next(simulate_dataset(folder, SETTINGS, count=1, seed=SEED))
