"""Render a drawn case: a pure function from frozen parameters to voxels and landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetusmap.anatomy import Pose, load_skeleton
from fetusmap.errors import BadInput
from fetusmap.geometry import Grid, affine_from, invert_affine
from fetusmap.simulate.body.body import Body
from fetusmap.simulate.body.fetus import Fetus
from fetusmap.simulate.body.posture import BODY_SKELETON
from fetusmap.simulate.scanner.display import to_decibels, to_grey
from fetusmap.simulate.scanner.echo import insonify, synthesize
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
    """Resolution at which a volume is simulated and exported.

    Attributes:
        spacing_mm: spacing of the cubic voxels.
        coarseness: factor on the distance of beam samples.
        factors: decimation of the lattice on which distances are computed.
        max_samples: largest number of samples in a sweep; the sharpest scanners would need more
            and get fewer samples per point spread.
    """

    spacing_mm: float
    coarseness: float
    factors: tuple[int, int, int]
    max_samples: float


PRESETS = {
    "full": Preset(0.5, 1.0, (4, 2, 2), 8e6),
    "mid": Preset(0.75, 1.4, (3, 2, 2), 2.8e6),
    "half": Preset(1.0, 1.9, (2, 1, 1), 1.1e6),
}


def preset_named(name: str) -> Preset:
    """Return the preset of a name.

    Raises:
        BadInput: the preset does not exist.
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
    """Everything that is random about a case, see `draw_case`.

    Attributes:
        fetus: age, sizes, posture.
        body: solids of the fetus.
        scene: surroundings of the fetus.
        probe: probe, scanner and motion.
        speckle_seed: seed of the scatterers.
        skeleton: name of the skeleton of the exported landmarks.
    """

    fetus: Fetus
    body: Body
    scene: Scene
    probe: Probe
    speckle_seed: int
    skeleton: str = BODY_SKELETON


@dataclass(frozen=True, eq=False)
class BeamSpace:
    """A sweep before scan conversion.

    Attributes:
        grey: (R, T, P) uint8.
        lattice: ranges and angles of the samples.
    """

    grey: Labels
    lattice: BeamLattice


@dataclass(frozen=True, eq=False)
class Rendering:
    """A simulated volume with its ground truth.

    Attributes:
        volume: uint8 voxels in the probe's frame (x lateral, y depth, z sweep).
        pose: exact landmarks; confidence 0 for those outside the swept field or the volume.
        fetus: age, sizes, angles.
        probe: setting of the scanner, field, motion.
        body_from_probe: (4, 4) map from the probe's frame to the body frame (x right, y ventral,
            z cranial, origin sacrum), for the fetus in the middle of its drift.
        beams: the sweep in beam space, if requested.
        labels: media as a volume of `Medium` numbers, if requested.
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
        drawn: result of `draw_case`.
        preset: "full" (0.5 mm), "mid" (0.75 mm) or "half" (1 mm).
        name: name of the volume.
        beams: also return the sweep in beam space.
        labels: also return the label map.

    Raises:
        BadInput: the preset does not exist.
    """
    with one_blas_thread():
        return _render(drawn, preset, name, beams=beams, labels=labels)


def true_pose_of(drawn: Drawn, preset: str = "full") -> Pose:
    """Return the landmarks of a drawn case without rendering it."""
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
    insonification = insonify(painting, lattice, settings.factors, probe)
    envelope = synthesize(
        painting,
        lattice,
        upsampler,
        insonification,
        fields.texture,
        probe.scanner,
        drawn.speckle_seed,
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
    """Return the lattice of beams and samples that covers a grid within the field of a scanner.

    There are about 2.2 samples per width of the point spread at 60 mm, divided by the coarseness of
    the preset; if that is too many, all three directions are thinned by the same factor.
    """
    scanner = probe.scanner
    rp, rm = scanner.probe_radius_mm, scanner.motor_radius_mm
    probing = BeamLattice(rp, rm, np.arange(2.0), np.arange(2.0), np.arange(2.0))
    corners = probing.to_beam(grid.corners_mm())
    low, high = grid.bounds_mm()
    # The nearest range and the widest angle occur in the middle of the top face of the grid.
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
    excess = max(1.0, float(np.prod(counts) / preset.max_samples) ** (1 / 3))
    axes = []
    for (first, last), count, factor in zip(ends, counts, preset.factors, strict=True):
        nodes = int(np.ceil(count / excess)) // factor + 2
        axes.append(np.linspace(first, last, (nodes - 1) * factor + 1))
    return BeamLattice(rp, rm, axes[0], axes[1], axes[2])


def true_pose(drawn: Drawn, lattice: BeamLattice, grid: Grid) -> Pose:
    """Return the position of each landmark at the time when the sweep reached it.

    A moving point is reached at the first time when it lies in the plane of the beams. A jump that
    is faster than the sweep may show a point several times; the first time counts. A point that is
    never reached gets its last position and the confidence 0.
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
    pose = Pose(load_skeleton(BODY_SKELETON), points, seen.astype(np.float64))
    return pose.on(load_skeleton(drawn.skeleton))
