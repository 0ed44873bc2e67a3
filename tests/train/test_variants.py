"""Variants of held-out cases: what they hide is not visible, and everything else stays."""

from dataclasses import replace

import numpy as np
import pytest

from fetusmap.anatomy import reference_pose
from fetusmap.atlas import body_sizes_mm
from fetusmap.train.corruptions import CORRUPTIONS
from fetusmap.train.variants import (
    BODY_RADIUS,
    CALIBRATED_CORRUPTIONS,
    LIMB_RADIUS,
    corrupted,
    shows_whole_body,
    variants_of,
    without_body,
    without_limb,
    without_what_lies_beyond_a_plane,
)


@pytest.fixture(scope="module")
def case(make_case):
    """The example pose with blobs at its landmarks on speckle."""
    return make_case(reference_pose(60.0).positions_mm, speckle=20.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_every_case_is_cut_off_and_every_second_one_is_corrupted_or_loses_a_limb(case, skeleton):
    kinds = [[v.kind for v in variants_of(case, skeleton, n, rng(n))] for n in range(3)]
    assert kinds == [["partial", "corrupted"], ["partial", "partial"], ["partial", "corrupted"]]
    assert set(CALIBRATED_CORRUPTIONS) < set(CORRUPTIONS)


def test_a_variant_is_a_function_of_the_case_and_the_generator(case, skeleton):
    before = case.array.copy()
    first, second = (list(variants_of(case, skeleton, 1, rng(4))) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.case.array, other.case.array)
        np.testing.assert_array_equal(one.hidden, other.hidden)
    np.testing.assert_array_equal(case.array, before)


@pytest.mark.parametrize("seed", range(6))
def test_what_lies_beyond_a_plane_is_hidden_and_blank(case, seed):
    made = without_what_lies_beyond_a_plane(case, rng(seed))
    assert 0 < made.hidden.sum() < 0.8 * len(made.hidden)
    np.testing.assert_array_equal(made.case.visible, ~made.hidden)
    index = np.rint(case.grid.to_index(case.positions_mm)).astype(int)
    deep = made.case.array[tuple(index.T)] > 0
    assert (deep != made.hidden).mean() > 0.9  # but for voxels that the plane crosses


def test_a_crop_hides_the_landmarks_outside_its_box(case):
    made = next(m for m in (corrupted(case, "crop", rng(s)) for s in range(20)) if m.hidden.any())
    np.testing.assert_array_equal(made.hidden, ~made.case.grid.contains(case.positions_mm))
    np.testing.assert_array_equal(made.case.visible, ~made.hidden)


def test_a_lost_limb_is_overwritten_below_the_middle_of_its_first_bone(case, skeleton):
    made = without_limb(case, skeleton, rng())
    names = {skeleton.landmarks[row] for row in np.flatnonzero(made.hidden)}
    assert names in (
        {f"{side}_{a}", f"{side}_{b}"}
        for side in ("left", "right")
        for a, b in (("elbow", "wrist"), ("knee", "ankle"))
    )
    changed = case.grid.centers_mm()[made.case.array != case.array]
    lost = case.positions_mm[made.hidden]
    size_mm = float(body_sizes_mm(skeleton, case.positions_mm))
    between = lost[0] + np.linspace(-0.5, 1, 60)[:, None] * (lost[1] - lost[0])
    assert np.linalg.norm(changed[:, None] - between, axis=-1).min(axis=1).min() < 1.0
    index = np.rint(case.grid.to_index(lost)).astype(int)
    assert (made.case.array[tuple(index.T)] < 60).all()  # the blobs are gone
    assert len(changed) < 4 * np.pi * (LIMB_RADIUS * size_mm) ** 2 * 40


def test_without_its_body_a_case_shows_no_landmark(case, skeleton):
    made = without_body(case, skeleton, rng())
    assert not made.visible.any()
    size_mm = float(body_sizes_mm(skeleton, case.positions_mm))
    centers = case.grid.centers_mm().reshape(-1, 3)
    nearest = np.linalg.norm(centers[:, None] - case.positions_mm, axis=-1).min(axis=1)
    near = nearest < 0.9 * BODY_RADIUS * size_mm
    assert made.array.reshape(-1)[near].max() <= np.percentile(case.array, 12) + 1


def test_what_is_not_known_is_not_erased(case, skeleton):
    """An arm without a wrist is left alone, and so are all limbs of a body without a size."""
    points = case.positions_mm.copy()
    points[skeleton.indices(("left_wrist", "right_elbow", "left_knee"))] = np.nan
    partly = replace(case, positions_mm=points, visible=np.isfinite(points).all(axis=1))
    assert shows_whole_body(case, skeleton)
    assert not shows_whole_body(partly, skeleton)
    for seed in range(5):
        hidden = without_limb(partly, skeleton, rng(seed)).hidden
        names = [skeleton.landmarks[row] for row in np.flatnonzero(hidden)]
        assert names == ["right_knee", "right_ankle"]
    points[skeleton.index("neck")] = np.nan
    headless = replace(partly, positions_mm=points)
    assert [v.kind for v in variants_of(headless, skeleton, 1, rng())] == ["partial"]  # the cut
