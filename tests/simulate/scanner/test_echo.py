"""Speckle statistics, levels and shadows against theory."""

from dataclasses import replace

import numpy as np
import pytest

from fetusmap.simulate.media import Medium, property_of_media
from fetusmap.simulate.scanner.echo import Insonification, insonify, synthesize
from fetusmap.simulate.scanner.fields import Upsampler
from fetusmap.simulate.scanner.paint import Painting
from fetusmap.simulate.scanner.probe import Dropout

ONE = (1, 1, 1)
EDGE = 14  # samples that the point spread may carry something into from outside


def decibels(power):
    return 10 * np.log10(power)


def painting_of(label):
    return Painting(label.astype(np.uint8), np.zeros(label.shape, np.float32))


def even(lattice, medium=Medium.FETAL_TISSUE):
    return painting_of(np.full(lattice.shape, medium))


def light(lattice, gain=1.0, background=0.0):
    return Insonification(*(np.full(lattice.shape, v, np.float32) for v in (gain, background)))


def envelope_of(painting, lattice, scanner, insonification=None, seed=1, texture=0.0):
    return synthesize(
        painting,
        lattice,
        Upsampler(ONE, lattice.shape),
        insonification or light(lattice),
        np.full(lattice.shape, texture, np.float32),
        scanner,
        seed,
    )


def inner(field):
    return field[(slice(EDGE, -EDGE),) * 3].astype(float)


@pytest.fixture(scope="module")
def lattice(make_lattice):
    """A block around 60 mm, sampled as in the full preset."""
    return make_lattice(42, 78, (30.0, 32.0), 2.2)


@pytest.fixture(scope="module")
def speckle(lattice, scanner):
    """Fully developed speckle of fetal tissue, with one, two and three compounding frames."""
    return {
        frames: inner(
            envelope_of(even(lattice), lattice, replace(scanner, compounding_frames=frames))
        )
        for frames in (1, 2, 3)
    }


def test_the_envelope_of_speckle_has_the_signal_to_noise_ratio_of_rayleighs_distribution(speckle):
    """sqrt(pi / (4 - pi)) = 1.913."""
    assert speckle[1].mean() / speckle[1].std() == pytest.approx(1.91, abs=0.02)


def test_compressed_speckle_has_its_standard_deviation(speckle):
    """The logarithm of an exponential variable has variance pi^2 / 6: 10 / ln 10 times its root."""
    found = (2 * decibels(speckle[1])).std()
    assert found == pytest.approx(5.57, abs=0.05)


def test_the_mean_power_of_speckle_is_the_level_in_the_table(speckle):
    """Within 1 %: the mean of some hundred thousand independent exponential variables."""
    level = float(property_of_media("echo")[Medium.FETAL_TISSUE])
    assert (speckle[1] ** 2).mean() == pytest.approx(10 ** (level / 10), rel=0.01)


def test_speckle_has_the_same_power_at_every_range(speckle):
    """Although the point spread widens."""
    by_range = (speckle[1] ** 2).mean(axis=(1, 2))
    thirds = [part.mean() / by_range.mean() for part in np.array_split(by_range, 3)]
    np.testing.assert_allclose(thirds, 1, atol=0.03)


@pytest.mark.parametrize("frames", [2, 3])
def test_compounding_divides_the_contrast_of_speckle_by_the_root_of_its_frames(speckle, frames):
    """The mean of n independent variables keeps their mean and has 1 / n of their variance."""
    one, several = (speckle[n].mean() / speckle[n].std() for n in (1, frames))
    assert several / one == pytest.approx(np.sqrt(frames), rel=0.015)
    assert speckle[frames].mean() == pytest.approx(speckle[1].mean(), rel=0.005)


def autocovariance(field, axis, lag):
    """Correlation of a field with itself, `lag` samples further."""
    moved = np.moveaxis(field, axis, 0)
    first, second = moved[: len(moved) - lag], moved[lag:]
    return ((first - first.mean()) * (second - second.mean())).mean() / field.var()


@pytest.fixture(scope="module")
def fine_lattice(make_lattice):
    """Around 60 mm, where the width of the point spread hardly changes, finely sampled."""
    return make_lattice(55, 65, (26.0, 28.0), 4.0)


@pytest.fixture(scope="module")
def fine_intensity(fine_lattice, scanner):
    return inner(envelope_of(even(fine_lattice), fine_lattice, scanner, seed=3)) ** 2


