"""Write a dataset, case by case.

`DatasetWriter.add` writes in one process. If other processes write the cases, the writer makes each
`Case`, a process calls `write_case`, and the writer adopts the written case. The table of cases
keeps the order of adoption. A writer that resumes finds the finished cases of an interrupted run.

The dataset counts as finished when `dataset.json` exists, which is written last.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from fetusmap.anatomy import Pose, Skeleton, entry_from_skeleton
from fetusmap.dataset.documents import (
    CASES_FILE,
    DATASET_FILE,
    FORMAT,
    PARTIAL_FILE,
    SPLITS_FILE,
    DatasetDocument,
    SplitsDocument,
    first_difference,
    write_document,
)
from fetusmap.dataset.layout import CASE_COLUMNS, Case, is_age, is_dataset
from fetusmap.dataset.splits import check_splits
from fetusmap.errors import BadInput
from fetusmap.files import parse_document, read_json, safe_name, writable, write_rows
from fetusmap.io import save_pose, save_volume
from fetusmap.volume import Volume


class DatasetWriter:
    """Writes a dataset folder; use it in a `with` block.

    Each case is written at once and atomically. The tables follow when the block ends without an
    error, and `dataset.json` last, so that an interrupted run never looks like a finished dataset.
    Until then `dataset.partial.json` describes the dataset that the folder will become.

    Args:
        folder: created if needed; must not hold a finished dataset, unless that one is extended.
        name: name of the dataset.
        licence: licence of the data.
        skeleton: skeleton of all poses.
        made_by: plain data that say how the dataset was made.
        resume: keep the finished cases of an interrupted run with the same settings. Otherwise an
            unfinished dataset is overwritten.
        count_key: entry of `made_by` that holds the number of cases. With `resume`, a dataset that
            differs only in a smaller number there is extended, whether it is finished or not.

    Raises:
        BadInput: the folder cannot be made, holds a finished dataset or a `dataset.json` of
            another program, or holds cases that these settings cannot resume.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        name: str,
        licence: str,
        skeleton: Skeleton,
        made_by: Mapping[str, JsonValue] | None = None,
        resume: bool = False,
        count_key: str | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.skeleton = skeleton
        self.splits: dict[str, tuple[str, ...]] = {}
        self._cases: dict[str, Case] = {}
        self._resumed = resume
        self._document = DatasetDocument(
            format=FORMAT,
            version=1,
            name=name,
            licence=licence,
            skeleton=entry_from_skeleton(self.skeleton),
            made_by=dict(made_by or {}),
        )
        self._check_finished(count_key if resume else None)
        with writable(self.folder):
            for part in ("volumes", "landmarks"):
                (self.folder / part).mkdir(parents=True, exist_ok=True)
            self._begin(resume, count_key)

    def __enter__(self) -> Self:
        """Return the writer; its folders exist already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the dataset, unless the block failed."""
        if kind is None:
            self._finish()

    @property
    def cases(self) -> tuple[Case, ...]:
        """Return the cases that were added or adopted so far."""
        return tuple(self._cases.values())

    def add(
        self,
        volume: Volume,
        pose: Pose | None,
        *,
        subject: str | None = None,
        gestational_age_days: float | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> Case:
        """Write one case, which takes the name of its volume.

        Args:
            volume: the case takes the name of this volume.
            pose: landmarks of the case, or None for a case without annotation.
            subject: identifier of the fetus; by default the case's name.
            gestational_age_days: None if it is not known.
            facts: further columns of the table of cases. The volume's warnings become the column
                `warnings`, unless the facts have one.

        Raises:
            BadInput: the name is no file name or is taken, the pose has another skeleton, or a
                fact is named like a column that every table has.
        """
        columns = dict(facts or {})
        if volume.warnings:
            columns.setdefault("warnings", "; ".join(volume.warnings))
        case = self.case(volume.name, subject, gestational_age_days, columns)
        write_case(case, volume, pose)
        self.adopt(case, annotated=pose is not None)
        return case

    def case(
        self,
        name: str,
        subject: str | None = None,
        gestational_age_days: float | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> Case:
        """Make and check a case of this dataset without writing anything.

        Args:
            name: name of the case and its files.
            subject: identifier of the fetus, without surrounding blanks; by default the case's
                name.
            gestational_age_days: None if it is not known.
            facts: further columns of the table of cases.

        Raises:
            BadInput: the name is no file name or is taken, the age is impossible, or a fact is
                named like a column that every table has.
        """
        self._check_name(name)
        if gestational_age_days is not None and not is_age(gestational_age_days):
            raise BadInput(
                f"case {name!r}",
                expected="a gestational age in days",
                found=f"{gestational_age_days}",
                remedy="give days since the last menstrual period, or None",
            )
        clashing = sorted(set(facts or {}) & set(CASE_COLUMNS))
        if clashing:
            raise BadInput(
                f"case {name!r}",
                expected=f"facts other than {', '.join(CASE_COLUMNS)}",
                found=", ".join(clashing),
                remedy="give them as arguments",
            )
        person = (subject or "").strip() or name
        return Case(name, person, self.folder, self.skeleton, gestational_age_days, facts or {})

    def has(self, case: Case) -> bool:
        """Return whether this run or the run that it resumes has finished an annotated case.

        A case without annotation looks like an interrupted one and counts as unfinished.
        """
        known = self._resumed or case.name.lower() in self._cases
        return known and case.volume_path.is_file() and case.is_annotated

    def adopt(self, case: Case, *, annotated: bool = True) -> None:
        """Add a case whose files exist to the dataset; the table keeps the order of adoption.

        Args:
            case: made by `case` and written by `write_case`.
            annotated: whether the case must have landmarks.

        Raises:
            BadInput: a file of the case is missing, or the name is taken.
        """
        self._check_name(case.name)
        needed = [case.volume_path, *([case.landmarks_path] if annotated else [])]
        missing = [path for path in needed if not path.is_file()]
        if missing:
            raise BadInput(
                f"case {case.name!r}",
                expected="that its files exist",
                found=f"no {missing[0]}",
                remedy="write the case first, and let one process alone make this dataset",
            )
        self._cases[case.name.lower()] = case

    def _check_name(self, name: str) -> None:
        # Some file systems do not distinguish "a" from "A".
        if name != safe_name(name) or name.lower() in self._cases:
            raise BadInput(
                f"case {name!r}",
                expected="a new name of letters, digits, '.', '_' and '-'",
                found="one that is taken already"
                if name == safe_name(name)
                else "other characters",
                remedy="rename the case",
            )

    def _check_finished(self, count_key: str | None) -> None:
        """Refuse a folder with a `dataset.json`, unless that dataset can be extended."""
        path = self.folder / DATASET_FILE
        if not path.is_file():
            return
        if not is_dataset(self.folder):
            raise BadInput(
                self.folder,
                expected=f"a folder without a {DATASET_FILE}",
                found=f"a {DATASET_FILE} of another program",
                remedy="choose another folder",
            )
        if count_key is None or not self._can_extend(path, count_key):
            difference = self._difference_of(path) or "the same settings"
            raise BadInput(
                self.folder,
                expected="a folder without a finished dataset, or one that can be extended",
                found=f"{DATASET_FILE} with {difference}",
                remedy="choose another folder, or remove that dataset yourself",
            )

    def _can_extend(self, path: Path, count_key: str) -> bool:
        """Return whether the document at `path` describes the same dataset with fewer cases."""
        try:
            there = parse_document(DatasetDocument, read_json(path), path)
        except BadInput:
            return False
        fewer, wanted = there.made_by.get(count_key), self._document.made_by[count_key]
        if not isinstance(fewer, int) or not isinstance(wanted, int) or fewer >= wanted:
            return False
        made_by = {**there.made_by, count_key: wanted}
        # A folder that was renamed still holds the same dataset.
        renamed = {"made_by": made_by, "name": self._document.name}
        return not first_difference(there.model_copy(update=renamed), self._document)

    def _begin(self, resume: bool, count_key: str | None) -> None:
        """Describe the future dataset in the folder, so that only the same settings resume it."""
        path, finished = self.folder / PARTIAL_FILE, self.folder / DATASET_FILE
        if finished.is_file():
            # In this order: a kill in between leaves the finished, shorter dataset.
            write_document(self._document, path)
            finished.unlink()
            return
        landmarks = list((self.folder / "landmarks").glob("*.json"))
        begun = path.is_file()
        difference = self._difference_of(path) if begun else "cases without a record of settings"
        if begun and resume and count_key is not None and self._can_extend(path, count_key):
            write_document(self._document, path)
            return
        if resume and difference and (begun or landmarks):
            raise BadInput(
                self.folder,
                expected="an unfinished dataset with the same settings",
                found=difference,
                remedy="repeat the command that began it, or choose another folder",
            )
        if begun and difference:
            # These cases have other settings; a later run must not keep them under the new ones.
            for stale in landmarks:
                stale.unlink()
        if difference and (begun or not landmarks):
            write_document(self._document, path)

    def _difference_of(self, path: Path) -> str:
        """Describe the first setting in which the document at `path` differs; "" if none does."""
        try:
            plain = read_json(path)
        except BadInput as error:
            return error.found
        if not isinstance(plain, dict) or not isinstance(plain.get("made_by"), dict):
            return "a document of another kind"
        return first_difference(plain, self._document)

    def _finish(self) -> None:
        check_splits(self.splits, {c.name: c.subject for c in self.cases}, self.folder)
        extra = sorted({key for case in self.cases for key in case.facts})
        rows = [
            {
                "case": case.name,
                "subject": case.subject,
                "gestational_age_days": case.gestational_age_days,
                **case.facts,
            }
            for case in self.cases
        ]
        with writable(self.folder):
            write_rows(self.folder / CASES_FILE, [*CASE_COLUMNS, *extra], rows)
            (self.folder / SPLITS_FILE).unlink(missing_ok=True)
            if self.splits:
                splits = SplitsDocument(format="fetusmap-splits", version=1, splits=self.splits)
                write_document(splits, self.folder / SPLITS_FILE)
            write_document(self._document, self.folder / DATASET_FILE)
            (self.folder / PARTIAL_FILE).unlink(missing_ok=True)


def write_case(case: Case, volume: Volume, pose: Pose | None) -> None:
    """Write the files of a case, each atomically; the landmarks come last and mark it complete.

    Any process may call this; the dataset's writer adopts the case afterwards.

    Raises:
        BadInput: the pose has another skeleton, or a file cannot be written.
    """
    if pose is not None and pose.skeleton != case.skeleton:
        raise BadInput(
            f"case {case.name!r}",
            expected=f"a pose of {case.skeleton.name}",
            found=f"one of {pose.skeleton.name}",
            remedy="write one dataset per skeleton",
        )
    # The annotation of an interrupted run must not remain beside a new volume.
    with writable(case.landmarks_path):
        case.landmarks_path.unlink(missing_ok=True)
    save_volume(volume, case.volume_path)
    if pose is not None:
        save_pose(pose, case.landmarks_path)
