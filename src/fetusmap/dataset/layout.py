"""Read a dataset: a folder of volumes, landmarks, a table of cases, and splits.

dataset.json              name, licence, skeleton, how the dataset was made; written last
cases.csv                 case, subject, gestational_age_days, any further facts
splits.json               named, disjoint splits; no subject is in two of them
volumes/<case>.nii.gz     or .vol, as scanners store it
landmarks/<case>.json     pose files; a case without one is not annotated
corrections/<case>.jsonl  what people corrected in them; they are never rewritten
dataset.partial.json      takes the place of dataset.json until the dataset is finished
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import JsonValue

from fetusmap.anatomy import Pose, Skeleton, skeleton_from_entry
from fetusmap.corrections import CORRECTIONS_FOLDER, corrected_pose, read_log
from fetusmap.dataset.documents import (
    CASES_FILE,
    DATASET_FILE,
    FORMAT,
    SPLITS_FILE,
    DatasetDocument,
    SplitsDocument,
)
from fetusmap.dataset.splits import check_splits
from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.files import (
    MAX_TABLE_BYTES,
    number_in,
    parse_document,
    read_json,
    read_rows,
    safe_name,
    sha256_of,
)
from fetusmap.geometry import Grid
from fetusmap.io import DEFAULT_LIMITS, ReadLimits, load_grid, load_pose, load_volume
from fetusmap.types import FrozenMapping
from fetusmap.volume import Volume

MIN_GESTATIONAL_AGE_DAYS = 43
"""The longest pregnancies have 42 weeks, so a smaller number is one of weeks or months."""

MAX_GESTATIONAL_AGE_DAYS = 330
CASE_COLUMNS = ("case", "subject", "gestational_age_days")
CHECK_COLUMN = "to_check"
"""Column with what is doubtful about an annotation; a table without doubts does not have it."""

DOUBT_SEPARATOR = "; "
VOLUME_FORMATS = (".nii.gz", ".vol")
"""Suffixes that a volume of a dataset may have."""

RENAMED_COLUMNS = {"looks": "compounding_frames"}
"""Old names of columns that simulated datasets of earlier versions have, and today's names."""


