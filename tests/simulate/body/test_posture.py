"""Postures by hand, limb angles as the inverse, and what no angle may change."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

import fetusmap as fm
from fetusmap.simulate.body.measures import SIDES
from fetusmap.simulate.body.posture import ANGLES, BODY_SKELETON, limb_angles, pose_body

MEASURES = {
    "sacrum_spine": 16.0, "spine_neck": 14.0, "neck_head": 15.0, "lumbar_part": 0.35,
    "half_shoulder": 10.0, "shoulder_ventral": 0.7, "shoulder_caudal": 3.3,
    "half_hip": 6.0, "hip_ventral": 3.6, "hip_caudal": 0.7,
    "left_humerus": 12.0, "left_forearm": 11.0, "left_femur": 13.0, "left_leg": 10.5,
    "right_humerus": 12.5, "right_forearm": 11.5, "right_femur": 13.5, "right_leg": 10.0,
    "left_hand": 9.0, "right_hand": 10.0, "left_foot": 8.0, "right_foot": 10.0, "foot_height": 1.0,
    "occipitofrontal_diameter": 26.0, "head_height": 24.0, "scalp": 0.7,
    "rump_radius": 5.0, "rump_ventral": 0.0, "rump_caudal": 1.8,
}  # fmt: skip
SKELETON = fm.load_skeleton(BODY_SKELETON)
# Crown and rump depend on each other; test_ends.py compares them for bodies that are possible.
NO_ENDS = [n for n, name in enumerate(SKELETON.landmarks) if name not in ("crown", "rump")]
SIGNS = {"right": 1.0, "left": -1.0}
# Turned about the midline by these, a mirrored body turns the other way.
SIDEWAYS = ("spine_lateral", "spine_twist", "neck_lateral", "neck_rotation")


def body(measures=MEASURES, **angles):
    """One body with some angles and all others 0; `elbow_flexion` stands for both sides."""
    given_ = {}
    for name, degrees in angles.items():
        sided = [f"{side}_{name}" for side in SIDES]
        given_ |= dict.fromkeys(sided if sided[0] in ANGLES else [name], degrees)
    assert set(given_) <= set(ANGLES)
    return pose_body(
        {name: np.array([float(given_.get(name, 0.0))]) for name in ANGLES},
        {name: np.array([mm]) for name, mm in measures.items()},
    )


def step(posture, start, end):
    return posture[end][0] - posture[start][0]


def all_angles(largest=170.0):
    """(len(ANGLES), 3) angles of three bodies, degrees."""
    return arrays(float, (len(ANGLES), 3), elements=st.floats(-largest, largest))


def all_measures():
    """(len(MEASURES), 3) measures of three bodies."""
    return arrays(float, (len(MEASURES), 3), elements=st.floats(1.0, 40.0))


def named(measures):
    values = dict(zip(MEASURES, measures, strict=True))
    return {**values, "lumbar_part": values["lumbar_part"] / 40}  # a part, not a length


def bodies(angles, measures):
    return pose_body(dict(zip(ANGLES, angles, strict=True)), named(measures))


def test_a_straight_body_stands_upright_with_its_limbs_hanging():
    posture = body()
    expected = {
        "sacrum": (0, 0, 0), "spine": (0, 0, 16), "neck": (0, 0, 30), "head": (0, 0, 45),
        "right_shoulder": (10, 0.7, 26.7), "left_shoulder": (-10, 0.7, 26.7),
        "right_elbow": (10, 0.7, 14.2), "left_elbow": (-10, 0.7, 14.7),
        "right_wrist": (10, 0.7, 2.7), "left_wrist": (-10, 0.7, 3.7),
        "right_hip": (6, 3.6, -0.7), "left_hip": (-6, 3.6, -0.7),
        "right_knee": (6, 3.6, -14.2), "left_knee": (-6, 3.6, -13.7),
        "right_ankle": (6, 3.6, -24.2), "left_ankle": (-6, 3.6, -24.2),
        # The line from crown to rump is upright: half the head and the scalp above the head's
        # middle, the radius of the rump below its middle.
        "crown": (0, 0, 45 + 12 + 0.7), "rump": (0, 0, -1.8 - 5),
        # 32 % of the hand below the wrist.
        "right_hand": (10, 0.7, 2.7 - 3.2), "left_hand": (-10, 0.7, 3.7 - 2.88),
        # From the back of the heel at -0.252 to the toes at 0.565 of the foot; the sole is there
        # 0.23175 below the ankle: the cone from heel to ball has its axis at -0.08921 and a radius
        # of 0.14254.
        "right_foot": (6, 3.6 + 1.565, -24.2 - 2.3175),
        "left_foot": (-6, 3.6 + 1.252, -24.2 - 1.854),
    }  # fmt: skip
    assert set(expected) == set(SKELETON.landmarks)
    for name, point in expected.items():
        tolerance = 1e-4 if name.endswith("foot") else 1e-9
        np.testing.assert_allclose(posture[name][0], point, atol=tolerance, err_msg=name)
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
        along = np.array([aside.get(x, x), y, z]) * MEASURES[f"{side}_{bone}"]
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
        along = np.array([aside.get(x, x), y, z]) * MEASURES[f"{side}_{bone}"]
        found = step(posture, f"{side}_{start}", f"{side}_{end}")
        np.testing.assert_allclose(found, along, atol=1e-9)


def test_the_left_and_the_right_arm_bend_on_their_own():
    posture = body(right_elbow_flexion=90)
    np.testing.assert_allclose(step(posture, "right_elbow", "right_wrist"), (0, 11.5, 0), atol=1e-9)
    np.testing.assert_allclose(step(posture, "left_elbow", "left_wrist"), (0, 0, -11), atol=1e-9)


def test_hands_and_feet_turn_about_wrists_and_ankles_alone():
    posture, straight = body(wrist_flexion=90, ankle_flexion=-30), body()
    joints = slice(16)  # fetus-22 begins with the landmarks of fetus-16
    np.testing.assert_array_equal(posture.landmarks_mm[:, joints], straight.landmarks_mm[:, joints])
    turn = Rotation.from_euler("x", -30, degrees=True)
    for side in SIDES:
        palm = step(posture, f"{side}_wrist", f"{side}_hand")
        np.testing.assert_allclose(palm, [0, 0.32 * MEASURES[f"{side}_hand"], 0], atol=1e-12)
        toes = posture.frames[f"{side}_foot"][0] @ [0, 1, 0]
        np.testing.assert_allclose(toes, [0, np.cos(np.pi / 6), -0.5], atol=1e-12)
        sole = step(straight, f"{side}_ankle", f"{side}_foot")
        found = step(posture, f"{side}_ankle", f"{side}_foot")
        np.testing.assert_allclose(found, turn.apply(sole), atol=1e-12)


def test_a_turned_wrist_shows_its_palm_to_the_midline():
    posture = body(wrist_rotation=90)
    np.testing.assert_allclose(posture.landmarks_mm, body().landmarks_mm, atol=1e-12)
    for side in SIDES:
        palm = posture.frames[f"{side}_hand"][0] @ [0, 1, 0]
        np.testing.assert_allclose(palm, [-SIGNS[side], 0, 0], atol=1e-12)


@pytest.mark.parametrize("degrees", [-5.0, 0.0, 40.0, 80.0])
@pytest.mark.parametrize("part", [0.35, 0.25, 0.5])
def test_the_trunk_shares_its_flexion_out_and_flexes_evenly_about_its_middle(degrees, part):
    """The sacrum leans back by half of the bend; each part's chord halves what it bends itself."""
    posture = body({**MEASURES, "lumbar_part": part}, spine_flexion=degrees)
    lower, upper = np.radians(degrees * (0.5 - part / 2)), np.radians(degrees * part / 2)
    expected = np.array([0, -np.sin(lower), np.cos(lower)]) * 16
    np.testing.assert_allclose(step(posture, "sacrum", "spine"), expected, atol=1e-9)
    expected = np.array([0, np.sin(upper), np.cos(upper)]) * 14
    np.testing.assert_allclose(step(posture, "spine", "neck"), expected, atol=1e-9)
    between = [posture.frames[name][0] for name in ("sacrum", "waist", "nape")]
    bends = [Rotation.from_matrix(a.T @ b).magnitude() for a, b in pairwise(between)]
    shares = np.array([part, 1 - part]) * abs(degrees)
    np.testing.assert_allclose(np.degrees(bends), shares, atol=1e-9)
    # The landmarks see the chords of the two arcs: half of the whole bend lies between them.
    pose = fm.Pose(SKELETON, posture.landmarks_mm[0])
    assert fm.trunk_flexion_deg(pose) == pytest.approx(degrees / 2, abs=1e-9)


