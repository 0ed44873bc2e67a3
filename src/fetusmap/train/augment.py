"""Augment training cases: random parameters are drawn first; applying them is deterministic.

Shift, rotation, scaling and mirroring are all expressed by the grid on which a case is sampled. A
left-handed grid shows the mirror image, so the labels are exchanged in the same line.
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
"""Draws the grid on which a case is sampled; None if the case defines no such grid."""


@dataclass(frozen=True, eq=False)
class Intensities:
    """Parameters of the change of grey levels, before these are replaced by their ranks.

    Attributes:
        gain_knots: (3, 4) logarithms of the gain at four points of each axis, interpolated
            linearly.
        noise: standard deviation of white noise, grey levels.
        noise_seed: seed of that noise.
        blur_voxels: standard deviation of a Gaussian blur; 0 for none.
        shadow: (3, 2) start and stop of a box with a tenth of the echoes, as fractions of the axes;
            None for no shadow.
    """

    gain_knots: FloatArray
    noise: float
    noise_seed: int
    blur_voxels: float
    shadow: FloatArray | None


@dataclass(frozen=True, eq=False)
class Augmentation:
    """The grid on which a case is sampled, and the change of its grey levels or None."""

    grid: Grid
    intensities: Intensities | None


@dataclass(frozen=True, eq=False)
class Sample:
    """An augmented case.

    Attributes:
        ranks: (I, J, K) uint8 ranks of the grey levels, see `equalize`.
        grid: position of the voxels.
        positions_mm: (N, 3) landmarks, sides exchanged if the grid mirrors; NaN if not visible.
    """

    ranks: NDArray[np.uint8]
    grid: Grid
    positions_mm: Points3


def draw_augmentation(
    rng: np.random.Generator, case: TrainingCase, draw_grid: DrawGrid, *, intensities: bool = True
) -> Augmentation | None:
    """Draw an augmentation of a case; None if its grid cannot be drawn."""
    grid = draw_grid(rng, case)
    if grid is None:
        return None
    return Augmentation(grid, draw_intensities(rng) if intensities else None)


def apply_augmentation(case: TrainingCase, drawn: Augmentation, skeleton: Skeleton) -> Sample:
    """Sample a case on the drawn grid, and change its grey levels as drawn."""
    grey = sample(Volume(case.array, case.grid), drawn.grid)
    if drawn.intensities is not None:
        grey = apply_intensities(grey, drawn.intensities)
    ranks = equalize(grey)
    positions = np.where(case.visible[:, None], case.positions_mm, np.nan)
    mirrored = drawn.grid.is_left_handed
    return Sample(ranks, drawn.grid, positions[skeleton.mirror_index] if mirrored else positions)


def draw_intensities(rng: np.random.Generator) -> Intensities:
    """Draw a change of grey levels: noise in two thirds of the volumes, blur in one third."""
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
    """Change grey levels; voxels without an echo remain without one."""
    has_no_echo = grey < RANK_STEP
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
    grey[has_no_echo] = 0
    return grey


@dataclass(frozen=True)
class AnyDirection:
    """Draws grids over the whole volume in any rotation, mirrored or not, of varied size.

    Attributes:
        input_grid: spacing and shape.
        scale: range of the factor on the spacing.
        shift_mm: largest shift along each axis.
    """

    input_grid: WholeVolumeGrid
    scale: tuple[float, float] = (0.85, 1.18)
    shift_mm: float = 12.0

    def __call__(self, rng: np.random.Generator, case: TrainingCase) -> Grid:
        """Draw a grid."""
        axes = random_rotations(rng, 1)[0]
        if rng.random() < 0.5:
            axes = axes * [-1.0, 1.0, 1.0]
        spacing = self.input_grid.spacing_mm * np.exp(rng.uniform(*np.log(self.scale)))
        center = case.grid.center_mm + rng.uniform(-self.shift_mm, self.shift_mm, 3)
        return Grid.centered(self.input_grid.shape, spacing, center, axes)


@dataclass(frozen=True)
class RightAngles:
    """Draws grids along the volume's own axes, in any order and direction of them.

    These are the flips and rotations of the paper; they need no interpolation between directions.

    Attributes:
        input_grid: spacing; the shape is that of the volume.
        permute: also change the order of the axes; without it only flips are drawn.
        flips: axes that may be flipped.
    """

    input_grid: WholeVolumeGrid
    permute: bool = True
    flips: tuple[int, ...] = (0, 1, 2)

    def __call__(self, rng: np.random.Generator, case: TrainingCase) -> Grid:
        """Draw a grid."""
        grid = case.grid.respace(self.input_grid.spacing_mm)
        if self.permute:
            grid = grid.permute(rng.permutation(3).tolist())
        for axis in self.flips:
            if rng.random() < 0.5:
                grid = grid.flip(axis)
        return grid


@dataclass(frozen=True)
class NearBody:
    """Draws grids in the body's frame, with errors like those of a first pass.

    Attributes:
        input_grid: the grid in the body's frame.
        skeleton: names the landmarks.
        tilt_deg: standard deviation of the rotation about each axis.
        roll_deg: standard deviation of the additional rotation about the long axis.
        shift: standard deviation of the shift along each axis, trunk lengths.
        scale: standard deviation of the logarithm of the size.
        wild_part: fraction of the samples for which all these deviations are doubled.
    """

    input_grid: BodyFrameGrid
    skeleton: Skeleton
    tilt_deg: float = 9.0
    roll_deg: float = 13.0
    shift: float = 0.09
    scale: float = 0.1
    wild_part: float = 0.15

    def __call__(self, rng: np.random.Generator, case: TrainingCase) -> Grid | None:
        """Draw a grid; half of the grids mirror."""
        frame = body_frame_of(self.skeleton, case.positions_mm)
        if frame is None:
            return None
        wild = 2.0 if rng.random() < self.wild_part else 1.0
        turn = _small_turn(rng, wild * self.tilt_deg)
        turn = turn @ rotation_about([0, 0, 1.0], np.radians(rng.normal(0, wild * self.roll_deg)))
        shift = rng.normal(0, wild * self.shift, 3)
        scale = np.exp(rng.normal(0, wild * self.scale))
        grid = self.input_grid.of_frame(
            BodyFrame(
                frame.sacrum_mm + frame.trunk_mm * frame.axes @ shift,
                frame.axes @ turn,
                frame.trunk_mm * scale,
            )
        )
        return grid.flip(0) if rng.random() < 0.5 else grid


def _small_turn(rng: np.random.Generator, sd_deg: float) -> RotationMatrix:
    return rotation_from_vector(np.radians(rng.normal(0, sd_deg, 3)))
