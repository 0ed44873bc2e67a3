"""Postures by hand, limb angles as the inverse, and what no angle may change."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

import fetusmap as fm
from fetusmap.simulate.body.posture import ANGLES, LUMBAR_PART, SIDES, limb_angles, pose_body

LENGTHS = {
    "sacrum_spine": 16.0, "spine_neck": 14.0, "neck_head": 15.0,
    "half_shoulder": 10.0, "half_hip": 6.0,
    "left_humerus": 12.0, "left_forearm": 11.0, "left_femur": 13.0, "left_leg": 10.5,
    "right_humerus": 12.5, "right_forearm": 11.5, "right_femur": 13.5, "right_leg": 10.0,
}  # fmt: skip
SIGNS = {"right": 1.0, "left": -1.0}
# Turned about the midline by these, a mirrored body turns the other way.
SIDEWAYS = ("spine_lateral", "spine_twist", "neck_lateral", "neck_rotation")


def body(lengths=LENGTHS, **angles):
    """One body with some angles and all others 0; `elbow_flexion` stands for both sides."""
    given_ = {}
    for name, degrees in angles.items():
        sided = [f"{side}_{name}" for side in SIDES]
        given_ |= dict.fromkeys(sided if sided[0] in ANGLES else [name], degrees)
    assert set(given_) <= set(ANGLES)
    return pose_body(
        {name: np.array([float(given_.get(name, 0.0))]) for name in ANGLES},
        {name: np.array([mm]) for name, mm in lengths.items()},
    )


def step(posture, start, end):
    return posture[end][0] - posture[start][0]


def all_angles(largest=170.0):
    """(len(ANGLES), 3) angles of three bodies, degrees."""
    return arrays(float, (len(ANGLES), 3), elements=st.floats(-largest, largest))


def all_lengths():
    return arrays(float, (len(LENGTHS), 3), elements=st.floats(1.0, 40.0))


def bodies(angles, lengths):
    return pose_body(
        dict(zip(ANGLES, angles, strict=True)), dict(zip(LENGTHS, lengths, strict=True))
    )


def test_a_straight_body_stands_upright_with_its_limbs_hanging():
    posture = body()
    expected = {
        "sacrum": (0, 0, 0), "spine": (0, 0, 16), "neck": (0, 0, 30), "head": (0, 0, 45),
        "right_shoulder": (10, 0, 28.9), "left_shoulder": (-10, 0, 28.9),
        "right_elbow": (10, 0, 16.4), "left_elbow": (-10, 0, 16.9),
        "right_wrist": (10, 0, 4.9), "left_wrist": (-10, 0, 5.9),
        "right_hip": (6, 1.56, -0.24), "left_hip": (-6, 1.56, -0.24),
        "right_knee": (6, 1.56, -13.74), "left_knee": (-6, 1.56, -13.24),
        "right_ankle": (6, 1.56, -23.74), "left_ankle": (-6, 1.56, -23.74),
    }  # fmt: skip
    for name, point in expected.items():
        np.testing.assert_allclose(posture[name][0], point, atol=1e-12, err_msg=name)
    assert all(np.allclose(frame, np.eye(3)) for frame in posture.frames.values())


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("angles", "upper", "lower"),
    [
        ({"elbow_flexion": 90}, (0, 0, -1), (0, 1, 0)),
        ({"elbow_flexion": 180}, (0, 0, -1), (0, 0, 1)),
        ({"shoulder_flexion": 90}, (0, 1, 0), (0, 1, 0)),
        ({"shoulder_flexion": 180}, (0, 0, 1), (0, 0, 1)),
        ({"shoulder_flexion": 90, "elbow_flexion": 90}, (0, 1, 0), (0, 0, 1)),
        ({"shoulder_abduction": 90}, ("out", 0, 0), ("out", 0, 0)),
        ({"shoulder_rotation": 90, "elbow_flexion": 90}, (0, 0, -1), ("in", 0, 0)),
        ({"shoulder_rotation": -90, "elbow_flexion": 90}, (0, 0, -1), ("out", 0, 0)),
    ],
)
def test_arms_by_hand(side, angles, upper, lower):
    aside = {"out": SIGNS[side], "in": -SIGNS[side]}
    posture = body(**angles)
    for (start, end, bone), (x, y, z) in zip(
        (("shoulder", "elbow", "humerus"), ("elbow", "wrist", "forearm")),
        (upper, lower),
        strict=True,
    ):
        along = np.array([aside.get(x, x), y, z]) * LENGTHS[f"{side}_{bone}"]
        found = step(posture, f"{side}_{start}", f"{side}_{end}")
        np.testing.assert_allclose(found, along, atol=1e-9)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("angles", "upper", "lower"),
    [
        ({"hip_flexion": 90}, (0, 1, 0), (0, 1, 0)),
        ({"hip_flexion": 90, "knee_flexion": 90}, (0, 1, 0), (0, 0, -1)),
        ({"knee_flexion": 90}, (0, 0, -1), (0, -1, 0)),
        ({"hip_abduction": 90}, ("out", 0, 0), ("out", 0, 0)),
        ({"hip_rotation": 90, "knee_flexion": 90}, (0, 0, -1), ("in", 0, 0)),
    ],
)
def test_legs_by_hand(side, angles, upper, lower):
    aside = {"out": SIGNS[side], "in": -SIGNS[side]}
    posture = body(**angles)
    for (start, end, bone), (x, y, z) in zip(
        (("hip", "knee", "femur"), ("knee", "ankle", "leg")), (upper, lower), strict=True
    ):
        along = np.array([aside.get(x, x), y, z]) * LENGTHS[f"{side}_{bone}"]
        found = step(posture, f"{side}_{start}", f"{side}_{end}")
        np.testing.assert_allclose(found, along, atol=1e-9)


def test_the_left_and_the_right_arm_bend_on_their_own():
    posture = body(right_elbow_flexion=90)
    np.testing.assert_allclose(step(posture, "right_elbow", "right_wrist"), (0, 11.5, 0), atol=1e-9)
    np.testing.assert_allclose(step(posture, "left_elbow", "left_wrist"), (0, 0, -11), atol=1e-9)


def test_hands_and_feet_turn_about_wrists_and_ankles_alone():
    posture = body(wrist_flexion=90, ankle_flexion=-30)
    np.testing.assert_array_equal(posture.landmarks_mm, body().landmarks_mm)
    for side in SIDES:
        np.testing.assert_allclose(posture.frames[f"{side}_hand"][0] @ [0, 0, -1], [0, 1, 0],
                                   atol=1e-12)  # fmt: skip
        toes = posture.frames[f"{side}_foot"][0] @ [0, 1, 0]
        np.testing.assert_allclose(toes, [0, np.cos(np.pi / 6), -0.5], atol=1e-12)


def test_a_turned_wrist_shows_its_palm_to_the_midline():
    posture = body(wrist_rotation=90)
    np.testing.assert_array_equal(posture.landmarks_mm, body().landmarks_mm)
    for side in SIDES:
        palm = posture.frames[f"{side}_hand"][0] @ [0, 1, 0]
        np.testing.assert_allclose(palm, [-SIGNS[side], 0, 0], atol=1e-12)


@pytest.mark.parametrize("degrees", [-5.0, 0.0, 40.0, 80.0])
def test_the_trunk_flexes_35_to_65_and_evenly_about_its_middle(degrees):
    """The sacrum leans back by half of the bend; each part's chord halves what it bends itself."""
    posture = body(spine_flexion=degrees)
    lower, upper = np.radians(degrees * (0.5 - 0.35 / 2)), np.radians(degrees * (0.65 / 2 - 0.15))
    expected = np.array([0, -np.sin(lower), np.cos(lower)]) * 16
    np.testing.assert_allclose(step(posture, "sacrum", "spine"), expected, atol=1e-9)
    expected = np.array([0, np.sin(upper), np.cos(upper)]) * 14
    np.testing.assert_allclose(step(posture, "spine", "neck"), expected, atol=1e-9)
    assert LUMBAR_PART == 0.35
    between = [posture.frames[name][0] for name in ("sacrum", "waist", "nape")]
    bends = [Rotation.from_matrix(a.T @ b).magnitude() for a, b in zip(between, between[1:])]  # noqa: B905, RUF007
    np.testing.assert_allclose(np.degrees(bends), [0.35 * abs(degrees), 0.65 * abs(degrees)])
    # The landmarks see the chords of the two arcs: half of the whole bend lies between them.
    pose = fm.Pose(fm.load_skeleton(), posture.landmarks_mm[0])
    assert fm.trunk_flexion_deg(pose) == pytest.approx(degrees / 2, abs=1e-9)


