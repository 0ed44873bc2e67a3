"""A volume of a drawn case: pure, from frozen parameters to voxels and landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetusmap.anatomy import Pose, load_skeleton
from fetusmap.errors import BadInput
from fetusmap.geometry import Grid, affine_from, invert_affine
from fetusmap.simulate.body.body import Body
from fetusmap.simulate.body.fetus import Fetus
from fetusmap.simulate.scanner.display import to_decibels, to_grey
from fetusmap.simulate.scanner.echo import illuminate, synthesize
from fetusmap.simulate.scanner.fields import Placement, Upsampler, compute_fields
from fetusmap.simulate.scanner.paint import paint
from fetusmap.simulate.scanner.probe import Probe
from fetusmap.simulate.scene.scene import Scene
from fetusmap.threads import one_blas_thread
from fetusmap.types import Affine, Labels
from fetusmap.volume import Volume
from fetusmap.volume.beams import BeamLattice
from fetusmap.volume.scan_conversion import scan_convert, scan_convert_labels


@dataclass(frozen=True)
class Preset:
    """How finely a volume is simulated and exported.

    Attributes:
        spacing_mm: of its cubic voxels.
        coarseness: factor on the distance of beam samples.
        factors: decimation of the lattice on which distances are computed.
        most_samples: of a sweep; the sharpest scanners get fewer samples per point spread.
    """

    spacing_mm: float
    coarseness: float
    factors: tuple[int, int, int]
    most_samples: float


PRESETS = {
    "full": Preset(0.5, 1.0, (4, 2, 2), 8e6),
    "mid": Preset(0.75, 1.4, (3, 2, 2), 2.8e6),
    "half": Preset(1.0, 1.9, (2, 1, 1), 1.1e6),
}


def preset_named(name: str) -> Preset:
    """The preset of that name.

    Raises:
        BadInput: no such preset.
    """
    if name not in PRESETS:
        raise BadInput(
            "preset",
            expected=f"one of {', '.join(PRESETS)}",
            found=repr(name),
            remedy="choose one of them",
        )
    return PRESETS[name]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Everything random about a case, drawn and frozen; see `draw_case`.

    Attributes:
        fetus: age, sizes, posture.
        body: its solids.
        scene: what is around it.
        probe: how it is scanned.
        speckle_seed: of the scatterers.
    """

    fetus: Fetus
    body: Body
    scene: Scene
    probe: Probe
    speckle_seed: int


@dataclass(frozen=True, eq=False)
class BeamSpace:
    """A sweep before scan conversion.

    Attributes:
        grey: (R, T, P) uint8.
        lattice: ranges and angles of its samples.
    """

    grey: Labels
    lattice: BeamLattice


@dataclass(frozen=True, eq=False)
class Rendering:
    """A simulated volume and the truth about it.

    Attributes:
        volume: uint8 voxels in the probe's frame (x lateral, y depth, z sweep).
        pose: exact landmarks; confidence 0 for those outside the swept field or the volume.
        fetus: who it is: age, sizes, angles.
        probe: scanner's setting, field, motion.
        body_from_probe: (4, 4) where the probe stands in the fetus' own frame (x right, y ventral,
            z cranial, origin sacrum), where the fetus is in the middle of its drift.
        beams: the sweep in beam space, on request.
        labels: media as a volume of `Medium` numbers, on request.
    """

    volume: Volume
    pose: Pose
    fetus: Fetus
    probe: Probe
    body_from_probe: Affine
    beams: BeamSpace | None = None
    labels: Volume | None = None


def render(
    drawn: Drawn,
    preset: str = "full",
    *,
    name: str = "volume",
    beams: bool = False,
    labels: bool = False,
) -> Rendering:
    """Simulate the volume of a drawn case. The same parameters give the same bytes.

    Args:
        drawn: from `draw_case`.
        preset: "full" (0.5 mm), "mid" (0.75 mm) or "half" (1 mm).
        name: of the volume.
        beams: return the beam-space sweep too.
        labels: return the label map too.

    Raises:
        BadInput: no such preset.
    """
    with one_blas_thread():
        return _render(drawn, preset, name, beams=beams, labels=labels)


def true_pose_of(drawn: Drawn, preset: str = "full") -> Pose:
    """The landmarks of a drawn case, without rendering it."""
    settings = preset_named(preset)
    grid = drawn.probe.grid(settings.spacing_mm)
    return true_pose(drawn, beam_lattice(drawn.probe, grid, settings), grid)


