"""Annotated volumes of other people, found in a folder and turned into our cases.

Three layouts are known: `<case>_landmark.json` beside `<case>.nii.gz`; the raw folder of nnLandmark
(`all_landmarks_voxel.json` with `imagesTr` and `imagesTs`); and 3D Slicer markups
(`<case>.mrk.json`) beside volumes of any format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.dataset.layout import Dataset
from fetusmap.documents import parse_document, read_json
from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.geometry import Grid
from fetusmap.io import DEFAULT_LIMITS, VOLUME_SUFFIXES, ReadLimits, load_volume
from fetusmap.io.files import safe_name
from fetusmap.io.markups import read_markups
from fetusmap.io.nnlandmark import (
    SUFFIX,
    NnLandmarkDocument,
    pose_from_indices,
    write_nnlandmark,
)
from fetusmap.types import Triple
from fetusmap.volume import Volume

ALL_LANDMARKS = "all_landmarks_voxel.json"
ALL_SPACINGS = "spacing.json"


@dataclass(frozen=True)
class ForeignCase:
    """An annotated volume in somebody else's layout.

    Attributes:
        name: safe as a file name.
        volume_path: where the volume is.
        read_pose: gives the pose, from the volume's grid and the skeleton.
    """

    name: str
    volume_path: Path
    read_pose: Callable[[Grid, Skeleton], Pose]

    def load(
        self,
        skeleton: Skeleton,
        *,
        spacing_mm: Triple | None = None,
        limits: ReadLimits = DEFAULT_LIMITS,
    ) -> tuple[Volume, Pose]:
        """Read volume and pose.

        Raises:
            BadInput: either cannot be read, or a landmark lies outside of the volume by more than
                its own size, which means that the two do not belong together.
        """
        volume = load_volume(self.volume_path, spacing_mm=spacing_mm, limits=limits)
        pose = self.read_pose(volume.grid, skeleton)
        farthest = float(volume.grid.extent_mm.max())
        inside = volume.grid.contains(pose.positions_mm, margin_mm=-farthest)
        lost = [mark.name for mark, near in zip(pose, inside, strict=True) if not near]
        lost = [name for name in lost if pose[name].is_present]
        if lost:
            raise BadInput(
                self.name,
                expected="landmarks in or near the volume",
                found=f"{lost[0]} {farthest:.0f} mm away or more",
                remedy="check that volume and landmarks belong together, and their coordinates",
            )
        return replace(volume, name=self.name), pose


def find_foreign_cases(folder: str | Path) -> tuple[ForeignCase, ...]:
    """Find the annotated volumes of a folder, in the first layout that it fits, sorted by name.

    Raises:
        UnreadableFile: no folder, or no annotated volume in it.
    """
    folder = Path(folder)
    if folder.is_dir():
        for find in (_find_nnlandmark_raw, _find_nnlandmark, _find_markups):
            if cases := find(folder):
                return tuple(sorted(cases, key=lambda case: case.name))
    raise UnreadableFile(
        folder,
        expected=f"volumes with <case>{SUFFIX} or <case>.mrk.json beside them, or {ALL_LANDMARKS}",
        found="none" if folder.is_dir() else "no folder",
        remedy="give the folder that holds volumes and annotations",
    )


def export_nnlandmark(dataset: Dataset, folder: Path, *, overwrite: bool = False) -> int:
    """Write the landmarks of a dataset as `<case>_landmark.json`; volumes stay where they are.

    Returns:
        How many cases were written.
    """
    count = 0
    for case in dataset.cases:
        if case.is_annotated:
            grid = case.load_volume().grid
            write_nnlandmark(
                dataset.load_pose(case), folder / f"{case.name}{SUFFIX}", grid, overwrite=overwrite
            )
            count += 1
    return count


def _find_nnlandmark(folder: Path) -> list[ForeignCase]:
    cases = []
    for path in folder.rglob(f"*{SUFFIX}"):
        stem = path.name[: -len(SUFFIX)]
        volume = _volume_beside(path, stem)

        def read(grid: Grid, skeleton: Skeleton, path: Path = path) -> Pose:
            document = parse_document(NnLandmarkDocument, read_json(path), path)
            return pose_from_indices(document, grid, skeleton, path)

        cases.append(ForeignCase(safe_name(stem), volume, read))
    return cases


def _find_nnlandmark_raw(folder: Path) -> list[ForeignCase]:
    path = folder / ALL_LANDMARKS
    if not path.is_file():
        return []
    table = read_json(path)
    spacings = folder / ALL_SPACINGS
    known = read_json(spacings) if spacings.is_file() else {}
    cases = []
    for stem, landmarks in table.items() if isinstance(table, dict) else ():
        spacing = (known.get(stem) or {}).get("image_spacing")
        plain: dict[str, Any] = {"spacing": spacing, "landmarks": landmarks}
        read = partial(_pose_of_table, plain, f"{path} case {stem}")
        cases.append(ForeignCase(safe_name(stem), _raw_volume(folder, stem), read))
    return cases


def _pose_of_table(plain: object, subject: str, grid: Grid, skeleton: Skeleton) -> Pose:
    document = parse_document(NnLandmarkDocument, plain, subject)
    return pose_from_indices(document, grid, skeleton, subject)


def _find_markups(folder: Path) -> list[ForeignCase]:
    cases = []
    for path in folder.rglob("*.mrk.json"):
        stem = path.name[: -len(".mrk.json")]

        def read(_: Grid, skeleton: Skeleton, path: Path = path) -> Pose:
            return read_markups(path, skeleton)

        name = safe_name(stem)
        cases.append(ForeignCase(name, _volume_beside(path, stem), read))
    return cases


def _volume_beside(path: Path, stem: str) -> Path:
    """The volume of that stem in the annotation's folder; where there is none, its first name."""
    candidates = [path.with_name(stem + suffix) for suffix in VOLUME_SUFFIXES]
    return next((c for c in candidates if c.exists()), candidates[0])


def _raw_volume(folder: Path, stem: str) -> Path:
    candidates = [folder / part / f"{stem}_0000.nii.gz" for part in ("imagesTr", "imagesTs")]
    return next((c for c in candidates if c.exists()), candidates[0])
