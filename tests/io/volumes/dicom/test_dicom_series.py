"""Single frames in a folder, several volumes in a folder, and Kretz volumes inside of DICOM."""

import struct

import numpy as np
import pytest

from fetusmap.geometry import affine_from
from fetusmap.io import DEFAULT_LIMITS, Source, check_dicomdir, find_sources, load_volume
from fetusmap.io.sandbox.dicom import task_command
from fetusmap.io.volumes.frame_plan import FramePlan

pytestmark = pytest.mark.usefixtures("in_process")

SHAPE = (20, 18, 17)
AFFINE = affine_from(np.diag([0.5, 0.6, 0.7]), [10.0, -20.0, 5.0])


@pytest.fixture(scope="module")
def speckle() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


@pytest.fixture
def write_series(dicom):
    """Write the frames of a volume into files whose names are in no order."""

    def write(folder, volume, *, uid="1.2.3", positions=True, missing=(), **values):
        folder.mkdir(exist_ok=True)
        for k in range(volume.shape[2]):
            if k in missing:
                continue
            data = dicom.instance(volume[:, :, k].T[None].copy(), "1.2.840.10008.5.1.4.1.1.6.1")
            data.SeriesInstanceUID = uid
            data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"{uid}.{k + 1}"
            del data.NumberOfFrames
            data.InstanceNumber = k + 1
            data.PixelSpacing = ["0.6", "0.5"]
            if positions:
                data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
                data.ImagePositionPatient = ["10", "-20", f"{5 + 0.7 * k:.3f}"]
            for word, value in values.items():
                setattr(data, word, value)
            dicom.save(data, folder / f"IM{(k * 7) % 17:02d}-{uid[-1]}")
        return folder

    return write


def test_a_folder_of_single_frames_is_one_volume(tmp_path, write_series, speckle):
    folder = write_series(tmp_path / "patient 7", speckle)
    (source,) = find_sources(folder)
    assert source == Source(folder / "IM00-3", kind="series")
    assert source.name == "patient_7-IM00-3"
    assert len(source.files) == 17
    # One of the files, the source and the folder stand for the same volume.
    for given in (folder, source, folder / "IM05-3"):
        volume = load_volume(given)
        np.testing.assert_array_equal(volume.array, speckle)
        np.testing.assert_allclose(volume.grid.affine, AFFINE, atol=1e-9)
    assert volume.facts["files"] == "17 DICOM instances"


def test_a_series_of_deflated_frames_is_one_volume(tmp_path, dicom, write_series, speckle):
    folder = write_series(tmp_path / "a", speckle)
    for path in folder.iterdir():
        dicom.compress(path, "1.2.840.10008.1.2.1.99")
    (source,) = find_sources(folder)
    np.testing.assert_array_equal(load_volume(source).array, speckle)


def test_the_hash_of_a_series_covers_every_file(tmp_path, write_series, speckle):
    folder = write_series(tmp_path / "a", speckle)
    before = Source(folder / "IM03-3").sha256()
    assert Source(folder / "IM05-3").sha256() == before
    data = bytearray((folder / "IM11-3").read_bytes())
    data[-1] ^= 1
    (folder / "IM11-3").write_bytes(bytes(data))
    assert Source(folder / "IM03-3").sha256() != before


