"""DICOM reports of poses, read back with highdicom and with DCMTK's dsrdump."""

import shutil
import subprocess

import highdicom
import numpy as np
import pydicom
import pytest
from PIL import Image

from fetusmap.anatomy import (
    LengthInterval,
    Pose,
    Provenance,
    Quality,
    crown_rump_length,
    gestational_age_interval,
    load_skeleton,
)
from fetusmap.errors import UnreadableFile
from fetusmap.io import DicomStudy, new_study, write_dicom_picture, write_dicom_report
from fetusmap.io.poses import dicom_codes as codes
from fetusmap.io.volumes.dicom_study import ReferencedImage
from fetusmap.simulate import draw_poses

SHOWN = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
RETIRED_US = "1.2.840.10008.5.1.4.1.1.6"
STUDY = DicomStudy(
    uid="1.2.3",
    images=(ReferencedImage(RETIRED_US, "1.2.3.1", "1.2.3.9"),),
    frame_of_reference="1.2.3.4",
    has_positions_of_images=True,
    subject={"PatientName": "Müller^Ä", "PatientID": "P1", "PatientSex": "F"},
)


@pytest.fixture(scope="module")
def pose():
    """A predicted pose of fetus-22, far from the origin; one hand is absent, one knee was moved."""
    skeleton = load_skeleton("fetus-22")
    drawn = draw_poses(1, seed=3).on(skeleton)
    positions = drawn.positions_mm[0].astype(float) + np.array([100, -50, 20])
    positions[skeleton.index("left_hand")] = np.nan
    review = ["machine"] * len(skeleton)
    review[skeleton.index("left_knee")] = "moved"
    return Pose(
        skeleton,
        positions,
        0.75,
        quality=Quality(
            score=0.9,
            reasons=("left hand not found",),
            crown_rump_interval=LengthInterval(coverage=0.95, scale=2.0, cases=50),
        ),
        provenance=Provenance(
            fetusmap="9.8", model="default", model_sha256="ab", warnings=("spacing assumed",)
        ),
        review=tuple(review),
    )


