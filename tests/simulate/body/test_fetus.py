"""Sizes against the published table, joint angles within their limits, libraries of poses."""

import time
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

import fetusmap as fm
from fetusmap.errors import BadInput
from fetusmap.simulate import Seeds, SimulationSettings, draw_case, draw_poses
from fetusmap.simulate.body.angles import draw_angles
from fetusmap.simulate.body.fetus import (
    check_weeks,
    draw_fetus,
    draw_postures,
    draw_sizes,
    mean_sac_ml,
)
from fetusmap.simulate.body.measures import draw_measures
from fetusmap.simulate.body.posture import ANGLES, limb_angles
from fetusmap.simulate.tables import table


@pytest.fixture(scope="module")
def fetuses():
    return [draw_fetus(np.random.default_rng(seed)) for seed in range(60)]


@pytest.fixture(scope="module")
def drawn():
    """(1000,) crown-rump lengths and the postures of as many usual bodies."""
    rng = np.random.default_rng(1)
    days, crl = draw_sizes(rng, 1000, (10.0, 14.0))
    measures = draw_measures(rng, crl)
    return crl, draw_postures(rng, measures, crl, mean_sac_ml(days, crl))[1]


@pytest.mark.parametrize(
    ("weeks", "crl_mm"), [(10.0, 32), (11.0, 42), (12.0, 54), (13.0, 67), (14.0, 82)]
)
def test_crown_rump_lengths_follow_robinson_and_fleming(weeks, crl_mm):
    days, crl = draw_sizes(np.random.default_rng(0), 4000, (weeks, weeks))
    np.testing.assert_array_equal(days, 7 * weeks)
    assert crl.mean() == pytest.approx(((7 * weeks - 23.73) / 8.052) ** 2 / 1.037, rel=0.005)
    assert crl.mean() == pytest.approx(crl_mm, abs=0.6)
    assert crl.std() / crl.mean() == pytest.approx(0.05, rel=0.05)


def test_ages_are_even_over_their_range():
    days, _ = draw_sizes(np.random.default_rng(0), 4000, (10.0, 12.0))
    assert stats.kstest(days, stats.uniform(70, 14).cdf).pvalue > 1e-3


def test_a_fetus_holds_together(fetuses):
    for fetus in fetuses:
        assert fetus.weeks == fetus.gestational_age_days / 7
        assert 10 <= fetus.weeks <= 14
        assert set(fetus.angles_deg) == set(ANGLES)
        assert fetus.pose.skeleton.name == "fetus-22"
        lengths = fetus.pose.lengths_mm()
        assert lengths["left_femur"] == pytest.approx(fetus.measures["left_femur"])
        assert lengths["neck_spine"] == pytest.approx(fetus.measures["spine_neck"])
        assert fetus.crown_rump_mm == pytest.approx(
            np.linalg.norm(fetus.pose["crown"].position_mm - fetus.pose["rump"].position_mm)
        )
        assert np.isfinite(fetus.pose.positions_mm).all()


def test_the_distance_from_crown_to_rump_is_the_nominal_length_on_average(drawn):
    """Postures differ: an extended fetus is longer from crown to rump than a curled-up one."""
    crl, posture = drawn
    ratio = np.linalg.norm(posture["crown"] - posture["rump"], axis=1) / crl
    assert ratio.mean() == pytest.approx(0.98, abs=0.02)
    assert 0.03 < ratio.std() < 0.08


def test_the_midline_is_what_the_skeletons_estimate_the_crown_rump_length_from(drawn):
    """The path from the head to the sacrum makes up the same part of it."""
    _, posture = drawn
    for skeleton in (fm.load_skeleton("fetus-16"), fm.load_skeleton("fetus-22")):
        model = skeleton.crown_rump
        path = sum(np.linalg.norm(posture[a] - posture[b], axis=1) for a, b in pairwise(model.path))
        part = path / np.linalg.norm(posture["crown"] - posture["rump"], axis=1)
        assert part.mean() == pytest.approx(model.fraction, abs=0.01)


