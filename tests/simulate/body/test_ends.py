"""Crown, rump, palms and soles: ends of the longest line, and points of the skin."""

import numpy as np
import pytest

from fetusmap.simulate.body.body import build_body, skull_surface
from fetusmap.simulate.body.ends import crown_and_rump, rump_center
from fetusmap.simulate.body.fetus import draw_fetus
from fetusmap.simulate.body.flesh import fingers_and_toes, limb_flesh
from fetusmap.simulate.body.measures import SIDES
from fetusmap.simulate.body.shapes import RoundCone, smooth_union

PALM, FOOT = 5, -1  # places in `limb_flesh`
SIGNS = {"right": 1.0, "left": -1.0}


@pytest.fixture(scope="module")
def fetuses():
    rng = np.random.default_rng(0)
    return [draw_fetus(rng) for _ in range(60)]


def skin_distances(fetus, names):
    """Signed distances of landmarks to head and trunk, joined as in a rendered volume."""
    points = np.array([fetus.posture[name][0] for name in names], np.float32)
    x, y, z = points.T
    distance = np.full(len(points), 1000.0, np.float32)
    for shape in build_body(fetus).outline:
        distance = smooth_union(distance, shape.distance(x, y, z), 0.036 * fetus.crl_mm)
    return distance


def medians(fetus, count):
    """(count, 3) points around the median curve of the head, and as many around the rump's."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    circle = np.stack([np.zeros(count), np.cos(angle), np.sin(angle)], axis=1)
    skull, size = skull_surface(fetus), fetus.measures
    head = skull.center + (circle * (skull.semi_axes + size["scalp"])) @ skull.axes.T
    sacrum = fetus.posture.frames["sacrum"][0]
    center = fetus.posture["sacrum"][0] + sacrum @ [0, size["rump_ventral"], -size["rump_caudal"]]
    return head, center + size["rump_radius"] * circle @ sacrum.T


def test_crown_and_rump_are_the_ends_of_the_longest_line_between_the_median_curves(fetuses):
    """Brute force: every half degree of both curves."""
    for fetus in fetuses[:20]:
        head, rump = medians(fetus, 720)
        between = np.linalg.norm(head[:, None] - rump, axis=-1)
        # The longest of the tried lines misses the longest one by half a step to both sides.
        assert between.max() <= fetus.crown_rump_mm + 1e-9
        assert fetus.crown_rump_mm == pytest.approx(between.max(), abs=0.002)
        first, second = np.unravel_index(between.argmax(), between.shape)
        found = np.stack([fetus.posture[name][0] for name in ("crown", "rump")])
        apart = np.linalg.norm(found - [head[first], rump[second]], axis=1)
        assert apart.max() < 0.02 * fetus.crl_mm  # the maximum is flat


def test_the_rounds_suffice(fetuses):
    """Both ends of every body satisfy the condition of the longest line: normals along it."""
    for fetus in fetuses:
        crown, rump = (fetus.posture[name][0] for name in ("crown", "rump"))
        skull, size = skull_surface(fetus), fetus.measures
        semi = (skull.semi_axes + size["scalp"])[1:]
        local = (skull.axes.T @ (crown - skull.center))[1:]
        line = (skull.axes.T @ (crown - rump))[1:]
        assert ((local / semi) ** 2).sum() == pytest.approx(1, abs=1e-9)
        normal = local / semi**2
        sine = normal[0] * line[1] - normal[1] * line[0]
        assert abs(sine) / np.linalg.norm(normal) / np.linalg.norm(line) < 1e-4


def test_a_batch_of_ends_equals_the_bodies_one_by_one_and_their_mirror_images(fetuses):
    measures = {
        name: np.array([fetus.measures[name] for fetus in fetuses]) for name in fetuses[0].measures
    }

    def frames(name, flip):
        mirror = np.diag([-1.0, 1, 1]) if flip else np.eye(3)
        return np.stack([mirror @ fetus.posture.frames[name][0] @ mirror for fetus in fetuses])

    head = np.stack([fetus.posture["head"][0] for fetus in fetuses])
    sacrum = np.zeros_like(head)
    pairs = (
        crown_and_rump(measures, center, frames("head", flip), sacrum, frames("sacrum", flip))
        for center, flip in ((head, False), (head * [-1, 1, 1], True))
    )
    for name, (points, others) in zip(("crown", "rump"), zip(*pairs, strict=True), strict=True):
        alone = np.stack([fetus.posture[name][0] for fetus in fetuses])
        np.testing.assert_allclose(points, alone, atol=1e-9)
        np.testing.assert_allclose(others, alone * [-1, 1, 1], atol=1e-9)


def test_the_middle_of_the_rump_is_ventral_and_caudal_of_the_sacrum():
    measures = {"rump_ventral": np.array([3.0]), "rump_caudal": np.array([2.0])}
    np.testing.assert_allclose(rump_center(measures, np.eye(3)[None]), [[0, 3, -2]])


def test_crown_and_rump_lie_on_the_skin(fetuses):
    """Crown within 0.1 mm. Where rump and trunk are joined the skin may bulge over the rump's."""
    distances = np.array([skin_distances(fetus, ("crown", "rump")) for fetus in fetuses])
    assert np.abs(distances[:, 0]).max() < 0.1
    assert np.abs(distances[:, 1]).max() < 0.8
    assert np.abs(np.median(distances[:, 1])) < 0.1