def test_the_head_nods_forward_and_everything_leans_and_turns_the_way_it_is_named():
    nod = step(body(neck_flexion=30), "neck", "head")
    np.testing.assert_allclose(nod, 15 * np.array([0, 0.5, np.cos(np.pi / 6)]), atol=1e-9)
    assert step(body(spine_lateral=20), "sacrum", "neck")[0] > 3  # to the right
    twisted = step(body(spine_twist=30), "left_shoulder", "right_shoulder")
    assert twisted[1] > 5  # the right shoulder comes to the front
    # Ribs and shoulders stand as the middle of the thoracic arc: 35 % and half of 65 % of it.
    assert np.degrees(np.arctan2(*twisted[[1, 0]])) == pytest.approx(30 * 0.675)


@given(angles=all_angles(), measures=all_measures())
def test_every_distance_is_the_given_length_whatever_the_angles(angles, measures):
    posture = bodies(angles, measures)
    mm = named(measures)
    expected = {
        ("sacrum", "spine"): mm["sacrum_spine"],
        ("spine", "neck"): mm["spine_neck"],
        ("neck", "head"): mm["neck_head"],
        ("left_shoulder", "right_shoulder"): 2 * mm["half_shoulder"],
        ("left_hip", "right_hip"): 2 * mm["half_hip"],
    }
    from_neck, from_sacrum = (
        np.sqrt(mm[f"half_{j}"] ** 2 + mm[f"{j}_ventral"] ** 2 + mm[f"{j}_caudal"] ** 2)
        for j in ("shoulder", "hip")
    )
    for side in SIDES:
        expected |= {
            (f"{side}_shoulder", f"{side}_elbow"): mm[f"{side}_humerus"],
            (f"{side}_elbow", f"{side}_wrist"): mm[f"{side}_forearm"],
            (f"{side}_hip", f"{side}_knee"): mm[f"{side}_femur"],
            (f"{side}_knee", f"{side}_ankle"): mm[f"{side}_leg"],
            ("neck", f"{side}_shoulder"): from_neck,
            ("sacrum", f"{side}_hip"): from_sacrum,
            (f"{side}_wrist", f"{side}_hand"): 0.32 * mm[f"{side}_hand"],
        }
    for (start, end), length in expected.items():
        found = np.linalg.norm(posture[end] - posture[start], axis=1)
        np.testing.assert_allclose(found, length, rtol=1e-9, err_msg=f"{start} to {end}")


