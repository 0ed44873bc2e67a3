"""Grey levels by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetusmap.simulate.scanner.display import grey_curve, to_decibels, to_grey

SHAPE = (40, 30, 20)


def test_decibels_by_hand():
    envelope = np.full(SHAPE, 1.0, np.float32)
    envelope[0], envelope[1], envelope[2] = 10.0, 0.1, 0.0
    level = to_decibels(envelope)
    assert level is envelope  # in place: large temporaries cost time
    np.testing.assert_allclose(level[0], 20, atol=1e-5)
    np.testing.assert_allclose(level[1], -20, atol=1e-5)
    np.testing.assert_allclose(level[2], -180, atol=1e-4)
    np.testing.assert_allclose(level[3:], 0, atol=1e-6)


def levels(scanner, *parts):
    """Rows at 0 dB, but for some that lie parts of the dynamic range below."""
    level = np.zeros(SHAPE, np.float32)
    for row, part in enumerate(parts):
        level[row] = -part * scanner.dynamic_range_db
    return level


def test_grey_falls_evenly_from_white_to_black_over_the_dynamic_range(scanner):
    grey = to_grey(levels(scanner, 0.25, 0.5, 0.75, 1.0, 1.5), scanner)
    np.testing.assert_allclose(grey[[0, 1, 2, 3, 4, 5]].mean(axis=(1, 2)),
                               [191.25, 127.5, 63.75, 0, 0, 255], atol=0.3)  # fmt: skip


@pytest.mark.parametrize("offset_db", [-40.0, 25.0])
def test_gain_is_automatic(scanner, offset_db):
    one = to_grey(levels(scanner, 0.25, 0.5), scanner)
    other = to_grey(levels(scanner, 0.25, 0.5) + np.float32(offset_db), scanner)
    np.testing.assert_allclose(one, other, atol=0.3)


def test_headroom_keeps_the_brightest_below_white(scanner):
    half = replace(scanner, headroom=0.5)
    np.testing.assert_allclose(to_grey(levels(half), half), 127.5, atol=0.3)


@given(gamma=st.floats(0.4, 2.0), contrast=st.floats(0.0, 1.0))
def test_curves_rise_from_black_to_white(scanner, gamma, contrast):
    curve = grey_curve(replace(scanner, gamma=gamma, contrast=contrast))
    assert curve[0] == 0
    assert curve[-1] == pytest.approx(255)
    assert (np.diff(curve) >= 0).all()


def test_curves_by_hand(scanner):
    plain = grey_curve(replace(scanner, gamma=1.0, contrast=0.0))
    np.testing.assert_allclose(plain, np.linspace(0, 255, len(plain)), atol=1e-3)
    squared = grey_curve(replace(scanner, gamma=2.0, contrast=0.0))
    np.testing.assert_allclose(squared / 255, (plain / 255) ** 2, atol=1e-5)
    level = plain / 255
    steep = grey_curve(replace(scanner, gamma=1.0, contrast=1.0)) / 255
    np.testing.assert_allclose(steep, 3 * level**2 - 2 * level**3, atol=1e-5)


def test_smoothing_and_sharpening_leave_even_regions_alone(scanner):
    filtered = replace(scanner, smoothing=0.9, edge_enhancement=0.7)
    np.testing.assert_allclose(to_grey(levels(filtered), filtered), 255, atol=1e-3)
    flat = levels(scanner)
    flat[:, :, 10:] = -0.5 * scanner.dynamic_range_db  # across the sweep nothing is filtered
    np.testing.assert_allclose(
        to_grey(flat.copy(), filtered), to_grey(flat.copy(), scanner), atol=0.3
    )


def test_smoothing_works_across_the_beams_and_sharpening_along_them(scanner):
    """A single brighter sample: 1/4, 1/2, 1/4 to its sides; up and down the edges are drawn out."""
    background, peak = 0.6, 0.2  # below white, parts of the dynamic range
    level = np.full((40, 30, 20), -background * scanner.dynamic_range_db, np.float32)
    level[::5, ::3, ::3] = 0.0  # what the automatic gain looks at
    level[18:28, 9:21] = -background * scanner.dynamic_range_db
    level[23, 14] = -(background - peak) * scanner.dynamic_range_db

    def bump(**knobs):
        grey = to_grey(level.copy(), replace(scanner, **knobs)) / 255 - (1 - background)
        return grey[:, :, 1] / peak

    smooth = bump(smoothing=1.0)
    np.testing.assert_allclose(smooth[23, 12:17], [0, 0.25, 0.5, 0.25, 0], atol=0.02)
    sharp = bump(edge_enhancement=1.0)
    np.testing.assert_allclose(sharp[21:26, 14], [0, -0.25, 1.5, -0.25, 0], atol=0.02)
    np.testing.assert_allclose(sharp[23, 12:17], [0, 0, 1.5, 0, 0], atol=0.02)


def test_sharpening_leaves_an_even_slope_as_it_is(scanner):
    slope = np.linspace(0, -0.9 * scanner.dynamic_range_db, 40, dtype=np.float32)
    level = np.broadcast_to(slope[:, None, None], SHAPE).copy()
    plain = to_grey(level.copy(), scanner)
    sharp = to_grey(level.copy(), replace(scanner, edge_enhancement=0.7))
    np.testing.assert_allclose(sharp[1:-1], plain[1:-1], atol=0.3)
