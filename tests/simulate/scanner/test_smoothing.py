"""Smoothing by dense products against scipy's taps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from fetusmap.simulate.scanner.smoothing import smooth

SDS = st.tuples(*[st.one_of(st.just(0.0), st.floats(0.3, 6.0))] * 3)
FIELDS = arrays(
    np.float32,
    st.tuples(*[st.integers(1, 12)] * 3),
    elements=st.floats(-100, 100, width=32),
)


@given(shape=st.tuples(*[st.integers(1, 12)] * 3), sds=SDS, level=st.floats(-50, 50))
def test_even_fields_stay_as_they_are_up_to_their_borders(shape, sds, level):
    field = np.full(shape, level, np.float32)
    np.testing.assert_allclose(smooth(field, sds), field, rtol=1e-5, atol=1e-5)


@given(field=FIELDS, sds=SDS)
def test_what_lies_outside_counts_for_nothing(field, sds):
    """Taps over zeros outside, divided by what the taps over ones give."""

    def blurred(values):
        for axis, sd in enumerate(sds):
            if sd > 0:
                values = ndimage.gaussian_filter1d(
                    values.astype(float), sd, axis=axis, mode="constant", truncate=12
                )
        return values

    expected = blurred(field) / blurred(np.ones_like(field))
    found = smooth(field, sds)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-3)


def test_a_spike_becomes_a_gaussian():
    field = np.zeros((61, 1, 1), np.float32)
    field[30] = 1
    found = smooth(field, (4.0, 0.0, 0.0))[:, 0, 0]
    where = np.arange(61) - 30
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert (found * where**2).sum() == pytest.approx(16, rel=1e-3)


def test_nothing_to_smooth_leaves_the_field():
    field = np.random.default_rng(0).standard_normal((4, 5, 6), dtype=np.float32)
    np.testing.assert_array_equal(smooth(field, (0.0, 0.0, 0.0)), field)