def test_two_series_and_a_volume_in_one_folder_are_three_cases(
    tmp_path, dicom, write_series, speckle
):
    folder = write_series(tmp_path / "a", speckle, uid="1.2.3")
    write_series(folder, 255 - speckle, uid="1.2.4")
    dicom.save(dicom.enhanced(speckle // 2, AFFINE), folder / "volume.dcm")
    found = find_sources(folder)
    assert [source.name for source in found] == ["a-IM00-3", "a-IM00-4", "volume"]
    for source, expected in zip(found, (speckle, 255 - speckle, speckle // 2), strict=True):
        np.testing.assert_array_equal(load_volume(source).array, expected)


def test_a_dicomdir_stands_for_the_folders_below_it(tmp_path, dicom, speckle):
    for n in range(2):
        (tmp_path / f"S{n}").mkdir()
        dicom.save(dicom.enhanced(speckle, AFFINE), tmp_path / f"S{n}" / "I0")
    assert find_sources(tmp_path) == []
    data = dicom.instance(speckle.transpose(2, 1, 0).copy(), "1.2.840.10008.1.3.10")
    dicom.save(data, tmp_path / "DICOMDIR")
    assert [s.path.relative_to(tmp_path).as_posix() for s in find_sources(tmp_path)] == [
        "S0/I0",
        "S1/I0",
    ]


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_files_that_a_dicomdir_lists_and_that_are_missing_give_a_warning(
    tmp_path,
    dicom,
    speckle,
):
    (tmp_path / "S0").mkdir()
    dicom.save(dicom.enhanced(speckle, AFFINE), tmp_path / "S0" / "I0")
    listing = dicom.instance(speckle[:1].copy(), "1.2.840.10008.1.3.10")
    listed = [["S0", "I0"], ["S0", "I1"], ["..", "..", "ETC", "PASSWD"], "README"]
    listing.DirectoryRecordSequence = [
        dicom.item(DirectoryRecordType="IMAGE", ReferencedFileID=name) for name in listed
    ] + [dicom.item(DirectoryRecordType="PATIENT", PatientName="SECRET^PATIENT")]
    path = dicom.save(listing, tmp_path / "DICOMDIR")
    for given in (path, tmp_path):
        (warning,) = check_dicomdir(given)
        assert "3 of the 4 files" in warning
        assert "(S0/I1, ../../ETC/PASSWD, README)" in warning
        assert "SECRET" not in warning
    assert check_dicomdir(tmp_path / "S0") == check_dicomdir(tmp_path / "S0" / "I0") == ()
    path.write_bytes(path.read_bytes()[:-40])
    (warning,) = check_dicomdir(path)
    assert "may be missing without a notice" in warning


def test_a_series_without_positions_needs_a_distance(tmp_path, write_series, speckle, refused):
    folder = write_series(tmp_path / "a", speckle, positions=False)
    with refused("17 frames of 0.5 x 0.6 mm without a distance", "--spacing"):
        load_volume(folder)
    volume = load_volume(folder, spacing_mm=(0.5, 0.6, 0.7))
    np.testing.assert_array_equal(volume.array, speckle)  # sorted by their numbers
    stated = write_series(tmp_path / "b", speckle, positions=False, SpacingBetweenSlices="0.7")
    volume = load_volume(stated)
    np.testing.assert_array_equal(volume.array, speckle)
    np.testing.assert_allclose(volume.grid.spacing_mm, (0.5, 0.6, 0.7))
    assert any("left and right rest on an assumption" in w for w in volume.warnings)


@pytest.mark.parametrize("positions", [True, False])
def test_a_missing_file_of_a_series_is_noticed(tmp_path, write_series, speckle, refused, positions):
    folder = write_series(tmp_path / "a", speckle, missing=(8,), positions=positions)
    with refused("as if frames were missing" if positions else "a gap between them"):
        load_volume(folder)


def test_a_frame_alone_is_refused_with_the_remedy(tmp_path, write_series, speckle, refused):
    folder = write_series(tmp_path / "a", speckle, missing=range(1, 17))
    with refused("a single 2D image", "put all images of the series into one folder"):
        load_volume(folder / "IM00-3")


def kretz_bytes(voxels: np.ndarray) -> bytes:
    """A cartesian Kretz file, packed by hand."""

    def item(group: int, element: int, value: bytes) -> bytes:
        return struct.pack("<HHI", group, element, len(value)) + value

    return (
        b"KRETZFILE 1.0   "
        + item(0x0110, 2, b"SECRET^PATIENT")
        + b"".join(item(0xC000, n + 1, struct.pack("<H", voxels.shape[n])) for n in range(3))
        + item(0x0010, 0x22, struct.pack("<d", 0.0004))
        + item(0xD000, 1, voxels.tobytes("F"))
    )


@pytest.fixture
def with_kretz(dicom, speckle):
    """A secondary capture that holds a Kretz file in a private element behind its picture."""

    def make(payload: bytes):
        data = dicom.instance(speckle.transpose(2, 1, 0)[:1].copy(), "1.2.840.10008.5.1.4.1.1.7")
        data.add_new(0x7FE10011, "LO", "KRETZ_US")
        data.add_new(0x7FE11101, "OB", payload + b"\0" * (len(payload) % 2))
        return data

    return make


def test_a_kretz_volume_inside_of_dicom(tmp_path, dicom, with_kretz, speckle):
    volume = load_volume(dicom.save(with_kretz(kretz_bytes(speckle)), tmp_path / "scan.dcm"))
    np.testing.assert_array_equal(volume.array, speckle)
    np.testing.assert_allclose(volume.grid.spacing_mm, 0.4)
    assert volume.facts["format"] == "GE Kretz, cartesian, inside of DICOM"
    assert "SECRET" not in f"{volume.facts} {volume.warnings}"


def test_a_kretz_volume_inside_of_deflated_dicom(tmp_path, dicom, with_kretz, speckle):
    data = with_kretz(kretz_bytes(speckle))
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    path = dicom.save(data, tmp_path / "scan.dcm")
    assert b"KRETZFILE" not in path.read_bytes()
    volume = load_volume(path)
    np.testing.assert_array_equal(volume.array, speckle)
    np.testing.assert_allclose(volume.grid.spacing_mm, 0.4)
    assert "SECRET" not in f"{volume.facts} {volume.warnings}"


def test_one_volume_of_a_kretz_sequence_inside_of_deflated_dicom(
    tmp_path,
    dicom,
    with_kretz,
    speckle,
):
    series = [speckle, 255 - speckle]
    voxels = struct.pack("<HHI", 0xD000, 1, speckle.size) + speckle.tobytes("F")
    both = b"".join(one.tobytes("F") for one in series)
    content = kretz_bytes(speckle).replace(
        voxels, struct.pack("<HHI", 0xD600, 1, 2 * speckle.size) + both
    )
    data = with_kretz(content)
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    path = dicom.save(data, tmp_path / "scan.dcm")
    for n, expected in enumerate(series):
        np.testing.assert_array_equal(load_volume(Source(path, frame=n)).array, expected)


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"something else entirely", "Kretz"),
        (b"KRETZFILE 1.0   " + struct.pack("<HHI", 0xD000, 1, 1 << 31), "cut short"),
        (b"KRETZFILE 1.0   ", "the number of voxels along I"),
    ],
)
def test_what_is_no_kretz_volume_inside_of_dicom_is_refused(
    tmp_path, dicom, with_kretz, refused, payload, words, deflated
):
    data = with_kretz(payload)
    if deflated:
        data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    path = dicom.save(data, tmp_path / "scan.dcm")
    with refused(words, within_s=60):
        load_volume(path)


def test_a_series_of_thousands_of_files_is_described_by_one_short_argument():
    frames = tuple((n, 0, 1.0 + n / 7, -n / 3) for n in range(4000))
    instances = tuple((n * 400_123, 400_123) for n in range(4000))
    plan = FramePlan(instances, (frames,), 1, True, "<f4")
    command = task_command("decode", plan.parameters(), DEFAULT_LIMITS)
    assert max(map(len, command)) < 1 << 17  # what Linux allows for one argument
