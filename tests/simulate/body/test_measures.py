"""Measures of the body: means and spreads of the table, hidden factors, and the other anatomy."""

import numpy as np
import pytest
from scipy import stats

from fetusmap.errors import BadInput
from fetusmap.simulate import SimulationSettings, draw_poses
from fetusmap.simulate.body.fetus import draw_fetus
from fetusmap.simulate.body.measures import ANATOMIES, SIDES, check_anatomy, draw_measures
from fetusmap.simulate.tables import table

CRL_MM, COUNT = 60.0, 40_000
ENTRIES = table("body/measures")["measure"]
BUILD = table("body/measures")["build"]
OTHER = table("body/other")
CHANGED = (*OTHER["scale"], *OTHER["shift"])
# Ten thousand equally probable deviations, cut off as in the table: a second path to the moments.
CUT_OFF = np.clip(stats.norm.ppf((np.arange(10_000) + 0.5) / 10_000), -2.3, 2.3)


def measures_of(anatomy):
    return draw_measures(np.random.default_rng(0), np.full(COUNT, CRL_MM), anatomy)


@pytest.fixture(scope="module")
def usual():
    return measures_of("usual")


@pytest.fixture(scope="module")
def other():
    return measures_of("other")


def one_of(measures, name):
    """A measure, that of the left side if it has two."""
    return measures[f"left_{name}" if ENTRIES[name].get("sides") else name]


def mean_of(name):
    entry = ENTRIES[name]
    return entry.get("value", entry.get("of_crl", 0.0) * CRL_MM + entry.get("plus_mm", 0.0))


def spread(name, z):
    """The values of a measure at deviations of z standard deviations, by the table's definition."""
    entry, mean = ENTRIES[name], mean_of(name)
    if "cv" in entry:
        return mean * np.exp(entry["cv"] * z - entry["cv"] ** 2 / 2)
    return mean + entry["sd"] * (1.0 if "value" in entry else CRL_MM) * z


def test_every_entry_of_the_table_is_complete():
    assert set(BUILD["factors"]) == {"fat", "frame", "limbs", "trunk", "head"}
    assert BUILD["limit"] == 2.3
    for name, entry in ENTRIES.items():
        assert set(entry) <= {"of_crl", "plus_mm", "value", "cv", "sd", "with", "sides", "source"}
        assert ("value" in entry) != ("of_crl" in entry), name
        assert ("cv" in entry) != ("sd" in entry), name
        assert "cv" not in entry or mean_of(name) > 0, name  # a log-normal factor keeps the sign
        assert entry["source"][0] in "SCG", name
        loads = entry.get("with", {})
        assert set(loads) <= set(BUILD["factors"]), name
        assert sum(load**2 for load in loads.values()) < 1, name


@pytest.mark.parametrize(
    ("name", "mm", "deviation"),
    [
        # Published regressions on the crown-rump length, at 60 mm.
        ("biparietal_diameter", 0.33 * 60 + 1.3, 0.055),
        ("occipitofrontal_diameter", 0.355 * 60 + 5.0, 0.055),
        ("abdominal_circumference", 0.87 * 60 + 14.0, 0.085),
        # Shafts 0.150 CRL + 0.15 and 0.155 CRL + 0.35; 1.35 and 1.30 times them between the joints.
        ("femur", 1.35 * (0.150 * 60 + 0.15), 0.07),
        ("leg", 0.88 * 1.35 * (0.150 * 60 + 0.15), 0.07),
        ("humerus", 1.30 * (0.155 * 60 + 0.35), 0.07),
        ("forearm", 0.88 * 1.30 * (0.155 * 60 + 0.35), 0.07),
        # Definitions of the landmarks, in crown-rump lengths.
        ("hip_ventral", 0.060 * 60, 0.010 * 60 / 3.6),
        ("shoulder_caudal", 0.055 * 60, 0.012 * 60 / 3.3),
    ],
)
def test_sizes_follow_the_published_regressions(usual, name, mm, deviation):
    found = one_of(usual, name)
    assert found.mean() == pytest.approx(mm, rel=0.003)
    # The deviations are cut off at 2.3, which takes 2 % from their spread; sides add 1 %.
    assert found.std() / mm == pytest.approx(0.98 * deviation, rel=0.03)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_measure_has_the_mean_and_the_spread_of_the_table(usual, name):
    found, expected = one_of(usual, name), spread(name, CUT_OFF)
    sided = BUILD["side_cv"] * mean_of(name) if ENTRIES[name].get("sides") else 0.0
    error = expected.std() / np.sqrt(COUNT)
    assert abs(found.mean() - expected.mean()) < 5 * error
    assert found.std() == pytest.approx(np.hypot(expected.std(), sided), rel=0.02)


def test_no_measure_deviates_by_more_than_the_limit(usual):
    """With 40,000 bodies both ends are reached, too."""
    for name, entry in ENTRIES.items():
        low, high = spread(name, np.array([-2.3, 2.3]))
        found = one_of(usual, name)
        if entry.get("sides"):  # the factor of the side comes after the limit
            assert low * 0.93 < found.min() < low * 1.01, name
            assert high * 0.99 < found.max() < high * 1.07, name
        else:
            assert found.min() == pytest.approx(low, rel=1e-12), name
            assert found.max() == pytest.approx(high, rel=1e-12), name


