"""One simulated scan in several files: the same voxels, in the same places of the world."""

import numpy as np
import pytest

from fetusmap.geometry import Grid, affine_from, apply_affine
from fetusmap.io import load_volume, save_volume
from fetusmap.simulate import SimulationSettings, simulate_case
from fetusmap.volume import Volume

JPEG_2000 = "1.2.840.10008.1.2.4.90"


@pytest.fixture(scope="module")
def scan() -> Volume:
    """A scan with right-handed axes, as the frames of DICOM have them."""
    volume = simulate_case(SimulationSettings("half", weeks=(10.0, 11.0)), 5, 0).volume
    array, affine = np.asarray(volume.array), volume.grid.affine
    if np.linalg.det(affine[:3, :3]) < 0:
        last = np.array([0, 0, array.shape[2] - 1])
        affine = affine_from(affine[:3, :3] * [1, 1, -1], apply_affine(affine, last))
        array = array[:, :, ::-1]
    return Volume(np.ascontiguousarray(array), Grid(array.shape, affine))


@pytest.mark.slow
def test_nifti_and_dicom_of_one_simulated_scan_agree(dicom, tmp_path, scan):
    save_volume(scan, tmp_path / "scan.nii.gz")
    nifti = load_volume(tmp_path / "scan.nii.gz")
    slices = scan.grid.shape[2]
    shuffled = np.random.default_rng(0).permutation(slices)
    files = {
        "shared": dicom.enhanced(scan.array, scan.grid.affine),
        "per frame": dicom.enhanced(scan.array, scan.grid.affine, shared=False),
        "shuffled": dicom.enhanced(scan.array, scan.grid.affine, order=shuffled),
        "compressed": dicom.enhanced(scan.array, scan.grid.affine, order=shuffled),
    }
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(scan.grid.shape) - 1)
    for name, data in files.items():
        path = dicom.save(data, tmp_path / f"{name}.dcm")
        if name == "compressed":
            dicom.compress(path, JPEG_2000)
        volume = load_volume(path)
        np.testing.assert_array_equal(volume.array, nifti.array)
        np.testing.assert_allclose(
            apply_affine(volume.grid.affine, corners),
            apply_affine(nifti.grid.affine, corners),
            atol=1e-3,
        )