def test_joints_lie_where_the_definitions_of_the_landmarks_say(drawn):
    """In crown-rump lengths: hips 0.06 ventral of the sacrum, neck 0.055 above the shoulders.

    Found from the landmarks: the spine at 0.52 of the way from sacrum to neck along the column,
    which is a little longer than its two chords.
    """
    crl, posture = drawn
    hips = (posture["left_hip"] + posture["right_hip"]) / 2 - posture["sacrum"]
    shoulders = (posture["left_shoulder"] + posture["right_shoulder"]) / 2 - posture["neck"]
    ventral = (hips * posture.frames["pelvis"][..., 1]).sum(axis=1) / crl
    caudal = -(shoulders * posture.frames["thorax"][..., 2]).sum(axis=1) / crl
    assert ventral.mean() == pytest.approx(0.060, abs=0.001)
    assert ventral.std() == pytest.approx(0.010, abs=0.001)
    assert caudal.mean() == pytest.approx(0.055, abs=0.001)
    assert caudal.std() == pytest.approx(0.012, abs=0.001)
    lower, upper = (
        np.linalg.norm(posture[end] - posture[start], axis=1)
        for start, end in (("sacrum", "spine"), ("spine", "neck"))
    )
    assert (lower / (lower + upper)).mean() == pytest.approx(0.52, abs=0.002)


def test_bones_harden_with_age_and_on_demand(fetuses):
    for fetus in fetuses:
        hardness = fetus.weeks + fetus.measures["ossified_weeks"]
        assert fetus.hardness_weeks == hardness
        assert fetus.ossification == pytest.approx(np.clip((hardness - 9.5) / 3, 0.35, 1))
    soft, hard = (
        draw_fetus(np.random.default_rng(3), ossification=factor) for factor in (0.5, 1.5)
    )
    assert hard.ossification == pytest.approx(3 * soft.ossification)
    assert hard.angles_deg == soft.angles_deg


def test_nuchal_translucency_follows_its_polynomial(fetuses):
    crl = np.array([f.crl_mm for f in fetuses])
    found = np.array([f.details["nuchal_translucency_mm"] for f in fetuses])
    ratio = found / 10 ** (-1.03 + 0.0314 * crl - 2.20e-4 * crl**2)
    assert ratio.mean() == pytest.approx(1, abs=0.04)
    assert 0.3 < found.min() < found.max() < 3.5


def joint_of(name):
    return name.removeprefix("left_").removeprefix("right_")


def test_every_joint_angle_lies_within_the_limits_of_the_table():
    joints = table("body/joints")
    for name, degrees in draw_angles(np.random.default_rng(0), 3000).items():
        entries = [
            joints[kind][joint_of(name)]
            for kind in ("usual", "extended", "startled")
            if joint_of(name) in joints[kind]
        ]
        low, high = min(e["low"] for e in entries), max(e["high"] for e in entries)
        assert low <= degrees.min(), name
        assert degrees.max() <= high, name


@pytest.mark.parametrize(
    ("name", "mixture"),
    [
        ("spine_flexion", {"usual": 1.0}),
        ("left_wrist_flexion", {"usual": 1.0}),
        ("right_knee_flexion", {"usual": 0.84, "extended": 0.16}),
        ("left_hip_flexion", {"usual": 0.84, "extended": 0.16}),
        ("right_elbow_flexion", {"usual": 0.84 * 0.94, "extended": 0.16 * 0.94, "startled": 0.06}),
        ("left_shoulder_abduction", {"usual": 0.94, "startled": 0.06}),
    ],
)
def test_mean_angles_are_those_of_the_mixture(name, mixture):
    joints = table("body/joints")
    chances = joints["chance"]
    assert (chances["extended_limb"], chances["startled_arms"]) == (0.16, 0.06)
    mean = 0.0
    for kind, part in mixture.items():
        e = joints[kind][joint_of(name)]
        ends = (e["low"] - e["mean"]) / e["sd"], (e["high"] - e["mean"]) / e["sd"]
        mean += part * stats.truncnorm(*ends, loc=e["mean"], scale=e["sd"]).mean()
    drawn = draw_angles(np.random.default_rng(1), 20000)[name]
    assert abs(drawn.mean() - mean) < 5 * drawn.std() / np.sqrt(20000)


def test_drawn_poses_are_complete_and_lie_in_their_body_frame():
    library = draw_poses(200, seed=4)
    assert len(library) == 200
    assert library.skeleton == fm.load_skeleton("fetus-22")
    assert np.isfinite(library.positions_mm).all()
    np.testing.assert_array_equal(library.positions_mm[:, library.skeleton.index("sacrum")], 0)
    assert library.made_by == {"simulated": 200, "seed": 4, "weeks": [10.0, 14.0], "like": False}
    for pose in library:
        lengths = pose.lengths_mm()
        assert 5 < lengths["left_femur"] < 25
        assert pose["right_shoulder"].position_mm[0] > pose["left_shoulder"].position_mm[0]


