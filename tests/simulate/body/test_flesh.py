"""Flesh and bones of the limbs: where one lies around the other differs between fetuses."""

import numpy as np
import pytest

from fetusmap.simulate import Medium
from fetusmap.simulate.body.body import build_body
from fetusmap.simulate.body.fetus import draw_fetus
from fetusmap.simulate.body.flesh import limb_flesh
from fetusmap.simulate.body.measures import SIDES
from fetusmap.simulate.body.trunk import Trunk
from fetusmap.simulate.tables import table

# Places in `limb_flesh`: shoulder 0, arm 1 to 4, palm 5, buttock 6, leg 7 to 10, foot 11.
UPPER_ARM, FOREARM, THIGH, CALF, FOOT = (1, 2), (3, 4), (7, 8), (9, 10), 11
ENTRIES = table("body/measures")["measure"]
TRUNK_VERTEBRAE = 18


@pytest.fixture(scope="module")
def fetuses():
    """Postures do not matter here: one posture, many bodies, would do as well."""
    rng = np.random.default_rng(4)
    return [draw_fetus(rng) for _ in range(80)]


@pytest.fixture(scope="module")
def flesh(fetuses):
    """For each fetus and side, the solids of its limbs."""
    return [{side: list(limb_flesh(fetus, side)) for side in SIDES} for fetus in fetuses]


def test_the_cones_of_a_limb_meet_and_have_the_drawn_radii(fetuses, flesh):
    names = (
        (UPPER_ARM, ("deltoid", "upper_arm", "elbow")), (FOREARM, ("elbow", "forearm", "wrist")),
        (THIGH, ("thigh_root", "thigh", "knee")), (CALF, ("knee", "calf", "ankle")),
    )  # fmt: skip
    for fetus, own in zip(fetuses, flesh, strict=True):
        for side in SIDES:
            solids = own[side]
            assert len(solids) == FOOT + 1
            for (first, second), (near, thickest, far) in names:
                one, other = solids[first], solids[second]
                np.testing.assert_array_equal(one.end, other.start)
                radii = (one.start_radius, one.end_radius, other.start_radius, other.end_radius)
                expected = [fetus.measures[f"{n}_radius"] for n in (near, thickest, thickest, far)]
                np.testing.assert_allclose(radii, expected)
            for before, after in ((2, 3), (8, 9)):  # elbow and knee
                np.testing.assert_array_equal(solids[before].end, solids[after].start)


@pytest.mark.parametrize(
    ("joint", "place", "frame", "directions"),
    [
        ("elbow", 2, "upper_arm", ("lateral", "ventral", "beyond")),
        ("wrist", 4, "forearm", ("ventral", "beyond")),
        ("knee", 8, "thigh", ("lateral", "ventral", "beyond")),
        ("ankle", 10, "leg", ("ventral", "beyond")),
    ],
)
def test_the_flesh_of_a_joint_is_displaced_from_the_landmark_by_what_was_drawn(
    fetuses, flesh, joint, place, frame, directions
):
    """A network that follows the flesh finds these joints with an error of this spread."""
    found = {direction: [] for direction in ("lateral", "ventral", "beyond")}
    for fetus, own in zip(fetuses, flesh, strict=True):
        for side, sign in (("left", -1.0), ("right", 1.0)):
            apart = own[side][place].end - fetus.posture[f"{side}_{joint}"][0]
            x, y, z = fetus.posture.frames[f"{side}_{frame}"][0].T @ apart
            for direction, value in (("lateral", sign * x), ("ventral", y), ("beyond", -z)):
                found[direction].append(value / fetus.crl_mm)
                assert value == pytest.approx(
                    fetus.measures.get(f"{joint}_{direction}", 0.0), abs=1e-9
                )
    for direction, values in found.items():
        if direction not in directions:
            np.testing.assert_allclose(values, 0, atol=1e-9)
            continue
        entry = ENTRIES[f"{joint}_{direction}"]
        # One draw for both sides of a fetus: 80 independent values.
        error = entry["sd"] / np.sqrt(len(fetuses))
        assert abs(np.mean(values) - entry["of_crl"]) < 4 * error
        assert np.std(values) == pytest.approx(0.98 * entry["sd"], rel=0.25)


def test_knees_and_ankles_lie_within_their_flesh(fetuses, flesh):
    """But not in its middle: the joint is 0.014 crown-rump lengths from the axis on average."""
    off_axis = []
    for fetus, own in zip(fetuses, flesh, strict=True):
        for side in SIDES:
            for joint, places in (("knee", (8, 9)), ("ankle", (10, FOOT))):
                point = fetus.posture[f"{side}_{joint}"][0]
                nearest = min(float(own[side][n].distance(*point)) for n in places)
                assert nearest < -0.005 * fetus.crl_mm, joint
            apart = own[side][8].end - fetus.posture[f"{side}_knee"][0]
            off_axis.append(np.linalg.norm(apart) / fetus.crl_mm)
    assert 0.010 < np.mean(off_axis) < 0.020


def vertebral_bodies(fetus):
    """Middles (29, 3) and radii (29,) of the vertebral bodies, from the sacrum to the neck.

    Found among all bones: those whose middle is a point of the column, which curves to ventral
    below the second sacral vertebra.
    """
    trunk = Trunk(fetus, fetus.measures["abdominal_circumference"] / (2 * np.pi))
    numbers = np.arange(-3, TRUNK_VERTEBRAE + 7 + 1)
    above = np.maximum(numbers - TRUNK_VERTEBRAE, 0)
    curve = 0.0035 * np.maximum(-numbers, 0) ** 2 * fetus.crl_mm
    places = zip((numbers - 0.3 * above) / TRUNK_VERTEBRAE, curve, strict=True)
    column = np.array([trunk.at(float(t), ventral=float(bend)) for t, bend in places])
    bones = [
        part.shape for part in build_body(fetus).parts
        if part.medium in (Medium.LONG_BONE, Medium.CARTILAGE)
        and hasattr(part.shape, "start_radius")
    ]  # fmt: skip
    middles = np.array([(bone.start + bone.end) / 2 for bone in bones])
    apart = np.linalg.norm(column[:, None] - middles, axis=-1)
    assert (apart.min(axis=1) < 1e-9).all()
    radii = np.array([bones[n].start_radius for n in apart.argmin(axis=1)])
    return column, radii


def test_vertebrae_are_separate(fetuses):
    """Gaps between the bodies, in crown-rump lengths: of 29 vertebrae, each has its own."""
    gaps = []
    for fetus in fetuses[:40]:
        column, radii = vertebral_bodies(fetus)
        apart = np.linalg.norm(np.diff(column, axis=0), axis=1)
        gaps.append((apart - radii[1:] - radii[:-1]) / fetus.crl_mm)
    trunk = np.array(gaps)[:, 3 : 3 + TRUNK_VERTEBRAE]
    assert trunk.min() > 0
    assert np.median(trunk) == pytest.approx((0.265 + 0.245) / 18 - 2 * 0.0078, abs=0.001)
    assert np.median(gaps, axis=0).min() > 0
