"""Label maps: everything in its place, nothing cut off, and every medium somewhere."""

from dataclasses import replace

import numpy as np
import pytest

from fetusmap.simulate import FETAL, PRESETS, Medium, Seeds, SimulationSettings, draw_case
from fetusmap.simulate.body.shapes import Ellipsoid
from fetusmap.simulate.media import BONES
from fetusmap.simulate.rendering import beam_lattice, true_pose_of
from fetusmap.simulate.scanner.fields import Placement, Upsampler, compute_fields
from fetusmap.simulate.scanner.paint import paint

WHOLE = (slice(None),) * 3
COUNT = 6
BRAIN = (Medium.BRAIN, Medium.VENTRICLE, Medium.CHOROID_PLEXUS, Medium.THALAMUS, Medium.CEREBELLUM)
# Landmarks on the skin, and a landmark inwards of each.
INSIDE_OF = {
    "crown": "rump", "rump": "crown", "left_foot": "left_ankle", "right_foot": "right_ankle"
}  # fmt: skip


def painted(drawn, preset="mid"):
    """The painting, its lattice, and the samples in the fetus' own frame."""
    chosen, probe = PRESETS[preset], drawn.probe
    lattice = beam_lattice(probe, probe.grid(chosen.spacing_mm), chosen)
    coarse = lattice.decimated(chosen.factors)
    fields = compute_fields(Placement.of(coarse, probe), drawn.body, drawn.scene, probe)
    placement = Placement.of(lattice, probe)
    painting = paint(
        placement, Upsampler(chosen.factors, coarse.shape), fields, drawn.body, drawn.scene, probe
    )
    points = np.stack(np.broadcast_arrays(*placement.moving(WHOLE)), axis=-1)
    return painting, lattice, (points - probe.shift_mm) @ probe.rotation


def nearest_sample(lattice, point):
    start = [axis[0] for axis in (lattice.ranges_mm, lattice.thetas_rad, lattice.phis_rad)]
    return tuple(np.round((lattice.to_beam(point) - start) / lattice.steps).astype(int))


def around(lattice, point, reach_mm):
    """A box of samples that holds all within a reach of a point, and more."""
    step, turn, swing = lattice.steps
    near = max(float(lattice.to_beam(point)[0]) - reach_mm, 1.0)
    steps = (
        step,
        turn * (lattice.probe_radius_mm + near),
        swing * (lattice.motor_radius_mm + near),
    )
    return tuple(
        slice(max(0, n - int(1.5 * reach_mm / mm) - 2), max(0, n + int(1.5 * reach_mm / mm) + 3))
        for n, mm in zip(nearest_sample(lattice, point), steps, strict=True)
    )


@pytest.fixture(scope="module")
def cases():
    """Ages from 10 to 14 weeks."""
    weeks = np.linspace(10, 14, COUNT)
    return [
        draw_case(SimulationSettings(weeks=(w, w)), Seeds.of_case(6, n))
        for n, w in enumerate(weeks)
    ]


@pytest.fixture(scope="module")
def paintings(cases):
    return [painted(drawn) for drawn in cases]


def test_every_medium_occurs_and_nothing_else(paintings):
    found = set(np.unique(np.concatenate([np.unique(p.label) for p, _, _ in paintings])).tolist())
    # All samples are inside the mother; her bladder is there in three cases of ten, and her skin
    # only where the volume begins at the probe.
    assert set(Medium) - found <= {Medium.OUTSIDE, Medium.MATERNAL_BLADDER, Medium.SKIN}
    assert Medium.OUTSIDE not in found


def test_mirrors_are_finite_and_never_negative(paintings):
    for painting, lattice, _ in paintings:
        assert painting.label.shape == painting.specular.shape == lattice.shape
        assert np.isfinite(painting.specular).all()
        assert painting.specular.min() >= 0
        assert painting.specular.max() > 1