def test_the_head_nods_forward_and_everything_leans_and_turns_the_way_it_is_named():
    nod = step(body(neck_flexion=30), "neck", "head")
    np.testing.assert_allclose(nod, 15 * np.array([0, 0.5, np.cos(np.pi / 6)]), atol=1e-9)
    assert step(body(spine_lateral=20), "sacrum", "neck")[0] > 3  # to the right
    twisted = step(body(spine_twist=30), "left_shoulder", "right_shoulder")
    assert twisted[1] > 5  # the right shoulder comes to the front
    # Ribs and shoulders stand as the middle of the thoracic arc: 35 % and half of 65 % of it.
    assert np.degrees(np.arctan2(*twisted[[1, 0]])) == pytest.approx(30 * 0.675)


@given(angles=all_angles(), lengths=all_lengths())
def test_every_distance_is_the_given_length_whatever_the_angles(angles, lengths):
    posture = bodies(angles, lengths)
    mm = dict(zip(LENGTHS, lengths, strict=True))
    expected = {
        ("sacrum", "spine"): mm["sacrum_spine"],
        ("spine", "neck"): mm["spine_neck"],
        ("neck", "head"): mm["neck_head"],
        ("left_shoulder", "right_shoulder"): 2 * mm["half_shoulder"],
        ("left_hip", "right_hip"): 2 * mm["half_hip"],
    }
    for side in SIDES:
        expected |= {
            (f"{side}_shoulder", f"{side}_elbow"): mm[f"{side}_humerus"],
            (f"{side}_elbow", f"{side}_wrist"): mm[f"{side}_forearm"],
            (f"{side}_hip", f"{side}_knee"): mm[f"{side}_femur"],
            (f"{side}_knee", f"{side}_ankle"): mm[f"{side}_leg"],
        }
    for (start, end), length in expected.items():
        found = np.linalg.norm(posture[end] - posture[start], axis=1)
        np.testing.assert_allclose(found, length, rtol=1e-9, err_msg=f"{start} to {end}")