def test_soles_lie_on_the_skin_of_the_foot_and_palms_within_the_hand(fetuses):
    for fetus in fetuses:
        for side in SIDES:
            flesh = list(limb_flesh(fetus, side))
            sole, palm = (fetus.posture[f"{side}_{end}"][0] for end in ("foot", "hand"))
            foot = flesh[FOOT]
            assert isinstance(foot, RoundCone)
            length = fetus.measures[f"{side}_foot"]
            assert abs(float(foot.distance(*sole))) < 0.005 * length
            np.testing.assert_allclose(flesh[PALM].center, palm)
            # The middle of the palm is as deep as the palm is thick, halved.
            thick = 0.12 * fetus.measures["palm_thickness"] * fetus.measures[f"{side}_hand"]
            assert flesh[PALM].semi_axes.min() == pytest.approx(thick)


def test_the_sole_is_halfway_between_the_back_of_the_heel_and_the_roots_of_the_toes(fetuses):
    for fetus in fetuses:
        for side in SIDES:
            toes_axis = fetus.posture.frames[f"{side}_foot"][0][:, 1]
            heel = list(limb_flesh(fetus, side))[FOOT]
            back = heel.start @ toes_axis - heel.start_radius
            # Fingers are eight cones and thumb one; five toes follow.
            toes = [toe.start @ toes_axis for toe in list(fingers_and_toes(fetus, side))[9:]]
            assert len(toes) == 5
            middle = fetus.posture[f"{side}_foot"][0] @ toes_axis
            assert middle == pytest.approx((back + np.mean(toes)) / 2, abs=1e-6)


def test_no_hand_or_foot_is_that_of_the_other_side(fetuses):
    """Found from the solids alone, without frames.

    Fingers curl to the palm; if the palm faces the belly and the fingers point down, the thumb is
    lateral. The thickest toe is the great toe, which is medial.
    """
    for fetus in fetuses:
        for side in SIDES:
            cones = list(fingers_and_toes(fetus, side))
            roots, middles, tips = (
                np.array(points)
                for points in (
                    [cone.start for cone in cones[:8:2]],
                    [cone.end for cone in cones[:8:2]],
                    [cone.end for cone in cones[1:8:2]],
                )
            )
            down = roots.mean(axis=0) - fetus.posture[f"{side}_wrist"][0]
            palmar = tips.mean(axis=0) - middles.mean(axis=0)
            thumb = cones[8].end - cones[8].start
            # A right hand hanging down, its palm to the belly: (-z) x (+y) = +x is lateral.
            assert SIGNS[side] * (thumb @ np.cross(down, palmar)) > 0
            toes = cones[9:]
            great = int(np.argmax([toe.start_radius for toe in toes]))
            assert great in (0, 4)
            across = toes[great].start - toes[4 - great].start
            along = toes[great].end - toes[great].start
            sole = fetus.posture[f"{side}_foot"][0] - fetus.posture[f"{side}_ankle"][0]
            up = along * (sole @ along) / (along @ along) - sole
            # A right foot on the ground: y x z = +x is lateral, the great toe on the other side.
            assert SIGNS[side] * (across @ np.cross(along, up)) < 0
