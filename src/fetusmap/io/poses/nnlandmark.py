"""Landmark files of the nnLandmark family: voxel indices beside a NIfTI volume.

`<case>_landmark.json` = {"spacing": s or [sx, sy, sz], "landmarks": {name: [i, j, k]}}. The indices
belong to the volume's grid, so a pose needs that grid to become millimetres.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fetusmap.anatomy import Pose, Skeleton, built_in_skeleton_for
from fetusmap.anatomy.landmark_names import matching_landmark
from fetusmap.errors import BadInput, errors_about
from fetusmap.files.documents import (
    Document,
    Number,
    OptionalPosition,
    Position,
    parse_document,
    read_json,
)
from fetusmap.files.writing import write_text
from fetusmap.geometry import Grid
from fetusmap.io.volumes.stated_geometry import spacings_agree

SUFFIX = "_landmark.json"


StatedSpacing = Number | Position
"""A spacing, mm: three numbers, or one for all axes."""


class NnLandmarkDocument(Document):
    """One annotated case of nnLandmark."""

    spacing: StatedSpacing | None = None
    landmarks: dict[str, OptionalPosition]


def read_nnlandmark(path: Path, grid: Grid, skeleton: Skeleton | None = None) -> Pose:
    """Read landmark indices and place them in the world with the volume's grid.

    Without a skeleton, it is the built-in one that has the landmarks of the file.

    Raises:
        BadInput: see `pose_from_indices`.
    """
    return pose_from_indices(_read(path), grid, skeleton, path)


def read_nnlandmark_names(path: Path) -> tuple[str, ...]:
    """Read the names of the landmarks, also of those without indices."""
    return tuple(_read(path).landmarks)


def pose_from_indices(
    document: NnLandmarkDocument,
    grid: Grid,
    skeleton: Skeleton | None = None,
    subject: object = "landmarks",
) -> Pose:
    """Place annotated voxel indices in the world.

    Raises:
        BadInput: the spacing differs from that of the grid by more than 1 %, a name is not a
            landmark of the skeleton, or there is no landmark.
    """
    if document.spacing is not None:
        spacing = np.broadcast_to(np.array(document.spacing, dtype=np.float64), 3)
        if not spacings_agree(document.spacing, grid.spacing_mm):
            raise BadInput(
                subject,
                expected=f"the volume's spacing {grid.spacing_mm.round(4).tolist()} mm",
                found=f"{spacing.tolist()} mm in the annotation",
                remedy="give the true spacing with --spacing X Y Z --force-spacing",
            )
    placed = {name: index for name, index in document.landmarks.items() if index is not None}
    if not placed:
        raise BadInput(subject, expected="landmarks", found="none", remedy="annotate the case")
    skeleton = skeleton or built_in_skeleton_for(document.landmarks)
    named = {matching_landmark(name, skeleton) or name: index for name, index in placed.items()}
    if len(named) < len(placed):
        raise BadInput(
            subject,
            expected="each landmark once",
            found=f"two spellings of one among {', '.join(placed)}"[:200],
            remedy="remove one of them",
        )
    with errors_about(subject):
        return Pose.from_positions(
            {name: grid.to_world(index) for name, index in named.items()}, skeleton
        )


def write_nnlandmark(pose: Pose, path: Path, grid: Grid, *, overwrite: bool = True) -> None:
    """Write the present landmarks as (fractional) voxel indices, with the grid's spacing.

    Raises:
        BadInput: no landmark is present, or the file cannot be written.
    """
    if not pose.present.any():
        raise BadInput(path, expected="landmarks", found="none", remedy="leave this case out")
    data: dict[str, Any] = {
        "spacing": grid.spacing_mm.tolist(),
        "landmarks": {
            mark.name: grid.to_index(mark.position_mm).tolist() for mark in pose if mark.is_present
        },
    }
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n", overwrite=overwrite)


def _read(path: Path) -> NnLandmarkDocument:
    return parse_document(NnLandmarkDocument, read_json(path, nan_is_null=True), path)
