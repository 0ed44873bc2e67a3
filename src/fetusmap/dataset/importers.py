"""Annotated volumes of other people, found in a folder and turned into our cases.

Three layouts are known: `<case>_landmark.json` beside `<case>.nii.gz`; the raw folder of nnLandmark
(`all_landmarks_voxel.json` with `imagesTr` and `imagesTs`); and 3D Slicer markups
(`<case>.mrk.json`) beside volumes of any format.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pydantic import RootModel

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.dataset.layout import CASE_COLUMNS, Dataset, age_in_days
from fetusmap.dataset.writer import DatasetWriter
from fetusmap.documents import MAX_TABLE_BYTES, Document, Position, parse_document, read_json
from fetusmap.errors import BadInput, FetusmapError, UnreadableFile
from fetusmap.geometry import Grid
from fetusmap.io import DEFAULT_LIMITS, VOLUME_SUFFIXES, ReadLimits, load_volume
from fetusmap.io.files import atomic_path, is_plain_name, safe_name
from fetusmap.io.markups import read_markups
from fetusmap.io.nnlandmark import (
    SUFFIX,
    NnLandmarkDocument,
    pose_from_indices,
    read_nnlandmark,
    write_nnlandmark,
)
from fetusmap.io.tables import read_rows
from fetusmap.types import Triple
from fetusmap.volume import Volume

ALL_LANDMARKS = "all_landmarks_voxel.json"
ALL_SPACINGS = "spacing.json"


class SpacingEntry(Document):
    """One case of nnLandmark's `spacing.json`."""

    image_spacing: Position | None = None
    annotation_spacing: Position | None = None


class LandmarkTable(RootModel[dict[str, dict[str, Position]]]):
    """nnLandmark's `all_landmarks_voxel.json`."""


class SpacingTable(RootModel[dict[str, SpacingEntry]]):
    """nnLandmark's `spacing.json`."""


@dataclass(frozen=True)
class Subject:
    """Who a case is, and how old."""

    name: str
    gestational_age_days: float | None = None


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
                return _named(folder, cases)
    raise UnreadableFile(
        folder,
        expected=f"volumes with <case>{SUFFIX} or <case>.mrk.json beside them, or {ALL_LANDMARKS}",
        found="none" if folder.is_dir() else "no folder",
        remedy="give the folder that holds volumes and annotations",
    )


