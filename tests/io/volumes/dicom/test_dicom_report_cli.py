"""DICOM reports at the command line: which scan they belong to, and which they refuse."""

import sys
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
from PIL import Image

from fetusmap.anatomy import Provenance, Quality, reference_pose
from fetusmap.cli.dicom_report import write_reports
from fetusmap.cli.main import run
from fetusmap.estimate import input_sha256
from fetusmap.geometry import affine_from
from fetusmap.io import DEFAULT_LIMITS, Conversion, Source, load_volume, save_pose, save_volume
from fetusmap.quality import NO_FETUS
from fetusmap.scale import CaseResult, VolumeFile
from fetusmap.scale.records import DONE_FILE, DoneDocument, write_record

pytestmark = pytest.mark.usefixtures("in_process")

AFFINE = affine_from(np.diag([0.5, 0.6, 0.7]), [10.0, -20.0, 5.0])
SPECKLE = np.random.default_rng(0).integers(0, 256, (20, 18, 17), dtype=np.uint8)
POSE = reference_pose(60.0)


@pytest.fixture
def scan(dicom, tmp_path):
    """The file of an Enhanced US Volume of a study."""
    data = dicom.enhanced(SPECKLE, AFFINE)
    data.StudyInstanceUID, data.VolumeFrameOfReferenceUID = "1.2.3", "1.2.3.4"
    return dicom.save(data, tmp_path / "scan.dcm")


def write_case(folder, path, pose=POSE, **read_as):
    """Write the folder of a case as `predict` does; `read_as` is how its volume was read."""
    folder.mkdir(parents=True)
    sha256 = input_sha256(load_volume(path, **read_as))
    provenance = Provenance(fetusmap="9.8", model="default", input_sha256=sha256)
    save_pose(replace(pose, provenance=provenance), folder / "pose.json")
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(folder / "preview.png")
    facts = {"settings_sha256": "", "model_sha256": "", "refine": "none", "fetusmap": "9.8"}
    facts |= {"device": "cpu", "precision": "float32", "input_sha256": Source(path).sha256()}
    write_record(folder, DONE_FILE, DoneDocument(source=str(path), **facts))
    return folder


def frames_of_reference(report):
    groups = highdicom.sr.srread(report).content.get_planar_roi_measurement_groups()
    return {group.roi.frame_of_reference_uid for group in groups}


def test_the_scan_of_a_case_is_known(scan, tmp_path, capsys):
    case, report = write_case(tmp_path / "case", scan), tmp_path / "new.dcm"
    assert run(["convert", str(case), str(report)]) == 0
    printed = capsys.readouterr()
    assert printed.out.split() == [str(report), str(tmp_path / "new-picture.dcm")]
    assert printed.err == ""
    for path in printed.out.split():
        data = pydicom.dcmread(path)
        assert (data.StudyInstanceUID, data.PatientID) == ("1.2.3", "SECRET-ID")
    assert frames_of_reference(report) == {"1.2.3.4"}
    (tmp_path / "new.dcm").unlink()
    assert run(["convert", str(case), str(report)]) == 2
    assert "new-picture.dcm: expected a new file" in capsys.readouterr().err
    assert not report.exists()


def test_the_positions_of_another_spacing_are_not_those_of_the_scan(scan, tmp_path, capsys):
    forced = Conversion(None, False, True)
    case = write_case(tmp_path / "case", scan, spacing_mm=(0.6, 0.6, 0.6), conversion=forced)
    words = ["convert", str(case), str(tmp_path / "new.dcm"), "--source", str(scan)]
    assert run([*words, "--clinical-limb-codes"]) == 0
    warned = capsys.readouterr().err
    assert "a viewer cannot draw its positions on the scan" in warned
    assert "do not compare them with growth charts" in warned
    (invented,) = frames_of_reference(tmp_path / "new.dcm")
    assert invented.startswith("2.25.")


def test_another_scan_is_refused(scan, dicom, tmp_path, capsys):
    case = write_case(tmp_path / "case", scan)
    data = dicom.enhanced(255 - SPECKLE, AFFINE)
    data.StudyInstanceUID = "1.2.3"
    other = dicom.save(data, tmp_path / "other.dcm")
    assert run(["convert", str(case), str(tmp_path / "new.dcm"), "--source", str(other)]) == 2
    assert "found another volume" in capsys.readouterr().err
    assert not list(tmp_path.glob("new*"))


def test_a_scan_that_is_no_dicom(tmp_path, scan, capsys):
    path = tmp_path / "scan.nii.gz"
    save_volume(load_volume(scan), path)
    case, report = write_case(tmp_path / "case", path), str(tmp_path / "new.dcm")
    assert run(["convert", str(case), report]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "--source" in told
    assert run(["convert", str(case), report, "--anonymous"]) == 0
    assert "study of its own" in capsys.readouterr().err
    data = [pydicom.dcmread(p) for p in sorted(tmp_path.glob("new*.dcm"))]
    assert len({d.StudyInstanceUID for d in data}) == 1
    assert {d.PatientID for d in data} == {""}
    results = [CaseResult("case", path, POSE)]
    assert write_reports([VolumeFile("case", path)], results, tmp_path, DEFAULT_LIMITS) == 1
    assert "case: no DICOM report: " in capsys.readouterr().err


def test_reports_of_predicted_cases(scan, tmp_path, capsys):
    report = write_case(tmp_path / "out" / "scan", scan) / "report.dcm"
    cases, results = [VolumeFile("scan", scan)], [CaseResult("scan", scan, POSE)]
    assert write_reports(cases, results, tmp_path / "out", DEFAULT_LIMITS) == 0
    first = report.read_bytes()
    assert write_reports(cases, results, tmp_path / "out", DEFAULT_LIMITS) == 0
    assert report.read_bytes() == first  # a study must not get a second report about one result
    failed = [CaseResult("scan", scan, error="damaged")]
    assert write_reports(cases, failed, tmp_path / "nowhere", DEFAULT_LIMITS) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pose.json", "new.dcm"], "--source"),
        (["empty.json", "new.dcm", "--anonymous"], NO_FETUS),
        (["pose.json", "new.csv", "--source", "scan.dcm"], "found --source; leave them out"),
        (["pose.json", "new.dcm", "--split", "train=1"], "found --split; leave them out"),
        (["scan.dcm", "new.dcm"], "a pose, or the folder of a predicted case"),
        (["nothing.json", "new.dcm", "--anonymous"], "nothing.json: expected a pose"),
    ],
)
def test_refused(tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    save_pose(POSE, tmp_path / "pose.json")
    save_pose(replace(POSE, quality=Quality(reasons=(NO_FETUS,))), tmp_path / "empty.json")
    assert run(["convert", *words]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert said in told
    assert not list(tmp_path.glob("new*"))


def test_without_highdicom(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    save_pose(POSE, tmp_path / "pose.json")
    words = ["convert", str(tmp_path / "pose.json"), str(tmp_path / "new.dcm"), "--anonymous"]
    assert run(words) == 2
    assert "pip install 'fetusmap[dicom]'" in capsys.readouterr().err
    assert run(["predict", str(tmp_path), "-o", str(tmp_path / "out"), "--dicom"]) == 2
    assert "pip install 'fetusmap[dicom]'" in capsys.readouterr().err
