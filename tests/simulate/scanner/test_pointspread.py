"""The point spread against scipy's filters, a point scatterer, and another simulator."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from fetusmap.simulate.media import Medium
from fetusmap.simulate.scanner.echo import Insonification, synthesize
from fetusmap.simulate.scanner.fields import Upsampler
from fetusmap.simulate.scanner.paint import Painting
from fetusmap.simulate.scanner.pointspread import (
    PointSpread,
    band_matrix,
    coherent_gain,
    spread_across,
    spread_along,
)

FWHM_PER_SD = 2 * np.sqrt(2 * np.log(2))
WIDTHS = st.floats(0.3, 4.0)


def taps(sd):
    """Gaussian taps of unit energy out to three standard deviations."""
    reach = int(np.ceil(3 * sd))
    values = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sd) ** 2)
    return values / np.sqrt((values**2).sum())


@given(sd=WIDTHS, count=st.integers(2, 60))
def test_band_matrices_hold_symmetric_taps_of_unit_energy(sd, count):
    matrix = band_matrix(count, sd)
    np.testing.assert_array_equal(matrix, matrix.T)
    expected = ndimage.correlate1d(np.eye(count), taps(sd), axis=0, mode="constant")
    np.testing.assert_allclose(matrix, expected, atol=1e-6)
    middle = matrix[count // 2]
    if count // 2 - int(np.ceil(3 * sd)) >= 0 and count - count // 2 > int(np.ceil(3 * sd)):
        assert (middle**2).sum() == pytest.approx(1, abs=1e-6)
    assert ((matrix**2).sum(axis=1) <= 1 + 1e-6).all()


@given(sd=WIDTHS, rows=st.integers(1, 160), seed=st.integers(0, 99))
def test_blur_along_the_beams_is_a_correlation(sd, rows, seed):
    amplitude = np.random.default_rng(seed).standard_normal((rows, 3, 2), dtype=np.float32)
    out = np.full_like(amplitude, np.nan)
    spread_along(amplitude, PointSpread(sd, np.ones(rows), np.ones(rows)), out)
    expected = ndimage.correlate1d(amplitude.astype(float), taps(sd), axis=0, mode="constant")
    np.testing.assert_allclose(out, expected, atol=1e-5)


@given(theta=WIDTHS, phi=WIDTHS, first=st.integers(0, 20), seed=st.integers(0, 99))
def test_blur_across_the_beams_is_a_correlation_in_both_directions(theta, phi, first, seed):
    rows, shape = 40, (8, 15, 11)
    block = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    # Only the width at the middle range of the block counts.
    widths = [np.full(rows, 9.9), np.full(rows, 9.9)]
    widths[0][first + 4], widths[1][first + 4] = theta, phi
    out = np.full_like(block, np.nan)
    spread_across(block, first, PointSpread(1.0, *widths), out)
    expected = ndimage.correlate1d(block.astype(float), taps(theta), axis=1, mode="constant")
    expected = ndimage.correlate1d(expected, taps(phi), axis=2, mode="constant")
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_the_coherent_gain_is_what_an_even_amplitude_grows_by():
    spread = PointSpread(1.3, np.full(60, 2.1), np.full(60, 0.8))
    even, blurred = np.ones((60, 40, 30), np.float32), np.empty((60, 40, 30), np.float32)
    spread_across(even, 0, spread, blurred)
    spread_along(blurred, spread, even)
    assert even[30, 20, 15] == pytest.approx(coherent_gain(spread, 30), rel=1e-5)
    # Gaussian taps of unit energy and deviation s sum up to sqrt(2 sqrt(pi) s).
    expected = np.prod([np.sqrt(2 * np.sqrt(np.pi) * sd) for sd in (1.3, 2.1, 0.8)])
    assert coherent_gain(spread, 30) == pytest.approx(expected, rel=0.01)


def envelope_of(lattice, scanner, specular):
    """The envelope of mirrors alone."""
    label = np.full(lattice.shape, Medium.OUTSIDE, np.uint8)
    light = Insonification(np.ones(lattice.shape, np.float32), np.zeros(lattice.shape, np.float32))
    texture = np.zeros(lattice.shape, np.float32)
    upsampler = Upsampler((1, 1, 1), lattice.shape)
    return synthesize(Painting(label, specular), lattice, upsampler, light, texture, scanner, 0)


def half_width(profile, step):
    """Full width at half of the peak, between the samples where it is crossed."""
    peak = int(profile.argmax())
    half = profile[peak] / 2
    right = peak + np.flatnonzero(profile[peak:] < half)[0]
    left = np.flatnonzero(profile[:peak] < half)[-1]
    after = right - 1 + (profile[right - 1] - half) / (profile[right - 1] - profile[right])
    before = left + (half - profile[left]) / (profile[left + 1] - profile[left])
    return (after - before) * step


@pytest.mark.parametrize("range_mm", [30.0, 60.0, 90.0])
def test_a_point_is_as_wide_as_the_scanner_says_and_stays_in_its_place(
    scanner, make_lattice, range_mm
):
    lattice = make_lattice(range_mm - 5, range_mm + 5, (9.0, 9.0), density=6.0)
    middle = tuple(n // 2 for n in lattice.shape)
    specular = np.zeros(lattice.shape, np.float32)
    specular[middle] = 1000.0
    envelope = envelope_of(lattice, scanner, specular)
    assert np.unravel_index(envelope.argmax(), envelope.shape) == middle
    r, t, p = middle
    exact = lattice.ranges_mm[r]
    step, turn, swing = lattice.steps
    for profile, width, expected in (
        (envelope[:, t, p], step, scanner.axial_fwhm_mm),
        (envelope[r, :, p], turn * (lattice.probe_radius_mm + exact),
         scanner.lateral_fwhm_mm(exact)),
        (envelope[r, t, :], swing * (lattice.motor_radius_mm + exact),
         scanner.elevation_fwhm_mm(exact)),
    ):  # fmt: skip
        assert half_width(profile, width) == pytest.approx(float(expected), rel=0.02)
    power = envelope.astype(float)
    for axis in range(3):
        along = power.sum(axis=tuple(n for n in range(3) if n != axis))
        center = along @ np.arange(len(along)) / along.sum()
        assert center == pytest.approx(middle[axis], abs=0.05)


@pytest.mark.parametrize("density", [1.2, 2.2, 4.0])
@pytest.mark.parametrize("range_mm", [40.0, 80.0])
def test_an_interface_keeps_its_brightness_whatever_the_lattice_and_the_range(
    scanner, make_lattice, density, range_mm
):
    lattice = make_lattice(range_mm - 8, range_mm + 8, (10.0, 10.0), density)
    specular = np.zeros(lattice.shape, np.float32)
    specular[np.abs(lattice.ranges_mm - range_mm) < 2.5] = 0.7  # five millimetres of it
    envelope = envelope_of(lattice, scanner, specular)
    r, t, p = (n // 2 for n in lattice.shape)
    assert envelope[r, t, p] == pytest.approx(0.7, rel=0.02)


@pytest.mark.parametrize(("depth_mm", "fwhm_mm"), [(30, 0.97), (60, 1.86), (90, 2.75)])
def test_lateral_widths_are_those_measured_with_pymust(scanner, depth_mm, fwhm_mm):
    """Its convex array C5-2v: 3.57 MHz, focused at each depth with 13 mm of aperture."""
    array = replace(scanner, frequency_mhz=3.57, aperture_lateral_mm=13.0, lateral_blur=1.0)
    assert float(array.lateral_fwhm_mm(np.float64(depth_mm))) == pytest.approx(fwhm_mm, rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("elements", "depth_mm"), list(product((24, 26, 28), (30, 60, 90)))
)  # fmt: skip
def test_lateral_widths_agree_with_pymust(scanner, elements, depth_mm):
    """PyMUST's field of some elements of its C5-2v, focused at a depth, there and back again.

    What returns from a point passes the same aperture twice: the square of the field.
    """
    pymust = pytest.importorskip("pymust")
    array = pymust.getparam("C5-2v")
    array.Nelements = elements
    _, _, _, chord = array.getElementPositions()
    reach, chord = array.radius + depth_mm / 1000, float(np.ravel(chord)[0])
    angles = np.radians(np.linspace(-5, 5, 1001))
    delays = pymust.txdelay(0.0, reach - chord, array)
    field = pymust.pfield(
        reach * np.sin(angles), np.array([]), reach * np.cos(angles) - chord, delays, array
    )[0]
    measured = half_width(np.ravel(field) ** 2, reach * 1000 * (angles[1] - angles[0]))

    ours = replace(
        scanner,
        frequency_mhz=array.fc / 1e6,
        aperture_lateral_mm=elements * array.pitch * 1000,
        lateral_blur=1.0,
    )
    assert float(ours.lateral_fwhm_mm(np.float64(depth_mm))) == pytest.approx(measured, rel=0.1)
