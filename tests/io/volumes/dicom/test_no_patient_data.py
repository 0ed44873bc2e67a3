"""A name in every text of a file: none of them is printed, whether the file is read or refused."""

import struct

import numpy as np
import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset

from fetusmap.cli.main import run
from fetusmap.geometry import affine_from
from fetusmap.io.volumes.kretz_writer import save_kretz_voxels

pytestmark = [
    pytest.mark.usefixtures("in_process"),
    pytest.mark.filterwarnings("ignore"),  # pydicom warns of names where no name belongs
]

SHAPE = (18, 17, 16)
AFFINE = affine_from(np.diag([0.5, 0.6, 0.7]), [10.0, -20.0, 5.0])
SPECKLE = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
TEXTS = {"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
NAME = "DOE^JANE"
SHOWN = {"Manufacturer", "ManufacturerModelName"}
NEEDED = {
    "SpecificCharacterSet",
    "SOPClassUID",
    "PhotometricInterpretation",
    "DataType",
    "SeriesInstanceUID",
}
SUBJECT_AND_IMAGE = (0x0008, 0x0010, 0x0028)
DICOM_KRETZ = (0x7FE10011, 0x7FE11101)


def plant(data: Dataset, groups=range(4, 0x6000), *, in_frames: bool = False) -> Dataset:
    """Put a name into each text that the standard knows, except those that are shown or needed."""
    for tag, (kind, count, _, _, word) in DicomDictionary.items():
        if tag >> 16 not in groups or word in SHOWN | NEEDED or kind not in TEXTS:
            continue
        if word and (word not in data or word == "Modality" or "Name" in word):
            data.add_new(tag, kind, NAME if count == "1" else [NAME, NAME])
    data.add_new(0x00091001, "UN", NAME.encode())
    if in_frames:
        for group in data.PerFrameFunctionalGroupsSequence:
            group.add_new(0x00100010, "PN", NAME)
            group.add_new(0x00204000, "LT", NAME)
    return data


def without_voxels(data: Dataset) -> None:
    del data.PixelData


def without_geometry(data: Dataset) -> None:
    del data.SharedFunctionalGroupsSequence
    del data.PerFrameFunctionalGroupsSequence


def unknown_meaning(data: Dataset) -> None:
    data.PhotometricInterpretation = NAME


def unknown_kind(data: Dataset) -> None:
    data.SOPClassUID = NAME


def text_for_numbers(data: Dataset) -> None:
    del data.Rows
    data.add_new(0x00280010, "LO", NAME)


def text_for_spacing(data: Dataset) -> None:
    measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    del measures.PixelSpacing
    measures.add_new(0x00280030, "LO", [NAME, NAME])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (None, 0),
        (unknown_kind, 0),
        (without_voxels, 2),
        (without_geometry, 2),
        (unknown_meaning, 2),
        (text_for_numbers, 2),
        (text_for_spacing, 2),
    ],
)
def test_no_name_in_what_is_told_of_a_dicom_file(dicom, tmp_path, capfd, change, code):
    groups = range(4, 0x6000) if change is None else SUBJECT_AND_IMAGE
    data = plant(dicom.enhanced(SPECKLE, AFFINE), groups, in_frames=True)
    data.BurnedInAnnotation = "YES"
    if change is not None:
        change(data)
    path = tmp_path / "scan.dcm"
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    data.save_as(path, enforce_file_format=False, implicit_vr=False, little_endian=True)
    assert NAME.encode() in path.read_bytes()
    for options in ([], ["--json"]):
        assert run(["info", str(path), *options]) == code
        told = capfd.readouterr()
        assert "DOE" not in told.out + told.err
        assert "SECRET" not in told.out + told.err
        if code == 0:
            assert "burned-in text" in " ".join((told.out + told.err).split())
            assert "Acme Medical Echo 7" in told.out


@pytest.mark.parametrize("inside", ["alone", "inside of DICOM", "inside of deflated DICOM"])
def test_no_name_in_what_is_told_of_a_kretz_file(dicom, tmp_path, capfd, inside):
    path = tmp_path / "scan.vol"
    save_kretz_voxels(SPECKLE, 0.5, path)
    content = path.read_bytes()
    planted = b"".join(
        struct.pack("<HHI", group, element, len(NAME)) + NAME.encode()
        for group in (0x0010, 0x0110, 0x0120, 0x0130, 0x0140, 0xC000, 0xFFFE)
        for element in (*range(1, 5), 0x21, 0x23, 0xFFFF)
        if (group, element) not in {(0xC000, 1), (0xC000, 2), (0xC000, 3)}
    )
    content = content[:16] + planted + content[16:]
    path.write_bytes(content)
    if inside != "alone":
        data = plant(
            dicom.instance(SPECKLE[:1].copy(), "1.2.840.10008.5.1.4.1.1.7"), SUBJECT_AND_IMAGE
        )
        data.add_new(DICOM_KRETZ[0], "LO", "KRETZ_US")
        data.add_new(DICOM_KRETZ[1], "OB", content + b"\0" * (len(content) % 2))
        if "deflated" in inside:
            data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
        path = dicom.save(data, tmp_path / "scan.dcm")
    for options in ([], ["--json"]):
        assert run(["info", str(path), *options]) == 0
        told = capfd.readouterr()
        assert "DOE" not in told.out + told.err
        assert "SECRET" not in told.out + told.err
        assert "GE Voluson volume of cubic voxels" in " ".join(told.out.split())


def test_a_name_in_place_of_the_compression_is_not_told(dicom, tmp_path, capfd):
    path = dicom.save(dicom.enhanced(SPECKLE, AFFINE), tmp_path / "scan.dcm")
    good = path.read_bytes()
    path.write_bytes(good.replace(b"1.2.840.10008.1.2.1\0", b"DOE^JANE".ljust(20)))
    assert run(["info", str(path)]) == 2
    assert "DOE" not in capfd.readouterr().err
