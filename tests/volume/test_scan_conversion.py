"""From beams to voxels: nothing shifts, nothing is invented outside the field."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetusmap.geometry import Grid
from fetusmap.simulate import PRESETS, Seeds, SimulationSettings, draw_case
from fetusmap.simulate.rendering import beam_lattice, true_pose
from fetusmap.simulate.scanner.fields import Placement
from fetusmap.volume.beams import BeamLattice
from fetusmap.volume.scan_conversion import scan_convert, scan_convert_labels

WHOLE = (slice(None),) * 3


@pytest.fixture(scope="module")
def lattice():
    return BeamLattice(
        45.0,
        32.0,
        np.linspace(3, 90, 175),
        np.radians(np.linspace(-33, 33, 67)),
        np.radians(np.linspace(-30, 30, 49)),
    )


@pytest.fixture(scope="module")
def grid():
    return Grid.centered((90, 80, 94), 1.0, (1.3, 42.0, -2.1))


def interior(lattice, grid):
    """Voxels that lie clearly inside the field, whose neighbours do so too; those outside of it."""
    points = grid.centers_mm()
    away = 2 * grid.spacing_mm[0] * np.concatenate([np.eye(3), -np.eye(3)])
    inside = np.all([lattice.contains(points + step) for step in away], axis=0)
    return inside, ~lattice.contains(points)


def test_a_constant_stays_constant_inside_and_nothing_is_outside(lattice, grid):
    voxels = scan_convert(np.full(lattice.shape, 137.0, np.float32), lattice, grid)
    inside, outside = interior(lattice, grid)
    assert voxels.shape == grid.shape
    assert voxels.dtype == np.uint8
    assert inside.sum() > 1e5
    assert outside.sum() > 1e4
    assert (voxels[inside] == 137).all()
    # The field fades within two voxels.
    assert (voxels <= 137).all()
    away = 2 * np.concatenate([np.eye(3), -np.eye(3)])
    far = ~np.any([lattice.contains(grid.centers_mm() + step) for step in away], axis=0)
    assert (voxels[far & outside] == 0).all()


@pytest.mark.parametrize("axis", [0, 1, 2], ids=["lateral", "depth", "sweep"])
def test_a_linear_function_of_space_is_reproduced(lattice, grid, axis):
    """Grey levels are whole numbers: within one of them."""
    position = np.broadcast_to(lattice.positions(WHOLE)[axis], lattice.shape)
    scale, offset = ((1.5, 127.0), (2.3, 20.0), (1.6, 127.0))[axis]
    voxels = scan_convert((offset + scale * position).astype(np.float32), lattice, grid)
    inside, _ = interior(lattice, grid)
    expected = offset + scale * grid.centers_mm()[..., axis]
    error = voxels[inside] - expected[inside]
    assert np.abs(error).max() < 1.0
    assert abs(error.mean()) < 0.05


@settings(max_examples=15)
@given(
    radii=st.tuples(st.floats(38, 60), st.floats(22, 40)),
    half_deg=st.tuples(st.floats(25, 40), st.floats(21, 42)),
    center=st.tuples(st.floats(-5, 5), st.floats(30, 45), st.floats(-5, 5)),
    spacing=st.sampled_from([1.0, 1.7, 2.5]),
)
def test_every_geometry_reproduces_depth(radii, half_deg, center, spacing):
    rp, rm = radii
    axes = [np.linspace(2, 80, 120), *(np.radians(np.linspace(-a, a, 45)) for a in half_deg)]
    lattice = BeamLattice(rp, rm, *axes)
    grid = Grid.centered((30, 28, 26), spacing, center)
    depth = np.broadcast_to(lattice.positions(WHOLE)[1], lattice.shape)
    voxels = scan_convert((20.3 + 2.07 * depth).astype(np.float32), lattice, grid)
    inside, _ = interior(lattice, grid)
    error = voxels[inside] - (20.3 + 2.07 * grid.centers_mm()[..., 1][inside])
    assert inside.sum() > 500
    assert np.abs(error).max() < 1.2
    assert abs(error.mean()) < 0.1


def test_labels_are_those_of_the_nearest_sample(lattice, grid):
    """The slow way: a tree of all samples, in steps of the lattice."""
    labels = np.random.default_rng(0).integers(1, 29, lattice.shape, dtype=np.uint8)
    voxels = scan_convert_labels(labels, lattice, grid)
    rng = np.random.default_rng(1)
    inside = lattice.contains(grid.centers_mm())
    chosen = rng.choice(np.argwhere(inside), 300, replace=False)
    for i, j, k in chosen:
        beam = lattice.to_beam(grid.to_world([i, j, k]))
        nearest = tuple(
            int(np.abs(axis - b).argmin())
            for axis, b in zip(
                (lattice.ranges_mm, lattice.thetas_rad, lattice.phis_rad), beam, strict=True
            )
        )
        assert voxels[i, j, k] == labels[nearest]
    # Samples fill half a step around them; beyond that there is nothing.
    beam = lattice.to_beam(grid.centers_mm())
    far = np.zeros(grid.shape, bool)
    for n, axis in enumerate((lattice.ranges_mm, lattice.thetas_rad, lattice.phis_rad)):
        half = 0.501 * (axis[1] - axis[0])
        far |= (beam[..., n] < axis[0] - half) | (beam[..., n] > axis[-1] + half)
    assert far.sum() > 1e4
    assert (voxels[far] == 0).all()
    assert (voxels[inside] > 0).all()


def test_labels_and_grey_levels_lie_in_the_same_place(lattice, grid):
    half = np.broadcast_to(lattice.positions(WHOLE)[0] > 3.0, lattice.shape)
    grey = scan_convert((200 * half).astype(np.float32), lattice, grid)
    label = scan_convert_labels(half.astype(np.uint8), lattice, grid)
    inside, _ = interior(lattice, grid)
    apart = (grey > 100) != (label > 0)
    x = grid.centers_mm()[..., 0]
    assert not (apart & inside & (np.abs(x - 3.0) > 1.0)).any()


def apart_from_others(points, least_mm):
    """Numbers of points that lie farther apart than that, greedily."""
    chosen = []
    for n, point in enumerate(points):
        if all(np.linalg.norm(point - points[m]) > least_mm for m in chosen):
            chosen.append(n)
    return chosen


def centroids_of_balls(drawn, preset, sd_mm=1.2):
    """Balls put at landmarks of the moving fetus: where the volume shows them, and truly are."""
    window = 3.75 * sd_mm
    grid = drawn.probe.grid(PRESETS[preset].spacing_mm)
    lattice = beam_lattice(drawn.probe, grid, PRESETS[preset])
    placement = Placement.of(lattice, drawn.probe)
    pose = true_pose(drawn, lattice, grid)
    resting = drawn.probe.to_world(drawn.fetus.posture.landmarks_mm[0])
    around = (window + 2) * np.concatenate([np.eye(3), -np.eye(3)])
    deep = [
        n
        for n, point in enumerate(pose.positions_mm)
        if grid.contains(point, window + 2) and lattice.contains(point + around).all()
    ]
    rows = [deep[n] for n in apart_from_others(pose.positions_mm[deep], 2 * window + 2)]
    values = np.zeros(lattice.shape, np.float32)
    x, y, z = placement.moving(WHOLE)
    for row in rows:
        a, b, c = resting[row].astype(np.float32)
        square = (x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2
        near = square < window**2
        values[near] = 250 * np.exp(-square[near] / (2 * sd_mm**2))
    voxels = scan_convert(values, lattice, grid)
    found = []
    for row in rows:
        truth = pose.positions_mm[row]
        middle = np.round(grid.to_index(truth)).astype(int)
        reach = int((window + 1.5) / grid.spacing_mm[0])
        box = tuple(slice(c - reach, c + reach + 1) for c in middle)
        indices = np.stack(np.mgrid[box], axis=-1)
        near = np.linalg.norm(grid.to_world(indices) - truth, axis=-1) < window + 1
        weights = voxels[box] * near.astype(float)
        found.append(grid.to_world((weights[..., None] * indices).sum((0, 1, 2)) / weights.sum()))
    return np.array(found), pose.positions_mm[rows]


def drawn_with(number, **motion):
    """A case with some motion, or none."""
    drawn = draw_case(SimulationSettings(), Seeds.of_case(21, number))
    still = {"drift_mm": np.zeros(3), "jump_mm": np.zeros(3)}
    return replace(drawn, probe=replace(drawn.probe, **{**still, **motion}))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_point_target_lies_where_its_landmark_does(number):
    """Within 0.1 mm, in volumes of half a millimetre."""
    found, expected = centroids_of_balls(drawn_with(number), "full")
    assert len(found) >= 5
    assert np.linalg.norm(found - expected, axis=1).max() < 0.1


@pytest.mark.parametrize("preset", ["mid", "half"])
def test_so_it_does_in_coarser_volumes(preset):
    found, expected = centroids_of_balls(drawn_with(4), preset, 2.0)
    assert len(found) >= 2
    assert np.linalg.norm(found - expected, axis=1).max() < 0.1


def test_so_it_does_when_the_fetus_drifts_during_the_sweep():
    """Balls that move while they are swept are stretched or squeezed, but about their landmark."""
    drawn = drawn_with(1, drift_mm=np.array([3.0, -4.0, 5.0]))
    found, expected = centroids_of_balls(drawn, "full")
    resting = drawn.probe.to_world(drawn.fetus.posture.landmarks_mm[0])
    moved = np.linalg.norm(expected[:, None] - resting, axis=-1).min(axis=1)
    assert moved.max() > 0.5  # otherwise nothing would be tested
    assert np.linalg.norm(found - expected, axis=1).max() < 0.1


@pytest.mark.parametrize("jump_z", [12.0, -12.0], ids=["with the sweep", "against the sweep"])
def test_so_it_does_when_the_fetus_jumps_faster_than_the_sweep(jump_z):
    """But for what is met just while it jumps: that is torn apart, or shown twice."""
    drawn = drawn_with(2, jump_mm=np.array([2.0, 3.0, jump_z]), jump_at=0.36)
    found, expected = centroids_of_balls(drawn, "full")
    grid = drawn.probe.grid(0.5)
    lattice = beam_lattice(drawn.probe, grid, PRESETS["full"])
    low, high = lattice.phis_rad[[0, -1]]
    part = (lattice.to_beam(expected)[:, 2] - low) / (high - low)
    clear = np.abs(part - 0.36) > 0.1
    assert clear.sum() >= 2
    assert np.linalg.norm(found - expected, axis=1)[clear].max() < 0.1
