"""What a report takes over from DICOM files: references, frame of reference, and the patient."""

import numpy as np
import pytest

from fetusmap.geometry import Grid, affine_from
from fetusmap.io import Source, open_source, save_volume, study_of
from fetusmap.volume import Volume

pytestmark = pytest.mark.usefixtures("in_process")

SHAPE = (20, 18, 17)
AFFINE = affine_from(np.diag([0.5, 0.6, 0.7]), [10.0, -20.0, 5.0])
SPECKLE = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
SINGLE_US = "1.2.840.10008.5.1.4.1.1.6.1"


def study(path):
    with open_source(Source(path)) as opened:
        return study_of(opened, path)


@pytest.fixture
def scan(dicom):
    """An Enhanced US Volume of a study, with a patient whose name is not English."""
    data = dicom.enhanced(SPECKLE, AFFINE)
    data.SpecificCharacterSet = "ISO_IR 100"
    data.PatientName, data.PatientSex, data.PatientBirthDate = "Müller^Ä", "F", "19900101"
    data.AccessionNumber, data.StudyInstanceUID = "A1", "1.2.3"
    data.FrameOfReferenceUID, data.VolumeFrameOfReferenceUID = "1.2.3.5", "1.2.3.4"
    return data


def test_volume(scan, dicom, tmp_path):
    found = study(dicom.save(scan, tmp_path / "scan.dcm"))
    assert (found.uid, found.frame_of_reference) == ("1.2.3", "1.2.3.4")  # that of its positions
    assert found.has_positions_of_images
    (image,) = found.images
    assert image.sop_class == scan.SOPClassUID
    assert (image.sop_instance, image.series) == (scan.SOPInstanceUID, scan.SeriesInstanceUID)
    assert found.subject == {
        "PatientName": "Müller^Ä", "PatientID": "SECRET-ID", "PatientBirthDate": "19900101",
        "PatientSex": "F", "StudyDate": "20251103", "AccessionNumber": "A1",
    }  # fmt: skip
    assert "Müller" not in repr(found)  # a traceback must not show it


def test_series_of_single_frames(dicom, tmp_path):
    for k in range(SHAPE[2]):
        data = dicom.instance(SPECKLE[:, :, k].T[None].copy(), SINGLE_US)
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.{k + 1}"
        data.PixelSpacing, data.InstanceNumber = ["0.6", "0.5"], k + 1
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.ImagePositionPatient = [10, -20, f"{5 + 0.7 * k:.1f}"]
        data.StudyInstanceUID, data.FrameOfReferenceUID = "1.2.3", "1.2.9"
        dicom.save(data, tmp_path / f"I{k:02d}")
    found = study(tmp_path / "I00")
    assert {image.sop_instance for image in found.images} == {f"1.2.{k + 1}" for k in range(17)}
    assert found.frame_of_reference == "1.2.9"
    assert found.has_positions_of_images


def test_without_positions_the_frame_of_reference_is_new(dicom, tmp_path):
    data = dicom.instance(SPECKLE.transpose(2, 1, 0).copy())
    data.PixelSpacing, data.SpacingBetweenSlices = ["0.6", "0.5"], "0.7"
    data.StudyInstanceUID, data.FrameOfReferenceUID = "1.2.3", "1.2.9"
    found = study(dicom.save(data, tmp_path / "film.dcm"))
    assert found.frame_of_reference.startswith("2.25.")
    assert not found.has_positions_of_images


@pytest.mark.parametrize(
    ("value", "said"), [("", "found none"), ("1.2.three", "found another text")]
)
def test_refused_without_what_a_report_must_state(scan, dicom, tmp_path, refused, value, said):
    scan.StudyInstanceUID = "1.2.33333" if value else value
    path = dicom.save(scan, tmp_path / "scan.dcm")
    path.write_bytes(path.read_bytes().replace(b"1.2.33333", b"1.2.three"))
    with refused("StudyInstanceUID", said, "--anonymous", within_s=60):
        study(path)


def test_a_value_that_dicom_forbids_is_left_out_and_named(scan, dicom, tmp_path):
    scan.PatientSex = "W"
    found = study(dicom.save(scan, tmp_path / "scan.dcm"))
    assert "PatientSex" not in found.subject
    assert found.warnings == ("PatientSex of the scan is not valid DICOM and is left out",)


def test_no_dicom(tmp_path, refused):
    path = tmp_path / "scan.nii.gz"
    save_volume(Volume(SPECKLE, Grid(SHAPE, AFFINE)), path)
    with refused("--source", "--anonymous"):
        study(path)
