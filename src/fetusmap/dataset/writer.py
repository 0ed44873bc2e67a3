"""Write a dataset, case by case.

`DatasetWriter.add` writes in one process. If other processes write the cases, the writer makes each
`Case`, a process calls `write_case`, and the writer adopts the written case. The table of cases
keeps the order of adoption. A writer that resumes finds the finished cases of an interrupted run.

The dataset counts as finished when `dataset.json` exists, which is written last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    write_document,
)
from fetusmap.dataset.folder_state import begin_folder, check_folder
from fetusmap.dataset.layout import (
    CASE_COLUMNS,
    CHECK_COLUMN,
    DOUBT_SEPARATOR,
    Case,
    is_age,
    remedy_for_age,
    subject_named,
)
from fetusmap.dataset.splits import check_splits
from fetusmap.errors import BadInput, one_line
from fetusmap.files import safe_name, writable, write_rows
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
        skeleton: skeleton of all poses; None for that of the first pose that is added. A dataset
            that is resumed needs it.
        made_by: plain data that say how the dataset was made.
        resume: keep the finished cases of an interrupted run with the same settings. Otherwise an
            unfinished dataset is overwritten.
        count_key: entry of `made_by` that holds the number of cases. With `resume`, a dataset that
            differs only in a smaller number there is extended, whether it is finished or not.

    Raises:
        BadInput: the folder cannot be made, holds a finished dataset or a `dataset.json` of
            another program, holds cases that these settings cannot resume, or is to be resumed
            without a skeleton.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        name: str,
        licence: str,
        skeleton: Skeleton | None = None,
        made_by: Mapping[str, JsonValue] | None = None,
        resume: bool = False,
        count_key: str | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.splits: dict[str, tuple[str, ...]] = {}
        self._cases: dict[str, Case] = {}
        self._resumed = resume
        self._count_key = count_key if resume else None
        self._skeleton = skeleton
        self._document = DatasetDocument(
            format=FORMAT,
            version=1,
            name=name,
            licence=licence,
            skeleton="" if skeleton is None else entry_from_skeleton(skeleton),
            made_by=dict(made_by or {}),
        )
        check_folder(self.folder, self._document, self._count_key)
        if skeleton is not None:
            begin_folder(self.folder, self._document, resume, self._count_key)
        elif resume:
            raise BadInput(
                self.folder,
                expected="a skeleton, to resume a dataset",
                found="none",
                remedy="give the skeleton of the dataset",
            )

    def __enter__(self) -> Self:
        """Return the writer."""
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
    def skeleton(self) -> Skeleton:
        """Return the skeleton of all poses.

        Raises:
            BadInput: none was given, and no pose was added yet.
        """
        if self._skeleton is None:
            raise BadInput(
                self.folder,
                expected="a skeleton for the dataset",
                found="none, and no pose that has one",
                remedy="give the skeleton, or add an annotated case first",
            )
        return self._skeleton

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
        to_check: Sequence[str] = (),
    ) -> Case:
        """Write one case, which takes the name of its volume.

        Args:
            volume: the case takes the name of this volume.
            pose: landmarks of the case, or None for a case without annotation.
            subject: identifier of the fetus; by default the case's name.
            gestational_age_days: None if it is not known.
            facts: further columns of the table of cases. The volume's warnings become the column
                `warnings`, unless the facts have one.
            to_check: what is doubtful about the annotation, see `Case`.

        Raises:
            BadInput: the name is no file name or is taken, the pose has another skeleton, a fact is
                named like a column that every table has, or the dataset has no skeleton yet.
        """
        if self._skeleton is None and pose is not None:
            self._take_skeleton(pose.skeleton)
        columns = dict(facts or {})
        if volume.warnings:
            columns.setdefault("warnings", "; ".join(volume.warnings))
        case = self.case(volume.name, subject, gestational_age_days, columns)
        case = replace(case, to_check=tuple(one_line(doubt) for doubt in to_check))
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
                remedy=remedy_for_age(gestational_age_days),
            )
        clashing = sorted(set(facts or {}) & {*CASE_COLUMNS, CHECK_COLUMN})
        if clashing:
            raise BadInput(
                f"case {name!r}",
                expected=f"facts other than {', '.join((*CASE_COLUMNS, CHECK_COLUMN))}",
                found=", ".join(clashing),
                remedy="give them as arguments",
            )
        person = subject_named(subject, name)
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

    def _take_skeleton(self, skeleton: Skeleton) -> None:
        """Make a skeleton that of the dataset, and begin the dataset."""
        self._skeleton = skeleton
        described = {**dict(self._document), "skeleton": entry_from_skeleton(skeleton)}
        self._document = DatasetDocument(**described)
        begin_folder(self.folder, self._document, self._resumed, self._count_key)

    def _finish(self) -> None:
        _ = self.skeleton  # raises without one
        check_splits(self.splits, {c.name: c.subject for c in self.cases}, self.folder)
        is_doubtful = any(case.to_check for case in self.cases)
        extra = sorted({key for case in self.cases for key in case.facts})
        extra = [CHECK_COLUMN, *extra] if is_doubtful else extra
        rows = [
            {
                "case": case.name,
                "subject": case.subject,
                "gestational_age_days": case.gestational_age_days,
                **({CHECK_COLUMN: DOUBT_SEPARATOR.join(case.to_check)} if is_doubtful else {}),
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
