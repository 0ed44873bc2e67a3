"""Which limbs are exchanged: the hypotheses by hand, the choice on simulated poses."""

from __future__ import annotations

import numpy as np
import pytest

from fetusmap.anatomy import Segment, Skeleton
from fetusmap.atlas import PoseLibrary, fit_orders
from fetusmap.atlas.limbs import find_exchange, limb_orders
from fetusmap.errors import DegenerateAlignment
from fetusmap.simulate import draw_poses

LIMBS = {
    "arm": ("shoulder", "elbow", "wrist"),
    "forearm": ("elbow", "wrist"),
    "leg": ("hip", "knee", "ankle"),
    "shank": ("knee", "ankle"),
}


@pytest.fixture(scope="module")
def atlases(skeleton):
    return draw_poses(1500, seed=11).on(skeleton)


@pytest.fixture(scope="module")
def library(skeleton):
    """The atlases for which the improvements below were computed."""
    return draw_poses(300, seed=1).on(skeleton)


def order_of(skeleton, names):
    order = np.arange(len(skeleton))
    for name in names:
        left, right = skeleton.index(f"left_{name}"), skeleton.index(f"right_{name}")
        order[[left, right]] = right, left
    return order


def test_each_limb_is_exchanged_whole_or_below_its_root_or_not(skeleton):
    orders = {tuple(order) for order in limb_orders(skeleton)}
    arms = [(), LIMBS["arm"], LIMBS["forearm"]]
    legs = [(), LIMBS["leg"], LIMBS["shank"]]
    assert orders == {tuple(order_of(skeleton, a + b)) for a in arms for b in legs}
    assert np.array_equal(limb_orders(skeleton)[0], np.arange(16))


def test_a_skeleton_without_sides_has_one_hypothesis():
    plain = Skeleton("line", ("a", "b", "c"), (Segment("ab", "a", "b"),), ())
    assert plain.limbs == ()
    assert np.array_equal(limb_orders(plain), [[0, 1, 2]])


def test_a_pair_that_hangs_on_nothing_is_a_limb_of_its_own():
    eyes = Skeleton("eyes", ("nose", "left_eye", "right_eye"), (), (("left_eye", "right_eye"),))
    assert [list(rows) for rows in eyes.limb_index] == [[1]]
    assert np.array_equal(limb_orders(eyes), [[0, 1, 2], [0, 2, 1]])


@pytest.mark.parametrize("limb", LIMBS)
def test_an_exchanged_limb_is_found(limb, skeleton, atlases):
    order = order_of(skeleton, LIMBS[limb])
    rng = np.random.default_rng(3)
    right = 0
    for pose in draw_poses(20, seed=12).on(skeleton).positions_mm.astype(float):
        noisy = pose + rng.normal(0, 0.5, pose.shape)
        right += np.array_equal(find_exchange(noisy[order], np.ones(16), atlases), order)
    assert right >= 19


def test_a_pose_without_a_fault_is_left_alone(atlases, skeleton):
    rng = np.random.default_rng(4)
    for pose in draw_poses(20, seed=13).on(skeleton).positions_mm.astype(float):
        found = find_exchange(pose + rng.normal(0, 0.5, pose.shape), np.ones(16), atlases)
        assert np.array_equal(found, np.arange(16))


@pytest.mark.parametrize(
    ("share", "gain", "clearly"), [(0.555, 0.0041, False), (0.56, 0.0053, True)]
)
def test_an_exchange_must_fit_better_by_half_a_hundredth_of_a_trunk(
    library, skeleton, share, gain, clearly
):
    """A library of one pose, which lies a little nearer to the exchanged forearms."""
    pose = library.positions_mm[0].astype(float)
    order = order_of(skeleton, LIMBS["forearm"])
    between = np.repeat(((1 - share) * pose + share * pose[order])[None], 12, axis=0)
    only = PoseLibrary(skeleton, between)
    scores, _ = fit_orders(pose, np.ones(16), only, np.stack([np.arange(16), order]))
    assert scores[0] - scores[1] == pytest.approx(gain, abs=2e-4)
    expected = order if clearly else np.arange(16)
    assert np.array_equal(find_exchange(pose, np.ones(16), only), expected)


def test_two_landmarks_tell_nothing(atlases):
    pose = np.full((16, 3), np.nan)
    pose[:2] = [[0, 0, 0], [1, 0, 0]]
    with pytest.raises(DegenerateAlignment):
        find_exchange(pose, np.ones(16), atlases)


def test_an_exchanged_limb_among_many_is_found_one_by_one():
    """Eight limbs of two pairs have 6,561 combinations, more than are compared at once."""
    pairs = tuple((f"left_{n}", f"right_{n}") for n in range(16))
    names = ("sacrum", "spine", "neck", *(name for pair in pairs for name in pair))
    segments = tuple(
        Segment(f"{side}_{n}-{n + 1}", f"{side}_{n}", f"{side}_{n + 1}")
        for n in range(0, 16, 2)
        for side in ("left", "right")
    )
    skeleton = Skeleton("spider", names, segments, pairs, trunk=("sacrum", "spine", "neck"))
    assert len(skeleton.limbs) == 8
    rng = np.random.default_rng(4)
    shape = rng.normal(0, 30, (len(names), 3))
    library = PoseLibrary(skeleton, (shape + rng.normal(0, 1, (30, *shape.shape))).astype("f4"))
    expected = order_of(skeleton, ["2", "3", "9", "14", "15"])
    found = find_exchange(shape[expected], np.ones(len(names)), library)
    np.testing.assert_array_equal(found, expected)
