"""Our measurements on poses of real fetuses of 27 to 38 weeks, tracked through MRI series.

The bounds come from what was measured once (in brackets below), with room for rounding and for a
mended definition, but not for exchanged landmarks, a wrong unit or a mirrored body.
"""

from dataclasses import dataclass

import numpy as np
import openpyxl
import pytest
from scipy.io import loadmat

from fetusmap.anatomy import (
    CHARTS,
    Pose,
    body_axes,
    crown_rump_length,
    implausibilities,
    joint_angles_deg,
    trunk_flexion_deg,
    trunk_length_mm,
)
from fetusmap.geometry import Grid

SIDES = ("left", "right")
KEYPOINTS = (
    *(f"{side}_{joint}" for joint in ("ankle", "knee") for side in SIDES),
    "bladder",
    *(
        f"{side}_{joint}"
        for joint in ("elbow", "eye", "hip", "shoulder", "wrist")
        for side in SIDES
    ),
)
VOXELS = Grid.from_spacing((1, 1, 1), 3.0, direction=np.diag([1.0, 1.0, -1.0]))
"""Voxels of 3 mm whose stored axes form a left hand; see the tests of handedness below."""

EVERY = 20


@dataclass(frozen=True)
class Recording:
    name: str
    days: int
    joints: np.ndarray  # (T, 15, 3) voxel indices from 0

    def poses(self, voxels: Grid = VOXELS) -> list[Pose]:
        return [pose_from_keypoints(voxels.to_world(frame)) for frame in self.joints]


def pose_from_keypoints(points_mm: np.ndarray) -> Pose:
    """Limb joints one to one; the landmarks of the midline are middles of pairs."""
    places = dict(zip(KEYPOINTS, points_mm, strict=True))
    del places["bladder"]
    for name, pair in (("head", "eye"), ("neck", "shoulder"), ("sacrum", "hip")):
        places[name] = (places[f"left_{pair}"] + places[f"right_{pair}"]) / 2
    places["spine"] = (places["neck"] + places["sacrum"]) / 2
    for side in SIDES:
        del places[f"{side}_eye"]
    return Pose.from_positions(places)


@pytest.fixture(scope="module")
def recordings(shared_data) -> list[Recording]:
    folder = shared_data / "fetal-motion"
    if not folder.is_dir():
        pytest.skip("the recordings are not here: ../shared/data/fetal-motion is missing")
    sheet = openpyxl.load_workbook(folder / "data.xlsx").active
    ages = {
        name: 7 * weeks + days
        for name, _, weeks, days in sheet.iter_rows(min_row=2, values_only=True)
        if weeks is not None
    }
    return [
        Recording(
            path.stem,
            ages[path.stem],
            loadmat(path)["joint_coord"].transpose(0, 2, 1)[::EVERY] - 1.0,
        )
        for path in sorted(folder.glob("*.mat"))
    ]


@pytest.fixture(scope="module")
def poses(recordings) -> list[Pose]:
    return [pose for recording in recordings for pose in recording.poses()]


def percentiles(values, *ranks) -> np.ndarray:
    assert np.isfinite(values).all()
    return np.percentile(values, ranks or (5, 50, 95))


def both_sides(measured: list[dict[str, float]], name: str) -> list[float]:
    return [values[f"{side}_{name}"] for values in measured for side in SIDES]


def in_body(pose: Pose, vector: np.ndarray) -> np.ndarray:
    """Components right, ventral, cranial of a direction in the world."""
    return vector @ body_axes(pose)


def test_forty_recordings_hold_whole_poses(recordings, poses):
    assert len(recordings) == 40
    assert len(poses) == 498
    assert all(pose.present.all() and pose.confidence.all() for pose in poses)
    assert 27 * 7 <= min(r.days for r in recordings) < max(r.days for r in recordings) < 38 * 7


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ("humerus", (52.8, 63.9, 74.2)),
        ("forearm", (47.8, 60.5, 70.8)),
        ("femur", (60.5, 75.3, 95.4)),
        ("leg", (57.2, 71.4, 85.0)),
    ],
)
def test_bones_have_the_lengths_of_the_third_trimester_and_agree_between_sides(
    poses, segment, expected
):
    lengths = [pose.lengths_mm() for pose in poses]
    np.testing.assert_allclose(percentiles(both_sides(lengths, segment)), expected, atol=1.0)
    left, right = (np.median([v[f"{side}_{segment}"] for v in lengths]) for side in SIDES)
    # [humerus 1.1 %, forearm 1.0 %, femur 0.4 %, leg 0.1 %]
    assert 2 * abs(left - right) / (left + right) < 0.05


def test_trunk_length_is_that_of_the_third_trimester(poses):
    # Shoulders to hips: [101, 131, 151] mm.
    found = percentiles([trunk_length_mm(pose) for pose in poses])
    np.testing.assert_allclose(found, (101.5, 130.9, 151.0), atol=1.0)


@pytest.mark.parametrize(
    ("joint", "independent", "measured"),
    [
        ("knee", (31, 70, 167), (30.4, 64.5, 162.0)),
        ("elbow", (34, 73, 135), (32.6, 68.6, 135.7)),
        ("hip", (27, 41, 64), (26.1, 40.0, 64.6)),
        ("shoulder", (14, 40, 90), (14.7, 42.1, 86.0)),
    ],
)
def test_joint_angles_are_those_of_flexed_fetuses(poses, joint, independent, measured):
    """`independent` numbers come from other code, `measured` ones from this test."""
    found = percentiles(both_sides([joint_angles_deg(pose) for pose in poses], joint))
    np.testing.assert_allclose(found, independent, atol=6.0)
    np.testing.assert_allclose(found, measured, atol=0.5)


