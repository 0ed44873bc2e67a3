"""`fetusmap info` tells the truth about volumes, poses and datasets."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import fetusmap as fm

DATA = Path(__file__).parents[3] / "shared" / "data"


def test_volume(fetusmap: Callable, volume: Path) -> None:
    outcome = fetusmap("info", volume)
    assert (outcome.code, outcome.err) == (0, "")
    for fact in (
        "20 x 24 x 28 voxels",
        "0.5 x 0.6 x 0.7 mm",
        "10.0 x 14.4 x 19.6 mm",
        "LPS (along the axes, right-handed axes)",
        "1.000, 2.000, 3.000 mm",
        "NIfTI-1 (gzip)",
        "uint8",
    ):
        assert fact in outcome.out


def test_volume_as_json(fetusmap: Callable, volume: Path) -> None:
    facts = json.loads(fetusmap("info", volume, "--json").out)
    assert facts["size"] == "20 x 24 x 28 voxels"
    assert facts["warnings"] == []


def test_spacing_override_is_told(fetusmap: Callable, volume: Path) -> None:
    outcome = fetusmap("info", volume, "--spacing", "1", "1", "2")
    assert outcome.code == 2
    assert "--force-spacing" in outcome.err
    outcome = fetusmap("info", volume, "--spacing", "1", "1", "2", "--force-spacing")
    assert "1 x 1 x 2 mm" in outcome.out
    assert outcome.err.startswith("warning: spacing 1 x 1 x 2 mm given by the caller")
    assert "the file states" in outcome.err


def test_a_forced_spacing_needs_a_spacing(fetusmap: Callable, volume: Path) -> None:
    outcome = fetusmap("info", volume, "--force-spacing")
    assert outcome.code == 2
    assert "expected --spacing X Y Z with it" in outcome.err


def test_pose(fetusmap: Callable, pose: Path) -> None:
    outcome = fetusmap("info", pose)
    assert outcome.code == 0
    assert "16 of 16 landmarks present" in outcome.out
    # 1.96 standard deviations of 3.4 mm; 86.75 days, give or take 3.8 from the length and 6.96.
    assert "60.0 mm (53.4 to 66.6), estimated" in outcome.out
    assert "12+2 (11+1 to 13+3) weeks" in outcome.out
    assert "left_femur" in outcome.out
    assert "left_elbow" in outcome.out


def test_pose_as_json_has_measurements(fetusmap: Callable, pose: Path) -> None:
    facts = json.loads(fetusmap("info", pose, "--json").out)
    lengths = {f"{n}_mm": v for n, v in fm.reference_pose(60.0).lengths_mm().items()}
    assert facts["measurements"]["length"] == pytest.approx(lengths)
    assert facts["skeleton"]["name"] == "fetus-16"


def test_an_odd_pose_is_warned_about(fetusmap: Callable, tmp_path: Path) -> None:
    positions = fm.reference_pose(60.0).positions_mm.copy()
    positions[fm.load_skeleton().index("left_ankle")] += 40
    fm.save_pose(fm.Pose(fm.load_skeleton(), positions), tmp_path / "odd.json")
    assert (
        "the lengths of the left leg are implausible" in fetusmap("info", tmp_path / "odd.json").err
    )


def test_dataset(fetusmap: Callable, volume: Path, tmp_path: Path) -> None:
    with fm.DatasetWriter(
        tmp_path / "d", name="demo", licence="CC0-1.0", skeleton=fm.load_skeleton()
    ) as writer:
        writer.add(fm.load_volume(volume), fm.reference_pose(), gestational_age_days=84)
    outcome = fetusmap("info", tmp_path / "d")
    assert outcome.code == 0
    assert "1 of 1 subjects" in outcome.out
    assert "12.0 to 12.0 weeks" in outcome.out
    assert "0 cases" in outcome.out


def test_cases_to_be_checked_are_named(fetusmap: Callable, volume: Path, tmp_path: Path) -> None:
    with fm.DatasetWriter(tmp_path / "d", name="demo", licence="CC0-1.0") as writer:
        writer.add(fm.load_volume(volume), fm.reference_pose(), to_check=["one", "two"])
    outcome = fetusmap("info", tmp_path / "d")
    assert "1 cases" in outcome.out
    assert "warning: case case is to be checked: two" in outcome.err


@pytest.mark.parametrize(
    "name", ["no volumes", "missing.nii.gz", "notes.txt", "broken.nii.gz", "link.nii.gz"]
)
def test_what_cannot_be_read_is_one_line_and_2(
    fetusmap: Callable, tmp_path: Path, volume: Path, name: str
) -> None:
    (tmp_path / "no volumes").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "broken.nii.gz").write_bytes(volume.read_bytes()[:200])
    (tmp_path / "link.nii.gz").symlink_to(volume)
    start = time.perf_counter()
    outcome = fetusmap("info", tmp_path / name)
    assert time.perf_counter() - start < 5
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert "expected" in outcome.err


def test_links_can_be_allowed(fetusmap: Callable, tmp_path: Path, volume: Path) -> None:
    (tmp_path / "link.nii.gz").symlink_to(volume)
    assert fetusmap("info", tmp_path / "link.nii.gz", "--follow-links").code == 0


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data are not beside this checkout")
def test_real_liver_sweep(fetusmap: Callable) -> None:
    outcome = fetusmap("info", DATA / "liver-sweep" / "liver_sweep_compounded_1mm.nii.gz")
    for fact in ("253 x 197 x 153", "1 x 1 x 1 mm", "LPS (along", "0 to 235", "uint8"):
        assert fact in outcome.out
    assert outcome.err == "warning: no unit in the file: taken as millimetres\n"


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data are not beside this checkout")
def test_real_oblique_label_map(fetusmap: Callable) -> None:
    outcome = fetusmap("info", DATA / "fetal-mri" / "fetus_segmentation.nii.gz")
    for fact in ("288 x 288 x 90", "1.18056 x 1.18056 x 1.26389 mm", "LAS (oblique", "0 to 5"):
        assert fact in outcome.out


def test_what_is_absent_is_said_to_be(fetusmap: Callable, tmp_path: Path) -> None:
    pose = fm.Pose.from_positions({"neck": (0, 0, 0), "sacrum": (0, 0, 0)})
    fm.save_pose(pose, tmp_path / "few.json")
    outcome = fetusmap("info", tmp_path / "few.json")
    assert outcome.code == 0
    assert outcome.out.count("absent") > 20
    assert "nan" not in outcome.out
    assert "the trunk has no length" in outcome.err


def test_options_that_do_not_apply_are_refused(fetusmap: Callable, pose: Path) -> None:
    outcome = fetusmap("info", pose, "--spacing", "1", "1", "1")
    assert outcome.code == 2
    assert "options that apply to a pose: --skeleton, found --spacing" in outcome.err
