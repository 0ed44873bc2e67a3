"""One scan in files of every format: the same voxels in the same places, and the same pose."""

import itertools
import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import fetusmap as fm
from fetusmap.geometry import Grid, affine_from, apply_affine, invert_affine
from fetusmap.io import Conversion, load_volume, save_volume
from fetusmap.io.volumes.kretz_writer import (
    kretz_from_lattice,
    save_kretz_sweeps,
    save_kretz_voxels,
)
from fetusmap.simulate import Seeds, SimulationSettings, draw_case, render
from fetusmap.simulate.kretz_case import write_as_kretz
from fetusmap.volume import Volume
from fetusmap.volume.beams import BeamLattice

SPACING_MM = 0.5
FORMATS = (
    "scan.nii", "scan.nii.gz", "scan.nrrd", "scan.mha", "shared.dcm", "frames.dcm", "shuffled.dcm",
    "jpeg-2000.dcm", "scan.vol", "scan.raw",
)  # fmt: skip
ORIENTATIONS = [
    (axes, signs)
    for axes in itertools.permutations(range(3))
    for signs in itertools.product([1, -1], repeat=3)
]


def write_scan(scan: Volume, path, dicom):
    """Write a scan of cubic voxels, and return the map from the file's world to the scan's."""
    voxels, affine = scan.array, scan.grid.affine
    shuffled = np.random.default_rng(1).permutation(scan.grid.shape[2])
    size = float(scan.grid.spacing_mm[0])
    if path.name == "scan.vol":
        save_kretz_voxels(voxels, size, path)
    elif path.name == "scan.raw":
        path.write_bytes(voxels.tobytes("F"))
        facts = {"shape": voxels.shape, "dtype": "uint8", "spacing": [size] * 3, "order": "F"}
        path.with_suffix(".json").write_text(json.dumps(facts))
    elif path.suffix != ".dcm":
        save_volume(scan, path)
        return np.eye(4)
    else:
        kinds = {
            "shared": {},
            "frames": {"shared": False},
            "shuffled": {"order": shuffled},
            "jpeg-2000": {"order": shuffled, "shared": False},
        }
        dicom.save(dicom.enhanced(voxels, affine, **kinds[path.stem]), path)
        if path.stem == "jpeg-2000":
            dicom.compress(path, "1.2.840.10008.1.2.4.90")
        return np.eye(4)
    # Neither cubic Kretz voxels nor raw ones have a place: theirs are those of their indices.
    return affine @ invert_affine(affine_from(np.eye(3) * size, np.zeros(3)))


def check_same(volume: Volume, scan: Volume, scan_from_file: np.ndarray) -> None:
    """Every point of the world has the same grey level in both."""
    assert sorted(volume.grid.shape) == sorted(scan.grid.shape)
    indices = np.random.default_rng(2).integers(0, scan.grid.shape, (500, 3))
    world = apply_affine(invert_affine(scan_from_file), apply_affine(scan.grid.affine, indices))
    there = apply_affine(invert_affine(volume.grid.affine), world)
    np.testing.assert_allclose(there, np.rint(there), atol=1e-3)
    found = volume.array[tuple(np.rint(there).astype(int).T)]
    np.testing.assert_array_equal(found, scan.array[tuple(indices.T)])


@pytest.fixture(scope="module")
def speckle() -> Volume:
    """Speckle on an oblique, right-handed grid of cubic voxels."""
    shape = (44, 40, 36)
    turn = Rotation.from_rotvec([0.3, 0.4, -0.2]).as_matrix()
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return Volume(array, Grid(shape, affine_from(turn * SPACING_MM, [10.0, -20.0, 5.0])))


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_voxels_in_the_same_places(dicom, tmp_path, in_process, speckle, name):
    scan_from_file = write_scan(speckle, tmp_path / name, dicom)
    check_same(load_volume(tmp_path / name), speckle, scan_from_file)