def _render(drawn: Drawn, preset: str, name: str, *, beams: bool, labels: bool) -> Rendering:
    settings, probe = preset_named(preset), drawn.probe
    grid = probe.grid(settings.spacing_mm)
    lattice = beam_lattice(probe, grid, settings)
    coarse = lattice.decimated(settings.factors)
    upsampler = Upsampler(settings.factors, coarse.shape)
    fields = compute_fields(Placement.of(coarse, probe), drawn.body, drawn.scene, probe)
    painting = paint(
        Placement.of(lattice, probe), upsampler, fields, drawn.body, drawn.scene, probe
    )
    light = illuminate(painting, lattice, settings.factors, probe)
    envelope = synthesize(
        painting, lattice, upsampler, light, fields.texture, probe.scanner, drawn.speckle_seed
    )
    grey = to_grey(to_decibels(envelope), probe.scanner)
    volume = Volume(scan_convert(grey, lattice, grid), grid, name)
    return Rendering(
        volume=volume,
        pose=true_pose(drawn, lattice, grid),
        fetus=drawn.fetus,
        probe=probe,
        body_from_probe=invert_affine(affine_from(probe.rotation, probe.shift_mm)),
        beams=BeamSpace((grey + np.float32(0.5)).astype(np.uint8), lattice) if beams else None,
        labels=Volume(scan_convert_labels(painting.label, lattice, grid), grid, name)
        if labels
        else None,
    )


def beam_lattice(probe: Probe, grid: Grid, preset: Preset) -> BeamLattice:
    """Beams and samples for a scanner's field as far as a grid needs it.

    Samples stand about 2.2 to the width of the point spread, at 60 mm, over the preset's
    coarseness; all three directions thin out alike where that would be too many.
    """
    scanner = probe.scanner
    rp, rm = scanner.probe_radius_mm, scanner.motor_radius_mm
    probing = BeamLattice(rp, rm, np.arange(2.0), np.arange(2.0), np.arange(2.0))
    corners = probing.to_beam(grid.corners_mm())
    low, high = grid.bounds_mm()
    # Nearest and widest lie in the middle of the top face, not at its corners.
    nearest = max(0.5, float(low[1]))
    tops = [[x, low[1], np.clip(0.0, low[2], high[2])] for x in (low[0], high[0])]
    corners = np.concatenate([corners, probing.to_beam(tops)])
    wide = np.radians([scanner.lateral_field_deg, scanner.sweep_deg]) / 2
    reach = np.array([60.0])
    density = preset.coarseness / scanner.line_density
    steps = (
        float(np.clip(scanner.axial_fwhm_mm / 2.2, 0.24, 0.4)) * preset.coarseness,
        float(np.clip(scanner.lateral_fwhm_mm(reach)[0], 1.2, 2.6)) / (rp + 60) / 2.1 * density,
        float(np.clip(scanner.elevation_fwhm_mm(reach)[0], 1.8, 3.6)) / (rm + 60) / 2.1 * density,
    )
    ends = (
        (nearest, float(min(corners[:, 0].max(), high[1] * 1.25))),
        (max(-wide[0], corners[:, 1].min()), min(wide[0], corners[:, 1].max())),
        (max(-wide[1], corners[:, 2].min()), min(wide[1], corners[:, 2].max())),
    )
    counts = [(last - first) / step for (first, last), step in zip(ends, steps, strict=True)]
    crowd = max(1.0, float(np.prod(counts) / preset.most_samples) ** (1 / 3))
    axes = []
    for (first, last), count, factor in zip(ends, counts, preset.factors, strict=True):
        nodes = int(np.ceil(count / crowd)) // factor + 2
        axes.append(np.linspace(first, last, (nodes - 1) * factor + 1))
    return BeamLattice(rp, rm, axes[0], axes[1], axes[2])


def true_pose(drawn: Drawn, lattice: BeamLattice, grid: Grid) -> Pose:
    """Where each landmark was when the sweep met it.

    Which frame meets a moving point depends on where the point is by then: sought is the first part
    of the sweep at which the beams' plane and the point are at one place. A jump that outruns the
    sweep may show a point several times; the first counts. A point that is never met stays where
    it ends, with confidence 0.
    """
    probe = drawn.probe
    resting = probe.to_world(drawn.fetus.posture.landmarks_mm[0])
    parts = np.linspace(0, 1, 1001)
    paths = resting + probe.motion_mm(parts)[:, None]
    phis = lattice.phis_rad
    ahead = (lattice.to_beam(paths)[..., 2] - phis[0]) / (phis[-1] - phis[0]) - parts[:, None]
    met = (ahead[:-1] >= 0) & (ahead[1:] < 0)
    step, row = met.argmax(axis=0), np.arange(len(resting))
    here, after = ahead[step, row], ahead[step + 1, row]
    crossing = parts[step] + here / np.where(met.any(axis=0), here - after, 1) * parts[1]
    never = np.where(ahead[0] < 0, 0.0, 1.0)
    points = resting + probe.motion_mm(np.where(met.any(axis=0), crossing, never))
    seen = met.any(axis=0) & lattice.contains(points) & grid.contains(points)
    return Pose(load_skeleton(), points, seen.astype(np.float64))
