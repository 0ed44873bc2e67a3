"""The table of a cohort: crown-rump lengths with method and interval, and ages."""

import csv
from pathlib import Path

import numpy as np
import pytest

from fetusmap.anatomy import LengthInterval, Pose, Quality, load_skeleton, reference_pose
from fetusmap.scale import CaseResult
from fetusmap.scale.summary import SUMMARY_COLUMNS, write_summary


@pytest.fixture
def measured() -> Pose:
    """A crown-rump length of 64 mm whose interval is 0.5 times 1.414 times 2 mm wide per side."""
    skeleton = load_skeleton("fetus-22")
    positions = reference_pose(60.0, skeleton).positions_mm.copy()
    crown, rump = skeleton.indices(("crown", "rump"))
    positions[crown] = positions[rump] + [0, 0, 64]
    # 90 % of chi-squared with three degrees of freedom lies below 6.2514.
    interval = LengthInterval(coverage=0.95, scale=2 * np.sqrt(6.251388631) / 5, cases=20)
    confidence = np.full(22, 0.9)
    return Pose(skeleton, positions, confidence, Quality(score=0.9, crown_rump_interval=interval))


def row_of(folder: Path, pose: Pose) -> dict[str, str]:
    write_summary(folder, [CaseResult("a", Path("a.nii"), pose, seconds=1.0)])
    with (folder / "summary.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert tuple(row) == SUMMARY_COLUMNS
    return row


def test_a_measured_length_has_its_interval_and_an_age(tmp_path: Path, measured: Pose) -> None:
    row = row_of(tmp_path, measured)
    assert row["crown_rump_method"] == "measured"
    # 64 give or take 2 * sqrt(2) mm
    assert [row[f"crown_rump_{end}_mm"] for end in ("length", "low", "high")] == [
        "64.0", "61.2", "66.8",
    ]  # fmt: skip
    # INTERGROWTH-21st at 64 mm: 88.96 days; 0.54995 days per mm, and 1.96 * 3.629 days.
    half_width = np.hypot(2 * np.sqrt(2) * 0.54995, 1.96 * 3.6292536)
    ages = [row[f"gestational_age_{end}days"] for end in ("", "low_", "high_")]
    expected = [88.96, 88.96 - half_width, 88.96 + half_width]
    assert [float(age) for age in ages] == pytest.approx(expected, abs=0.06)


def test_without_a_confident_crown_the_length_is_estimated(tmp_path: Path, measured: Pose) -> None:
    row = row_of(tmp_path, measured.on(load_skeleton()))
    assert (row["crown_rump_method"], row["crown_rump_length_mm"]) == ("estimated", "60.0")


def test_without_landmarks_there_is_no_length(tmp_path: Path) -> None:
    row = row_of(tmp_path, Pose.from_positions({}))
    assert {row[name] for name in SUMMARY_COLUMNS if name.startswith(("crown", "gest"))} == {""}