@pytest.fixture(scope="module")
def path(pose, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.dcm"
    write_dicom_report(pose, STUDY, path)
    return path


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("picture")
    Image.fromarray(SHOWN).save(folder / "preview.png")
    write_dicom_picture(folder / "preview.png", STUDY, folder / "picture.dcm")
    return folder / "picture.dcm"


@pytest.fixture(scope="module")
def groups(path):
    """The measurement groups of the report, by tracking identifier."""
    return groups_of(path)


def groups_of(path):
    content = highdicom.sr.srread(path).content
    found = [
        *content.get_planar_roi_measurement_groups(),
        *content.get_image_measurement_groups(),
    ]
    return {group.tracking_identifier: group for group in found}


def comments(group):
    items = group[0].ContentSequence
    return [i.value for i in items if i.name == codes.COMMENT]


def test_points_and_lines_are_those_of_the_pose(pose, groups):
    for landmark in pose:
        if not landmark.is_present:
            assert landmark.name not in groups
            continue
        group = groups[landmark.name]
        assert group.roi.graphic_type.value == "POINT"
        assert group.roi.frame_of_reference_uid == "1.2.3.4"
        assert np.allclose(group.roi.value[0], landmark.position_mm, atol=1e-4)
        assert group.get_measurements()[0].value == 0.75
        assert group.finding_type == codes.own_code(landmark.name, "")
    for segment in pose.skeleton.segments:
        ends = pose[segment.start].position_mm, pose[segment.end].position_mm
        if np.isfinite(ends).all():
            group = groups[segment.name]
            assert group.roi.graphic_type.value == "POLYLINE"
            assert np.allclose(group.roi.value, ends, atol=1e-4)
            length = group.get_measurements()[0]
            assert length.value == pytest.approx(np.linalg.norm(ends[1] - ends[0]), abs=1e-3)
            assert (length.name, length.unit.value) == (codes.DISTANCE, "mm")
            assert group.method == codes.JOINT_TO_JOINT
    assert "left_wrist_hand" not in groups
    (site,) = groups["left_knee"].finding_sites
    assert (site.value.meaning, site.laterality.meaning) == ("knee", "Left")


def test_crown_rump_length_and_age(pose, groups):
    group = groups["crown_rump_length"]
    (measured,) = group.get_measurements()
    length = crown_rump_length(pose)
    assert length.method == "measured"
    assert (measured.name.value, measured.name.scheme_designator) == ("11957-8", "LN")
    assert measured.value == pytest.approx(length.length_mm, abs=1e-3)
    bounds = [item.value for item in measured[0].ContentSequence if item.ValueType == "NUM"]
    assert bounds == pytest.approx([length.half_width_mm] * 2, abs=1e-3)
    crown, rump = (pose[name].position_mm for name in ("crown", "rump"))
    assert np.allclose(group.roi.value, [crown, rump], atol=1e-4)
    (dated,) = groups["gestational_age"].get_measurements()
    age = gestational_age_interval(length.length_mm, length.half_width_mm)
    assert (dated.name.value, dated.unit.value) == ("18185-9", "d")
    assert dated.value == pytest.approx(age.days, abs=1e-3)


def test_doubts_people_and_programs_are_named(groups):
    assert {"left hand not found", "spacing assumed"} < set(comments(groups["quality"]))
    assert comments(groups["left_knee"]) == ["position moved by a person"]
    assert comments(groups["right_knee"]) == []
    items = groups["head"][0].ContentSequence
    texts = {item.name.meaning: item.value for item in items if item.ValueType == "TEXT"}
    assert texts["Algorithm Name"] == "FetusMap"
    assert texts["Algorithm Version"] == "9.8"


def test_document(path):
    data = pydicom.dcmread(path)
    assert data.SOPClassUID == pydicom.uid.Comprehensive3DSRStorage
    assert (data.StudyInstanceUID, str(data.PatientName)) == ("1.2.3", "Müller^Ä")
    flags = data.CompletionFlag, data.VerificationFlag, data.PreliminaryFlag
    assert flags == ("PARTIAL", "UNVERIFIED", "PRELIMINARY")
    (study,) = data.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    (image,) = series.ReferencedSOPSequence
    named = image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID, series.SeriesInstanceUID
    assert named == (RETIRED_US, "1.2.3.1", "1.2.3.9")
    content = highdicom.sr.srread(path).content
    (subject,) = content.get_subject_contexts()
    assert subject.subject_class.meaning == "Fetus"


def test_clinical_codes_of_limbs_only_on_request(pose, groups, tmp_path):
    write_dicom_report(pose, STUDY, tmp_path / "report.dcm", clinical_limb_codes=True)
    clinical = groups_of(tmp_path / "report.dcm")
    expected = {"femur": "11963-6", "humerus": "11966-9", "leg": "11968-5", "forearm": "11969-3"}
    for name, code in expected.items():
        (length,) = clinical[f"right_{name}"].get_measurements()
        assert length.name.value == code
        assert clinical[f"right_{name}"].method == codes.JOINT_TO_JOINT
        assert groups[f"right_{name}"].get_measurements()[0].name.value != code
        assert length.value == groups[f"right_{name}"].get_measurements()[0].value
    assert any("growth charts" in text for text in comments(clinical["quality"]))
    assert not any("growth charts" in text for text in comments(groups["quality"]))


def test_without_a_scan_there_is_no_patient(pose, tmp_path):
    study = new_study()
    write_dicom_report(pose, study, tmp_path / "report.dcm")
    data = pydicom.dcmread(tmp_path / "report.dcm")
    assert (data.StudyInstanceUID, str(data.PatientName), data.PatientID) == (study.uid, "", "")
    assert "CurrentRequestedProcedureEvidenceSequence" not in data
    assert any(
        "frame of reference" in t for t in comments(groups_of(tmp_path / "report.dcm")["quality"])
    )


def test_dsrdump_reads_it(path):
    program = shutil.which("dsrdump")
    if program is None:
        pytest.skip("DCMTK is not installed: dsrdump is missing")
    told = subprocess.run([program, str(path)], capture_output=True, text=True, check=True).stdout
    for words in ("Comprehensive 3D SR Document", "UNVERIFIED", '(121026,DCM,"Fetus")', "POLYLINE"):
        assert words in told
    assert told.count("SCOORD3D") == 21 + 20 + 1  # landmarks, segments, crown to rump


def test_dciodvfy_finds_no_error(path, picture):
    """The checker of dicom3tools knows what the standard demands of each kind of instance."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dicom3tools is not installed: dciodvfy is missing")
    for written in (path, picture):
        told = subprocess.run([program, str(written)], capture_output=True, text=True, check=False)
        assert [line for line in told.stderr.splitlines() if line.startswith("Error")] == []


def test_picture(picture, tmp_path, refused):
    data = pydicom.dcmread(picture)
    assert np.array_equal(data.pixel_array, SHOWN)
    assert (data.StudyInstanceUID, str(data.PatientName)) == ("1.2.3", "Müller^Ä")
    assert data.BurnedInAnnotation == "YES"  # the name of the case
    (tmp_path / "preview.png").write_bytes(b"no picture")
    with refused("a PNG picture", error=UnreadableFile):
        write_dicom_picture(tmp_path / "preview.png", STUDY, tmp_path / "other.dcm")
    assert not (tmp_path / "other.dcm").exists()
