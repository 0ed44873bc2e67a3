"""Interpolated values against SciPy, which computes each voxel by itself, and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation

from fetusmap.geometry import affine_from
from fetusmap.volume import interpolate_linearly
from fetusmap.volume import interpolation as module


def by_scipy(array: np.ndarray, source_from_target: np.ndarray, shape) -> np.ndarray:
    """Trilinear interpolation in double precision; beyond the edge there is 0."""
    linear, offset = source_from_target[:3, :3], source_from_target[:3, 3]
    return ndimage.affine_transform(
        array.astype(np.float64), linear, offset, shape, order=1, mode="grid-constant"
    )


@pytest.mark.parametrize("max_exact", [module.MAX_EXACT, 0])
@given(
    rotation=st.from_type(Rotation),
    scale=st.floats(0.2, 4.0),
    shift=st.tuples(*[st.floats(-15.0, 15.0)] * 3),
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    source=st.tuples(*[st.integers(1, 12)] * 3),
    flipped=st.booleans(),
)
def test_equal_to_scipy_to_a_thousandth_of_a_grey_level(
    max_exact, rotation, scale, shift, shape, source, flipped
):
    """Also for sources of one voxel, far beyond the edge, and with indices in double precision."""
    array = np.random.default_rng(0).integers(0, 256, source, np.uint8)
    linear = scale * rotation.as_matrix() * ([-1, 1, 1] if flipped else 1)
    source_from_target = affine_from(linear, shift)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_EXACT", max_exact)
        found = interpolate_linearly(array, source_from_target, shape)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_scipy(array, source_from_target, shape), atol=2e-3)


def test_whole_positions_are_the_voxels_and_beyond_the_edge_there_is_nothing():
    array = np.arange(1, 25, dtype=np.uint8).reshape(2, 3, 4)
    found = interpolate_linearly(array, affine_from(np.eye(3), (-2, -1, -3)), (6, 6, 9))
    expected = np.zeros((6, 6, 9))
    expected[2:4, 1:4, 3:7] = array
    np.testing.assert_array_equal(found, expected)


def test_between_the_edge_and_the_next_voxel_the_value_falls_to_0():
    found = interpolate_linearly(
        np.full((1, 1, 2), 80, np.uint8),
        affine_from(np.diag([1, 1, 0.25]), (0, 0, -1.25)),
        (1, 1, 14),
    )
    fall = [0, 0, 20, 40, 60, 80, 80, 80, 80, 80, 60, 40, 20, 0]
    np.testing.assert_allclose(found[0, 0], fall)