@pytest.mark.parametrize(
    ("axis", "design_mm"), [(0, 0.62), (1, 1.9), (2, 2.5)], ids=["axial", "lateral", "elevation"]
)
def test_speckle_is_as_long_as_the_point_spread_at_60_mm(
    scanner, fine_lattice, fine_intensity, axis, design_mm
):
    """The full width at half maximum of the intensity's autocovariance is that of the point spread.

    White noise through h(d) = exp(-d^2 / 2 s^2) has a field whose autocorrelation is that of h:
    g(d) = exp(-d^2 / 4 s^2). The intensity of a complex normal field has the autocovariance |g|^2
    (Siegert), exp(-d^2 / 2 s^2): h again, of width 2 s sqrt(2 ln 2). Its log is linear in d^2.
    """
    width = (
        fine_lattice.steps[0],
        fine_lattice.steps[1] * (fine_lattice.probe_radius_mm + 60),
        fine_lattice.steps[2] * (fine_lattice.motor_radius_mm + 60),
    )[axis]
    squares = (np.array([1, 2, 3]) * width) ** 2
    logs = np.log([autocovariance(fine_intensity, axis, lag) for lag in (1, 2, 3)])
    found = 2 * np.sqrt(-np.log(2) * (squares @ squares) / (squares @ logs))
    exact = (
        scanner.axial_fwhm_mm,
        float(scanner.lateral_fwhm_mm(np.float64(60))),
        float(scanner.elevation_fwhm_mm(np.float64(60))),
    )[axis]
    assert found == pytest.approx(design_mm, rel=0.08)
    assert found == pytest.approx(exact, rel=0.05)


