"""Whatever bytes a DICOM file has, the description of it is either made or refused.

Functions of the decoding process are called here. `studies.fuzz_readers` runs many more inputs.
"""

import io
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fetusmap.errors import UnreadableFile
from fetusmap.geometry import affine_from
from fetusmap.io.sandbox import dicom_decoder
from fetusmap.io.sandbox.dicom_elements import MAX_TEXT, Damaged
from fetusmap.io.volumes.dicom import header_from_description

SHAPE = (36, 33, 17)
AFFINE = affine_from(np.diag([0.5, 0.6, 0.7]), [10.0, -20.0, 5.0])
# Which exceptions a library raises for damaged bytes is its own affair: the decoding process turns
# each of them into one line. It may only not end, not ask for much memory, and not say too much.


@pytest.fixture(scope="module")
def good_files(dicom, tmp_path_factory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("good")
    speckle = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    files = []
    for n, syntax in enumerate(["", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"]):
        path = dicom.save(dicom.enhanced(speckle, AFFINE, shared=n != 1), folder / f"{n}.dcm")
        files.append((dicom.compress(path, syntax) if syntax else path).read_bytes())
    return files


edit_kinds = st.sampled_from(["set", "cut", "insert", "repeat"])
edits = st.lists(
    st.tuples(st.floats(0, 1), edit_kinds, st.binary(max_size=8)), min_size=1, max_size=4
)


def edited(data: bytes, changes) -> bytes:
    """Change, remove or insert bytes; places near the beginning are more likely."""
    for where, kind, new in changes:
        place = int(len(data) * where**3)
        if kind == "set":
            data = data[:place] + new + data[place + len(new) :]
        elif kind == "cut":
            data = data[:place] + data[place + len(new) :]
        elif kind == "insert":
            data = data[:place] + new + data[place:]
        else:
            data = data[: place + 64] + data[place:]
    return data


def describe_here(data: bytes) -> list | None:
    """The description as the decoding process would make it, or None if it would refuse."""
    out = io.BytesIO()
    try:
        dicom_decoder.describe(io.BytesIO(data), out, {"instances": [(0, len(data))]})
    except Exception:
        return None
    return json.loads(out.getvalue())


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(which=st.integers(0, 2), changes=edits)
def test_edited_files_are_described_or_refused(good_files, tmp_path_factory, which, changes):
    data = edited(good_files[which], changes)
    described = describe_here(data)
    if described is None:
        return
    check_short(described)
    path = tmp_path_factory.getbasetemp() / "fuzz.dcm"
    path.write_bytes(data)
    message = ""
    with path.open("rb") as file, np.errstate(all="ignore"):
        try:
            header = header_from_description(file, [(0, len(data))], described, path)
            assert header.plan is None or len(header.plan.volumes[0]) == header.shape[2]
        except UnreadableFile as error:
            message = str(error)
    assert not message or message.isprintable()
    assert "SECRET" not in message


def check_short(value) -> None:
    """No text of the description is long enough to hold a document."""
    if isinstance(value, dict):
        for inner in value.values():
            check_short(inner)
    elif isinstance(value, list):
        for inner in value:
            check_short(inner)
    elif isinstance(value, str):
        assert len(value) <= MAX_TEXT
        assert "SECRET" not in value


@given(st.binary(max_size=300))
@settings(max_examples=150)
def test_any_bytes_after_the_preamble(tail):
    described = describe_here(b"\0" * 128 + b"DICM" + tail)
    if described is not None:
        check_short(described)


def test_reading_never_goes_beyond_an_instance():
    inside = dicom_decoder.Instance(io.BytesIO(b"before" + b"x" * 40 + b"after"), 6, 40)
    assert inside.read(8) == b"x" * 8
    with pytest.raises(Damaged, match="an element of 33 bytes, but only 32"):
        inside.read(33)
    with pytest.raises(Damaged):
        inside.seek(41)
    inside.seek(38)
    assert inside.read(8) == b"xx"