@given(angles=all_angles(), lengths=all_lengths())
def test_all_frames_are_rotations(angles, lengths):
    for name, frame in bodies(angles, lengths).frames.items():
        identity = np.broadcast_to(np.eye(3), frame.shape)
        np.testing.assert_allclose(frame @ frame.swapaxes(1, 2), identity, atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(frame), 1, atol=1e-12, err_msg=name)


@given(angles=all_angles(), lengths=all_lengths())
def test_limbs_run_along_their_frames(angles, lengths):
    posture = bodies(angles, lengths)
    for side in SIDES:
        for frame, start, end in (
            ("upper_arm", "shoulder", "elbow"), ("forearm", "elbow", "wrist"),
            ("thigh", "hip", "knee"), ("leg", "knee", "ankle"),
        ):  # fmt: skip
            along = posture[f"{side}_{end}"] - posture[f"{side}_{start}"]
            along /= np.linalg.norm(along, axis=1, keepdims=True)
            np.testing.assert_allclose(-posture.frames[f"{side}_{frame}"][..., 2], along, atol=1e-9)


@given(angles=all_angles(), lengths=all_lengths())
def test_mirrored_angles_give_the_mirrored_body_with_exchanged_labels(angles, lengths):
    def exchanged(values):
        swap = {"left": "right", "right": "left"}
        found = {}
        for name, value in values.items():
            side, _, rest = name.partition("_")
            found[f"{swap[side]}_{rest}" if side in swap else name] = value
        return found

    one = dict(zip(ANGLES, angles, strict=True))
    mm = dict(zip(LENGTHS, lengths, strict=True))
    other = {name: -v if name in SIDEWAYS else v for name, v in exchanged(one).items()}
    mirrored = pose_body(other, exchanged(mm)).landmarks_mm
    expected = pose_body(one, mm).landmarks_mm[:, fm.load_skeleton().mirror_index] * [-1, 1, 1]
    np.testing.assert_allclose(mirrored, expected, atol=1e-9)


