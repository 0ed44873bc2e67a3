"""The position of the probe, and the motion of the fetus under it."""

import numpy as np
import pytest

from fetusmap.simulate import Difficulty, Seeds, SimulationSettings, draw_case
from fetusmap.simulate.scanner.probe import draw_probe

COUNT = 120


@pytest.fixture(scope="module")
def cases():
    return [draw_case(SimulationSettings(), Seeds.of_case(11, n)) for n in range(COUNT)]


def probes_of(cases, seed, count, **knobs):
    """Probes of other seeds over the same bodies; what the tests look at depends on no body."""
    return [
        draw_probe(
            Seeds.of_case(seed, n).generator("probe"),
            cases[n].body,
            cases[n].scene,
            difficulty=Difficulty(**knobs),
        )
        for n in range(count)
    ]


def test_rotations_never_mirror(cases):
    for drawn in cases:
        rotation = drawn.probe.rotation
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)


def test_most_fetuses_lie_across_the_beam_and_all_sides_look_up(cases):
    """85 % within 25 degrees; of the others some 40 % by chance."""
    long_axis = np.array([drawn.probe.rotation[:, 2] for drawn in cases])
    across = np.abs(long_axis[:, 1]) <= np.sin(np.radians(25)) + 1e-9
    assert 0.82 < across.mean() < 0.99
    # Any azimuth and any roll: what looks at the probe may be face, back or side.
    ventral = np.array([drawn.probe.rotation[:, 1] for drawn in cases])
    for direction in (long_axis[:, 0], long_axis[:, 2], ventral[:, 1]):
        assert abs(direction.mean()) < 0.25
        assert direction.min() < -0.8
        assert direction.max() > 0.8


def test_points_go_from_the_body_to_the_probe_and_back(cases):
    probe = cases[0].probe
    points = np.random.default_rng(0).normal(scale=30, size=(5, 3))
    world = probe.to_world(points)
    np.testing.assert_allclose((world - probe.shift_mm) @ probe.rotation, points, atol=1e-9)
    np.testing.assert_allclose(probe.to_world(np.zeros(3)), probe.shift_mm)


def test_a_drift_is_even_over_the_sweep_and_none_in_its_middle(make_probe):
    probe = make_probe(drift_mm=np.array([4.0, -2.0, 1.0]))
    found = probe.motion_mm(np.array([0.0, 0.25, 0.5, 1.0]))
    np.testing.assert_allclose(found, np.outer([-0.5, -0.25, 0, 0.5], [4, -2, 1]), atol=1e-12)


def test_a_jump_takes_a_twentieth_of_the_sweep(make_probe):
    probe = make_probe(jump_mm=np.array([0.0, 3.0, -1.0]), jump_at=0.4)
    found = probe.motion_mm(np.array([0.0, 0.37, 0.4, 0.4125, 0.43, 1.0]))
    expected = np.outer([0, 0, 0.5, 0.75, 1, 1], [0, 3, -1])
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_exported_box_becomes_a_grid_of_cubic_voxels(cases):
    for drawn in cases[:20]:
        probe = drawn.probe
        for spacing in (0.5, 0.75, 1.0):
            grid = probe.grid(spacing)
            np.testing.assert_allclose(grid.spacing_mm, spacing)
            assert not grid.is_left_handed
            low, high = grid.bounds_mm()
            np.testing.assert_allclose(low, probe.box_low_mm, atol=spacing / 2)
            np.testing.assert_allclose(high, probe.box_high_mm, atol=spacing / 2)


def test_a_usual_volume_is_about_220_x_205_x_260(cases):
    shapes = np.array([drawn.probe.grid(0.5).shape for drawn in cases])
    np.testing.assert_allclose(np.median(shapes, axis=0), [220, 205, 260], rtol=0.15)


def test_the_box_holds_head_and_trunk(cases):
    """And nearly all of the limbs."""
    inside = []
    for drawn in cases:
        low, high = drawn.probe.box_low_mm - 1e-6, drawn.probe.box_high_mm + 1e-6
        for shape in drawn.body.outline:
            points = drawn.probe.to_world(shape.surface_points())
            assert ((points > low) & (points < high)).all()
        for shape in drawn.body.limbs:
            points = drawn.probe.to_world(shape.surface_points())
            inside.append(((points > low) & (points < high)).all())
    assert np.mean(inside) > 0.97


def test_the_sac_lies_behind_the_wall(cases):
    for drawn in cases:
        probe, sac = drawn.probe, drawn.scene.uterus.sac
        axes = probe.rotation @ sac.axes
        nearest = probe.to_world(sac.center)[1] - np.linalg.norm(axes[1] * sac.semi_axes)
        assert nearest > drawn.scene.mother.wall_mm


def test_some_fetuses_move_and_the_knob_moves_all(cases):
    usual = probes_of(cases, seed=2, count=80)
    drifting = np.mean([np.linalg.norm(p.drift_mm) > 0 for p in usual])
    jumping = np.mean([np.linalg.norm(p.jump_mm) > 0 for p in usual])
    assert 0.2 < drifting < 0.5
    assert 0.05 < jumping < drifting
    assert max(np.linalg.norm(p.drift_mm) for p in usual) <= 2
    assert max(np.linalg.norm(p.jump_mm) for p in usual) <= 3
    for probe in probes_of(cases, seed=2, count=10, motion_mm=2.5):
        assert np.linalg.norm(probe.drift_mm) >= 2.5 - 1e-9
        assert np.linalg.norm(probe.jump_mm) >= 2.5 - 1e-9


def test_dropouts_can_be_turned_off_and_up(cases):
    none, usual, many = (
        [probe.dropouts for probe in probes_of(cases, seed=4, count=30, dropout=factor)]
        for factor in (0.0, 1.0, 4.0)
    )
    assert all(not each for each in none)
    assert 0 < np.mean([len(each) for each in usual]) < np.mean([len(each) for each in many])
    # More of them: those that were there before stay where they were.
    for few, more in zip(usual, many, strict=True):
        assert {(s.axis, s.center, s.width) for s in few} <= {
            (s.axis, s.center, s.width) for s in more
        }


def test_a_harder_scan_is_the_same_scan_made_harder():
    """Knobs must not reshuffle what else is drawn."""
    usual, hard = (
        draw_case(SimulationSettings(difficulty=Difficulty(**knobs)), Seeds.of_case(1, 1)).probe
        for knobs in ({}, {"clutter_db": 6.0, "blur": 1.3, "noise_db": 5.0, "dropout": 2.0})
    )
    np.testing.assert_array_equal(usual.rotation, hard.rotation)
    np.testing.assert_array_equal(usual.shift_mm, hard.shift_mm)
    np.testing.assert_array_equal(usual.box_low_mm, hard.box_low_mm)
    np.testing.assert_array_equal(usual.gain_knots_db, hard.gain_knots_db)
    assert usual.flicker_seed == hard.flicker_seed
