"""Scanners within their tables, knobs that do what they say, resolutions by hand."""

from dataclasses import asdict, fields, replace

import numpy as np
import pytest

from fetusmap.errors import BadInput
from fetusmap.simulate import HARD, Difficulty, SimulationSettings, profiles
from fetusmap.simulate.scanner.scanner import Scanner, draw_scanner
from fetusmap.simulate.tables import table

DRAWN = {entry.name for entry in fields(Scanner)} - {"compounding_frames", "attenuation"}
SHIFTED = [name for name in profiles() if name.startswith("shifted")]


def draw_many(profile="usual", count=300, **knobs):
    rng = np.random.default_rng(0)
    return [draw_scanner(rng, profile, Difficulty(**knobs)) for _ in range(count)]


def test_the_table_names_every_field_of_a_scanner_and_no_other():
    numbers = table("scanner/scanners")
    assert set(numbers["usual"]) == DRAWN
    for name, ranges in numbers["profiles"].items():
        assert set(ranges) <= DRAWN, name
    assert profiles() == ("usual", *numbers["profiles"])
    for ranges in (numbers["usual"], *numbers["profiles"].values()):
        assert all(low <= high for low, high in ranges.values())


@pytest.mark.parametrize("profile", profiles())
def test_drawn_numbers_lie_in_their_ranges_and_use_them(profile):
    numbers = table("scanner/scanners")
    ranges = {**numbers["usual"], **numbers["profiles"].get(profile, {})}
    drawn = draw_many(profile)
    for name, (low, high) in ranges.items():
        values = np.array([getattr(one, name) for one in drawn])
        assert low <= values.min() <= values.max() <= high, name
        assert values.max() - values.min() >= 0.9 * (high - low), name
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.1 * (high - low) + 1e-9), name


def test_the_usual_ranges_are_those_of_common_volume_probes():
    usual = table("scanner/scanners")["usual"]
    for name, low, high in (
        ("frequency_mhz", 2.8, 5.0), ("bandwidth", 0.45, 0.75), ("probe_radius_mm", 38, 60),
        ("motor_radius_mm", 22, 40), ("lateral_field_deg", 60, 80), ("sweep_deg", 50, 85),
    ):  # fmt: skip
        assert tuple(usual[name]) == (low, high), name


@pytest.mark.parametrize("profile", SHIFTED)
def test_shifted_scanners_lie_outside_of_the_usual_ranges(profile):
    """All their numbers but one: a sharp scanner does not smooth, as some usual ones do not."""
    numbers = table("scanner/scanners")
    inside = set()
    for name, (low, high) in numbers["profiles"][profile].items():
        usual_low, usual_high = numbers["usual"][name]
        if low <= usual_high and usual_low <= high:
            inside.add(name)
    assert inside == ({"smoothing"} if profile == "shifted-sharp" else set())


def test_there_are_shifted_scanners():
    assert len(SHIFTED) >= 3


def test_the_reference_scanner_resolves_as_designed_at_60_mm():
    """0.62, 1.9 and 2.5 mm."""
    scanner = draw_scanner(np.random.default_rng(3), "reference")
    reach = np.array([60.0])
    assert scanner.axial_fwhm_mm == pytest.approx(0.62, abs=0.005)
    assert scanner.lateral_fwhm_mm(reach)[0] == pytest.approx(1.9, abs=0.05)
    assert scanner.elevation_fwhm_mm(reach)[0] == pytest.approx(2.5, abs=0.05)
    assert scanner.compounding_frames == 1
    assert scanner.dynamic_range_db == 58


def test_resolutions_by_hand(scanner):
    """0.93 wavelengths of 0.44 mm times the F-number, which the dynamic aperture keeps at 1.6."""
    assert scanner.wavelength_mm == pytest.approx(0.44)
    found = scanner.lateral_fwhm_mm(np.array([5.0, 20.8, 39.0, 65.0]))
    np.testing.assert_allclose(found, 0.93 * 0.44 * np.array([1.6, 1.6, 3.0, 5.0]))
    # In the elevation focus there is diffraction alone; away from it the cone of 10 mm opens.
    at_focus, doubled = scanner.elevation_fwhm_mm(np.array([62.0, 124.0]))
    assert at_focus == pytest.approx(0.93 * 0.44 * 6.2)
    assert doubled == pytest.approx(np.hypot(0.93 * 0.44 * 12.4, 6.0))
    wider = replace(scanner, bandwidth=2 * scanner.bandwidth)
    assert wider.axial_fwhm_mm == pytest.approx(scanner.axial_fwhm_mm / 2)
    blurred = replace(scanner, axial_blur=1.5, lateral_blur=2.0, elevation_blur=3.0)
    assert blurred.axial_fwhm_mm == pytest.approx(1.5 * scanner.axial_fwhm_mm)
    assert blurred.lateral_fwhm_mm(np.float64(50)) == pytest.approx(
        2 * scanner.lateral_fwhm_mm(np.float64(50))
    )
    assert blurred.elevation_fwhm_mm(np.float64(50)) == pytest.approx(
        3 * scanner.elevation_fwhm_mm(np.float64(50))
    )


