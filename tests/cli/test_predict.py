"""`fetusmap predict`: exit codes and what the user reads."""

import pytest

from fetusmap.atlas import save_library
from fetusmap.cli.main import run
from fetusmap.io import load_pose, save_volume
from fetusmap.simulate import SimulationSettings, draw_poses, simulate_case


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    made = simulate_case(SimulationSettings(preset="half", profile="reference"), 11, 0)
    save_volume(made.volume, folder / "scan.nii.gz")
    return folder


def test_one_file(scans, tmp_path, capsys):
    assert run(["predict", str(scans / "scan.nii.gz"), "-o", str(tmp_path), "--no-previews"]) == 0
    out = capsys.readouterr().out
    assert "scan" in out
    assert "1 case predicted" in out
    assert str(tmp_path / "summary.csv") in out
    assert load_pose(tmp_path / "scan" / "pose.json").present.all()
    assert run(["predict", str(scans / "scan.nii.gz"), "-o", str(tmp_path), "--no-previews"]) == 0
    assert "earlier" in capsys.readouterr().out


def test_some_fail(scans, tmp_path, capsys):
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(b"no gzip")
    out = tmp_path / "out"
    code = run(["predict", str(bad), str(scans / "scan.nii.gz"), "-o", str(out), "--no-previews"])
    assert code == 1
    captured = capsys.readouterr()
    assert "1 of 2 cases predicted" in captured.out
    assert "bad: " in captured.err
    assert (out / "scan" / "pose.json").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "missing.nii.gz", "-o", "OUT"], "missing.nii.gz: expected a file"),
        (["predict", "SCAN", "-o", "OUT", "--model", "nowhere"], "nowhere"),
        (["predict", "SCAN", "-o", "OUT", "--device", "tpu"], "device: expected auto, cpu or cuda"),
        (
            ["predict", "SCAN", "-o", "OUT", "--refine", "slow"],
            "refine: expected none, fast, test-time-training",
        ),
        (["predict", "SCAN", "-o", "OUT", "--library", "FEW"], "--library: expected --refine fast"),
        (
            [
                "predict",
                "SCAN",
                "-o",
                "OUT",
                "--refine",
                "fast",
                "--library",
                "nowhere.safetensors",
            ],
            "nowhere.safetensors",
        ),
        (["predict", "EMPTY", "-o", "OUT"], "expected volumes"),
    ],
)
def test_bad_usage_is_one_line_and_code_2(words, said, scans, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    places = {
        "SCAN": str(scans / "scan.nii.gz"), "OUT": str(tmp_path / "out"),
        "EMPTY": str(tmp_path / "empty"), "FEW": str(tmp_path / "few.safetensors"),
        "NOWHERE": str(tmp_path / "nowhere.safetensors"),
    }  # fmt: skip
    assert run([places.get(word, word) for word in words]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("fetusmap: ")
    assert said in line


def test_a_library_of_too_few_poses_is_told_in_one_line(scans, tmp_path, capsys):
    save_library(draw_poses(9, seed=0), tmp_path / "few.safetensors")
    out = tmp_path / "out"
    words = ["predict", str(scans / "scan.nii.gz"), "-o", str(out), "--no-previews"]
    assert run([*words, "--refine", "fast", "--library", str(tmp_path / "few.safetensors")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fetusmap: pose library: expected at least 20 atlases")
    assert "found 9" in line


def test_a_negative_number_of_workers_is_refused_for_a_single_volume_too(scans, tmp_path, capsys):
    words = ["predict", str(scans / "scan.nii.gz"), "-o", str(tmp_path / "out")]
    assert run([*words, "--workers", "-1"]) == 2
    assert "workers: expected 0 or more" in capsys.readouterr().err


def test_raw_voxels_are_described_whole_or_not_at_all(fetusmap, volume, tmp_path):
    (tmp_path / "bare.bin").write_bytes(bytes(20 * 20 * 20))
    half = fetusmap("predict", tmp_path / "bare.bin", "-o", tmp_path / "out", "--dtype", "uint8")
    assert half.code == 2
    assert "expected --shape with --dtype or --order" in half.err
    words = ("--shape", 20, 20, 20)
    needless = fetusmap("predict", volume, "-o", tmp_path / "out", *words)
    assert needless.code == 2
    assert "only files that state their own layout" in needless.err
    unsized = fetusmap("predict", tmp_path / "bare.bin", "-o", tmp_path / "out", *words)
    assert unsized.code == 2
    assert "raw voxels without a spacing" in unsized.err