def test_few_poses_differ_implausibly_between_left_and_right(poses):
    # [7 of 498 poses, 1.4 %; tracking errors of one femur or one forearm]
    doubts = [[r for r in implausibilities(pose) if " differ: " in r] for pose in poses]
    lopsided = sum(bool(reasons) for reasons in doubts) / len(poses)
    assert 0.005 < lopsided < 0.04


def with_our_trunk(pose: Pose) -> Pose:
    """Move neck and sacrum from the middles between joints to where they are defined."""
    crl_mm = crown_rump_length(pose).length_mm
    _, ventral, cranial = body_axes(pose).T
    places = dict(zip(pose.skeleton.landmarks, pose.positions_mm, strict=True))
    places["neck"] = places["neck"] + 0.055 * crl_mm * cranial
    places["sacrum"] = places["sacrum"] - 0.060 * crl_mm * ventral
    return Pose.from_positions(places)


def test_most_poses_are_free_of_doubts_though_their_legs_are_longer_than_the_examples(poses):
    # [96.6 %; the rest mostly for legs that are longer than in the first trimester]
    share = np.mean([implausibilities(with_our_trunk(pose)) == () for pose in poses])
    assert share > 0.93


def test_hip_to_knee_is_longer_than_the_ossified_shaft_by_a_quarter(recordings):
    # [minimum 1.08, median 1.27, maximum 1.54]
    ratios = []
    for recording in recordings:
        lengths = [pose.lengths_mm() for pose in recording.poses()]
        shaft_mm = CHARTS["femur_shaft"].mean_mm(recording.days)
        ratios.append(np.median(both_sides(lengths, "femur")) / shaft_mm)
    assert np.median(ratios) == pytest.approx(1.28, abs=0.03)
    assert min(ratios) > 1
    assert max(ratios) < 1.7


def test_a_spine_in_the_middle_makes_a_straight_trunk(poses):
    """The recordings have no landmark there, so they say nothing about flexion."""
    flexions = [trunk_flexion_deg(pose) for pose in poses]
    np.testing.assert_allclose(flexions, 0, atol=1e-9)


# --- Handedness: which way round the body is ---


def test_knees_eyes_and_wrists_lie_on_the_belly_side(recordings):
    for recording in recordings:
        ventral = {"knee": [], "head": [], "wrist": []}
        for pose in recording.poses():
            for part, near in (("knee", "sacrum"), ("wrist", "neck")):
                middle = sum(pose[f"{side}_{part}"].position_mm for side in SIDES) / 2
                ventral[part].append(in_body(pose, middle - pose[near].position_mm)[1])
            nose = pose["head"].position_mm - pose["neck"].position_mm
            ventral["head"].append(in_body(pose, nose)[1])
        assert min(ventral["knee"]) > 0, recording.name
        assert np.median(ventral["head"]) > 0, recording.name
        # One fetus held its hands beside its shoulders.
        assert np.median(ventral["wrist"]) > -2, recording.name


def bends(pose: Pose, joints: tuple[str, str, str]) -> list[float]:
    """How far each side's second bone turns about the body's right axis, against the first."""
    found = []
    for side in SIDES:
        start, middle, end = (pose[f"{side}_{joint}"].position_mm for joint in joints)
        found.append(float(in_body(pose, np.cross(middle - start, end - middle))[0]))
    return found


def test_knees_bend_backwards_and_elbows_bend_forwards(poses):
    # A turn about "right" carries ventral to cranial, as the forearm of a hanging arm goes when
    # the elbow bends; the shank goes the other way. [98.5 % and 97.9 %]
    knees = np.array([bends(pose, ("hip", "knee", "ankle")) for pose in poses])
    elbows = np.array([bends(pose, ("shoulder", "elbow", "wrist")) for pose in poses])
    assert np.mean(knees < 0) > 0.97
    assert np.mean(elbows > 0) > 0.96


def test_read_as_a_right_hand_the_stored_axes_would_put_all_knees_behind_the_back(recordings):
    """So they form a left hand: the error that a silently mirrored volume makes."""
    right_handed = Grid.from_spacing((1, 1, 1), 3.0)
    assert VOXELS.is_left_handed
    assert not right_handed.is_left_handed
    for recording in recordings:
        for pose in recording.poses(right_handed):
            knees = sum(pose[f"{side}_knee"].position_mm for side in SIDES) / 2
            assert in_body(pose, knees - pose["sacrum"].position_mm)[1] < 0, recording.name


def test_mirroring_such_a_pose_does_not_mend_it_since_labels_are_exchanged_too(recordings):
    stored = recordings[0].poses(Grid.from_spacing((1, 1, 1), 3.0))[0]
    mended = recordings[0].poses()[0]
    mirrored = stored.mirror((0, 0, 1))
    np.testing.assert_allclose(mirrored.exchange_sides().positions_mm, mended.positions_mm)
    for pose, ventral in ((stored, -1), (mirrored, -1), (mended, 1), (mended.mirror(), 1)):
        knees = sum(pose[f"{side}_knee"].position_mm for side in SIDES) / 2
        assert np.sign(in_body(pose, knees - pose["sacrum"].position_mm)[1]) == ventral


def test_lengths_and_angles_do_not_tell_a_mirrored_body(recordings):
    stored = recordings[0].poses(Grid.from_spacing((1, 1, 1), 3.0))[0]
    mended = recordings[0].poses()[0]
    assert stored.lengths_mm() == pytest.approx(mended.lengths_mm(), rel=1e-12)
    assert joint_angles_deg(stored) == pytest.approx(joint_angles_deg(mended), abs=1e-9)
