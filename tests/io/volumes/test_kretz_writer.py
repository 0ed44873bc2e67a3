"""What is written as a Kretz file is read back, and lies where it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.geometry.affine import apply_affine
from fetusmap.io import Source, load_volume
from fetusmap.io.volumes.kretz import parse_kretz
from fetusmap.io.volumes.kretz_writer import (
    kretz_from_lattice,
    save_kretz_sweeps,
    save_kretz_voxels,
)
from fetusmap.volume.beams import BeamLattice
from fetusmap.volume.scan_conversion import scan_convert


def lattice_of(theta=(-30, 30), phi=(-25, 25)):
    return BeamLattice(
        45.0,
        32.0,
        np.linspace(5, 75, 71),
        np.radians(np.linspace(*theta, 41)),
        np.radians(np.linspace(*phi, 33)),
    )


def blob(lattice, sample):
    sweep = np.zeros(lattice.shape, np.uint8)
    i, j, k = sample
    sweep[i - 1 : i + 2, j, k] = sweep[i, j - 1 : j + 2, k] = sweep[i, j, k - 1 : k + 2] = 200
    return sweep


def brightest(volume):
    weights = volume.array.astype(float)
    return (volume.grid.centers_mm() * weights[..., None]).sum((0, 1, 2)) / weights.sum()


@pytest.mark.parametrize("theta", [(-30, 30), (-30, 12), (-7, 30.3)])
@pytest.mark.parametrize("phi", [(-25, 25), (-25, 21.5), (-3, 25)])
def test_a_point_lies_where_the_lattice_has_it_also_if_the_sweep_is_not_symmetric(
    tmp_path, theta, phi
):
    lattice = lattice_of(theta, phi)
    save_kretz_sweeps([blob(lattice, (40, 5, 28))], lattice, tmp_path / "case.vol")
    volume = load_volume(tmp_path / "case.vol")
    sample = [lattice.ranges_mm[40], lattice.thetas_rad[5], lattice.phis_rad[28]]
    expected = apply_affine(kretz_from_lattice(lattice), lattice.to_world(sample))
    assert np.abs(brightest(volume) - expected).max() < 0.1


def test_no_side_is_exchanged_between_the_lattice_and_the_file():
    """The map is a rotation and a shift: the sweep turns with it, and nothing is mirrored."""
    turn = kretz_from_lattice(lattice_of())[:3, :3]
    assert np.linalg.det(turn) == 1
    np.testing.assert_array_equal(turn @ turn.T, np.eye(3))


def test_the_voxels_are_those_of_the_same_sweep_on_the_same_grid(tmp_path):
    """Two ways to the same voxels: through the file, and straight from the lattice."""
    lattice = lattice_of()
    sweep = np.random.default_rng(2).integers(0, 255, lattice.shape, np.uint8)
    save_kretz_sweeps([sweep], lattice, tmp_path / "case.vol")
    volume = load_volume(tmp_path / "case.vol")
    x, minus_sweep, depth = volume.grid.shape
    low = volume.grid.origin_mm
    high = low + 0.5 * (np.array(volume.grid.shape) - 1)
    own = Grid.from_spacing((x, depth, minus_sweep), 0.5, (low[0], low[2] - 45.0, -high[1]))
    straight = scan_convert(sweep.astype(np.float32), lattice, own).transpose(0, 2, 1)[:, ::-1]
    difference = np.abs(volume.array.astype(int) - straight)
    assert (difference > 1).mean() < 1e-4


@settings(deadline=None, max_examples=20)
@given(
    theta=st.tuples(st.floats(-40, -1), st.floats(1, 40)),
    phi=st.tuples(st.floats(-40, -1), st.floats(1, 40)),
    radii=st.tuples(st.floats(38, 60), st.floats(30, 40)),
)
def test_every_geometry_is_read_back(tmp_path_factory, theta, phi, radii):
    path = tmp_path_factory.mktemp("vol") / "case.vol"
    plain = lattice_of(theta, phi)
    lattice = BeamLattice(*radii, plain.ranges_mm, plain.thetas_rad, plain.phis_rad)
    save_kretz_sweeps([np.zeros(lattice.shape, np.uint8)], lattice, path)
    there = parse_kretz(path.read_bytes(), path).lattice
    assert there.probe_radius_mm == pytest.approx(radii[0] + 5)  # the first sample
    assert there.probe_radius_mm - there.motor_radius_mm == pytest.approx(radii[0] - radii[1])
    for angles, back in (
        (lattice.thetas_rad, there.thetas_rad),
        (-lattice.phis_rad, there.phis_rad),
    ):
        assert back[0] == pytest.approx(-back[-1])
        nearest = np.abs(back[:, None] - angles).min(axis=0)
        assert nearest.max() < 1e-9


def test_several_sweeps_are_a_sequence(tmp_path):
    lattice = lattice_of()
    sweeps = [blob(lattice, (40, 5 + 8 * n, 16)) for n in range(3)]
    save_kretz_sweeps(sweeps, lattice, tmp_path / "case.vol")
    lateral = [brightest(load_volume(Source(tmp_path / "case.vol", frame=n)))[0] for n in range(3)]
    assert lateral == sorted(lateral)
    assert lateral[2] - lateral[0] > 20


def test_cubic_voxels_are_read_back(tmp_path):
    voxels = np.random.default_rng(1).integers(0, 255, (20, 21, 22), np.uint8)
    save_kretz_voxels(voxels, 0.4, tmp_path / "case.vol")
    volume = load_volume(tmp_path / "case.vol")
    np.testing.assert_array_equal(volume.array, voxels)
    np.testing.assert_allclose(volume.grid.spacing_mm, 0.4)


def test_what_does_not_fit_is_refused(tmp_path):
    lattice, path = lattice_of(), tmp_path / "case.vol"
    for sweeps in ([], [np.zeros((3, 3, 3), np.uint8)], [np.zeros(lattice.shape, np.float32)]):
        with pytest.raises(BadInput):
            save_kretz_sweeps(sweeps, lattice, path)
    with pytest.raises(BadInput):
        save_kretz_voxels(np.zeros((20, 20, 20), np.float32), 0.4, path)
    assert list(tmp_path.iterdir()) == []