def test_the_same_seed_draws_the_same_poses_and_another_one_others():
    one, again, other = (draw_poses(50, seed=seed).positions_mm for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.isclose(one[:, 0], other[:, 0]).any()


def test_poses_are_those_of_the_asked_age():
    young, old = (
        np.median(draw_poses(300, seed=0, weeks=(w, w)).lengths_mm()["left_femur"])
        for w in (10.0, 14.0)
    )
    assert young == pytest.approx(0.2025 * 32.0 + 0.2, rel=0.03)
    assert old == pytest.approx(0.2025 * 82.0 + 0.2, rel=0.03)


def test_poses_are_drawn_fast():
    """A lax bound: some thousands per second are usual. Time of the processor, not of the clock."""
    started = time.process_time()
    draw_poses(2000, seed=0)
    assert time.process_time() - started < 4


def difference(first, second):
    """Smallest difference of two angles, degrees."""
    return (np.asarray(first) - second + 180) % 360 - 180


def test_imitated_limbs_are_near_those_given_at_the_fetus_own_proportions():
    example = draw_poses(40, seed=9)
    example = fm.PoseLibrary(example.skeleton, 3 * example.positions_mm)  # size must not matter
    found = draw_poses(400, seed=0, like=example)
    theirs, ours = (limb_angles(p.positions_mm.astype(float), p.skeleton) for p in (example, found))
    # Nothing records which pose was imitated: the nearest one is taken.
    apart = np.stack([difference(ours[n][:, None], theirs[n]) for n in theirs], axis=-1)
    nearest = np.abs(apart).mean(axis=-1).argmin(axis=1)
    errors = apart[np.arange(400), nearest]
    # Half of the draws of a normal distribution of deviation 8 lie within 5.4.
    assert np.median(np.abs(errors)) == pytest.approx(0.6745 * 8, abs=1.2)
    assert np.abs(np.median(errors, axis=0)).max() < 2.5
    assert len(set(nearest)) > 30
    for name, mm in draw_poses(400, seed=1).lengths_mm().items():
        assert found.lengths_mm()[name].mean() == pytest.approx(mm.mean(), rel=0.05), name
    assert found.made_by["like"] is True


def test_a_single_pose_can_be_imitated_whatever_frame_it_lies_in():
    example = draw_poses(1, seed=12)
    turned = fm.geometry.random_rotations(np.random.default_rng(0), 1)[0]
    moved = fm.PoseLibrary(example.skeleton, example.positions_mm @ turned.T.astype("f4") + 55)
    found = [draw_poses(60, seed=2, like=one).positions_mm for one in (example, moved)]
    np.testing.assert_allclose(*found, atol=1e-3)


def test_poses_of_fetus_16_can_be_imitated_too():
    """Nothing but the limb angles is imitated, and fetus-16 has all joints."""
    example = draw_poses(20, seed=9)
    fewer = example.on(fm.load_skeleton("fetus-16"))
    found = [draw_poses(30, seed=2, like=one).positions_mm for one in (example, fewer)]
    np.testing.assert_array_equal(*found)


def test_incomplete_poses_are_left_out_and_none_but_those_is_refused():
    library = draw_poses(2, seed=0)
    positions = library.positions_mm.copy()
    positions[0, 4] = np.nan
    half = fm.PoseLibrary(library.skeleton, positions)
    np.testing.assert_array_equal(
        draw_poses(9, seed=0, like=half).positions_mm,
        draw_poses(9, seed=0, like=library.select([1])).positions_mm,
    )
    with pytest.raises(BadInput, match="at least one with all landmarks") as caught:
        draw_poses(9, seed=0, like=half.select([0]))
    assert "\n" not in str(caught.value)


def test_poses_with_coincident_landmarks_are_left_out_too():
    library = draw_poses(2, seed=0)
    index = library.skeleton.index
    positions = library.positions_mm.copy()
    positions[0, index("left_wrist")] = positions[0, index("left_elbow")]
    found = draw_poses(9, seed=0, like=fm.PoseLibrary(library.skeleton, positions))
    expected = draw_poses(9, seed=0, like=library.select([1]))
    np.testing.assert_array_equal(found.positions_mm, expected.positions_mm)


def test_an_absent_hand_does_not_keep_a_pose_from_being_imitated():
    library = draw_poses(2, seed=0)
    positions = library.positions_mm.copy()
    positions[:, library.skeleton.index("left_hand")] = np.nan
    found = draw_poses(9, seed=0, like=fm.PoseLibrary(library.skeleton, positions))
    expected = draw_poses(9, seed=0, like=library)
    np.testing.assert_array_equal(found.positions_mm, expected.positions_mm)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_draws_deviate_from_poses_that_no_body_can_take_until_one_can(seed):
    nonsense = np.random.default_rng(seed).normal(scale=20, size=(1, 16, 3)).astype(np.float32)
    found = draw_poses(10, seed=0, like=fm.PoseLibrary(fm.load_skeleton(), nonsense))
    assert np.isfinite(found.positions_mm).all()


@pytest.mark.timeout(60)
def test_bodies_too_thick_for_any_posture_are_given_up(monkeypatch):
    monkeypatch.setattr("fetusmap.simulate.body.fetus.MAX_ROUNDS", 20)
    rng = np.random.default_rng(0)
    crl = np.full(3, 60.0)
    with pytest.raises(BadInput, match="without intersecting itself") as caught:
        draw_postures(rng, draw_measures(rng, crl), 6 * crl, sac_ml=np.full(3, 1e9))
    assert "\n" not in str(caught.value)


BAD_WEEKS = [
    (5.0, 12.0), (10.0, 15.0), (13.0, 11.0), (np.nan, 12.0), (10.0, np.nan), (10.0, np.inf),
    (-np.inf, 12.0), (9.49, 9.49),
]  # fmt: skip


@pytest.mark.parametrize("weeks", BAD_WEEKS)
@pytest.mark.parametrize(
    "use",
    [
        check_weeks,
        lambda weeks: draw_poses(1, seed=0, weeks=weeks),
        lambda weeks: draw_fetus(np.random.default_rng(0), weeks),
        lambda weeks: SimulationSettings(weeks=weeks),
    ],
    ids=["check", "poses", "fetus", "settings"],
)
def test_bad_weeks_are_refused_in_one_line(weeks, use):
    with pytest.raises(BadInput, match=r"^gestational age: expected a range within") as caught:
        use(weeks)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weeks", [(9.5, 9.5), (14.0, 14.0), (9.5, 14.0)])
def test_all_allowed_weeks_can_be_drawn(weeks):
    assert check_weeks(weeks) == weeks
    assert np.isfinite(draw_poses(200, seed=0, weeks=weeks).positions_mm).all()


@pytest.mark.parametrize(
    ("arguments", "what"), [({"count": 0}, "1 or more"), ({"count": -2}, "1 or more"),
                            ({"seed": -1}, "0 or more")]
)  # fmt: skip
def test_bad_counts_and_seeds_are_refused_in_one_line(arguments, what):
    with pytest.raises(BadInput, match=f"expected {what}") as caught:
        draw_poses(**{"count": 3, "seed": 0, **arguments})
    assert "\n" not in str(caught.value)


def test_one_seed_changes_one_part(flattened):
    """What comes later may follow what came before it; nothing depends on what comes after."""
    settings = SimulationSettings()
    usual = Seeds(1, 2, 3, 4)
    first = draw_case(settings, usual)
    for changed, kept in (
        (Seeds(1, 2, 3, 9), ("fetus", "body", "scene", "probe")),
        (Seeds(1, 2, 9, 4), ("fetus", "body", "scene", "speckle_seed")),
        (Seeds(1, 9, 3, 4), ("fetus", "body", "speckle_seed")),
        (Seeds(9, 2, 3, 4), ("speckle_seed",)),
    ):
        other = draw_case(settings, changed)
        for part in ("fetus", "body", "scene", "probe", "speckle_seed"):
            same = flattened(getattr(first, part)) == flattened(getattr(other, part))
            assert same or part not in kept, (part, changed)
        assert flattened(other) != flattened(first)
        # The scanner and the mother are drawn before anything that the fetus decides.
        if changed.probe == usual.probe:
            assert other.probe.scanner == first.probe.scanner
        if changed.scene == usual.scene:
            assert flattened(other.scene.mother) == flattened(first.scene.mother)