def import_cases(
    cases: Iterable[ForeignCase],
    writer: DatasetWriter,
    *,
    subjects: Mapping[str, Subject] | None = None,
    spacing_mm: Triple | None = None,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> Iterator[tuple[ForeignCase, Volume | FetusmapError]]:
    """Write foreign cases into a dataset, one per step; a bad one never stops the others.

    Args:
        cases: as `find_foreign_cases` gives them.
        writer: of the dataset; its skeleton names the landmarks.
        subjects: case name to who it is; others count as their own subject.
        spacing_mm: overrides the spacing of every volume.
        limits: for reading the volumes.

    Yields:
        Each case, with the volume that was written or the error that kept it out.
    """
    for case in cases:
        subject = (subjects or {}).get(case.name, Subject(case.name))
        try:
            volume, pose = case.load(writer.skeleton, spacing_mm=spacing_mm, limits=limits)
            writer.add(
                volume,
                pose,
                subject=subject.name,
                gestational_age_days=subject.gestational_age_days,
            )
        except FetusmapError as error:
            yield case, error
        else:
            yield case, volume


def read_subjects(path: Path) -> dict[str, Subject]:
    """Read a table of case, subject and, perhaps, gestational_age_days.

    Raises:
        UnreadableFile: no such table, or an age that is no number of days.
    """
    return {
        row["case"]: Subject(
            row["subject"] or row["case"],
            age_in_days(row.get("gestational_age_days") or "", path, row["case"]),
        )
        for row in read_rows(path, CASE_COLUMNS[:2])
    }


def export_nnlandmark(dataset: Dataset, folder: Path, *, overwrite: bool = False) -> int:
    """Write annotated cases as `<case>.nii.gz` with `<case>_landmark.json` beside.

    Returns:
        How many cases were written.

    Raises:
        BadInput: a place that cannot be written, or an existing file.
    """
    annotated = [case for case in dataset.cases if case.is_annotated]
    for case in annotated:
        with atomic_path(folder / case.volume_path.name, overwrite=overwrite) as temporary:
            shutil.copyfile(case.volume_path, temporary)
        path = folder / f"{case.name}{SUFFIX}"
        write_nnlandmark(case.load_pose(), path, case.load_grid(), overwrite=overwrite)
    return len(annotated)


def _find_nnlandmark(folder: Path) -> list[ForeignCase]:
    return [
        ForeignCase(stem, _volume_beside(path, stem), partial(read_nnlandmark, path))
        for path in sorted(folder.rglob(f"*{SUFFIX}"))
        if (stem := path.name[: -len(SUFFIX)])
    ]


def _find_nnlandmark_raw(folder: Path) -> list[ForeignCase]:
    path = folder / ALL_LANDMARKS
    if not path.is_file():
        return []
    table = parse_document(LandmarkTable, read_json(path, MAX_TABLE_BYTES), path).root
    spacings = SpacingTable({})
    if (folder / ALL_SPACINGS).is_file():
        plain = read_json(folder / ALL_SPACINGS, MAX_TABLE_BYTES)
        spacings = parse_document(SpacingTable, plain, folder / ALL_SPACINGS)
    cases = []
    for stem, landmarks in table.items():
        known = spacings.root.get(stem)
        document = NnLandmarkDocument(
            spacing=known.image_spacing if known else None, landmarks=landmarks
        )
        read = partial(_pose_of_table, document, f"{path} case {stem}")
        cases.append(ForeignCase(stem, _raw_volume(folder, stem), read))
    return cases


def _pose_of_table(
    document: NnLandmarkDocument, subject: str, grid: Grid, skeleton: Skeleton
) -> Pose:
    return pose_from_indices(document, grid, skeleton, subject)


def _find_markups(folder: Path) -> list[ForeignCase]:
    suffix = ".mrk.json"
    return [
        ForeignCase(stem, _volume_beside(path, stem), partial(_pose_of_markups, path))
        for path in sorted(folder.rglob(f"*{suffix}"))
        if (stem := path.name[: -len(suffix)])
    ]


def _pose_of_markups(path: Path, _: Grid, skeleton: Skeleton) -> Pose:
    return read_markups(path, skeleton)


def _named(folder: Path, cases: list[ForeignCase]) -> tuple[ForeignCase, ...]:
    """The cases with safe names: their stems, with their folder in front where stems repeat."""
    times = Counter(safe_name(case.name).lower() for case in cases)
    named = []
    for case in cases:
        name = safe_name(case.name)
        if times[name.lower()] > 1:
            parts = case.volume_path.relative_to(folder).parts[:-1]
            name = safe_name("-".join([*parts, case.name]))
        named.append(replace(case, name=name))
    return tuple(sorted(named, key=lambda case: case.name))


def _volume_beside(path: Path, stem: str) -> Path:
    """The volume of that stem in the annotation's folder; where there is none, its first name."""
    candidates = [path.with_name(stem + suffix) for suffix in VOLUME_SUFFIXES]
    return next((c for c in candidates if c.exists()), candidates[0])


def _raw_volume(folder: Path, stem: str) -> Path:
    """The volume of a case of a table, whose name may not lead out of the folder."""
    if not is_plain_name(stem):
        raise UnreadableFile(
            folder / ALL_LANDMARKS,
            expected="case names without folders",
            found=repr(stem),
            remedy="name the cases as their files",
        )
    candidates = [folder / part / f"{stem}_0000.nii.gz" for part in ("imagesTr", "imagesTs")]
    return next((c for c in candidates if c.exists()), candidates[0])
