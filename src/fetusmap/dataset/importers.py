"""Find annotated volumes in other layouts, and import them as cases of a dataset.

Three layouts are known: `<case>_landmark.json` beside `<case>.nii.gz`; the raw folder of nnLandmark
(`all_landmarks_voxel.json` with `imagesTr` and `imagesTs`); and points of 3D Slicer
(`<case>.mrk.json`, `<case>.fcsv`) beside volumes of any format. Hidden files and folders are
ignored: macOS leaves a `._<name>` beside each file that it copies to a foreign disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.dataset.annotation_checks import check_annotation, remarks_about
from fetusmap.dataset.foreign_case import ForeignCase
from fetusmap.dataset.layout import CASE_COLUMNS, Case, age_in_days, subject_named
from fetusmap.dataset.nnlandmark_folder import ALL_LANDMARKS, find_raw_cases
from fetusmap.dataset.splits import check_splits
from fetusmap.dataset.writer import DatasetWriter
from fetusmap.errors import BadInput, FetusmapError, UnreadableFile
from fetusmap.files import VOLUME_SUFFIXES, read_json, read_rows, safe_name, suffix_of
from fetusmap.geometry import Grid
from fetusmap.io import AS_STORED, DEFAULT_LIMITS, Conversion, ReadLimits
from fetusmap.io.poses.nnlandmark import SUFFIX, read_nnlandmark, read_nnlandmark_names
from fetusmap.io.poses.pose_file import load_pose, read_point_names
from fetusmap.types import Triple

POINT_SUFFIXES = (".mrk.json", ".fcsv", ".json")


@dataclass(frozen=True)
class Subject:
    """The fetus that a case shows, and its gestational age if it is known."""

    name: str
    gestational_age_days: float | None = None


@dataclass(frozen=True)
class ImportedCase:
    """A foreign case that was written into a dataset.

    Attributes:
        case: the case, with what is to be checked about its annotation.
        warnings: warnings of the reader of its volume, and what is unusual about the body.
    """

    case: Case
    warnings: tuple[str, ...]


def find_foreign_cases(
    folder: str | Path, landmarks: Sequence[str] | None = None
) -> tuple[ForeignCase, ...]:
    """Find the annotated volumes of a folder and return them sorted by name.

    Args:
        folder: the folder, which is searched with its subfolders.
        landmarks: names of the points of 3D Slicer in the order in which they were placed, for
            files with other names; None to use the names in the files.

    Raises:
        UnreadableFile: the folder does not exist, holds no annotated volume or annotations in
            several layouts, or an annotation has several volumes.
    """
    folder = Path(folder)
    if folder.is_dir():
        find_points = partial(_find_points, landmarks=landmarks)
        finders = (find_raw_cases, _find_nnlandmark, find_points)
        layouts = [cases for find in finders if (cases := find(folder))]
        if len(layouts) > 1:
            raise UnreadableFile(
                folder,
                expected="annotations in one layout",
                found=" and ".join(f"{len(cases)} like {cases[0].name!r}" for cases in layouts),
                remedy="put each layout into a folder of its own",
            )
        if layouts:
            return _named(folder, layouts[0])
    raise UnreadableFile(
        folder,
        expected=f"volumes with <case>{SUFFIX}, <case>.mrk.json or <case>.fcsv beside them, or "
        f"{ALL_LANDMARKS}",
        found="none" if folder.is_dir() else "no folder",
        remedy="give the folder that holds volumes and annotations",
    )


def landmark_names(cases: Iterable[ForeignCase]) -> set[str]:
    """Return the landmarks that any of the cases names; unreadable annotations are passed over."""
    names: set[str] = set()
    for case in cases:
        with suppress(FetusmapError):  # importing the case names the error
            names.update(case.read_names())
    return names


def import_cases(
    cases: Iterable[ForeignCase],
    writer: DatasetWriter,
    *,
    subjects: Mapping[str, Subject] | None = None,
    spacing_mm: Triple | None = None,
    conversion: Conversion = AS_STORED,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> Iterator[tuple[ForeignCase, ImportedCase | FetusmapError]]:
    """Write foreign cases into a dataset, one per step; an error in one does not stop the others.

    Each annotation is checked, see `check_annotation`. A doubtful case is written as one that is
    to be checked. What is only unusual about the body joins the warnings of the volume.

    Args:
        cases: result of `find_foreign_cases`.
        writer: writer of the dataset; its skeleton names the landmarks.
        subjects: case name to subject, for every case. None makes each case a subject of its own.
        spacing_mm: spacing of the volumes that state none.
        conversion: how the volumes are read, see `load_volume`.
        limits: limits for reading the volumes.

    Yields:
        Each case, with what was written or the error that excluded the case.
    """
    for case in cases:
        subject = Subject(case.name) if subjects is None else subjects.get(case.name)
        try:
            if subject is None:
                raise BadInput(
                    f"case {case.name!r}",
                    expected="a row in the table of subjects",
                    found="none",
                    remedy="add it, so that no subject can stand in two splits",
                )
            volume, pose = case.load(
                writer.skeleton, spacing_mm=spacing_mm, conversion=conversion, limits=limits
            )
            pose, doubts = check_annotation(pose, volume.grid, case.name)
            remarks = (*volume.warnings, *remarks_about(pose, volume.grid))
            volume = replace(volume, warnings=remarks)
            written = writer.add(
                volume,
                pose,
                subject=subject.name,
                gestational_age_days=subject.gestational_age_days,
                to_check=doubts,
            )
        except FetusmapError as error:
            yield case, error
        else:
            yield case, ImportedCase(written, volume.warnings)


def splits_of(
    foreign: Iterable[ForeignCase], written: Sequence[Case]
) -> dict[str, tuple[str, ...]]:
    """Return the splits that another program puts the written cases into; none if it has only one.

    Raises:
        BadInput: a subject is in two of them.
    """
    split_of = {case.name: case.split for case in foreign if case.split}
    splits: dict[str, tuple[str, ...]] = {}
    for case in written:
        if name := split_of.get(case.name):
            splits[name] = (*splits.get(name, ()), case.name)
    if len(splits) < 2:
        return {}
    check_splits(splits, {case.name: case.subject for case in written}, "splits of the folder")
    return splits


def read_subjects(path: Path) -> dict[str, Subject]:
    """Read a table with the columns case, subject and, optionally, gestational_age_days.

    Surrounding blanks are removed, because spreadsheets leave them behind and "P1 " would be
    another subject than "P1". Case names are made safe in the same way as those of files.

    Raises:
        UnreadableFile: the table does not exist, lists a case twice, or an age is no number of
            days.
    """
    subjects: dict[str, Subject] = {}
    for row in read_rows(path, CASE_COLUMNS[:2]):
        name = safe_name(row["case"].strip())
        if name in subjects:
            raise UnreadableFile(
                path, expected="each case once", found=f"{name!r} twice", remedy="remove one row"
            )
        age = age_in_days(row.get("gestational_age_days") or "", path, row["case"])
        subjects[name] = Subject(subject_named(row["subject"], name), age)
    return subjects


def _find_nnlandmark(folder: Path) -> list[ForeignCase]:
    return [
        ForeignCase(
            stem, volume, partial(read_nnlandmark, path), partial(read_nnlandmark_names, path)
        )
        for path, stem, volume in _annotations(folder, (SUFFIX,), lambda _: True)
    ]


def _find_points(folder: Path, landmarks: Sequence[str] | None = None) -> list[ForeignCase]:
    """Find points of 3D Slicer: `.mrk.json`, `.fcsv`, or `.json` with the content of markups."""
    return [
        ForeignCase(
            stem,
            volume,
            partial(_pose_of_points, path, landmarks),
            partial(read_point_names, path) if landmarks is None else partial(list, landmarks),
        )
        for path, stem, volume in _annotations(folder, POINT_SUFFIXES, _holds_points)
    ]


def _holds_points(path: Path) -> bool:
    if suffix_of(path, POINT_SUFFIXES) != ".json":
        return True
    with suppress(BadInput):  # a JSON file of another program may be anything
        plain = read_json(path)
        return isinstance(plain, dict) and "markups" in plain
    return False


def _pose_of_points(
    path: Path, landmarks: Sequence[str] | None, _: Grid, skeleton: Skeleton
) -> Pose:
    return load_pose(path, skeleton, landmarks=landmarks)


def _annotations(
    folder: Path, suffixes: tuple[str, ...], holds_one: Callable[[Path], bool]
) -> Iterator[tuple[Path, str, Path]]:
    """Yield each annotation file with the name of its case and its volume in the same folder.

    The volume has the name of the annotation. A folder with a single volume and a single
    annotation needs no such names: 3D Slicer calls a point list F.
    """
    volumes: dict[Path, list[Path]] = {}
    annotations: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if ending := suffix_of(path, VOLUME_SUFFIXES):
            volumes.setdefault(path.with_name(path.name[: -len(ending)]), []).append(path)
        elif (ending := suffix_of(path, suffixes)) and holds_one(path):
            annotations.setdefault(path.with_name(path.name[: -len(ending)]), []).append(path)
    for stem, paths in annotations.items():
        beside = [place for place in volumes if place.parent == stem.parent]
        alone = len(beside) == sum(place.parent == stem.parent for place in annotations) == 1
        place = beside[0] if alone else stem
        found = volumes.get(place, [place.with_name(f"{place.name}.nii.gz")])
        if len(found) > 1 or len(paths) > 1:
            raise UnreadableFile(
                paths[0],
                expected="one volume and one annotation of that name",
                found=", ".join(sorted(path.name for path in (*paths, *found))),
                remedy="keep the volume that was annotated, and its annotation",
            )
        yield paths[0], place.name, found[0]


def _named(folder: Path, cases: list[ForeignCase]) -> tuple[ForeignCase, ...]:
    """Name each case by its stem; cases of the same stem get their folder in front of it."""
    times = Counter(safe_name(case.name).lower() for case in cases)
    named = []
    for case in cases:
        name = safe_name(case.name)
        if times[name.lower()] > 1:
            parts = case.volume_path.relative_to(folder).parts[:-1]
            name = safe_name("-".join([*parts, case.name]))
        named.append(replace(case, name=name))
    return tuple(sorted(named, key=lambda case: case.name))
