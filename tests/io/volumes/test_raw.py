"""Raw voxels with a description, and files of makers that keep their format to themselves."""

import json

import numpy as np
import pytest

from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.io import Conversion, RawLayout, Source, find_sources, load_volume

SHAPE = (16, 17, 18)


@pytest.fixture
def voxels():
    return np.random.default_rng(0).integers(0, 60_000, SHAPE, np.uint16)


@pytest.fixture
def described(tmp_path, voxels):
    """A raw file of 16 bits with its document."""
    (tmp_path / "scan.raw").write_bytes(voxels.tobytes("F"))
    facts = {"shape": SHAPE, "dtype": "uint16", "spacing": [0.5, 0.6, 0.7]}
    (tmp_path / "scan.json").write_text(json.dumps(facts))
    return tmp_path / "scan.raw"


def test_a_raw_file_is_read_as_its_document_says(described, voxels):
    volume = load_volume(described)
    np.testing.assert_array_equal(volume.array, voxels)
    np.testing.assert_allclose(volume.grid.spacing_mm, (0.5, 0.6, 0.7))
    assert volume.facts["layout from"] == "scan.json"
    assert "left and right" in " ".join(volume.warnings)
    assert load_volume(described, conversion=Conversion(mirror=True)).grid.is_left_handed


def test_the_document_belongs_to_the_source(described):
    source = Source(described)
    before = source.sha256()
    assert source.files == (described.with_suffix(".json"), described)
    assert find_sources(described.parent) == [source]
    text = described.with_suffix(".json").read_text()
    described.with_suffix(".json").write_text(text.replace("0.7", "0.8"))
    assert source.sha256() != before


@pytest.mark.parametrize("dtype", ["uint8", "int16", "<i2", ">u2", "float32", ">f8", "int32"])
@pytest.mark.parametrize("order", ["F", "C"])
def test_every_type_and_order(tmp_path, dtype, order):
    array = np.random.default_rng(1).integers(0, 100, SHAPE).astype(dtype)
    path = tmp_path / "scan.bin"
    path.write_bytes(array.tobytes(order))
    source = Source(path, layout=RawLayout(SHAPE, dtype, order))
    volume = load_volume(source, spacing_mm=(0.5, 0.5, 0.5))
    np.testing.assert_array_equal(volume.array, array)
    with pytest.raises(UnreadableFile, match="without a spacing"):
        load_volume(source)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"shape": [16, 17, 19]}, "10336 bytes"),
        ({"dtype": "uint8"}, "4896 bytes"),
        ({"shape": [16, 17]}, "shape"),
        ({"shape": [16, 17, -18]}, "positive"),
        ({"dtype": "object"}, "dtype"),
        ({"dtype": "u1,f4"}, "dtype"),
        ({"spacing": [0.5, 0.6]}, "spacing"),
        ({"spacing": [0.5, 0.6, 0]}, "affine"),
        ({"spacing": [0.5, 0.6, 60]}, "found 0.5 x 0.6 x 60 mm"),
        ({"order": "K"}, "order"),
        ({"hospital": "here"}, "hospital"),
        ({"shape": [2**31, 2**31, 2**31]}, "bytes"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(described, facts, words):
    place = described.with_suffix(".json")
    place.write_text(json.dumps({**json.loads(place.read_text()), **facts}))
    with pytest.raises(BadInput, match=words) as error:
        load_volume(described)
    assert str(error.value).isprintable()


def test_a_data_file_of_another_format_is_not_taken_for_raw_voxels(tmp_path):
    (tmp_path / "scan.raw").write_bytes(bytes(5000))
    (tmp_path / "scan.json").write_text('{"landmarks": []}')
    assert find_sources(tmp_path) == []
    with pytest.raises(UnreadableFile, match=r"write scan.json beside it"):
        load_volume(tmp_path / "scan.raw")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("scan.mvl", b"\x10\x20" * 100, "private file of Samsung"),
        ("scan.bin", b"......Mindray Resona......" * 9, "private file of Mindray"),
        ("scan.zip", b"PK\x03\x04" + bytes(100), "ZIP archive"),
        ("scan.abc", b"hello" * 99, "suffix '.abc'"),
    ],
)
def test_a_file_of_no_known_format_is_refused_with_the_export_that_works(
    tmp_path, name, content, words
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableFile) as error:
        load_volume(tmp_path / name)
    assert words in str(error.value)
    assert ("cartesian" in str(error.value)) == (name != "scan.zip")
