"""Good files changed at random: read as something sensible, or refused; nothing else, ever."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetusmap.errors import UnreadableFile
from fetusmap.io import ReadLimits, load_volume


@st.composite
def mutations(draw: st.DrawFn) -> list[tuple[str, int, bytes]]:
    """A few changes in the first 2 kB of a file: (what, where, with which bytes)."""
    change = st.tuples(
        st.sampled_from(["flip", "insert", "cut"]), st.integers(0, 2047), st.binary(min_size=1)
    )
    return draw(st.lists(change, min_size=1, max_size=4))


def mutate(content: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for what, place, payload in changes:
        at = place % max(1, min(2048, len(content)))
        head, tail = content[:at], content[at:]
        if what == "insert":
            content = head + payload + tail
        elif what == "cut":
            content = head + tail[len(payload) :]
        else:
            flipped = bytes(a ^ b for a, b in zip(tail, payload, strict=False))
            content = head + flipped + tail[len(flipped) :]
    return content


def survives(path: Path) -> None:
    """Reading ends in a volume that makes sense or in one line; in nothing else."""
    loaded, complaint = None, ""
    try:
        loaded = load_volume(path, limits=ReadLimits(timeout_s=5))
    except UnreadableFile as error:
        complaint = str(error)
    if loaded is None:
        assert complaint
        assert complaint.isprintable()
        return
    assert np.isfinite(loaded.array).all()
    assert min(loaded.array.shape) >= 16
    assert ((loaded.grid.spacing_mm >= 0.05) & (loaded.grid.spacing_mm <= 5)).all()
    assert np.isfinite(loaded.grid.affine).all()
    assert loaded.grid.shear <= 1e-3


@pytest.mark.timeout(60)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".nhdr", ".mhd"])
@settings(deadline=None, max_examples=25)
@given(changes=mutations())
def test_a_file_changed_at_random_is_read_or_refused(suffix, changes, good, craft, phantom):
    voxels = phantom(dtype="f4").tobytes("F")
    whole = {
        **good,
        ".nii": craft.nifti(dtype="f4", voxels=voxels, scaling=(2, 1), codes=(1, 1)),
        ".nhdr": craft.nrrd({"type": "float", "endian": "little", "data file": "case.raw"}, b""),
        ".mhd": craft.metaimage(
            {"ElementType": "MET_FLOAT", "HeaderSize": "0", "ElementDataFile": "case.raw"}, b""
        ),
    }[suffix]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "case.raw").write_bytes(voxels)
        path = Path(folder) / f"case{suffix}"
        path.write_bytes(mutate(whole, changes))
        survives(path)


@pytest.mark.timeout(60)
@settings(deadline=None, max_examples=50)
@given(changes=mutations(), order=st.sampled_from("<>"))
def test_a_header_changed_before_it_was_compressed_is_read_or_refused(changes, order, craft):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.nii.gz"
        path.write_bytes(gzip.compress(mutate(craft.nifti(order=order), changes)))
        survives(path)


NASTY = st.sampled_from(
    [
        "", "0", "-1", "1", "3", "16 17 18", "1 2", "nan", "inf", "-inf", "1e999", "1e-320", "1e38",
        "(nan,nan,nan)", "(0,0,0) (0,0,0) (0,0,0)", "(1,0,0) (0,1,0) (0,0,-1)", "none", "True",
        "LIST", "LOCAL", "..", "%d", "\x1b[2J", "\u00b2", "\U0001f476", "0x10", "1_0", "9" * 400,
        "gzip", "raw", "hex", "double", "MET_DOUBLE", "RAS", ":", "=", ":=", "# ",
    ]
)  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@settings(deadline=None, max_examples=50)
@given(changes=st.lists(st.tuples(st.integers(0, 20), NASTY), min_size=1, max_size=2))
def test_a_text_header_with_other_values_is_read_or_refused(suffix, changes, craft):
    end, mark = (b"\n\n", ": ") if suffix == ".nrrd" else (b"LOCAL\n", " = ")
    whole = craft.nrrd() if suffix == ".nrrd" else craft.metaimage()
    head, voxels = whole[: whole.index(end)], whole[whole.index(end) :]
    lines = head.decode().split("\n")
    for place, value in changes:
        at = place % len(lines)
        lines[at] = lines[at].split(mark)[0] + mark + value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"case{suffix}"
        path.write_bytes("\n".join(lines).encode() + voxels)
        survives(path)


@pytest.mark.timeout(60)
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_a_nifti_header_with_other_values_is_read_or_refused(data, craft):
    number = st.sampled_from([0, 1, -1, 0.5, 3e38, -3e38, 1e-38, float("nan"), float("inf"), 352])
    whole = st.sampled_from([0, 1, -1, 2, 3, 7, 8, 16, 17, 18, 64, 256, 32767, -32768])
    fields = {
        "dim": st.tuples(st.sampled_from([3, 4, 7]), *[whole] * 7),
        "datatype": whole,
        "pixdim": st.tuples(*[number] * 8),
        "codes": st.tuples(whole, whole),
        "quatern": st.tuples(*[number] * 3),
        "qoffset": st.tuples(*[number] * 3),
        "srow": st.tuples(*[number] * 12),
        "vox_offset": number,
        "scaling": st.tuples(number, number),
        "units": st.integers(0, 255),
    }
    chosen = data.draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=3))
    lie = {name: data.draw(fields[name], label=name) for name in chosen}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.nii"
        path.write_bytes(craft.nifti(**lie, voxels=bytes(range(256)) * 160))
        survives(path)
