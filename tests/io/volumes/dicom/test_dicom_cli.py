"""DICOM at the command line: `info` and `convert` of files, folders and a DICOMDIR; the age."""

import json

import numpy as np
import pytest

from fetusmap.cli.main import run
from fetusmap.geometry import affine_from
from fetusmap.io import gestational_age_days, load_volume
from fetusmap.scale import find_volumes

SHAPE = (20, 18, 17)
AFFINE = affine_from(np.diag([0.5, 0.6, 0.7]), [10.0, -20.0, 5.0])
SPECKLE = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def disk(dicom, tmp_path):
    """A medium with a DICOMDIR and two folders: single frames, and an Enhanced US Volume."""
    for folder in ("S0", "S1"):
        (tmp_path / folder).mkdir()
    for k in range(SHAPE[2]):
        data = dicom.instance(SPECKLE[:, :, k].T[None].copy(), "1.2.840.10008.5.1.4.1.1.6.1")
        data.PixelSpacing, data.InstanceNumber = ["0.6", "0.5"], k + 1
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.ImagePositionPatient = [10, -20, f"{5 + 0.7 * k:.1f}"]
        dicom.save(data, tmp_path / "S0" / f"I{k:02d}")
    dicom.save(dicom.enhanced(255 - SPECKLE, AFFINE), tmp_path / "S1" / "I0")
    listing = dicom.instance(SPECKLE[:1].copy(), "1.2.840.10008.1.3.10")
    listing.DirectoryRecordSequence = [dicom.item(ReferencedFileID=["S1", n]) for n in ("I0", "I1")]
    dicom.save(listing, tmp_path / "DICOMDIR")
    return tmp_path


def test_info_tells_what_it_is_and_nobody_s_name(disk, capfd):
    assert run(["info", str(disk / "S1" / "I0")]) == 0
    told = capfd.readouterr().out
    for words in (
        "Enhanced US Volume: 3D ultrasound",
        "Acme Medical Echo 7",
        "0.5 x 0.6 x 0.7 mm",
        "text in the picture",
    ):
        assert words in told
    for secret in ("SECRET", "2025", "gestational"):
        assert secret not in told


def test_age_only_if_asked_for(disk, dicom, capfd, refused):
    path = disk / "S1" / "I0"
    assert gestational_age_days(path) == 84  # 11 August to 3 November
    assert run(["info", str(path), "--age"]) == 0
    told = capfd.readouterr().out
    assert "12 weeks 0 days" in told
    assert "2025" not in told
    data = dicom.enhanced(SPECKLE, AFFINE)
    data.LastMenstrualDate = "20240101"
    with refused("672 days", within_s=60):
        gestational_age_days(dicom.save(data, disk / "wrong.dcm"))


def test_a_folder_and_a_dicomdir_are_described_and_are_cases(disk, capfd):
    for given in (disk, disk / "DICOMDIR"):
        assert run(["info", str(given), "--json"]) == 0
        told = capfd.readouterr()
        assert "1 of the 2 files that it lists are missing (S1/I1)" in told.err
        volumes = json.loads(told.out)["volumes"]
        assert list(volumes) == ["S0-I00", "I0"]
        assert [volume.case for volume in find_volumes([given])] == ["S0-I00", "I0"]
    assert run(["info", str(disk / "S0")]) == 0
    assert "17 DICOM instances" in capfd.readouterr().out


def test_files_of_a_series_given_one_by_one_are_one_case(disk):
    files = sorted((disk / "S0").iterdir())
    found = find_volumes([disk / "S1" / "I0", *files[3:]])
    assert [(volume.case, volume.path) for volume in found] == [
        ("I0", disk / "S1" / "I0"), ("S0-I00", files[0]),
    ]  # fmt: skip
    assert "14 files are one DICOM series, one case" in found.notes[0]
    assert [volume.case for volume in find_volumes([disk / "S0", files[2]])] == ["S0-I00"]


def test_a_folder_of_series_is_searched_once(disk):
    for name in ("DICOMDIR", "none"):
        found = find_volumes([disk], recursive=True)
        assert [volume.case for volume in found] == (
            ["S0-I00", "I0"] if name == "DICOMDIR" else ["S0-I00", "S1-I0"]
        )
        assert not found.notes
        (disk / "DICOMDIR").unlink(missing_ok=True)


def test_a_series_is_converted(disk):
    target = disk / "scan.nii.gz"
    assert run(["convert", str(disk / "S0"), str(target)]) == 0
    volume = load_volume(target)
    np.testing.assert_array_equal(volume.array, SPECKLE)
    np.testing.assert_allclose(volume.grid.affine, AFFINE, atol=1e-4)