@dataclass(frozen=True)
class Case:
    """One case of a dataset: the facts about it, and the paths of its files.

    Attributes:
        name: unique in the dataset, safe as a file name.
        subject: identifier of the fetus; all cases of a subject belong to the same split.
        folder: the dataset's folder.
        skeleton: skeleton of the case's pose.
        gestational_age_days: None if it is not known.
        facts: further columns of the table; stored as a mapping that cannot be changed.
        volume_suffix: format of the volume, ".nii.gz" or ".vol".
        to_check: what is doubtful about the annotation, a sentence each. `train` leaves out such
            cases, until a person has emptied the cell of the table or accepted the case.
    """

    name: str
    subject: str
    folder: Path
    skeleton: Skeleton
    gestational_age_days: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    volume_suffix: str = VOLUME_FORMATS[0]
    to_check: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Freeze the facts, so that a case can be hashed."""
        object.__setattr__(self, "facts", FrozenMapping(self.facts))

    @property
    def volume_path(self) -> Path:
        """Path of the volume."""
        return self.folder / "volumes" / f"{self.name}{self.volume_suffix}"

    @property
    def landmarks_path(self) -> Path:
        """Path of the pose; the file exists only if the case is annotated."""
        return self.folder / "landmarks" / f"{self.name}.json"

    @property
    def corrections_path(self) -> Path:
        """Path of the corrections; the file exists only if somebody corrected the case."""
        return self.folder / CORRECTIONS_FOLDER / f"{self.name}.jsonl"

    @property
    def is_annotated(self) -> bool:
        """Whether the case has a pose that a person did not report as impossible to annotate."""
        status = read_log(self.corrections_path).status
        return status != "problem" and (self.landmarks_path.is_file() or status == "done")

    def annotation_sha256(self) -> str:
        """Return the hash of the files of the pose and of its corrections."""
        paths = [p for p in (self.landmarks_path, self.corrections_path) if p.is_file()]
        hashes = [sha256_of(path) for path in paths]
        if paths == [self.landmarks_path]:
            return hashes[0]
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    def load_volume(self, limits: ReadLimits = DEFAULT_LIMITS) -> Volume:
        """Read the volume."""
        return load_volume(self.volume_path, limits=limits)

    def load_grid(self) -> Grid:
        """Read the volume's grid without its voxels."""
        return load_grid(self.volume_path)

    def load_pose(self) -> Pose:
        """Read the pose, with what people corrected in it.

        A case that had no pose, and whose landmarks a person placed, has the placed ones.
        """
        log = read_log(self.corrections_path)
        if log.entries and not self.landmarks_path.is_file():
            return corrected_pose(Pose.from_positions({}, self.skeleton), log)
        return corrected_pose(load_pose(self.landmarks_path, self.skeleton), log)


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

    def __post_init__(self) -> None:
        """Freeze the mappings, so that a dataset can be hashed."""
        object.__setattr__(self, "splits", FrozenMapping(self.splits))
        object.__setattr__(self, "made_by", FrozenMapping(self.made_by))

    def split(self, name: str) -> tuple[Case, ...]:
        """Return the cases of a named split, in the order of the table.

        Raises:
            UnreadableFile: the dataset has no split of that name.
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
    """Return whether a folder holds a finished dataset.

    Other programs write a `dataset.json`, too (nnU-Net does), so the file's `format` decides. A
    `dataset.json` that cannot be read counts as a dataset: `load_dataset` then says what is wrong.
    """
    path = folder / DATASET_FILE
    if not path.is_file():
        return False
    try:
        plain = read_json(path, MAX_TABLE_BYTES)
    except BadInput:
        return True
    return isinstance(plain, dict) and plain.get("format") == FORMAT


def load_dataset(folder: str | Path) -> Dataset:
    """Open a dataset: read and check its tables, but not its volumes.

    Raises:
        UnreadableFile: the folder holds no dataset or an unfinished one, a table is broken, or a
            case has no volume.
        BadInput: a document is not valid, or a subject is in two splits.
    """
    folder = Path(folder)
    if not is_dataset(folder):
        raise _no_dataset(folder)
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
        splits=_checked_splits(folder, cases),
        made_by=document.made_by,
    )


def _no_dataset(folder: Path) -> UnreadableFile:
    """Say why a folder is no finished dataset."""
    found, remedy = "none", "give the dataset's folder"
    if (folder / DATASET_FILE).is_file():
        found = f"a {DATASET_FILE} of another program"
    elif (folder / "volumes").is_dir():
        found, remedy = "an unfinished dataset", "repeat the command that makes it"
    return UnreadableFile(
        folder, expected=f"a dataset ({DATASET_FILE})", found=found, remedy=remedy
    )


def _read_cases(folder: Path, skeleton: Skeleton) -> tuple[Case, ...]:
    path = folder / CASES_FILE
    cases: dict[str, Case] = {}
    for row in read_rows(path, CASE_COLUMNS[:2]):
        name, age = row["case"].strip(), row.get("gestational_age_days") or ""
        if not name or name != safe_name(name) or name in cases:
            raise UnreadableFile(
                path,
                expected="each case once, named in letters, digits, '.', '_' and '-'",
                found=repr(name),
                remedy="rename the case and its files",
            )
        days = age_in_days(age, path, name)
        facts = {
            RENAMED_COLUMNS.get(key, key): value
            for key, value in row.items()
            if key not in (*CASE_COLUMNS, CHECK_COLUMN)
        }
        doubts = (doubt.strip() for doubt in row.get(CHECK_COLUMN, "").split(DOUBT_SEPARATOR))
        case = Case(
            name,
            subject_named(row["subject"], name),
            folder,
            skeleton,
            days,
            facts,
            to_check=tuple(filter(None, doubts)),
        )
        if case.to_check and read_log(case.corrections_path).status == "done":
            case = replace(case, to_check=())
        versions = (replace(case, volume_suffix=suffix) for suffix in VOLUME_FORMATS)
        cases[name] = next((there for there in versions if there.volume_path.is_file()), case)
        if not cases[name].volume_path.is_file():
            raise UnreadableFile(
                cases[name].volume_path,
                expected=f"the volume of case {name!r}",
                found="no such file",
                remedy=f"restore it, or remove the case from {CASES_FILE}",
            )
    return tuple(cases.values())


def subject_named(text: str | None, case: str) -> str:
    """Return the name of a subject as people mean it; without one, that of the case.

    Blanks around it do not count, and several blanks are one. Letters with accents may be stored in
    two ways, which look alike.
    """
    return " ".join(unicodedata.normalize("NFC", text or "").split()) or case


def is_age(days: float) -> bool:
    """Return whether a number can be a gestational age in days."""
    return MIN_GESTATIONAL_AGE_DAYS <= days <= MAX_GESTATIONAL_AGE_DAYS


def remedy_for_age(days: float) -> str:
    """Return what to do about a number that is no gestational age in days."""
    if 0 < days < MIN_GESTATIONAL_AGE_DAYS:
        return f"give days since the last menstrual period: {days:g} weeks are {7 * days:.0f} days"
    return "give days since the last menstrual period, or nothing if the age is not known"


def age_in_days(cell: str, path: Path, case: str) -> float | None:
    """Return the gestational age in a cell of a table, or None if the cell is empty.

    Raises:
        UnreadableFile: the cell holds anything but a possible number of days.
    """
    if not cell.strip():
        return None
    days = float("nan")
    with suppress(ValueError):
        days = number_in(cell)
    if is_age(days):
        return days
    raise UnreadableFile(
        path,
        expected=f"the gestational age of {case!r} in days, {MIN_GESTATIONAL_AGE_DAYS} to "
        f"{MAX_GESTATIONAL_AGE_DAYS}",
        found=repr(cell),
        remedy=remedy_for_age(days),
    )


def _checked_splits(folder: Path, cases: tuple[Case, ...]) -> dict[str, tuple[str, ...]]:
    splits = read_splits(folder)
    subject_of = {case.name: case.subject for case in cases}
    check_splits(splits, subject_of, folder / SPLITS_FILE)
    return splits


def read_splits(folder: Path) -> dict[str, tuple[str, ...]]:
    """Read the splits of a folder without checking them; none if it has no `splits.json`.

    Raises:
        BadInput: the file is damaged.
    """
    path = folder / SPLITS_FILE
    if not path.is_file():
        return {}
    return dict(parse_document(SplitsDocument, read_json(path, MAX_TABLE_BYTES), path).splits)
