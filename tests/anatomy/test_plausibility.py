"""Plausible sizes and proportions: what anatomy allows, and what is named when it does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fetusmap.anatomy import (
    LengthInterval,
    Pose,
    Quality,
    SizeFacts,
    built_in_skeletons,
    crown_rump_length,
    implausibilities,
    load_skeleton,
    reference_pose,
    shape_implausibilities,
    size_implausibility,
    trunk_path_mm,
)
from fetusmap.anatomy.plausibility import length_limits
from fetusmap.anatomy.skeleton_file import plain_from_skeleton, skeleton_from_plain
from fetusmap.geometry import affine_from
from fetusmap.simulate import draw_poses

SEEDS = st.integers(0, 2**32 - 1)
ROTATIONS = st.from_type(Rotation)
OFFSETS = st.tuples(*[st.floats(-200.0, 200.0)] * 3)


def moved(pose: Pose, **steps) -> Pose:
    """A pose with some landmarks displaced by a step, or placed on another landmark."""
    positions = pose.positions_mm.copy()
    for name, step in steps.items():
        row = pose.skeleton.index(name)
        positions[row] = pose[step].position_mm if isinstance(step, str) else positions[row] + step
    return Pose(pose.skeleton, positions)


def scaled(pose: Pose, factor: float) -> Pose:
    return pose.transform(np.diag([factor] * 3 + [1.0]))


def with_thigh(pose: Pose, side: str, factor: float) -> Pose:
    """Stretch one femur and carry the leg below along."""
    step = (factor - 1) * (pose[f"{side}_knee"].position_mm - pose[f"{side}_hip"].position_mm)
    return moved(pose, **{f"{side}_knee": step, f"{side}_ankle": step})


@pytest.fixture
def symmetric():
    """The reference pose with the left side made the exact mirror image of the right."""
    pose = reference_pose(60.0)
    places = {landmark.name: landmark.position_mm for landmark in pose}
    for left, right in pose.skeleton.mirror_pairs:
        places[left] = places[right] * [-1, 1, 1]
    return Pose.from_positions(places)


@pytest.fixture(params=["fetus-16", "fetus-22"])
def body(request):
    return reference_pose(60.0, load_skeleton(request.param))


# --- Size ---


def hadlock_weeks(crl_mm: float) -> float:
    """Hadlock et al., Radiology 1992;182:501-505."""
    cm = crl_mm / 10
    return float(
        np.exp(1.684969 + 0.315646 * cm - 0.049306 * cm**2 + 0.004057 * cm**3 - 0.000120456 * cm**4)
    )


@pytest.mark.parametrize(
    ("crl_mm", "weeks", "side"), [(25, 10, 1.08), (95, 14, 0.92), (18, 9, 1.08), (115, 16, 0.92)]
)
def test_the_limits_of_the_size_are_where_the_interval_of_the_age_ends(crl_mm, weeks, side):
    assert hadlock_weeks(31.0) == pytest.approx(10.0, abs=0.05)  # the chart, read right
    assert hadlock_weeks(80.0) == pytest.approx(14.0, abs=0.05)
    assert side * hadlock_weeks(crl_mm) == pytest.approx(weeks, abs=0.15)


@pytest.mark.parametrize("crl_mm", [26.0, 31.0, 60.0, 84.0, 94.0])
def test_a_body_of_10_to_14_weeks_has_a_plausible_size(body, crl_mm):
    assert size_implausibility(scaled(body, crl_mm / 60)) is None


@pytest.mark.parametrize(
    ("crl_mm", "kind", "age"),
    [
        (20.0, "unusual size", "younger than 10 weeks"),
        (8.0, "impossible size", "younger than 9 weeks"),
        (105.0, "unusual size", "older than 14 weeks"),
        (214.0, "impossible size", "older than 16 weeks"),
    ],
)
def test_another_size_is_said_with_the_voxel_size_of_the_file(crl_mm, kind, age):
    pose = reference_pose(crl_mm, load_skeleton("fetus-22"))
    length = f"{crown_rump_length(pose).length_mm:.0f}"
    found = size_implausibility(pose, SizeFacts((0.5, 0.5, 1.25)))
    assert (found.kind, found.reason) == (
        kind,
        f"the body is {length} mm long, that of a fetus of 10 to 14 weeks 25 to 95 mm: check the "
        f"voxel size of the file (0.5 x 0.5 x 1.25 mm), unless the fetus is {age}, outside what "
        "the model was trained on",
    )
    assert "the file, unless" in size_implausibility(pose).reason


def test_a_body_like_those_that_the_model_was_trained_on_is_not_doubted():
    """A trunk of 150 mm, 0.507 of the crown-rump length, in a model of older fetuses."""
    pose = reference_pose(296.0)
    assert size_implausibility(pose, SizeFacts(trained_trunks_mm=(100.0, 149.0))) is not None
    assert size_implausibility(pose, SizeFacts(trained_trunks_mm=(100.0, 151.0))) is None


def test_a_length_is_doubted_only_if_its_whole_interval_is_outside():
    """Crown and rump of confidence 0.95 have a standard deviation of 1.79 mm each."""
    skeleton = load_skeleton("fetus-22")
    positions = reference_pose(97.0, skeleton).positions_mm
    for scale, doubted in ((0.1, True), (3.0, False)):
        interval = LengthInterval(coverage=0.95, scale=scale, cases=30)
        pose = Pose(skeleton, positions, 0.95, Quality(crown_rump_interval=interval))
        assert (size_implausibility(pose) is not None) == doubted


def test_without_a_head_the_trunk_tells_the_size(body):
    positions = body.positions_mm.copy()
    positions[[row for row, name in enumerate(body.skeleton.landmarks) if "head" in name]] = np.nan
    positions[[row for row, name in enumerate(body.skeleton.landmarks) if name == "crown"]] = np.nan
    headless = Pose(body.skeleton, positions)
    assert size_implausibility(headless) is None
    found = size_implausibility(scaled(headless, 3))
    length = f"{3 * trunk_path_mm(body):.0f}"
    assert found.reason.startswith(f"the trunk is {length} mm long, that of a fetus of 10 to 14")


def test_a_skeleton_without_a_trunk_has_no_size():
    plain = plain_from_skeleton(load_skeleton())
    for key in ("trunk", "crown_rump", "angles"):
        plain.pop(key, None)
    bare = skeleton_from_plain(plain)
    pose = Pose(bare, reference_pose(600.0).positions_mm)
    assert size_implausibility(pose) is None
    assert shape_implausibilities(pose) == ()


# --- Proportions ---


def test_every_segment_of_the_built_in_skeletons_has_limits():
    for name in built_in_skeletons():
        limits = length_limits(load_skeleton(name))
        assert (limits[:, 0] > 0).all()
        assert (limits[:, 0] < limits[:, 1]).all()


@pytest.mark.parametrize("anatomy", ["usual", "other"])
def test_simulated_bodies_of_both_anatomies_are_plausible(anatomy):
    """And none uses more than the range of the table, which was measured on other bodies."""
    library = draw_poses(150, seed=31, anatomy=anatomy)
    low, high = length_limits(library.skeleton).T
    doubts = []
    for positions in np.asarray(library.positions_mm, np.float64):
        pose = Pose(library.skeleton, positions)
        doubts += [*shape_implausibilities(pose)]
        ratios = np.array(list(pose.lengths_mm().values())) / trunk_path_mm(pose)
        assert (ratios > 1.2 * low).all()
        assert (ratios < high / 1.2).all()
    assert doubts == []


@pytest.mark.parametrize("crl_mm", [45.0, 60.0, 84.0])
def test_the_reference_pose_is_plausible_at_any_size(body, crl_mm):
    assert implausibilities(scaled(body, crl_mm / 60)) == ()
    assert implausibilities(scaled(body, crl_mm / 60).mirror()) == ()


def test_an_absent_landmark_is_the_only_thing_said_about_it(symmetric):
    places = {landmark.name: landmark.position_mm for landmark in symmetric}
    del places["left_knee"], places["neck"]
    assert implausibilities(Pose.from_positions(places)) == (
        "neck is absent",
        "left_knee is absent",
    )


def test_sides_may_differ_by_35_percent_of_their_mean_and_4_5_mm_and_no_more(symmetric):
    # (r - 1) L = 4.5 mm + 0.35 (r + 1) L / 2.
    symmetric = scaled(symmetric, 2)
    short = symmetric.lengths_mm()["right_femur"]
    limit = (4.5 / short + 1.175) / 0.825
    long = (limit + 0.001) * short
    assert implausibilities(with_thigh(symmetric, "left", limit - 0.001)) == ()
    assert implausibilities(with_thigh(symmetric, "left", limit + 0.001)) == (
        f"the left and the right leg differ: hip to knee measures {long:.1f} mm on the left but "
        f"{short:.1f} mm on the right",
    )
    assert implausibilities(with_thigh(symmetric, "right", limit + 0.001)) == (
        f"the left and the right leg differ: hip to knee measures {short:.1f} mm on the left but "
        f"{long:.1f} mm on the right",
    )


def test_a_wrist_far_away_is_named_with_its_limb(body):
    (reason,) = implausibilities(moved(body, left_wrist=[-30, 0, 0]))
    length = moved(body, left_wrist=[-30, 0, 0]).lengths_mm()["left_forearm"]
    # The trunk measures 31.0 mm along the spine; 0.21 and 0.50 of it, 1.25 times wider.
    assert reason.startswith(
        f"the lengths of the left arm are implausible: elbow to wrist measures {length:.1f} mm, "
        "for this trunk 5.2 to 19.4 mm are plausible"
    )
    assert ("wrist to hand" in reason) == ("left_hand" in body.skeleton.landmarks)


def test_a_limb_that_is_too_short_is_named(symmetric):
    large = scaled(symmetric, 2)  # a thigh of 24 mm
    both = with_thigh(with_thigh(large, "left", 0.15), "right", 0.15)
    reasons = implausibilities(both)
    assert [reason.split(":")[0] for reason in reasons] == [
        "the lengths of the left leg are implausible",
        "the lengths of the right leg are implausible",
    ]


@pytest.mark.parametrize(("moved_mm", "count"), [(5.9, 0), (6.1, 1)])
def test_a_short_segment_may_be_three_and_a_half_millimetres_too_long(moved_mm, count):
    """0.13 x 1.25 of a trunk of 31.0 mm and 3.5 mm are 8.5 mm; one hand is 2.5 mm long."""
    skeleton = load_skeleton("fetus-22")
    pose = reference_pose(60.0, skeleton)
    steps = {}
    for side, far in (("left", 2.5), ("right", 2.5 + moved_mm)):
        wrist, hand = (pose[f"{side}_{name}"].position_mm for name in ("wrist", "hand"))
        steps[f"{side}_hand"] = (hand - wrist) * (far / np.linalg.norm(hand - wrist) - 1)
    reasons = implausibilities(moved(pose, **steps))
    assert len(reasons) == count
    assert all("wrist to hand" in reason for reason in reasons)


def test_proportions_are_judged_against_the_trunk_and_not_in_millimetres(symmetric):
    for scale in (0.1, 10.0):
        assert implausibilities(scaled(symmetric, scale)) == ()


def own_skeleton(*, with_reference: bool):
    """The landmarks of fetus-16 under another name, whose definitions nobody knows."""
    plain = plain_from_skeleton(load_skeleton()) | {"name": "own"}
    for entry in plain["landmarks"]:
        if not with_reference:
            del entry["reference_position"]
    return skeleton_from_plain(plain)


@pytest.mark.parametrize(("inside", "outside"), [(1.75, 1.95), (1 / 1.75, 1 / 1.95)])
def test_a_skeleton_of_ones_own_is_judged_by_its_reference_pose(symmetric, inside, outside):
    skeleton = own_skeleton(with_reference=True)

    def both(factor):
        stretched = with_thigh(with_thigh(scaled(symmetric, 10), "left", factor), "right", factor)
        return Pose(skeleton, stretched.positions_mm)

    assert implausibilities(both(inside)) == ()
    names = [reason.split(":")[0] for reason in implausibilities(both(outside))]
    assert names == [f"the lengths of the {side} leg are implausible" for side in ("left", "right")]


def test_without_a_reference_pose_only_sides_and_places_are_judged(symmetric):
    skeleton = own_skeleton(with_reference=False)
    stretched = with_thigh(with_thigh(symmetric, "left", 3), "right", 3)
    assert implausibilities(stretched)
    assert implausibilities(Pose(skeleton, stretched.positions_mm)) == ()
    (reason,) = implausibilities(Pose(skeleton, with_thigh(symmetric, "left", 3).positions_mm))
    assert reason.startswith("the left and the right leg differ")


def test_a_wrong_trunk_is_not_blamed_on_every_limb(body):
    """All three landmarks of the trunk near each other: no limb fits it."""
    sacrum = body["sacrum"].position_mm
    steps = {name: 0.9 * (sacrum - body[name].position_mm) for name in ("spine", "neck")}
    (about, *_) = implausibilities(moved(body, **steps))
    assert about.endswith("segments do not fit a trunk of 3.1 mm: check sacrum, spine, neck")


def test_a_folded_trunk_is_named(body):
    reasons = implausibilities(moved(body, spine=[0, -20, 0]))
    assert reasons[0].startswith("the trunk is folded: from sacrum to neck it measures")


# --- Places ---


def test_both_knees_at_one_knee_are_named(body):
    assert "right_knee and left_knee lie in one place" in implausibilities(
        moved(body, left_knee="right_knee")
    )


def test_a_body_without_extent_is_one_sentence(body):
    trunk, places = implausibilities(Pose(body.skeleton, np.zeros_like(body.positions_mm)))
    assert trunk == "the trunk has no length"
    assert places.startswith(f"{len(body.skeleton)} landmarks lie in the place of another one")


# --- What changes nothing ---


@given(seed=SEEDS, rotation=ROTATIONS, offset=OFFSETS)
def test_moving_a_pose_makes_it_neither_more_nor_less_plausible(seed, rotation, offset):
    positions = np.random.default_rng(seed).normal(scale=30, size=(16, 3))
    pose = Pose(load_skeleton(), positions)
    same = pose.transform(affine_from(rotation.as_matrix(), offset))
    assert implausibilities(pose) == implausibilities(same)
    assert (size_implausibility(pose) is None) == (size_implausibility(same) is None)


@given(seed=SEEDS)
def test_a_mirrored_pose_has_as_many_doubts(seed):
    """Its sides are exchanged, so that the words may come in another order."""
    positions = np.random.default_rng(seed).normal(scale=30, size=(16, 3))
    pose = Pose(load_skeleton(), positions)
    kinds, mirrored = (
        sorted(found.kind for found in shape_implausibilities(p)) for p in (pose, pose.mirror())
    )
    assert kinds == mirrored
