"""The dataset layout: a folder of volumes, landmarks, a table of cases, and splits.

dataset.json              name, licence, skeleton, how it was made; written last
cases.csv                 case, subject, gestational_age_days, any further facts
splits.json               named, disjoint splits; no subject is in two of them
volumes/<case>.nii.gz
landmarks/<case>.json     pose files; a case without one is not annotated
dataset.partial.json      stands for dataset.json until the dataset is finished
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from fetusmap.anatomy import Pose, Skeleton, skeleton_from_entry
from fetusmap.anatomy.skeleton_file import SkeletonDocument
from fetusmap.dataset.splits import check_splits
from fetusmap.errors import UnreadableFile
from fetusmap.files.documents import MAX_TABLE_BYTES, Document, Version1, parse_document, read_json
from fetusmap.files.names import safe_name
from fetusmap.files.tables import read_rows
from fetusmap.geometry import Grid
from fetusmap.io import DEFAULT_LIMITS, ReadLimits, load_grid, load_pose, load_volume
from fetusmap.types import FrozenMapping
from fetusmap.volume import Volume

DATASET_FILE = "dataset.json"
PARTIAL_FILE = "dataset.partial.json"
CASES_FILE = "cases.csv"
SPLITS_FILE = "splits.json"
LONGEST_PREGNANCY_DAYS = 330
CASE_COLUMNS = ("case", "subject", "gestational_age_days")


class DatasetDocument(Document):
    """What `dataset.json` holds."""

    format: Literal["fetusmap-dataset"]
    version: Version1
    name: str
    licence: str
    skeleton: str | SkeletonDocument
    made_by: dict[str, JsonValue] = Field(default_factory=dict)


class SplitsDocument(Document):
    """What `splits.json` holds."""

    format: Literal["fetusmap-splits"]
    version: Version1
    splits: dict[str, tuple[Annotated[str, Field(min_length=1)], ...]]


@dataclass(frozen=True)
class Case:
    """One case of a dataset: what is known about it, and where its files are.

    Attributes:
        name: unique in the dataset, safe as a file name.
        subject: who it is; cases of one subject never stand in two splits.
        folder: the dataset's folder.
        skeleton: of its pose.
        gestational_age_days: or None.
        facts: further columns of the table.
    """

    name: str
    subject: str
    folder: Path
    skeleton: Skeleton
    gestational_age_days: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def volume_path(self) -> Path:
        """Where the volume is."""
        return self.folder / "volumes" / f"{self.name}.nii.gz"

    @property
    def landmarks_path(self) -> Path:
        """Where the pose is, if the case is annotated."""
        return self.folder / "landmarks" / f"{self.name}.json"

    @property
    def is_annotated(self) -> bool:
        """Whether there is a pose."""
        return self.landmarks_path.is_file()

    def load_volume(self, limits: ReadLimits = DEFAULT_LIMITS) -> Volume:
        """Read the volume."""
        return load_volume(self.volume_path, limits=limits)

    def load_grid(self) -> Grid:
        """Read where the volume's voxels are, without them."""
        return load_grid(self.volume_path)

    def load_pose(self) -> Pose:
        """Read the pose."""
        return load_pose(self.landmarks_path, self.skeleton)


@dataclass(frozen=True)
class Dataset:
    """A finished dataset. See `load_dataset` and `DatasetWriter`."""

    folder: Path
    name: str
    licence: str
    skeleton: Skeleton
    cases: tuple[Case, ...]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    made_by: Mapping[str, JsonValue] = field(default_factory=dict)

    def split(self, name: str) -> tuple[Case, ...]:
        """The cases of a named split, in the table's order.

        Raises:
            UnreadableFile: no such split.
        """
        if name not in self.splits:
            raise UnreadableFile(
                self.folder,
                expected=f"a split {name!r}",
                found=f"splits {', '.join(self.splits) or 'none'}",
                remedy="name one of them",
            )
        chosen = set(self.splits[name])
        return tuple(case for case in self.cases if case.name in chosen)


def is_dataset(folder: Path) -> bool:
    """Whether the folder is a finished dataset."""
    return (folder / DATASET_FILE).is_file()


def load_dataset(folder: str | Path) -> Dataset:
    """Open a dataset: its tables are read and checked, its volumes are not.

    Raises:
        UnreadableFile: no dataset, an unfinished one, a broken table, or a case without a volume.
        BadInput: a document that does not fit, or a subject in two splits.
    """
    folder = Path(folder)
    if not is_dataset(folder):
        unfinished = (folder / "volumes").is_dir()
        raise UnreadableFile(
            folder,
            expected=f"a dataset ({DATASET_FILE})",
            found="an unfinished dataset" if unfinished else "none",
            remedy="run what made it again" if unfinished else "give the dataset's folder",
        )
    path = folder / DATASET_FILE
    document = parse_document(DatasetDocument, read_json(path), path)
    skeleton = skeleton_from_entry(document.skeleton, path)
    cases = _read_cases(folder, skeleton)
    return Dataset(
        folder=folder,
        name=document.name,
        licence=document.licence,
        skeleton=skeleton,
        cases=cases,
        splits=FrozenMapping(_read_splits(folder, cases)),
        made_by=FrozenMapping(dict(document.made_by)),
    )


def _read_cases(folder: Path, skeleton: Skeleton) -> tuple[Case, ...]:
    path = folder / CASES_FILE
    cases: dict[str, Case] = {}
    for row in read_rows(path, CASE_COLUMNS[:2]):
        name, age = row["case"], row.get("gestational_age_days") or ""
        if not name or name != safe_name(name) or name in cases:
            raise UnreadableFile(
                path,
                expected="each case once, named in letters, digits, '.', '_' and '-'",
                found=repr(name),
                remedy="rename the case and its files",
            )
        days = age_in_days(age, path, name)
        facts = {key: value for key, value in row.items() if key not in CASE_COLUMNS}
        cases[name] = Case(
            name, row["subject"] or name, folder, skeleton, days, FrozenMapping(facts)
        )
        if not cases[name].volume_path.is_file():
            raise UnreadableFile(
                cases[name].volume_path,
                expected=f"the volume of case {name!r}",
                found="no such file",
                remedy=f"restore it, or remove the case from {CASES_FILE}",
            )
    return tuple(cases.values())


def is_age(days: float) -> bool:
    """Whether a number can be a gestational age in days."""
    return 0 < days <= LONGEST_PREGNANCY_DAYS


def age_in_days(cell: str, path: Path, case: str) -> float | None:
    """A gestational age from a table's cell; None where it is empty.

    Raises:
        UnreadableFile: no number of days.
    """
    if not cell:
        return None
    with suppress(ValueError):
        if is_age(float(cell)):
            return float(cell)
    raise UnreadableFile(
        path,
        expected=f"a number of days for {case!r}",
        found=repr(cell),
        remedy="give days, or leave the cell empty where the age is not known",
    )


def _read_splits(folder: Path, cases: tuple[Case, ...]) -> dict[str, tuple[str, ...]]:
    path = folder / SPLITS_FILE
    if not path.is_file():
        return {}
    splits = dict(parse_document(SplitsDocument, read_json(path, MAX_TABLE_BYTES), path).splits)
    check_splits(splits, {case.name: case.subject for case in cases}, path)
    return splits
