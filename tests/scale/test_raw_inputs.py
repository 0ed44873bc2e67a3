"""Files of raw voxels are predicted like the same volume in a file with a header."""

import json

import numpy as np
import pytest

from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.io import RawLayout, save_volume
from fetusmap.scale import (
    PredictionSettings,
    describe_raw,
    find_volumes,
    predict_cases,
    split_sequences,
)
from fetusmap.scale.records import read_done
from fetusmap.volume import Volume

SHAPE = (40, 42, 44)
LAYOUT = RawLayout(SHAPE, "uint8", "C")


@pytest.fixture
def files(tmp_path):
    """The same voxels without a description, with one beside them, and as NRRD."""
    array = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)
    (tmp_path / "bare.bin").write_bytes(array.tobytes("C"))
    (tmp_path / "told.raw").write_bytes(array.tobytes("C"))
    layout = {"shape": SHAPE, "dtype": "uint8", "spacing": [1.5, 1.5, 1.5], "order": "C"}
    (tmp_path / "told.json").write_text(json.dumps(layout))
    save_volume(Volume(array, Grid.from_spacing(SHAPE, 1.5)), tmp_path / "whole.nrrd")
    return [tmp_path / name for name in ("bare.bin", "told.raw", "whole.nrrd")]


def test_raw_voxels_have_the_pose_of_their_volume(files, small, tmp_path):
    settings = PredictionSettings(
        model=str(small / "model"), previews=False, pages=False, spacing_mm=(1.5, 1.5, 1.5)
    )
    found = split_sequences(describe_raw(find_volumes(files), LAYOUT), settings.limits)
    assert [volume.layout for volume in found] == [LAYOUT, None, None]
    out = tmp_path / "out"
    bare, told, whole = predict_cases(found, out, settings)
    assert [result.error for result in (bare, told, whole)] == ["", "", ""]
    for result in (bare, told):
        np.testing.assert_allclose(result.pose.positions_mm, whole.pose.positions_mm, atol=0.05)
        assert any("raw voxels have no directions" in w for w in result.pose.provenance.warnings)
    assert read_done(out / "bare").layout == LAYOUT
    again = list(predict_cases(found, out, settings))
    assert [result.seconds for result in again] == [None] * 3
    other = [found[0].__class__("bare", files[0], layout=RawLayout(SHAPE[::-1]))]
    (changed,) = predict_cases(other, out, settings)
    assert changed.seconds is not None  # another layout is another volume


def test_a_layout_without_a_file_of_raw_voxels_is_refused(files):
    with pytest.raises(BadInput, match="only files that state their own layout"):
        describe_raw(find_volumes(files[1:]), LAYOUT)
