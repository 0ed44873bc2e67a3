"""`info`, `convert` and the cases of `predict` for GE Kretz files, alone and as a sequence."""

import json

import numpy as np
import pytest

from fetusmap.io import DEFAULT_LIMITS, load_volume
from fetusmap.io.volumes.kretz_writer import save_kretz_sweeps
from fetusmap.scale import PredictionSettings, VolumeFile, find_volumes, split_sequences
from fetusmap.volume.beams import BeamLattice


@pytest.fixture
def scan(tmp_path):
    """Two files in a folder of their own: one volume, and a sequence of three."""
    lattice = BeamLattice(
        45.0,
        32.0,
        np.linspace(5, 45, 41),
        np.radians(np.linspace(-20, 20, 21)),
        np.radians(np.linspace(-15, 15, 17)),
    )
    sweeps = [np.full(lattice.shape, 50 * n, np.uint8) for n in (1, 2, 3)]
    folder = tmp_path / "scans"
    folder.mkdir()
    save_kretz_sweeps(sweeps[:1], lattice, folder / "one.vol")
    save_kretz_sweeps(sweeps, lattice, folder / "moving.vol")
    return folder


def test_info_says_what_it_is_in_plain_words(fetusmap, scan):
    outcome = fetusmap("info", scan / "one.vol")
    assert outcome.code == 0
    for words in (
        "GE Voluson volume as acquired",
        "40.0 degrees across, sweep of 30.0 degrees, 40.0 mm deep",
        "17 planes of 21 beams of 41 samples, 1.000 mm apart",
        "0.5 x 0.5 x 0.5 mm",
    ):
        assert words in outcome.out
    assert "left and right follow the usual convention" in outcome.err


def test_info_of_a_sequence_describes_its_first_volume_or_the_one_asked_for(fetusmap, scan):
    first = json.loads(fetusmap("info", scan / "moving.vol", "--json").out)
    assert (first["sequence"], first["frame"]) == ("3 volumes", "0 of 0 to 2")
    last = json.loads(fetusmap("info", scan / "moving.vol", "--frame", 2, "--json").out)
    assert last["intensity"].startswith("0 to 150")


def test_convert_chooses_voxel_size_frame_and_side(fetusmap, scan, tmp_path):
    target = tmp_path / "out.nrrd"
    words = ("--frame", 1, "--voxel-size", 0.8, "--mirror")
    outcome = fetusmap("convert", scan / "moving.vol", target, *words)
    assert outcome.code == 0
    assert "mirrored" in outcome.err
    volume = load_volume(target)
    assert volume.array.max() == 100
    np.testing.assert_allclose(volume.grid.spacing_mm, 0.8)
    assert volume.grid.is_left_handed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("moving.vol",), "a sequence of 3 volumes"),
        (("moving.vol", "--frame", 3), "a frame from 0 to 2"),
        (("one.vol", "--voxel-size", 0), "0.05 to 5 mm"),
        (("one.vol", "--spacing", 1, 1, 1), "--voxel-size"),
    ],
)
def test_what_cannot_be_converted_is_one_line(fetusmap, scan, tmp_path, words, message):
    outcome = fetusmap("convert", scan / words[0], tmp_path / "out.nii", *words[1:])
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_file_that_states_its_sides_is_not_mirrored(fetusmap, volume, tmp_path):
    outcome = fetusmap("convert", volume, tmp_path / "out.nii", "--mirror")
    assert outcome.code == 2
    assert "leave --mirror out" in outcome.err


def test_each_volume_of_a_sequence_is_a_case(scan):
    cases = split_sequences(find_volumes([scan]), DEFAULT_LIMITS)
    assert [(case.case, case.frame) for case in cases] == [
        ("moving-000", 0),
        ("moving-001", 1),
        ("moving-002", 2),
        ("one", None),
    ]
    alone = split_sequences(find_volumes([scan / "moving.vol"]), DEFAULT_LIMITS, 2)
    assert alone == [VolumeFile("moving-002", scan / "moving.vol", 2)]


def test_the_settings_of_the_conversion_change_the_result():
    plain = PredictionSettings().sha256
    others = {
        PredictionSettings(voxel_size_mm=0.7).sha256,
        PredictionSettings(mirror=True).sha256,
        PredictionSettings(spacing_mm=(0.7, 0.7, 0.7)).sha256,
    }
    assert len({plain, *others}) == 4


def test_raw_voxels_are_described_by_options(fetusmap, tmp_path):
    voxels = np.random.default_rng(0).integers(0, 255, (16, 17, 18), np.uint8)
    (tmp_path / "scan.raw").write_bytes(voxels.tobytes("C"))
    words = ("--shape", 16, 17, 18, "--order", "C", "--spacing", 0.4, 0.5, 0.6)
    outcome = fetusmap("convert", tmp_path / "scan.raw", tmp_path / "out.nii", *words)
    assert outcome.code == 0
    assert "axes taken as left, posterior, superior" in outcome.err
    np.testing.assert_array_equal(load_volume(tmp_path / "out.nii").array, voxels)
    assert "raw voxels" in fetusmap("info", tmp_path / "scan.raw", *words).out
    alone = fetusmap("info", tmp_path / "scan.raw", "--dtype", "uint8")
    assert (alone.code, "--shape" in alone.err) == (2, True)
