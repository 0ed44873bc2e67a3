"""The DICOM report of a corrected case, as the server of the web application sends it."""

import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from fetusmap.anatomy import Provenance, reference_pose
from fetusmap.corrections import append_correction, move, new_correction
from fetusmap.errors import BadInput
from fetusmap.estimate import input_sha256
from fetusmap.geometry import affine_from
from fetusmap.io import Source, load_volume, save_pose, save_volume
from fetusmap.serve.cases import result_file
from fetusmap.serve.workspace import Reading, ServedCase

pytestmark = pytest.mark.usefixtures("in_process")

AFFINE = affine_from(np.diag([0.5, 0.6, 0.7]), [10.0, -20.0, 5.0])
SPECKLE = np.random.default_rng(0).integers(0, 256, (20, 18, 17), dtype=np.uint8)


@pytest.fixture
def case(dicom, tmp_path):
    data = dicom.enhanced(SPECKLE, AFFINE)
    data.StudyInstanceUID, data.VolumeFrameOfReferenceUID = "1.2.3", "1.2.3.4"
    scan = dicom.save(data, tmp_path / "scan.dcm")
    provenance = Provenance(model="default", input_sha256=input_sha256(load_volume(scan)))
    (tmp_path / "case").mkdir()
    save_pose(replace(reference_pose(60.0), provenance=provenance), tmp_path / "case" / "pose.json")
    return ServedCase(
        "case",
        tmp_path / "case" / "pose.json",
        tmp_path / "case" / "corrections.jsonl",
        reading=Reading(Source(scan)),
    )


def lengths(content):
    """All numbers of a report."""
    return {
        float(value.NumericValue)
        for element in pydicom.dcmread(io.BytesIO(content)).iterall()
        if element.keyword == "MeasuredValueSequence"
        for value in element.value
    }


def test_the_report_of_a_corrected_case_is_that_of_the_corrected_pose(case):
    before, doubts = result_file(case, "report.dcm", corrected=True)
    assert doubts == ()
    assert pydicom.dcmread(io.BytesIO(before)).StudyInstanceUID == "1.2.3"
    pose = case.load_pose()
    place = pose["left_knee"].position_mm + np.array([4.0, 0.0, 0.0])
    line = new_correction(pose, "Anna", "move", move(pose, "left_knee", place))
    append_correction(case.log_path, lambda _: line)
    after, _ = result_file(case, "report.dcm", corrected=True)
    plain, _ = result_file(case, "report.dcm", corrected=False)
    assert lengths(plain) == lengths(before) != lengths(after)


def test_a_scan_that_is_not_dicom_has_no_report(case, tmp_path):
    volume = load_volume(case.reading.source.path)
    save_volume(volume, tmp_path / "scan.nii.gz")
    other = replace(case, reading=Reading(Source(tmp_path / "scan.nii.gz")))
    with pytest.raises(BadInput, match="DICOM"):
        result_file(other, "report.dcm", corrected=True)