@given(angles=all_angles(), measures=all_measures())
def test_all_frames_are_rotations(angles, measures):
    for name, frame in bodies(angles, measures).frames.items():
        identity = np.broadcast_to(np.eye(3), frame.shape)
        np.testing.assert_allclose(frame @ frame.swapaxes(1, 2), identity, atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(frame), 1, atol=1e-12, err_msg=name)


@given(angles=all_angles(), measures=all_measures())
def test_limbs_run_along_their_frames(angles, measures):
    posture = bodies(angles, measures)
    for side in SIDES:
        for frame, start, end in (
            ("upper_arm", "shoulder", "elbow"), ("forearm", "elbow", "wrist"),
            ("thigh", "hip", "knee"), ("leg", "knee", "ankle"),
        ):  # fmt: skip
            along = posture[f"{side}_{end}"] - posture[f"{side}_{start}"]
            along /= np.linalg.norm(along, axis=1, keepdims=True)
            np.testing.assert_allclose(-posture.frames[f"{side}_{frame}"][..., 2], along, atol=1e-9)


@given(angles=all_angles(), measures=all_measures())
def test_mirrored_angles_give_the_mirrored_body_with_exchanged_labels(angles, measures):
    def exchanged(values):
        swap = {"left": "right", "right": "left"}
        found = {}
        for name, value in values.items():
            side, _, rest = name.partition("_")
            found[f"{swap[side]}_{rest}" if side in swap else name] = value
        return found

    one = dict(zip(ANGLES, angles, strict=True))
    mm = named(measures)
    other = {name: -v if name in SIDEWAYS else v for name, v in exchanged(one).items()}
    mirrored = pose_body(other, exchanged(mm)).landmarks_mm
    expected = pose_body(one, mm).landmarks_mm[:, SKELETON.mirror_index] * [-1, 1, 1]
    np.testing.assert_allclose(mirrored[:, NO_ENDS], expected[:, NO_ENDS], atol=1e-9)


