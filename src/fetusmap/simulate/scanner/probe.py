"""Draw the position of the probe, the exported field, and the motion of the fetus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetusmap.geometry import Grid
from fetusmap.simulate.body.body import Body
from fetusmap.simulate.body.shapes import Shape
from fetusmap.simulate.draws import unit_vectors
from fetusmap.simulate.scanner.presentation import USUAL_PRESENTATION, Presentation, draw_rotation
from fetusmap.simulate.scanner.scanner import USUAL_PROFILE, Difficulty, Scanner, draw_scanner
from fetusmap.simulate.scene.scene import Scene
from fetusmap.simulate.tables import table
from fetusmap.types import FloatArray, Points3, RotationMatrix

USUAL_BOX_MM = (110.0, 102.5, 130.0)  # lateral, depth, sweep: 220 x 205 x 260 voxels of 0.5 mm


@dataclass(frozen=True, eq=False)
class Dropout:
    """Sector without contact between probe and skin: echoes behind it are weaker.

    Attributes:
        axis: angle that the sector limits, "theta" or "phi".
        center: middle of the sector, as a fraction of the field from -0.5 to 0.5.
        width: standard deviation of its profile, as a fraction of the field.
        depth_db: loss in its middle.
    """

    axis: str
    center: float
    width: float
    depth_db: float


@dataclass(frozen=True, eq=False)
class Probe:
    """A probe that rests on the mother while its array swings.

    The world frame is the probe's: x lateral, y depth, z sweep; the origin is on the array.

    Attributes:
        scanner: setting of the scanner.
        rotation: (3, 3) probe_from_body.
        shift_mm: (3,) position of the sacrum of the fetus.
        box_low_mm, box_high_mm: (3,) corners of the box that is exported as a volume.
        drift_mm: (3,) drift of the fetus from the first frame to the last.
        jump_mm: (3,) displacement in a sudden move.
        jump_at: time of the jump, as a fraction of the sweep.
        dropouts: sectors without contact.
        gain_knots_db: (6,) errors of the time-gain compensation, evenly spaced over the depth.
        flicker_seed: seed of the gain of each frame.
    """

    scanner: Scanner
    rotation: RotationMatrix
    shift_mm: FloatArray
    box_low_mm: FloatArray
    box_high_mm: FloatArray
    drift_mm: FloatArray
    jump_mm: FloatArray
    jump_at: float
    dropouts: tuple[Dropout, ...]
    gain_knots_db: FloatArray
    flicker_seed: int

    def to_world(self, points_mm: Points3) -> Points3:
        """Return (..., 3) points of the body frame in the probe's frame, before the fetus moves."""
        return np.asarray(points_mm @ self.rotation.T + self.shift_mm)

    def motion_mm(self, part: FloatArray) -> Points3:
        """Return the (..., 3) displacement of the fetus at a fraction, 0 to 1, of the sweep."""
        part = np.asarray(part, dtype=np.float64)[..., None]
        # A jump lasts about a twentieth of the sweep.
        jumped = np.clip((part - self.jump_at) / 0.05 + 0.5, 0, 1)
        return np.asarray((part - 0.5) * self.drift_mm + jumped * self.jump_mm)

    def grid(self, spacing_mm: float) -> Grid:
        """Return the exported box as a grid of cubic voxels."""
        shape = np.maximum(16, np.round((self.box_high_mm - self.box_low_mm) / spacing_mm))
        middle = (self.box_low_mm + self.box_high_mm) / 2
        return Grid.centered([int(n) for n in shape], spacing_mm, middle)