@given(angles=all_angles(), lengths=all_lengths())
def test_a_batch_equals_its_bodies_one_by_one(angles, lengths):
    together = bodies(angles, lengths)
    for n in range(3):
        alone = bodies(angles[:, [n]], lengths[:, [n]])
        np.testing.assert_allclose(alone.landmarks_mm, together.landmarks_mm[[n]], atol=1e-12)
        for name, frame in alone.frames.items():
            np.testing.assert_allclose(together.frames[name][[n]], frame, atol=1e-12)


@st.composite
def distinct_angles(draw):
    """Angles that landmarks tell apart: limbs that are bent, and not led away beyond a right angle.

    An upper arm at 100 degrees of abduction is one at 80 that is flexed by half a turn.
    """
    angles = draw(all_angles(175.0))
    for row, name in enumerate(ANGLES):
        if name.endswith("abduction"):
            angles[row] *= 85 / 175
        elif name.endswith(("elbow_flexion", "knee_flexion")):
            angles[row] = 5 + np.abs(angles[row]) * 170 / 175
    return angles


@given(
    angles=distinct_angles(),
    lengths=all_lengths(),
    turn=st.from_type(Rotation),
    far=st.floats(-300, 300),
)
def test_limb_angles_invert_pose_body_after_any_motion(angles, lengths, turn, far):
    landmarks = bodies(angles, lengths).landmarks_mm @ turn.as_matrix().T + [far, -far, 20.0]
    found = limb_angles(landmarks)
    expected = dict(zip(ANGLES, angles, strict=True))
    assert len(found) == 16
    for name, degrees in found.items():
        np.testing.assert_allclose(degrees, expected[name], atol=1e-5, err_msg=name)


@given(angles=all_angles(), lengths=all_lengths(), straight=st.booleans(), raised=st.booleans())
def test_limb_angles_rebuild_the_landmarks_even_where_they_are_not_unique(
    angles, lengths, straight, raised
):
    own = dict(zip(ANGLES, angles, strict=True))
    for side in SIDES:
        if straight:
            own[f"{side}_elbow_flexion"] = own[f"{side}_knee_flexion"] = np.zeros(3)
        if raised:
            own[f"{side}_shoulder_abduction"] = own[f"{side}_hip_abduction"] = np.full(3, 90.0)
    mm = dict(zip(LENGTHS, lengths, strict=True))
    landmarks = pose_body(own, mm).landmarks_mm
    again = pose_body({**own, **limb_angles(landmarks)}, mm).landmarks_mm
    np.testing.assert_allclose(again, landmarks, atol=1e-5)


def test_limb_angles_are_unknown_where_a_landmark_is_absent():
    landmarks = body(elbow_flexion=60, knee_flexion=70).landmarks_mm.copy()
    landmarks[0, fm.load_skeleton().index("left_elbow")] = np.nan
    found = limb_angles(landmarks)
    unknown = {name for name, degrees in found.items() if not np.isfinite(degrees).all()}
    assert unknown == {
        f"left_{name}"
        for name in ("shoulder_flexion", "shoulder_abduction", "shoulder_rotation", "elbow_flexion")
    }


@given(angles=distinct_angles(), lengths=all_lengths())
def test_interior_angles_of_elbow_and_knee_are_half_a_turn_less_their_flexion(angles, lengths):
    posture = bodies(angles, lengths)
    for n in range(3):
        interior = fm.joint_angles_deg(fm.Pose(fm.load_skeleton(), posture.landmarks_mm[n]))
        for side in SIDES:
            for joint in ("elbow", "knee"):
                flexion = angles[ANGLES.index(f"{side}_{joint}_flexion"), n]
                assert interior[f"{side}_{joint}"] == pytest.approx(180 - flexion, abs=1e-6)