@given(angles=all_angles(), measures=all_measures())
def test_a_batch_equals_its_bodies_one_by_one(angles, measures):
    together = bodies(angles, measures)
    for n in range(3):
        alone = bodies(angles[:, [n]], measures[:, [n]])
        found, expected = alone.landmarks_mm[:, NO_ENDS], together.landmarks_mm[[n]][:, NO_ENDS]
        np.testing.assert_allclose(found, expected, atol=1e-12)
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
    measures=all_measures(),
    turn=st.from_type(Rotation),
    far=st.floats(-300, 300),
)
def test_limb_angles_invert_pose_body_after_any_motion(angles, measures, turn, far):
    landmarks = bodies(angles, measures).landmarks_mm @ turn.as_matrix().T + [far, -far, 20.0]
    found = limb_angles(landmarks, SKELETON)
    expected = dict(zip(ANGLES, angles, strict=True))
    assert len(found) == 16
    for name, degrees in found.items():
        np.testing.assert_allclose(degrees, expected[name], atol=1e-5, err_msg=name)
    # The landmarks of fetus-16, which come first, suffice.
    fewer = limb_angles(landmarks[:, :16], fm.load_skeleton())
    for name, degrees in fewer.items():
        np.testing.assert_array_equal(degrees, found[name])


@given(angles=all_angles(), measures=all_measures(), straight=st.booleans(), raised=st.booleans())
def test_limb_angles_rebuild_the_landmarks_even_where_they_are_not_unique(
    angles, measures, straight, raised
):
    own = dict(zip(ANGLES, angles, strict=True))
    for side in SIDES:
        if straight:
            own[f"{side}_elbow_flexion"] = own[f"{side}_knee_flexion"] = np.zeros(3)
        if raised:
            own[f"{side}_shoulder_abduction"] = own[f"{side}_hip_abduction"] = np.full(3, 90.0)
    mm = named(measures)
    landmarks = pose_body(own, mm).landmarks_mm
    again = pose_body({**own, **limb_angles(landmarks, SKELETON)}, mm).landmarks_mm
    # The rotation of a straight limb is arbitrary; its hand or foot turns with it.
    np.testing.assert_allclose(again[:, :16], landmarks[:, :16], atol=1e-5)


def test_limb_angles_are_unknown_where_a_landmark_is_absent():
    landmarks = body(elbow_flexion=60, knee_flexion=70).landmarks_mm.copy()
    landmarks[0, SKELETON.index("left_elbow")] = np.nan
    found = limb_angles(landmarks, SKELETON)
    unknown = {name for name, degrees in found.items() if not np.isfinite(degrees).all()}
    assert unknown == {
        f"left_{name}"
        for name in ("shoulder_flexion", "shoulder_abduction", "shoulder_rotation", "elbow_flexion")
    }


@given(angles=distinct_angles(), measures=all_measures())
def test_interior_angles_of_elbow_and_knee_are_half_a_turn_less_their_flexion(angles, measures):
    posture = bodies(angles, measures)
    for n in range(3):
        interior = fm.joint_angles_deg(fm.Pose(SKELETON, posture.landmarks_mm[n]))
        for side in SIDES:
            for joint in ("elbow", "knee"):
                flexion = angles[ANGLES.index(f"{side}_{joint}_flexion"), n]
                assert interior[f"{side}_{joint}"] == pytest.approx(180 - flexion, abs=1e-6)
