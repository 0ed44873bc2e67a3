"""Distances of segments against a minimiser; bodies that run into themselves and that do not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from fetusmap.simulate.body.angles import draw_angles
from fetusmap.simulate.body.collision import (
    MAX_FILLED,
    MAX_OVERLAP,
    distance_between_segments,
    intersects_itself,
    outgrows_sac,
)
from fetusmap.simulate.body.fetus import draw_postures, draw_sizes, mean_sac_ml
from fetusmap.simulate.body.measures import SIDES, draw_measures
from fetusmap.simulate.body.posture import ANGLES, Posture, pose_body

CRL_MM = 60.0
ENDS = arrays(float, (4, 3), elements=st.floats(-50.0, 50.0))


def between(*ends):
    return float(distance_between_segments(*np.asarray(ends, float)))


def minimised(start_a, end_a, start_b, end_b):
    """The distance by a bounded minimiser: the square is convex in both positions."""

    def square(where):
        s, t = where
        apart = start_a + s * (end_a - start_a) - start_b - t * (end_b - start_b)
        return apart @ apart

    starts = [(0.5, 0.5), (0, 1)]
    found = [minimize(square, x0, bounds=[(0, 1)] * 2, tol=1e-14).fun for x0 in starts]
    return float(np.sqrt(max(min(found), 0)))


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (((0, 0, 0), (2, 0, 0), (0, 3, 0), (2, 3, 0)), 3),  # parallel, side by side
        (((0, 0, 0), (2, 0, 0), (5, 4, 0), (9, 4, 0)), 5),  # parallel, apart: 3-4-5
        (((0, 0, 0), (2, 0, 0), (6, 0, 0), (3, 0, 0)), 1),  # on one line
        (((0, 0, 0), (4, 0, 0), (1, 0, 0), (9, 0, 0)), 0),  # on one line, overlapping
        (((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0)), 0),  # crossing
        (((-1, 0, 0), (1, 0, 0), (0, -1, 2), (0, 1, 2)), 2),  # crossing at a distance
        (((0, 0, 0), (1, 0, 0), (1, 0, 0), (1, 1, 0)), 0),  # touching at their ends
        (((0, 0, 0), (1, 0, 0), (4, 4, 0), (4, 9, 0)), 5),  # nearest at their ends
        (((7, 3, 0), (7, 3, 0), (0, 0, 0), (10, 0, 0)), 3),  # a point and a segment
        (((0, 0, 0), (10, 0, 0), (-3, 4, 0), (-3, 4, 0)), 5),  # a segment and a point
        (((1, 1, 1), (1, 1, 1), (1, 1, 8), (1, 1, 8)), 7),  # two points
    ],
)
def test_distances_by_hand(ends, expected):
    assert between(*ends) == pytest.approx(expected, abs=1e-9)


@given(ends=ENDS)
def test_distances_agree_with_a_minimiser(ends):
    assert between(*ends) == pytest.approx(minimised(*ends), abs=1e-4)


@given(ends=ENDS, lean=st.sampled_from([0.0, 1e-9, 1e-6, 1e-3]), factor=st.floats(-2, 2))
def test_nearly_parallel_segments_too(ends, lean, factor):
    ends[3] = ends[2] + factor * (ends[1] - ends[0]) + lean * (ends[3] - ends[2])
    assert between(*ends) == pytest.approx(minimised(*ends), abs=1e-3)


@given(ends=ENDS)
def test_distance_is_the_same_from_both_sides(ends):
    a, b, c, d = ends
    for other in ((c, d, a, b), (b, a, c, d), (b, a, d, c)):
        assert between(*other) == pytest.approx(between(a, b, c, d), abs=1e-6)


@pytest.fixture(scope="module")
def body(mean_measures):
    """A function that poses a body of usual proportions; `elbow_flexion` bends both sides."""

    def make(**angles):
        given_ = {
            name: np.array([angles.get(name, angles.get(name.partition("_")[2], 0.0))])
            for name in ANGLES
        }
        return pose_body(given_, mean_measures(CRL_MM))

    return make


@pytest.mark.parametrize(
    "angles",
    [
        {},
        {"shoulder_flexion": 90.0, "hip_flexion": 90.0, "hip_abduction": 15.0},
        {"shoulder_flexion": 90.0, "elbow_flexion": 100.0},
        {"shoulder_abduction": 90.0, "knee_flexion": 90.0},
    ],
    ids=["straight", "limbs ahead", "hands before the face", "arms spread"],
)
def test_bodies_that_do_not_touch_themselves(body, angles):
    assert not intersects_itself(body(**angles), np.array([CRL_MM]))[0]


@pytest.mark.parametrize(
    "angles",
    [
        {"shoulder_flexion": 180.0, "elbow_flexion": 90.0, "shoulder_rotation": 90.0},
        {"elbow_flexion": 90.0, "shoulder_rotation": 90.0},
        {"hip_abduction": -30.0},
        {"hip_flexion": 170.0},
        {"right_shoulder_flexion": 90.0, "right_elbow_flexion": 0.0, "right_shoulder_abduction":
         -45.0, "left_shoulder_flexion": 90.0, "left_shoulder_abduction": -45.0},
    ],
    ids=["hand in the head", "hand in the belly", "crossed legs", "thighs in the chest",
         "crossed arms"],
)  # fmt: skip
def test_bodies_that_run_into_themselves(body, angles):
    assert intersects_itself(body(**angles), np.array([CRL_MM]))[0]


def test_the_same_body_is_thicker_when_it_counts_as_a_larger_one(body):
    """The radii come from the crown-rump length alone."""
    posture = body(shoulder_flexion=90.0, elbow_flexion=100.0)
    assert not intersects_itself(posture, np.array([CRL_MM]))[0]
    assert intersects_itself(posture, np.array([3 * CRL_MM]))[0]


def test_drawn_bodies_do_not_run_into_themselves():
    rng = np.random.default_rng(5)
    days, crl = draw_sizes(rng, 400, (10.0, 14.0))
    sacs = mean_sac_ml(days, crl)
    _, posture = draw_postures(rng, draw_measures(rng, crl), crl, sacs)
    assert not intersects_itself(posture, crl).any()
    assert not outgrows_sac(posture, crl, sacs).any()
    # The slow path for one pair: points along the forearm, a ball for the head.
    part = np.linspace(0, 1, 101)[:, None, None]
    for side in SIDES:
        elbow, wrist = posture[f"{side}_elbow"], posture[f"{side}_wrist"]
        apart = np.linalg.norm(elbow + part * (wrist - elbow) - posture["head"], axis=-1).min(
            axis=0
        )
        assert (apart > (1 - MAX_OVERLAP) * (0.195 + 0.033) * crl - 1e-9).all()


def test_some_bodies_have_to_be_drawn_again():
    """Otherwise the test above would say nothing."""
    rng = np.random.default_rng(5)
    _, crl = draw_sizes(rng, 400, (10.0, 14.0))
    rejected = intersects_itself(pose_body(draw_angles(rng, 400), draw_measures(rng, crl)), crl)
    assert 0.05 < rejected.mean() < 0.95


def test_bodies_outgrow_their_sacs_by_their_extents():
    """Landmarks 10, 20 and 30 mm to both sides, a tenth of 60 mm of flesh around them."""
    ends = np.concatenate([np.diag([10.0, 20, 30]), -np.diag([10.0, 20, 30]), np.zeros((10, 3))])
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    beyond = np.full((6, 3), 500.0)  # crown, rump, hands and feet do not count
    landmarks = np.concatenate([ends @ turn.T + [5.0, -40.0, 100.0], beyond])[None]
    ellipsoid_ml = 1.35 * 4 / 3 * np.pi * 16 * 26 * 36 / 1000
    crl = np.array([60.0])
    for factor, expected in ((0.99, True), (1.01, False)):
        sac = np.array([factor * ellipsoid_ml / MAX_FILLED])
        assert outgrows_sac(Posture(landmarks, {}), crl, sac)[0] == expected


def test_spread_out_bodies_need_larger_sacs_than_curled_up_ones(body):
    crl = np.array([CRL_MM])
    stretched = body(shoulder_abduction=90.0, hip_flexion=90.0)
    curled = body(
        shoulder_flexion=60.0, elbow_flexion=100.0, hip_flexion=110.0, hip_abduction=15.0,
        knee_flexion=100.0, spine_flexion=50.0,
    )  # fmt: skip
    sacs = np.arange(5.0, 400.0, 1.0)
    least = [
        sacs[[not outgrows_sac(posture, crl, np.array([ml]))[0] for ml in sacs]].min()
        for posture in (stretched, curled)
    ]
    assert least[1] < 0.7 * least[0]
