"""Enhanced US Volumes are read with the very voxels and positions that were written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset
from scipy.spatial.transform import Rotation

from fetusmap.geometry import Grid, affine_from
from fetusmap.io import Source, load_volume, save_volume
from fetusmap.volume import Volume

pytestmark = pytest.mark.usefixtures("in_process")

SHAPE = (36, 33, 17)
SYNTAXES = {
    "deflated": "1.2.840.10008.1.2.1.99",
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG lossless": "1.2.840.10008.1.2.4.57",
    "JPEG lossless, first predictor": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
}


@pytest.fixture(scope="module")
def oblique() -> np.ndarray:
    """An oblique, anisotropic, right-handed affine."""
    turn = Rotation.from_rotvec([0.3, 0.4, -0.2]).as_matrix()
    return affine_from(turn * [0.5, 0.6, 0.7], [10.0, -20.0, 5.0])


@pytest.fixture(scope="module")
def speckle() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


def brightest_mm(volume: Volume, count: int = 5) -> np.ndarray:
    """World positions of the brightest voxels, the brightest first."""
    order = np.argsort(volume.array.ravel())[::-1][:count]
    indices = np.array(np.unravel_index(order, volume.array.shape)).T
    return indices @ volume.grid.affine[:3, :3].T + volume.grid.affine[:3, 3]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("shuffled", [False, True])
def test_enhanced_us_volume(dicom, tmp_path, oblique, speckle, shared, shuffled):
    order = np.random.default_rng(1).permutation(SHAPE[2]) if shuffled else None
    path = dicom.save(
        dicom.enhanced(speckle, oblique, shared=shared, order=order), tmp_path / "scan.dcm"
    )
    volume = load_volume(path)
    np.testing.assert_array_equal(volume.array, speckle)
    np.testing.assert_allclose(volume.grid.affine, oblique, atol=1e-9)
    assert volume.name == "scan"
    assert volume.warnings == ()
    assert ("not stored in order" in volume.facts["position from"]) == shuffled


def test_the_same_scan_as_nifti_and_as_dicom_has_bright_points_in_the_same_places(
    dicom, tmp_path, oblique
):
    # No two points lie symmetrically, so a mirror image would move them.
    array = np.zeros(SHAPE, np.uint8)
    points = [(3, 4, 5), (15, 6, 2), (8, 15, 14), (17, 16, 9), (2, 9, 12)]
    for n, index in enumerate(points):
        array[index] = 250 - 10 * n
    save_volume(Volume(array, Grid(SHAPE, oblique)), tmp_path / "scan.nii.gz")
    expected = np.array(points) @ oblique[:3, :3].T + oblique[:3, 3]
    reversed_order = range(SHAPE[2])[::-1]
    dicom.save(dicom.enhanced(array, oblique, order=reversed_order), tmp_path / "scan.dcm")
    for name in ("scan.nii.gz", "scan.dcm"):
        np.testing.assert_allclose(brightest_mm(load_volume(tmp_path / name)), expected, atol=1e-4)


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES.keys())
@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_compression_without_loss(dicom, tmp_path, oblique, speckle, syntax, kind):
    array = speckle.astype(kind)
    if kind == "u2":
        array = array * 257 + np.arange(SHAPE[0], dtype=np.uint16)[:, None, None]
    path = dicom.save(dicom.enhanced(array, oblique), tmp_path / "scan.dcm")
    volume = load_volume(dicom.compress(path, syntax))
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_allclose(volume.grid.affine, oblique, atol=1e-9)
    assert volume.warnings == ()


def test_compression_with_loss_is_noted(dicom, tmp_path, oblique):
    array = np.broadcast_to(np.arange(36, dtype=np.uint8)[:, None, None] * 6, SHAPE)
    path = dicom.save(dicom.enhanced(array, oblique), tmp_path / "scan.dcm")
    volume = load_volume(dicom.compress(path, "1.2.840.10008.1.2.4.50"))
    assert np.abs(volume.array.astype(int) - array).max() <= 4
    assert volume.warnings == ("the voxels were compressed with loss",)


def test_rescale(dicom, tmp_path, oblique, speckle):
    array = speckle.astype(np.uint16) * 100
    path = dicom.save(dicom.enhanced(array, oblique, rescale=(0.5, -3.0)), tmp_path / "scan.dcm")
    volume = load_volume(path)
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, array * np.float32(0.5) - 3)


def test_rescale_of_each_frame(dicom, tmp_path, oblique, speckle):
    data = dicom.enhanced(speckle, oblique, shared=False, rescale=(2.0, 1.0))
    data.PerFrameFunctionalGroupsSequence[0].PixelValueTransformationSequence = [
        dicom.item(RescaleSlope="3", RescaleIntercept="1.0")
    ]
    volume = load_volume(dicom.save(data, tmp_path / "scan.dcm"))
    factors = np.array([3.0] + [2.0] * (SHAPE[2] - 1))
    np.testing.assert_array_equal(volume.array, speckle * factors + 1)


def test_signed_values_with_unused_bits(dicom, tmp_path, oblique, speckle):
    array = speckle.astype(np.int16) - 128
    data = dicom.enhanced(array, oblique)
    data.BitsStored, data.HighBit = 12, 11
    data.PixelData = (array.transpose(2, 1, 0) & 0x0FFF).astype("<u2").tobytes()
    volume = load_volume(dicom.save(data, tmp_path / "scan.dcm"))
    np.testing.assert_array_equal(volume.array, array)


def test_exchanged_dark_and_bright_are_turned_over_with_a_note(dicom, tmp_path, oblique, speckle):
    data = dicom.enhanced(255 - speckle, oblique)
    data.PhotometricInterpretation = "MONOCHROME1"
    volume = load_volume(dicom.save(data, tmp_path / "scan.dcm"))
    np.testing.assert_array_equal(volume.array, speckle)
    assert "MONOCHROME1" in volume.warnings[0]


@given(signs=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 2), axes=st.permutations(range(3)))
@settings(max_examples=6)
def test_every_orientation_of_the_frames(dicom, tmp_path_factory, speckle, signs, axes):
    row, column = np.eye(3)[axes[0]] * signs[0], np.eye(3)[axes[1]] * signs[1]
    directions = np.column_stack([row, column, np.cross(row, column)])
    affine = affine_from(directions * [0.5, 0.6, 0.7], [1.0, 2.0, 3.0])
    folder = tmp_path_factory.mktemp("orientation")
    path = dicom.save(dicom.enhanced(speckle, affine, order=range(17)[::-1]), folder / "scan.dcm")
    volume = load_volume(path)
    np.testing.assert_array_equal(volume.array, speckle)
    np.testing.assert_allclose(volume.grid.affine, affine, atol=1e-12)


def test_one_volume_of_a_time_series(dicom, tmp_path, oblique, refused):
    series = np.random.default_rng(2).integers(0, 256, (3, *SHAPE), dtype=np.uint8)
    order = np.random.default_rng(3).permutation(3 * SHAPE[2])
    path = dicom.save(
        dicom.enhanced(series, oblique, order=order, times=[0, 40, 80]), tmp_path / "scan.dcm"
    )
    for n, array in enumerate(series):
        volume = load_volume(Source(path, frame=n))
        np.testing.assert_array_equal(volume.array, array)
        assert volume.facts["sequence"] == "3 volumes, 0 to 80 ms"
        assert volume.name == f"scan-{n:03d}"
    with refused("a sequence of 3 volumes", "--frame 0"):
        load_volume(path)
    with refused("frame 3"):
        load_volume(Source(path, frame=3))


def test_other_data_than_tissue_is_left_out_with_a_note(dicom, tmp_path, oblique, speckle):
    both = np.concatenate([speckle, np.zeros_like(speckle)], axis=2)
    data = dicom.enhanced(both, oblique)
    for n, group in enumerate(data.PerFrameFunctionalGroupsSequence):
        kind = "TISSUE_INTENSITY" if n < SHAPE[2] else "FLOW_VELOCITY"
        group.ImageDataTypeSequence = [dicom.item(DataType=kind)]
        place = oblique[:3, 3] + oblique[:3, 2] * (n % SHAPE[2])
        group.PlanePositionVolumeSequence[0].ImagePositionVolume = place.tolist()
    volume = load_volume(dicom.save(data, tmp_path / "scan.dcm"))
    np.testing.assert_array_equal(volume.array, speckle)
    assert volume.warnings == ("17 frames of other data than B-mode are left out",)


def test_contradictory_spacing_is_noted(dicom, tmp_path, oblique, speckle):
    data = dicom.enhanced(speckle, oblique)
    measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SpacingBetweenSlices = "1.4"
    volume = load_volume(dicom.save(data, tmp_path / "scan.dcm"))
    np.testing.assert_allclose(volume.grid.affine, oblique, atol=1e-9)
    assert "1.4 mm) contradicts their positions (0.7 mm)" in volume.warnings[0]


def test_burned_in_text_is_a_warning_and_patient_data_stay_inside(
    dicom, tmp_path, oblique, speckle
):
    data = dicom.enhanced(speckle, oblique)
    data.BurnedInAnnotation = "YES"
    volume = load_volume(dicom.save(data, tmp_path / "scan.dcm"))
    assert "burned-in text" in volume.warnings[0]
    assert volume.facts["made by"] == "Acme Medical Echo 7"
    assert volume.facts["text in the picture"] == "yes"
    told = f"{volume.facts} {volume.warnings} {volume.name}"
    for secret in ("SECRET", "2025", str(data.SeriesInstanceUID), str(data.SOPInstanceUID)):
        assert secret not in told


def multi_frame(dicom, speckle, **values):
    data = dicom.instance(np.ascontiguousarray(speckle.transpose(2, 1, 0)))
    for word, value in values.items():
        setattr(data, word, value)
    return data


def test_multi_frame_without_a_distance_is_refused_with_the_remedy(
    dicom, tmp_path, speckle, refused
):
    data = multi_frame(dicom, speckle, PixelSpacing=["0.6", "0.5"])
    path = dicom.save(data, tmp_path / "scan.dcm")
    with refused("17 frames of 0.5 x 0.6 mm without a distance", "--spacing X Y Z"):
        load_volume(path)
    data.FrameTime = "40"
    with refused("perhaps a film of one plane"):
        load_volume(dicom.save(data, tmp_path / "film.dcm"))
    volume = load_volume(path, spacing_mm=(0.5, 0.6, 0.7))
    np.testing.assert_array_equal(volume.array, speckle)
    np.testing.assert_allclose(volume.grid.spacing_mm, (0.5, 0.6, 0.7))
    assert any("left and right rest on an assumption" in w for w in volume.warnings)


def test_multi_frame_with_a_stated_distance_is_read_with_a_note(dicom, tmp_path, speckle):
    data = multi_frame(dicom, speckle, PixelSpacing=["0.6", "0.5"], SpacingBetweenSlices="0.7")
    volume = load_volume(dicom.save(data, tmp_path / "scan.dcm"))
    np.testing.assert_array_equal(volume.array, speckle)
    np.testing.assert_allclose(volume.grid.spacing_mm, (0.5, 0.6, 0.7))
    assert any("left and right rest on an assumption" in w for w in volume.warnings)


def test_philips_qlab_export(dicom, tmp_path, speckle, refused):
    series = np.stack([speckle, 255 - speckle])
    data = dicom.instance(np.ascontiguousarray(series.transpose(0, 3, 2, 1)).reshape(-1, 33, 36))
    data.NumberOfFrames = 2
    for word in ("SOPInstanceUID", "SeriesInstanceUID", "StudyDate", "PatientName", "PatientID"):
        delattr(data, word)
    data.PhysicalDeltaX, data.PhysicalDeltaY = 0.05, 0.06
    data.add_new(0x30011001, "UL", SHAPE[2])
    data.add_new(0x30011003, "FD", 0.07)
    data.save_as(tmp_path / "scan.dcm", enforce_file_format=False)
    for n, array in enumerate(series):
        volume = load_volume(Source(tmp_path / "scan.dcm", frame=n))
        np.testing.assert_array_equal(volume.array, array)
        np.testing.assert_allclose(volume.grid.spacing_mm, (0.5, 0.6, 0.7))
        assert "QLAB" in volume.facts["kind"]
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"  # without the types of elements
    data.save_as(tmp_path / "implicit.dcm", enforce_file_format=False)
    volume = load_volume(Source(tmp_path / "implicit.dcm", frame=1))
    np.testing.assert_array_equal(volume.array, series[1])
    np.testing.assert_allclose(volume.grid.spacing_mm, (0.5, 0.6, 0.7))
    for word in ("SOPClassUID", "SamplesPerPixel", "PixelRepresentation", "HighBit"):
        delattr(data, word)
    for explicit in (True, False):  # without preamble and file meta information, too
        bare = tmp_path / "bare.dcm"
        with bare.open("wb") as file:
            stream = DicomFileLike(file)
            stream.is_little_endian, stream.is_implicit_VR = True, not explicit
            write_dataset(stream, data)
        volume = load_volume(Source(bare, frame=1))
        np.testing.assert_array_equal(volume.array, series[1])
        np.testing.assert_allclose(volume.grid.spacing_mm, (0.5, 0.6, 0.7))
    del data[0x30011003]
    data.save_as(tmp_path / "unsure.dcm", enforce_file_format=False)
    with refused("without a distance between them", "--spacing"):
        load_volume(Source(tmp_path / "unsure.dcm", frame=0))


def test_colour_that_is_grey_is_read_and_other_colour_refused(
    dicom, tmp_path, oblique, speckle, refused
):
    data = dicom.enhanced(speckle, oblique)
    frames = speckle.transpose(2, 1, 0)[..., None]
    data.SamplesPerPixel, data.PhotometricInterpretation = 3, "RGB"
    data.PlanarConfiguration = 0
    data.PixelData = np.repeat(frames, 3, axis=3).tobytes()
    volume = load_volume(dicom.save(data, tmp_path / "grey.dcm"))
    np.testing.assert_array_equal(volume.array, speckle)
    assert "stored in colour" in volume.warnings[0]
    data.PixelData = (frames * np.array([1, 0, 0], np.uint8)).tobytes()
    with refused("coloured voxels"):
        load_volume(dicom.save(data, tmp_path / "red.dcm"))