def test_usual_resolutions_are_those_of_real_scanners():
    """0.5 to 1.0, 1.3 to 2.6 and 2 to 4 mm for most."""
    drawn, reach = draw_many(), np.array([60.0])
    for widths, low, high in (
        ([s.axial_fwhm_mm for s in drawn], 0.5, 1.0),
        ([s.lateral_fwhm_mm(reach)[0] for s in drawn], 1.3, 2.6),
        ([s.elevation_fwhm_mm(reach)[0] for s in drawn], 2.0, 4.0),
    ):
        within = np.mean([low * 0.75 <= w <= high * 1.25 for w in widths])
        assert within > 0.85
        assert low < np.median(widths) < high


def test_some_scanners_compound():
    frames = np.array([one.compounding_frames for one in draw_many(count=3000)])
    chances = table("scanner/scanners")["chance"]
    for count, name in ((2, "two"), (3, "three"), (4, "four")):
        chance = chances[f"{name}_frames"]
        assert (frames == count).mean() == pytest.approx(chance, abs=0.008 + 0.1 * chance)
    assert set(frames) == {1, 2, 3, 4}


def test_the_usual_difficulty_changes_nothing():
    one = draw_scanner(np.random.default_rng(1), "usual", None)
    assert one == draw_scanner(np.random.default_rng(1), "usual", Difficulty())
    assert asdict(Difficulty()) == {
        "clutter_db": 0, "noise_db": 0, "dropout": 1, "dynamic_range_db": 0, "blur": 1,
        "ossification": 1, "motion_mm": 0, "attenuation": 1,
    }  # fmt: skip


def test_each_knob_turns_its_own_numbers():
    usual = asdict(draw_many(count=1)[0])
    for knob, changed in (
        ({"clutter_db": 6.0}, {"clutter_db": 6.0, "haze_db": 6.0}),
        ({"noise_db": 8.0}, {"noise_db": 8.0}),
        ({"dynamic_range_db": -8.0}, {"dynamic_range_db": -8.0}),
        ({"attenuation": 1.25}, {"attenuation": 0.25}),
        ({"blur": 1.5}, {f"{a}_blur": 0.5 * usual[f"{a}_blur"]
                         for a in ("axial", "lateral", "elevation")}),
        ({"dropout": 3.0, "ossification": 2.0, "motion_mm": 2.0}, {}),
    ):  # fmt: skip
        found = asdict(draw_many(count=1, **knob)[0])
        expected = {name: value + changed.get(name, 0) for name, value in usual.items()}
        assert found == pytest.approx(expected), knob


def test_a_display_never_shows_less_than_20_db():
    assert min(s.dynamic_range_db for s in draw_many("shifted-sharp", dynamic_range_db=-30.0)) == 20


def test_hard_is_harder_with_every_knob():
    usual = Difficulty()
    for entry in fields(Difficulty):
        name, harder = entry.name, getattr(HARD, entry.name)
        lower_is_harder = name == "dynamic_range_db"
        assert (harder < getattr(usual, name)) == lower_is_harder, name
        assert harder != getattr(usual, name)


@pytest.mark.parametrize("name", [entry.name for entry in fields(Difficulty)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e6, -1e6])
def test_impossible_difficulties_are_refused_in_one_line(name, value):
    with pytest.raises(BadInput, match=f"^difficulty {name}: expected .* to .*, found") as caught:
        Difficulty(**{name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "Usual", "shifted", "reference "])
def test_unknown_profiles_and_presets_are_refused_in_one_line(name):
    for setting, message in (("profile", "scanner profile"), ("preset", "preset")):
        with pytest.raises(BadInput, match=f"^{message}.*expected one of") as caught:
            SimulationSettings(**{setting: name})
        assert "\n" not in str(caught.value)
        assert repr(name) in str(caught.value)