def test_measures_that_share_a_factor_of_the_build_vary_together(usual):
    """The correlation of two measures is the sum over the factors of the product of their loads.

    The limit and the factor of the side weaken it by less than 0.02.
    """
    names = list(ENTRIES)
    loads = np.array(
        [[ENTRIES[n].get("with", {}).get(f, 0.0) for f in BUILD["factors"]] for n in names]
    )
    values = [one_of(usual, n) for n in names]
    logs = [np.log(v) if "cv" in ENTRIES[n] else v for n, v in zip(names, values, strict=True)]
    found, expected = np.corrcoef(logs), loads @ loads.T
    np.fill_diagonal(expected, 1.0)
    np.testing.assert_allclose(found, expected, atol=0.02 + 5 / np.sqrt(COUNT))
    # By hand: thick thighs go with thick calves and a wide belly, but not with a wide pelvis.
    by_name = {(a, b): found[names.index(a), names.index(b)] for a in names for b in names}
    assert by_name["thigh_radius", "calf_radius"] == pytest.approx(0.8 * 0.75, abs=0.03)
    assert by_name["thigh_radius", "abdominal_circumference"] == pytest.approx(0.56, abs=0.03)
    assert by_name["thigh_radius", "half_hip"] == pytest.approx(0.0, abs=0.02)
    assert by_name["femur", "humerus"] == pytest.approx(0.75**2, abs=0.03)


def test_left_and_right_of_one_fetus_are_nearly_alike(usual):
    sided = {name for name, entry in ENTRIES.items() if entry.get("sides")}
    assert sided == {"humerus", "forearm", "femur", "leg", "hand", "foot"}
    for name in sided:
        left, right = (usual[f"{side}_{name}"] for side in SIDES)
        ratio = left / right
        assert ratio.mean() == pytest.approx(1, abs=0.001)
        assert ratio.std() == pytest.approx(0.01 * np.sqrt(2), rel=0.03)
    assert len(usual) == len(ENTRIES) + len(sided)


def test_measures_scale_with_the_crown_rump_length_of_their_own_fetus():
    """The same random numbers, two lengths: sizes scale with them, and proportions do not."""
    short, long = (
        draw_measures(np.random.default_rng(3), np.array([crl, 60.0])) for crl in (40.0, 80.0)
    )
    for name in short:
        assert short[name][1] == long[name][1], name
    assert long["half_hip"][0] == pytest.approx(2 * short["half_hip"][0])
    assert long["knee_beyond"][0] == pytest.approx(2 * short["knee_beyond"][0])
    ratio = long["abdominal_circumference"][0] / short["abdominal_circumference"][0]
    assert ratio == pytest.approx((0.87 * 80 + 14) / (0.87 * 40 + 14))
    assert long["trunk_width"][0] == short["trunk_width"][0]


def test_the_other_anatomy_changes_the_measures_that_it_names_and_no_others(usual, other):
    assert OTHER["spread"] == 0.4
    assert not set(OTHER["scale"]) & set(OTHER["shift"])
    assert set(CHANGED) <= set(ENTRIES)
    for name in ENTRIES:
        ours, theirs = one_of(usual, name), one_of(other, name)
        if name not in CHANGED:
            np.testing.assert_array_equal(theirs, ours, err_msg=name)
        elif name in OTHER["scale"]:
            assert np.median(theirs) / np.median(ours) == pytest.approx(
                OTHER["scale"][name], rel=0.006
            ), name
            assert np.std(np.log(theirs)) < 0.5 * np.std(np.log(ours)), name
        else:
            assert np.median(theirs) - np.median(ours) == pytest.approx(
                OTHER["shift"][name] * CRL_MM, abs=0.02
            ), name
            assert theirs.std() == pytest.approx(0.4 * ours.std(), rel=1e-6), name


def test_the_other_anatomy_lies_outside_the_usual_ranges(usual, other):
    """The median of every changed measure lies beyond the limit at which the usual one is cut off.

    A measure alone may lie within the usual range in less than half of the bodies; a whole body
    never does.
    """
    outside = []
    for name in CHANGED:
        low, high = spread(name, np.array([-2.3, 2.3]))
        beyond = (one_of(other, name) > high) | (one_of(other, name) < low)
        assert beyond.mean() > 0.5, name
        outside.append(beyond)
    assert np.sum(outside, axis=0).min() >= 3
    assert np.mean(np.sum(outside, axis=0)) > 0.6 * len(CHANGED)
    # The thickness of the thigh: nine of ten beyond what 98 % of the usual bodies have.
    thigh = other["thigh_radius"], usual["thigh_radius"]
    assert np.percentile(thigh[0], 10) > np.percentile(thigh[1], 98)


@pytest.mark.parametrize(
    "use",
    [
        check_anatomy,
        lambda anatomy: draw_fetus(np.random.default_rng(0), anatomy=anatomy),
        lambda anatomy: draw_poses(1, seed=0, anatomy=anatomy),
        lambda anatomy: SimulationSettings(anatomy=anatomy),
    ],
    ids=["check", "fetus", "poses", "settings"],
)
def test_an_anatomy_that_does_not_exist_is_refused_in_one_line(use):
    with pytest.raises(BadInput, match=r"^anatomy: expected one of usual, other") as caught:
        use("odd")
    assert "\n" not in str(caught.value)


def test_poses_of_the_other_anatomy_say_so_and_have_its_proportions():
    usual, other = (draw_poses(200, seed=1, anatomy=anatomy) for anatomy in ANATOMIES)
    assert "anatomy" not in usual.made_by
    assert other.made_by == {**usual.made_by, "anatomy": "other"}
    ours, theirs = (
        {name: np.median(mm) for name, mm in library.lengths_mm().items()}
        for library in (usual, other)
    )
    assert theirs["left_femur"] / ours["left_femur"] == pytest.approx(0.83, abs=0.03)
    assert theirs["spine_sacrum"] / ours["spine_sacrum"] == pytest.approx(1.2, abs=0.04)
    assert theirs["head_neck"] / ours["head_neck"] == pytest.approx(1.0, abs=0.04)