def draw_probe(
    rng: np.random.Generator,
    body: Body,
    scene: Scene,
    *,
    profile: str = USUAL_PROFILE,
    presentation: Presentation = USUAL_PRESENTATION,
    difficulty: Difficulty | None = None,
) -> Probe:
    """Draw how a fetus in its scene is scanned.

    Args:
        rng: generator of the probe.
        body: solids of the fetus.
        scene: surroundings, whose walls determine the depth of the sac.
        profile: name of the scanner profile.
        presentation: distribution of the rotations of the fetus.
        difficulty: knobs that make the volume harder to read.
    """
    difficulty = difficulty or Difficulty()
    scanner = draw_scanner(rng, profile, difficulty)
    rotation = draw_rotation(rng, presentation)
    above = scene.mother.wall_mm + float(rng.uniform(0, 12))
    middle = np.array([rng.normal(0, 5), above + _reach_up(rotation, scene), rng.normal(0, 5)])
    shift = middle - rotation @ scene.uterus.sac.center
    size = np.array(USUAL_BOX_MM) * rng.uniform(0.82, 1.15, 3)
    box = _draw_box(rng, body.outline, rotation, shift, middle, size)
    moving = rng.random() < table("scanner/scanners")["chance"]["motion"]
    return Probe(
        scanner=scanner,
        rotation=rotation,
        shift_mm=shift,
        box_low_mm=box[0],
        box_high_mm=box[1],
        drift_mm=_draw_move(rng, "drift_mm", moving, difficulty),
        jump_mm=_draw_move(rng, "jump_mm", moving and rng.random() < 0.5, difficulty),
        jump_at=float(rng.uniform(0.2, 0.8)),
        dropouts=_draw_dropouts(rng, difficulty),
        gain_knots_db=rng.uniform(-0.5, 0.5, 6) * scanner.gain_wave_db,
        flicker_seed=int(rng.integers(2**63)),
    )


def _reach_up(rotation: RotationMatrix, scene: Scene) -> float:
    """Return the extent of the uterus from the centre of the sac towards the probe, mm."""
    uterus = scene.uterus
    axes = rotation @ uterus.sac.axes
    half = float(np.linalg.norm(axes[1] * uterus.sac.semi_axes))
    placenta = float(axes[1] @ uterus.placenta_direction) * uterus.placenta_mm
    return half + uterus.decidua_mm + uterus.myometrium_mm + max(-placenta, 0.0)


def _draw_box(
    rng: np.random.Generator,
    solids: tuple[Shape, ...],
    rotation: RotationMatrix,
    shift: FloatArray,
    middle: FloatArray,
    size: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Draw the (3,) lowest and highest corner of the exported box.

    The box contains head and trunk (`solids`), as a sonographer would choose it; it may cut limbs.
    """
    points = np.concatenate([solid.surface_points() for solid in solids]) @ rotation.T + shift
    half = size / 2
    center = middle + rng.normal(0, 13, 3)
    center = np.clip(center, points.max(axis=0) - half, points.min(axis=0) + half)
    start = center - half
    start[1] = max(2.0, start[1])
    return start, start + size


def _draw_move(
    rng: np.random.Generator, name: str, moving: bool, difficulty: Difficulty
) -> FloatArray:
    """Draw a displacement of the fetus; the knob lengthens it."""
    length = float(rng.uniform(*table("scanner/scanners")["motion"][name])) * moving
    return np.asarray(unit_vectors(rng, 1)[0] * (length + difficulty.motion_mm))


def _draw_dropouts(rng: np.random.Generator, difficulty: Difficulty) -> tuple[Dropout, ...]:
    """Draw sectors without contact; the knob adds sectors to those of the default setting."""
    most = int(table("scanner/scanners")["dropout"]["most"])
    chance = table("scanner/scanners")["dropout"]["chance"] * difficulty.dropout
    draws = rng.random(most)
    sectors = tuple(
        Dropout(
            axis=str(rng.choice(["theta", "phi"])),
            center=float(rng.uniform(-0.5, 0.5)),
            width=float(rng.uniform(0.02, 0.09)),
            depth_db=float(rng.uniform(3, 14) * max(1.0, difficulty.dropout**0.5)),
        )
        for _ in range(most)
    )
    return tuple(sector for sector, draw in zip(sectors, draws, strict=True) if draw < chance)