def test_speckle_depends_on_its_seed_alone(make_lattice, scanner):
    lattice = make_lattice(58, 62, (6.0, 6.0))
    one, again, other = (
        envelope_of(even(lattice), lattice, scanner, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] < 0.1


@pytest.mark.parametrize(
    ("medium", "other"),
    [
        (Medium.PLACENTA, Medium.MYOMETRIUM),
        (Medium.FETAL_TISSUE, Medium.BRAIN),
        (Medium.LIVER, Medium.AMNIOTIC_FLUID),
    ],
)
def test_two_media_side_by_side_differ_by_their_levels(lattice, scanner, medium, other):
    label = np.full(lattice.shape, medium)
    half = lattice.shape[1] // 2
    label[:, half:] = other
    power = envelope_of(painting_of(label), lattice, scanner).astype(float) ** 2
    power = power[EDGE:-EDGE, :, EDGE:-EDGE]
    left, right = power[:, EDGE : half - EDGE].mean(), power[:, half + EDGE : -EDGE].mean()
    levels = property_of_media("echo")
    expected = float(levels[medium] - levels[other])
    assert decibels(left / right) == pytest.approx(expected, abs=0.15)


def test_texture_changes_the_level_by_the_mediums_deviation(make_lattice, scanner):
    """One deviation of fat is 3.5 dB; a change in amplitude of that part, to first order."""
    lattice = make_lattice(53, 67, (14.0, 16.0))
    still, waved = (
        (inner(envelope_of(even(lattice, Medium.FAT), lattice, scanner, texture=t)) ** 2).mean()
        for t in (0.0, 1.0)
    )
    part = float(property_of_media("texture")[Medium.FAT]) * np.log(10) / 20
    assert np.sqrt(waved / still) == pytest.approx(1 + part, rel=1e-3)


def gain_db(painting, lattice, probe, factors=ONE):
    return 2 * decibels(insonify(painting, lattice, factors, probe).gain.astype(float))


@pytest.mark.parametrize("medium", [Medium.MYOMETRIUM, Medium.FAT, Medium.AMNIOTIC_FLUID])
@pytest.mark.parametrize("factors", [(1, 1, 1), (4, 2, 2)])
def test_a_slab_takes_its_attenuation_there_and_back(lattice, scanner, make_probe, medium, factors):
    """2 f0 alpha d decibels."""
    label = np.full(lattice.shape, Medium.OUTSIDE)
    rows = slice(20, 60)
    label[rows] = medium
    alpha = float(property_of_media("attenuation")[medium])
    thick_cm = 40 * lattice.steps[0] / 10
    found = gain_db(painting_of(label), lattice, make_probe(), factors)
    assert found.shape == lattice.decimated(factors).shape
    np.testing.assert_allclose(found[: 20 // factors[0]], 0, atol=1e-4)
    expected = -2 * scanner.frequency_mhz * alpha * thick_cm
    np.testing.assert_allclose(found[-(-60 // factors[0]) :], expected, rtol=1e-3, atol=1e-4)


def test_the_knob_scales_attenuation(lattice, scanner, make_probe):
    usual = gain_db(even(lattice), lattice, make_probe())
    harder = make_probe(scanner=replace(scanner, attenuation=1.5))
    np.testing.assert_allclose(gain_db(even(lattice), lattice, harder), 1.5 * usual, atol=1e-3)


def test_full_compensation_leaves_even_tissue_as_bright_as_it_is(lattice, scanner, make_probe):
    probe = make_probe(scanner=replace(scanner, attenuation_compensated=1.0))
    np.testing.assert_allclose(gain_db(even(lattice), lattice, probe), 0, atol=1e-3)


def test_gain_slopes_and_errors_are_in_decibels(lattice, scanner, make_probe):
    nothing = even(lattice, Medium.OUTSIDE)
    sloped = make_probe(scanner=replace(scanner, gain_slope_db_per_cm=0.7))
    found = gain_db(nothing, lattice, sloped)
    length_cm = (lattice.ranges_mm[-1] - lattice.ranges_mm[0]) / 10
    np.testing.assert_allclose(found[-1] - found[0], 0.7 * length_cm, atol=1e-3)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-3)
    wrong = make_probe(gain_knots_db=np.array([3.0, 0, 0, 0, 0, -2.0]))
    found = gain_db(nothing, lattice, wrong)
    np.testing.assert_allclose(found[0], 3, atol=1e-3)
    np.testing.assert_allclose(found[-1], -2, atol=1e-3)
    np.testing.assert_allclose(found[len(found) // 2], 0, atol=1e-3)


@pytest.mark.parametrize(("axis", "name"), [(1, "theta"), (2, "phi")])
def test_a_sector_without_contact_is_darkest_in_its_middle(lattice, make_probe, axis, name):
    sector = Dropout(axis=name, center=0.25, width=0.05, depth_db=9.0)
    found = gain_db(even(lattice, Medium.OUTSIDE), lattice, make_probe(dropouts=(sector,)))
    profile = np.moveaxis(found[0], axis - 1, 0)[:, 0]
    assert profile.min() == pytest.approx(-9, abs=0.3)
    assert profile.argmin() / (len(profile) - 1) == pytest.approx(0.75, abs=0.02)
    one_deviation = round(0.80 * (len(profile) - 1))
    assert profile[one_deviation] == pytest.approx(-9 * np.exp(-0.5), abs=0.6)
    assert profile[0] == pytest.approx(0, abs=1e-3)


def test_frames_flicker_each_on_its_own(lattice, scanner, make_probe):
    probe = make_probe(scanner=replace(scanner, frame_flicker_db=0.5))
    found = gain_db(even(lattice, Medium.OUTSIDE), lattice, probe)
    np.testing.assert_allclose(found, np.broadcast_to(found[:1, :1], found.shape), atol=1e-3)
    assert found[0, 0].std() == pytest.approx(0.5, rel=0.35)
    again = gain_db(even(lattice, Medium.OUTSIDE), lattice, probe)
    np.testing.assert_array_equal(found, again)


def with_block(lattice, medium, rows, part=3):
    """Tissue with a block of another medium, in the middle third of the beams."""
    label = np.full(lattice.shape, Medium.FETAL_TISSUE)
    middle = [slice(n // part, n - n // part) for n in lattice.shape[1:]]
    label[rows, middle[0], middle[1]] = medium
    return painting_of(label), middle


@pytest.mark.parametrize(
    ("medium", "millimetres"),
    [(Medium.AMNIOTIC_FLUID, 12.0), (Medium.LONG_BONE, 2.0)],
    ids=["brighter behind fluid", "darker behind bone"],
)
def test_what_lies_behind_is_brighter_or_darker_by_what_was_lost(
    lattice, scanner, make_probe, medium, millimetres
):
    count = round(millimetres / lattice.steps[0])
    rows = slice(EDGE, EDGE + count)
    painting, middle = with_block(lattice, medium, rows)
    alpha = property_of_media("attenuation")
    lost = float(alpha[medium] - alpha[Medium.FETAL_TISSUE]) * count * lattice.steps[0] / 10
    expected = -2 * scanner.frequency_mhz * lost
    insonification = insonify(painting, lattice, ONE, make_probe())
    power = envelope_of(painting, lattice, scanner, insonification).astype(float) ** 2
    behind = slice(EDGE + count + 10, EDGE + count + 30)
    inside = tuple(slice(m.start + 12, m.stop - 12) for m in middle)
    shadow = power[(behind, *inside)].mean()
    beside = power[behind, EDGE : middle[0].start - 12, EDGE:-EDGE].mean()
    assert abs(expected) > 3
    assert decibels(shadow / beside) == pytest.approx(expected, abs=0.5)


def test_a_lateral_gain_takes_some_of_a_wide_shadow_away(lattice, scanner, make_probe):
    painting, middle = with_block(lattice, Medium.LONG_BONE, slice(20, 26))
    t, p = (m.start + (m.stop - m.start) // 2 for m in middle)
    depths = []
    for part in (0.0, 0.7):
        probe = make_probe(scanner=replace(scanner, lateral_compensated=part))
        found = gain_db(painting, lattice, probe)
        depths.append(found[-1, t, p] - found[-1, EDGE, EDGE])
    assert depths[0] < depths[1] < -3


def test_haze_lies_below_tissue_by_what_it_is_said_to(lattice, scanner, make_probe):
    tissue = 10 ** (float(property_of_media("echo")[Medium.FETAL_TISSUE]) / 10)
    nothing = even(lattice, Medium.OUTSIDE)
    hazy = make_probe(scanner=replace(scanner, haze_db=-20.0, haze_length_mm=15.0))
    background = insonify(nothing, lattice, ONE, hazy).background
    expected = tissue * 0.01 * np.exp(-lattice.ranges_mm / 15)
    np.testing.assert_allclose(background[:, 5, 5], expected, rtol=0.01)
    # And so it comes out in the envelope, where there is nothing else.
    envelope = inner(envelope_of(nothing, lattice, scanner, light(lattice, 1.0, 0.01 * tissue)))
    assert decibels((envelope**2).mean() / tissue) == pytest.approx(-20, abs=0.05)


def test_noise_rises_with_depth_and_is_one_beam_wide(lattice, scanner):
    """So many decibels below tissue at 60 mm; what it adds is independent of what is there."""
    level = float(property_of_media("echo")[Medium.FETAL_TISSUE])
    noisy = replace(scanner, noise_db=-30.0, noise_slope_db_per_cm=1.0)
    envelope = envelope_of(even(lattice, Medium.OUTSIDE), lattice, noisy).astype(float)
    kept = slice(EDGE, -EDGE)
    by_range = (envelope[kept] ** 2).mean(axis=(1, 2))
    expected = level - 30 + (lattice.ranges_mm[kept] - 60) / 10
    np.testing.assert_allclose(decibels(by_range), expected, atol=0.4)
    assert (decibels(by_range) - expected).mean() == pytest.approx(0, abs=0.1)
    intensity = envelope[kept] ** 2 / by_range[:, None, None]
    for axis in (1, 2):
        assert abs(autocovariance(intensity, axis, 1)) < 0.02
    assert autocovariance(intensity, 0, 1) > 0.3  # along the beam it is filtered like echoes
    # In tissue as strong as the noise at 60 mm the powers add up.
    gain = light(lattice, 10 ** (-30 / 20))
    both = inner(envelope_of(even(lattice), lattice, replace(noisy, noise_slope_db_per_cm=0), gain))
    assert decibels((both**2).mean()) == pytest.approx(level - 30 + decibels(2), abs=0.06)


def test_clutter_spills_from_bright_tissue_into_fluid(lattice, scanner, make_probe):
    """Far from the border it is the tissue's power less what the knob says, or nothing."""
    label = np.full(lattice.shape, Medium.FETAL_TISSUE)
    label[:, lattice.shape[1] // 2 :] = Medium.AMNIOTIC_FLUID
    probe = make_probe(scanner=replace(scanner, clutter_db=-25.0, attenuation_compensated=1.0))
    probe = replace(probe, scanner=replace(probe.scanner, attenuation=0.0))
    power = insonify(painting_of(label), lattice, ONE, probe).background.astype(float)
    tissue = 10 ** (float(property_of_media("echo")[Medium.FETAL_TISSUE]) / 10)
    middle = power[lattice.shape[0] // 2, :, lattice.shape[2] // 2]
    assert decibels(middle[10] / tissue) == pytest.approx(-25, abs=0.2)
    # On the border one half of the neighbourhood is bright: 3 dB less.
    assert decibels(middle[lattice.shape[1] // 2] / tissue) == pytest.approx(-28, abs=0.3)
    assert (np.diff(middle[20:-20]) <= 1e-12).all()
    assert middle[-10] < 0.05 * middle[10]
