"""Affine maps against hand-made matrices, loops over points, and nibabel."""

import nibabel
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from fetusmap.errors import BadInput
from fetusmap.geometry import (
    LPS_FROM_RAS,
    RAS_FROM_LPS,
    Grid,
    affine_from,
    apply_affine,
    check_affine,
    invert_affine,
    is_reflection,
    orientation_of,
)

GRIDS = st.from_type(Grid)
SHEARED = np.array([[2.0, 0.5, 0, 10], [0, 1.5, -0.25, -20], [0, 0, 3, 30], [0, 0, 0, 1]])


def test_lps_from_ras_turns_left_into_right_and_front_into_back_and_keeps_up():
    assert apply_affine(LPS_FROM_RAS, [1.0, 2.0, 3.0]).tolist() == [-1.0, -2.0, 3.0]


def test_lps_from_ras_is_its_own_inverse():
    np.testing.assert_array_equal(LPS_FROM_RAS @ LPS_FROM_RAS, np.eye(4))
    np.testing.assert_array_equal(RAS_FROM_LPS @ LPS_FROM_RAS, np.eye(4))


def test_affine_from_puts_the_linear_part_left_and_the_offset_right():
    affine = affine_from([[1, 2, 3], [4, 5, 6], [7, 8, 9]], [10, 11, 12])
    assert affine.tolist() == [[1, 2, 3, 10], [4, 5, 6, 11], [7, 8, 9, 12], [0, 0, 0, 1]]


def test_apply_affine_agrees_with_homogeneous_products_point_by_point():
    points = np.random.default_rng(0).normal(size=(4, 5, 3))
    expected = [[(SHEARED @ [*p, 1.0])[:3] for p in row] for row in points]
    np.testing.assert_allclose(apply_affine(SHEARED, points), expected, rtol=1e-14)


def test_apply_affine_keeps_rows_of_nan_and_leaves_the_others_alone():
    moved = apply_affine(SHEARED, [[np.nan] * 3, [1.0, 1.0, 1.0]])
    assert np.isnan(moved[0]).all()
    assert moved[1].tolist() == [12.5, -18.75, 33.0]


def test_check_affine_returns_a_float64_copy():
    given_matrix = np.diag([1, 2, 3, 1])
    checked = check_affine(given_matrix)
    assert checked.dtype == np.float64
    given_matrix[0, 0] = 99
    assert checked[0, 0] == 1.0


def test_check_affine_accepts_voxels_of_a_nanometre_and_of_a_kilometre():
    for spacing in (1e-6, 1e6):
        affine = np.diag([spacing, spacing, spacing, 1.0])
        np.testing.assert_array_equal(check_affine(affine), affine)


@pytest.mark.parametrize(
    ("affine", "found"),
    [
        (np.eye(3), "(3, 3)"),
        (np.zeros((4, 4, 1)), "(4, 4, 1)"),
        (np.diag([1, np.nan, 1, 1]), "NaN or infinity"),
        (affine_from(np.eye(3), [0, np.inf, 0]), "NaN or infinity"),
        (np.diag([1, 1, 1, 2]), "last row [0.0, 0.0, 0.0, 2.0]"),
        (SHEARED.T, "last row [10.0, -20.0, 30.0, 1.0]"),
        (np.diag([1, 0, 1, 1]), "singular"),
        (affine_from([[1, 1, 0], [0, 0, 0], [0, 0, 1]], [0, 0, 0]), "singular"),
        (affine_from([[1, 1, 0], [0, 1e-7, 0], [0, 0, 1]], [0, 0, 0]), "singular"),
    ],
)
def test_check_affine_refuses_in_one_line_that_names_what_was_found(affine, found):
    with pytest.raises(BadInput) as error:
        check_affine(affine, "the header of x.nii")
    assert str(error.value).startswith("the header of x.nii: expected ")
    assert found in error.value.found
    assert "\n" not in str(error.value)


@given(grid=GRIDS)
def test_the_inverse_undoes_the_map_and_its_last_row_is_exact(grid):
    inverse = invert_affine(grid.affine)
    np.testing.assert_allclose(inverse @ grid.affine, np.eye(4), atol=1e-10)
    assert inverse[3].tolist() == [0, 0, 0, 1]


def test_invert_affine_agrees_with_a_hand_made_inverse():
    affine = affine_from(np.diag([2.0, -4.0, 0.5]), [10, 20, 30])
    expected = affine_from(np.diag([0.5, -0.25, 2.0]), [-5, 5, -60])
    np.testing.assert_array_equal(invert_affine(affine), expected)


@given(rotation=st.from_type(Rotation))
def test_a_rotation_is_no_reflection_and_becomes_one_when_one_axis_is_negated(rotation):
    affine = affine_from(rotation.as_matrix(), [1, 2, 3])
    assert not is_reflection(affine)
    for axis in range(3):
        flipped = affine.copy()
        flipped[:, axis] *= -1
        assert is_reflection(flipped)


def test_lps_and_ras_have_the_same_handedness():
    assert not is_reflection(LPS_FROM_RAS)


@pytest.mark.parametrize(
    ("columns", "letters"),
    [
        (np.eye(3), "LPS"),
        (np.diag([-1, -1, 1]), "RAS"),
        (np.diag([1, -1, -1]), "LAI"),
        ([[0, 0, -1], [1, 0, 0], [0, -1, 0]], "PIR"),
    ],
)
def test_orientation_of_names_hand_made_axes(columns, letters):
    assert orientation_of(affine_from(columns, [5, 6, 7])) == letters


@given(grid=GRIDS)
def test_orientation_agrees_with_nibabel_where_each_axis_has_its_own_nearest_direction(grid):
    assume(len(set(np.abs(grid.direction).argmax(axis=0))) == 3)
    # nibabel speaks of RAS.
    assert orientation_of(grid.affine) == "".join(
        nibabel.aff2axcodes(RAS_FROM_LPS @ grid.affine, labels=(("L", "R"), ("P", "A"), ("I", "S")))
    )


@given(grid=GRIDS)
def test_orientation_pairs_axes_and_directions_with_the_largest_total_cosine(grid):
    pairs = ("RL", "AP", "IS")
    letters = orientation_of(grid.affine)
    rows = [next(w for w, pair in enumerate(pairs) if letter in pair) for letter in letters]
    assert sorted(rows) == [0, 1, 2]
    cosines = np.abs(grid.direction)
    best = cosines[linear_sum_assignment(cosines, maximize=True)].sum()
    assert cosines[rows, [0, 1, 2]].sum() == pytest.approx(best, abs=1e-12)
    for axis, (row, letter) in enumerate(zip(rows, letters, strict=True)):
        assert letter == pairs[row][int(grid.direction[row, axis] > 0)]
