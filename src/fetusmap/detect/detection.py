"""`Detection`: the landmarks that a pipeline found, and how well the pose library fits them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.atlas import PoseLibrary, body_sizes_mm, distances_to_atlas_mean, fit_library
from fetusmap.detect.detector import Detector
from fetusmap.detect.frame import BodyFrame
from fetusmap.errors import DegenerateAlignment
from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps, find_peaks
from fetusmap.types import Affine, FloatArray, Points3
from fetusmap.volume import Volume


@dataclass(frozen=True, eq=False)
class Detection:
    """Landmarks that were found in a volume by one pass of a network.

    Attributes:
        positions_mm: (N, 3) landmarks.
        masses: (N,) share of each landmark's heatmap that lies in its peak, 0 to 1.
        residual: mean distance from the best atlases, in body sizes (see `body_sizes_mm`).
        distance_to_atlas_mean: (N,) distance of each landmark from the mean of the best atlases,
            in body sizes.
        frame: the body frame in which the network predicted; None for a pass over the whole volume.
        heatmaps: heatmaps of the last pass, one channel per landmark.
        input_grid: the grid on which the network received the volume.
        first_pass_mm: (N, P, 3) peaks that the first pass found for each landmark or its mirror
            partner; None if there is no first pass.
    """

    positions_mm: Points3
    masses: FloatArray
    residual: float
    distance_to_atlas_mean: FloatArray
    frame: BodyFrame | None
    heatmaps: Heatmaps
    input_grid: Grid
    first_pass_mm: FloatArray | None = None

    @property
    def score(self) -> float:
        """Mean peak mass minus residual: certain peaks that form a likely pose score high."""
        return float(self.masses.mean() - self.residual)

    def with_landmarks(
        self, positions_mm: Points3, masses: FloatArray, library: PoseLibrary
    ) -> Detection:
        """Return the detection with other landmarks, and with the fit of the library to them.

        Raises:
            DegenerateAlignment: fewer than three landmarks, or all of them lie on a line.
        """
        fit = fit_library(positions_mm, masses, library)
        return replace(
            self,
            positions_mm=positions_mm,
            masses=masses,
            residual=fit.residual,
            distance_to_atlas_mean=distances_to_atlas_mean(positions_mm, fit, library.skeleton),
        )

    def transformed(self, target_from_source: Affine) -> Detection:
        """Map the detection by a (4, 4) rigid map."""
        turn, shift = target_from_source[:3, :3], target_from_source[:3, 3]
        return replace(
            self,
            positions_mm=self.positions_mm @ turn.T + shift,
            frame=None if self.frame is None else self.frame.transformed(target_from_source),
            heatmaps=Heatmaps(
                self.heatmaps.array, transformed_grid(self.heatmaps.grid, target_from_source)
            ),
            input_grid=transformed_grid(self.input_grid, target_from_source),
            first_pass_mm=None
            if self.first_pass_mm is None
            else self.first_pass_mm @ turn.T + shift,
        )


def detection_from_heatmaps(
    heatmaps: Heatmaps, input_grid: Grid, library: PoseLibrary, frame: BodyFrame | None = None
) -> Detection:
    """Read the highest peak of each channel, and fit the pose library to the landmarks.

    Args:
        heatmaps: one channel per landmark.
        input_grid: the grid on which the network received the volume.
        library: pose library of the same skeleton.
        frame: the body frame of the grid; None for a pass over the whole volume.

    Raises:
        DegenerateAlignment: the peaks coincide, or they form a pose without a size: the volume
            shows no body there.
    """
    positions, masses = highest_peaks(heatmaps)
    fit = fit_library(positions, masses, library)
    size_mm = body_sizes_mm(library.skeleton, fit.support_mm)
    if not (np.isfinite(size_mm) and size_mm > 0):
        raise DegenerateAlignment(
            "detection",
            expected="a pose with a size",
            found="a pose without a trunk",
            remedy="give another volume",
        )
    distances = distances_to_atlas_mean(positions, fit, library.skeleton)
    return Detection(positions, masses, fit.residual, distances, frame, heatmaps, input_grid)


def highest_peaks(heatmaps: Heatmaps) -> tuple[Points3, FloatArray]:
    """Return the (N, 3) positions, mm, and (N,) masses of the highest peak of each channel."""
    peaks = find_peaks(heatmaps)
    return peaks.positions_mm[:, 0], peaks.masses[:, 0]


def transformed_grid(grid: Grid, target_from_source: Affine) -> Grid:
    """Map a grid by a (4, 4) rigid map."""
    return Grid(grid.shape, target_from_source @ grid.affine)


class Pipeline(Protocol):
    """What `Cascade` and `SinglePass` have in common: they find bodies in a prepared volume."""

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton whose landmarks this pipeline predicts."""

    @property
    def library(self) -> PoseLibrary:
        """Poses of this skeleton."""

    @property
    def detectors(self) -> dict[str, Detector]:
        """The passes by name."""

    @property
    def last(self) -> Detector:
        """The pass that makes the heatmaps of a detection; it has one channel per landmark."""

    def detect(
        self,
        prepared: Volume,
        *,
        flip_average: bool = True,
        coarsen: float = 1.0,
        half: bool | None = None,
    ) -> list[Detection]:
        """Find the possible bodies in a volume, best first; the list is empty if there is none.

        Args:
            prepared: a prepared volume, see `fetusmap.preprocess.prepare`.
            flip_average: average the heatmaps with those of the mirror image.
            coarsen: factor on the voxel size of a pass over the whole volume, which saves memory.
            half: compute in bfloat16; None does so where bfloat16 is fast.
        """
