"""Augmentation: all randomness is drawn first, then applied without any.

Moving, turning, stretching and mirroring are one thing, a grid to sample on. A left-handed grid
shows the mirror image, so the labels are exchanged in the same line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fetusmap.anatomy import Skeleton
from fetusmap.detect import BodyFrame, BodyFrameGrid, WholeVolumeGrid, body_frame_of
from fetusmap.geometry import Grid, random_rotations, rotation_about, rotation_from_vector
from fetusmap.preprocess import RANK_STEP, equalize, sample
from fetusmap.train.cases import TrainingCase
from fetusmap.types import FloatArray, Points3, RotationMatrix
from fetusmap.volume import Volume

DrawGrid = Callable[[np.random.Generator, TrainingCase], Grid | None]
"""Draws where to look at a case; None for a case that cannot be looked at so."""


@dataclass(frozen=True, eq=False)
class Intensities:
    """How grey levels are changed before they are ranked.

    Attributes:
        gain_knots: three (4,) logarithms of gain along the axes, joined by straight lines.
        noise: standard deviation of white noise, grey levels.
        noise_seed: of that noise.
        blur_voxels: standard deviation of a Gaussian blur; 0 for none.
        shadow: three (start, stop) parts of the box without echoes, or None.
    """

    gain_knots: FloatArray
    noise: float
    noise_seed: int
    blur_voxels: float
    shadow: FloatArray | None


@dataclass(frozen=True, eq=False)
class Augmentation:
    """What happens to a case: where it is looked at, and how its grey levels change, if at all."""

    grid: Grid
    intensities: Intensities | None


@dataclass(frozen=True, eq=False)
class Sample:
    """What a network is trained on.

    Attributes:
        ranks: (I, J, K) uint8, see `equalize`.
        grid: where its voxels are in the world.
        positions_mm: (N, 3), sides exchanged where the grid mirrors; NaN where not visible.
    """

    ranks: NDArray[np.uint8]
    grid: Grid
    positions_mm: Points3


def draw_augmentation(
    rng: np.random.Generator, case: TrainingCase, draw_grid: DrawGrid, *, intensities: bool = True
) -> Augmentation | None:
    """Draw an augmentation of a case; None where its grid cannot be drawn."""
    grid = draw_grid(rng, case)
    if grid is None:
        return None
    return Augmentation(grid, draw_intensities(rng) if intensities else None)


def apply_augmentation(case: TrainingCase, drawn: Augmentation, skeleton: Skeleton) -> Sample:
    """Look at a case as drawn."""
    grey = sample(Volume(case.array, case.grid), drawn.grid)
    if drawn.intensities is not None:
        grey = apply_intensities(grey, drawn.intensities)
    ranks = equalize(grey)
    positions = np.where(case.visible[:, None], case.positions_mm, np.nan)
    mirrored = drawn.grid.is_left_handed
    return Sample(ranks, drawn.grid, positions[skeleton.mirror_index] if mirrored else positions)


def draw_intensities(rng: np.random.Generator) -> Intensities:
    """Draw a change of grey levels; a third of the volumes keep their sharpness and their noise."""
    shadow = None
    if rng.random() < 0.2:
        middle, half = rng.uniform(0, 1, 3), rng.uniform(0.05, 0.16, 3)
        shadow = np.stack([middle - half, middle + half], axis=1)
    return Intensities(
        gain_knots=rng.normal(0, 0.15, (3, 4)),
        noise=float(rng.uniform(0, 14)) if rng.random() < 0.67 else 0.0,
        noise_seed=int(rng.integers(2**63)),
        blur_voxels=float(rng.uniform(0.3, 1.1)) if rng.random() < 0.33 else 0.0,
        shadow=shadow,
    )


def apply_intensities(grey: NDArray[np.float32], drawn: Intensities) -> NDArray[np.float32]:
    """Change grey levels; voxels without anything stay so."""
    nothing = grey < RANK_STEP
    if drawn.blur_voxels:
        grey = ndimage.gaussian_filter(grey, drawn.blur_voxels, truncate=2.5)
    curves = [
        np.exp(np.interp(np.linspace(0, 3, n), np.arange(4), knots)).astype(np.float32)
        for n, knots in zip(grey.shape, drawn.gain_knots, strict=True)
    ]
    grey = grey * curves[0][:, None, None] * (curves[1][:, None] * curves[2])
    if drawn.noise:
        noise = np.random.Generator(np.random.SFC64(drawn.noise_seed))
        grey += np.float32(drawn.noise) * noise.standard_normal(grey.shape, dtype=np.float32)
    if drawn.shadow is not None:
        box = tuple(
            slice(int(np.clip(a * n, 0, n)), int(np.clip(b * n, 0, n)))
            for n, (a, b) in zip(grey.shape, drawn.shadow, strict=True)
        )
        grey[box] *= np.float32(0.1)
    np.maximum(grey, np.float32(RANK_STEP), out=grey)
    grey[nothing] = 0
    return grey


@dataclass(frozen=True)
class AnyDirection:
    """Looks at the whole volume from anywhere: all of SO(3), both hands, other sizes.

    Attributes:
        look: spacing and shape.
        scale: range of the size.
        shift_mm: largest shift along each axis.
    """

    look: WholeVolumeGrid
    scale: tuple[float, float] = (0.85, 1.18)
    shift_mm: float = 12.0

    def __call__(self, rng: np.random.Generator, case: TrainingCase) -> Grid:
        """Draw a grid."""
        axes = random_rotations(rng, 1)[0]
        if rng.random() < 0.5:
            axes = axes * [-1.0, 1.0, 1.0]
        spacing = self.look.spacing_mm * np.exp(rng.uniform(*np.log(self.scale)))
        center = case.grid.center_mm + rng.uniform(-self.shift_mm, self.shift_mm, 3)
        return Grid.centered(self.look.shape, spacing, center, axes)


@dataclass(frozen=True)
class RightAngles:
    """Looks at the whole volume along its own axes, in any order and direction of them.

    The flips and rotations of the paper, without interpolation between directions.

    Attributes:
        look: spacing; the shape is that of the volume.
    """

    look: WholeVolumeGrid

    def __call__(self, rng: np.random.Generator, case: TrainingCase) -> Grid:
        """Draw a grid."""
        grid = case.grid.respace(self.look.spacing_mm).permute(rng.permutation(3).tolist())
        for axis in range(3):
            if rng.random() < 0.5:
                grid = grid.flip(axis)
        return grid


@dataclass(frozen=True)
class NearBody:
    """Looks at the body in its own frame, as wrongly as a first pass would find it.

    Attributes:
        look: the canonical grid.
        skeleton: names the landmarks.
        tilt_deg: standard deviation of the turn about each axis.
        roll_deg: of the further turn about the long axis.
        shift: of the shift along each axis, trunk lengths.
        scale: of the logarithm of the size.
        wild_part: part of the samples with all of it doubled.
    """

    look: BodyFrameGrid
    skeleton: Skeleton
    tilt_deg: float = 9.0
    roll_deg: float = 13.0
    shift: float = 0.09
    scale: float = 0.1
    wild_part: float = 0.15

    def __call__(self, rng: np.random.Generator, case: TrainingCase) -> Grid | None:
        """Draw a grid; half of them look at the mirror image."""
        frame = body_frame_of(self.skeleton, case.positions_mm)
        if frame is None:
            return None
        wild = 2.0 if rng.random() < self.wild_part else 1.0
        turn = _small_turn(rng, wild * self.tilt_deg)
        turn = turn @ rotation_about([0, 0, 1.0], np.radians(rng.normal(0, wild * self.roll_deg)))
        shift = rng.normal(0, wild * self.shift, 3)
        scale = np.exp(rng.normal(0, wild * self.scale))
        grid = self.look.of_frame(
            BodyFrame(
                frame.sacrum_mm + frame.trunk_mm * frame.axes @ shift,
                frame.axes @ turn,
                frame.trunk_mm * scale,
            )
        )
        return grid.flip(0) if rng.random() < 0.5 else grid


def _small_turn(rng: np.random.Generator, sd_deg: float) -> RotationMatrix:
    return rotation_from_vector(np.radians(rng.normal(0, sd_deg, 3)))