def test_the_skin_is_met_first_then_fat_then_muscle(cases, paintings):
    for drawn, (painting, lattice, _) in zip(cases, paintings, strict=True):
        mother, step = drawn.scene.mother, lattice.steps[0]
        beams = painting.label.reshape(len(lattice.ranges_mm), -1).T
        thickness = {}
        for medium in (Medium.SKIN, Medium.FAT, Medium.MUSCLE):
            # Fat lies elsewhere too; the layers are the run of samples at the beginning.
            run = np.isin(beams, (Medium.SKIN, Medium.FAT, Medium.MUSCLE)).cumprod(axis=1)
            thickness[medium] = float(np.median(((beams == medium) & (run > 0)).sum(axis=1))) * step
        start = lattice.ranges_mm[0]
        if start < mother.wall_mm:
            expected = pytest.approx(mother.wall_mm, rel=0.25, abs=2)
            assert start + sum(thickness.values()) == expected
        # No skin behind the first fat, no fat of the wall behind the first muscle.
        for outer, inner in ((Medium.SKIN, Medium.FAT), (Medium.SKIN, Medium.MUSCLE)):
            behind = (beams == inner).cumsum(axis=1) > 0
            assert not (behind & (beams == outer)).any()


def test_landmarks_lie_in_the_fetus(cases, paintings):
    """Those on the skin after a step of 1.2 mm into the body."""
    names_of = cases[0].fetus.pose.skeleton.landmarks
    wrong = []
    for drawn, (painting, lattice, _) in zip(cases, paintings, strict=True):
        truth = true_pose_of(drawn, "mid")
        for name, landmark, seen in zip(
            names_of, truth.positions_mm, truth.confidence, strict=True
        ):
            if seen == 0:
                continue
            point = landmark
            if name in INSIDE_OF:
                inwards = truth[INSIDE_OF[name]].position_mm - landmark
                point = landmark + 1.2 * inwards / np.linalg.norm(inwards)
            medium = Medium(int(painting.label[nearest_sample(lattice, point)]))
            if name == "head":
                fits = medium in BRAIN
            else:
                fits = medium in FETAL and (name == "crown" or medium is not Medium.BRAIN)
            if not fits:
                wrong.append((name, medium.name))
    # A sample may stand half a millimetre beside a wrist of 1 mm.
    assert len(wrong) <= 0.02 * COUNT * len(names_of), wrong


def test_the_head_is_whole(cases, paintings):
    """Every sample well inside its ellipsoid and its vault is painted: no box cuts it off."""
    for drawn, (painting, _, points) in zip(cases, paintings, strict=True):
        head = drawn.body.head
        own = (points - head.center) @ head.axes / head.semi_axes
        vault = (np.linalg.norm(own, axis=-1) < 0.85) & (own[..., 2] > -0.2) & (own[..., 1] < 0)
        # Hands before the head do not reach into it; the column ends below.
        brain = np.isin(painting.label[vault], BRAIN)
        assert vault.sum() > 100
        assert brain.mean() > 0.97


def test_organs_are_whole(cases, paintings):
    """All fetal tissue within an organ's ellipsoid has become another medium."""
    for drawn, (painting, lattice, points) in zip(cases, paintings, strict=True):
        for part in drawn.body.parts:
            if not isinstance(part.shape, Ellipsoid):
                continue
            shape = part.shape
            box = around(lattice, drawn.probe.to_world(shape.center), shape.semi_axes.max() + 5)
            own = (points[box] - shape.center) @ shape.axes / shape.semi_axes
            inside = (own**2).sum(axis=-1) < 0.98
            assert not (painting.label[box][inside] == Medium.FETAL_TISSUE).any(), part.medium