def test_enhanced_us_in_all_48_storage_orientations(dicom, tmp_path, in_process):
    """Frames that are stored against their normal describe the 24 mirrored orders of the axes."""
    shape, spacing = (20, 18, 17), (0.5, 0.6, 0.7)
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    scan = Volume(array, Grid(shape, affine_from(np.diag(spacing), [10.0, -20.0, 5.0])))
    determinants = []
    for axes, signs in ORIENTATIONS:
        steps = np.eye(3)[:, list(axes)] * signs
        first = np.where(np.array(signs) < 0, np.array(shape)[list(axes)] - 1, 0)
        scan_index_from_index = affine_from(steps, np.eye(3)[:, list(axes)] @ first)
        affine = scan.grid.affine @ scan_index_from_index
        stored = array.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
        path = dicom.save(dicom.enhanced(stored, affine), tmp_path / "scan.dcm")
        check_same(load_volume(path), scan, np.eye(4))
        determinants.append(np.sign(np.linalg.det(affine[:3, :3])))
    assert sum(determinants) == 0
    assert len(determinants) == 48


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("which", [0, 11, 22, 33, 44])
def test_other_formats_in_some_storage_orientations(tmp_path, speckle, suffix, which):
    axes, signs = ORIENTATIONS[which]
    steps = np.eye(3)[:, list(axes)] * signs
    first = np.where(np.array(signs) < 0, np.array(speckle.grid.shape)[list(axes)] - 1, 0)
    affine = speckle.grid.affine @ affine_from(steps, np.eye(3)[:, list(axes)] @ first)
    stored = speckle.array.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
    save_volume(Volume(stored, Grid(stored.shape, affine)), tmp_path / f"scan{suffix}")
    check_same(load_volume(tmp_path / f"scan{suffix}"), speckle, np.eye(4))


def test_beams_and_voxels_of_one_scene_have_its_points_in_the_same_places(tmp_path):
    """Five bright blobs of known places, sampled along beams and on voxels."""
    lattice = BeamLattice(
        45.0,
        32.0,
        np.linspace(5, 75, 71),
        np.radians(np.linspace(-30, 30, 61)),
        np.radians(np.linspace(-25, 25, 51)),
    )
    samples = [[30, 0, 0], [40, 0.35, 0.3], [60, -0.3, 0.25], [50, 0.3, -0.3], [25, -0.35, -0.2]]
    centres = lattice.to_world(samples)

    def scene(points):
        squared = ((points[..., None, :] - centres) ** 2).sum(axis=-1)
        return (200 * np.exp(-squared / (2 * 1.5**2)).sum(axis=-1)).astype(np.uint8)

    beam = np.stack(
        np.meshgrid(lattice.ranges_mm, lattice.thetas_rad, lattice.phis_rad, indexing="ij"), -1
    )
    save_kretz_sweeps([scene(lattice.to_world(beam))], lattice, tmp_path / "scan.vol")
    low, high = centres.min(axis=0) - 6, centres.max(axis=0) + 6
    grid = Grid.centered(np.ceil(high - low).astype(int), 1.0, (low + high) / 2)
    save_volume(Volume(scene(grid.centers_mm()), grid), tmp_path / "scan.nii")
    kretz = kretz_from_lattice(lattice)
    for name, places in (("scan.nii", centres), ("scan.vol", apply_affine(kretz, centres))):
        volume = load_volume(tmp_path / name, conversion=Conversion(voxel_size_mm=1.0))
        positions, levels = volume.grid.centers_mm(), volume.array.astype(float)
        for place in places:
            near = np.linalg.norm(positions - place, axis=-1) < 5
            found = np.average(positions[near], axis=0, weights=levels[near])
            assert np.linalg.norm(found - place) < 0.05


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_one_simulated_scan_has_one_pose_in_every_format(dicom, tmp_path):
    """Voxels give the pose to 0.2 mm, beams to the error of their conversion."""
    settings = SimulationSettings("half", weeks=(11.0, 12.0))
    drawn = draw_case(settings, Seeds.of_case(5, 0))
    made = render(drawn, "half", beams=True)
    array, affine = np.asarray(made.volume.array), made.volume.grid.affine
    if np.linalg.det(affine[:3, :3]) < 0:
        last = np.array([0, 0, array.shape[2] - 1])
        affine = affine_from(affine[:3, :3] * [1, 1, -1], apply_affine(affine, last))
        array = array[:, :, ::-1]
    scan = Volume(np.ascontiguousarray(array), Grid(array.shape, affine))
    estimator = fm.PoseEstimator.from_pretrained()
    expected = estimator(scan).pose.positions_mm
    for name in FORMATS:
        scan_from_file = write_scan(scan, tmp_path / name, dicom)
        volume = load_volume(tmp_path / name)
        check_same(volume, scan, scan_from_file)
        found = estimator(volume).pose.transform(scan_from_file).positions_mm
        assert np.linalg.norm(found - expected, axis=1).max() < 0.2, name
    beams = write_as_kretz(drawn, made, tmp_path / "beams.vol")
    scan_from_file = invert_affine(made.body_from_probe) @ beams.body_from_probe
    found = estimator(load_volume(tmp_path / "beams.vol")).pose.transform(scan_from_file)
    apart = np.linalg.norm(found.positions_mm - expected, axis=1)
    assert np.median(apart) < 0.5, apart
