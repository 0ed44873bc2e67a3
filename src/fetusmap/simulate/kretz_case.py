"""A simulated case as a scanner would store it: a GE Kretz file of beams, with exact landmarks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fetusmap.anatomy import Pose
from fetusmap.errors import BadInput
from fetusmap.geometry import Grid, invert_affine
from fetusmap.io import load_volume
from fetusmap.io.volumes.kretz_writer import kretz_from_lattice, save_kretz_sweeps
from fetusmap.simulate.rendering import Drawn, Rendering, beam_lattice, preset_named, true_pose
from fetusmap.volume.beams import BeamLattice

EVERYWHERE = Grid.centered((2, 2, 2), 10_000.0, (0.0, 0.0, 0.0))
"""A box around every sweep: the file holds the whole sweep, and not the box of an export."""


def write_as_kretz(drawn: Drawn, made: Rendering, path: Path) -> Rendering:
    """Write the beams of a rendering, and return it as the file gives it back.

    Args:
        drawn: the case.
        made: its rendering, with beams.
        path: the file to write.

    Returns:
        The rendering with the volume that the reader converts from the file, and with the landmarks
        in its world. The confidence is 0 only for landmarks outside the swept field.

    Raises:
        BadInput: the rendering has no beams, or the file cannot be written.
    """
    if made.beams is None:
        raise BadInput("rendering", expected="beams", found="none", remedy="render with beams=True")
    lattice = made.beams.lattice
    save_kretz_sweeps([made.beams.grey], lattice, path)
    return replace(
        made,
        volume=replace(load_volume(path), name=made.volume.name),
        pose=_pose_in(lattice, drawn),
        body_from_probe=made.body_from_probe @ invert_affine(kretz_from_lattice(lattice)),
    )


def true_pose_in_kretz(drawn: Drawn, preset: str = "full") -> Pose:
    """Return the landmarks of a case in the world of its Kretz file, without rendering it."""
    settings = preset_named(preset)
    grid = drawn.probe.grid(settings.spacing_mm)
    return _pose_in(beam_lattice(drawn.probe, grid, settings), drawn)


def _pose_in(lattice: BeamLattice, drawn: Drawn) -> Pose:
    return true_pose(drawn, lattice, EVERYWHERE).transform(kretz_from_lattice(lattice))