def test_the_stomach_has_its_volume_and_is_never_lost(cases, paintings):
    """Counted in samples; some of it may lie under a rib."""
    found, expected = [], []
    for drawn, (painting, lattice, _) in zip(cases, paintings, strict=True):
        r, theta = lattice.ranges_mm[:, None, None], lattice.thetas_rad[None, :, None]
        step, turn, swing = lattice.steps
        rho = (lattice.probe_radius_mm + r) * np.cos(theta) - lattice.probe_radius_mm
        cell = step * turn * (lattice.probe_radius_mm + r) * swing * (rho + lattice.motor_radius_mm)
        cell = np.broadcast_to(cell, lattice.shape)
        (stomach,) = (p.shape for p in drawn.body.parts if p.medium is Medium.STOMACH)
        found.append(cell[painting.label == Medium.STOMACH].sum())
        expected.append(4 / 3 * np.pi * stomach.semi_axes.prod())
    assert min(found) > 0
    assert sum(found) == pytest.approx(sum(expected), rel=0.25)


def handedness(label, points):
    """Determinant of right, ventral and cranial as the label map alone tells them.

    Cranial from lungs to brain, ventral from brain to eyes, left from lungs and liver to stomach.
    """

    def middle(*media):
        return points[np.isin(label, media)].mean(axis=0)

    lungs = middle(Medium.LUNG)
    cranial = middle(Medium.BRAIN) - lungs
    ventral = middle(Medium.EYE) - middle(Medium.BRAIN)
    right = lungs - middle(Medium.STOMACH)
    unit = [vector / np.linalg.norm(vector) for vector in (right, ventral, cranial)]
    return float(np.linalg.det(np.stack(unit, axis=-1)))


def test_the_stomach_is_on_the_left(cases, paintings):
    for drawn, (painting, _, points) in zip(cases, paintings, strict=True):
        stomach = points[painting.label == Medium.STOMACH]
        if len(stomach) < 3:
            continue
        fetus = drawn.fetus
        chest = fetus.posture.frames["thorax"][0]
        rightwards = (stomach.mean(axis=0) - fetus.posture["spine"][0]) @ chest[:, 0]
        assert rightwards < -0.02 * fetus.crl_mm


def test_the_label_map_is_no_mirror_image(cases, paintings):
    """Without any landmark, in the probe's frame: heads that look ahead tell it clearly."""
    clear = 0
    for drawn, (painting, lattice, _) in zip(cases, paintings, strict=True):
        if abs(drawn.fetus.angles_deg["neck_rotation"]) > 25:
            continue
        world = np.stack(np.broadcast_arrays(*lattice.positions(WHOLE)), axis=-1)
        assert handedness(painting.label, world) > 0.05
        clear += 1
    assert clear >= 4


def test_small_organs_are_not_lost_between_the_samples_either(cases):
    for drawn in cases:
        painting, _, _ = painted(drawn, "half")
        for medium in (Medium.STOMACH, Medium.EYE, Medium.HEART):
            assert (painting.label == medium).any(), medium


def test_the_cord_lies_in_fluid_or_at_its_ends(cases, paintings):
    for drawn, (painting, _, points) in zip(cases, paintings, strict=True):
        cord = points[np.isin(painting.label, (Medium.CORD, Medium.CORD_VESSEL))]
        assert len(cord) > 20
        apart = np.linalg.norm(cord[:, None] - drawn.scene.cord_mm, axis=-1).min(axis=1)
        steps = np.linalg.norm(np.diff(drawn.scene.cord_mm, axis=0), axis=1)
        assert apart.max() < drawn.scene.cord_radius_mm + steps.max() / 2 + 1.5


def test_thin_bones_are_not_lost_between_the_samples(cases):
    """Each has samples of bone or cartilage around it, in the coarsest preset."""
    drawn = cases[2]
    still = replace(drawn.probe, drift_mm=np.zeros(3), jump_mm=np.zeros(3))
    painting, lattice, _ = painted(replace(drawn, probe=still), "half")
    for part in drawn.body.parts:
        if part.medium not in (Medium.LONG_BONE, Medium.CARTILAGE) or part.specular == 0:
            continue
        middle = still.to_world((part.shape.start + part.shape.end) / 2)
        if lattice.contains(middle):
            box = tuple(slice(max(0, n - 1), n + 2) for n in nearest_sample(lattice, middle))
            assert np.isin(painting.label[box], BONES).any()
