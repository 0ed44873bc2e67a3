"""Writing a dataset, case by case; it counts as finished only when its last file is there.

`DatasetWriter.add` does it in one process. Where other processes write the cases, the writer makes
each `Case`, they call `write_case`, and the writer adopts what they wrote, in the order that the
table of cases is to have. A writer that resumes finds the finished cases of a broken-off run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import JsonValue

from fetusmap.anatomy import Pose, Skeleton, entry_from_skeleton, load_skeleton
from fetusmap.dataset.layout import (
    CASE_COLUMNS,
    CASES_FILE,
    DATASET_FILE,
    PARTIAL_FILE,
    SPLITS_FILE,
    Case,
    DatasetDocument,
    SplitsDocument,
    is_age,
    is_dataset,
)
from fetusmap.dataset.splits import check_splits
from fetusmap.errors import BadInput
from fetusmap.files.documents import (
    MAX_JSON_BYTES,
    MAX_TABLE_BYTES,
    Document,
    parse_document,
    read_json,
)
from fetusmap.files.names import safe_name
from fetusmap.files.tables import write_rows
from fetusmap.files.writing import write_text
from fetusmap.io import save_pose, save_volume
from fetusmap.volume import Volume

LONGEST_VALUE = 60
"""Characters of a setting that an error quotes."""


class DatasetWriter:
    """Writes a dataset folder; use it in a `with` block.

    Each case is written at once and atomically. The tables follow when the block ends well, and
    `dataset.json` last, so that a broken-off run is never taken for a finished dataset. Until then
    `dataset.partial.json` says what the folder is going to be.

    Args:
        folder: created if needed; must not hold a finished dataset.
        name: of the dataset.
        licence: of the data.
        skeleton: of all its poses.
        made_by: how it was made, plain data.
        resume: keep the finished cases of a broken-off run with the same settings; otherwise an
            unfinished dataset is written over.

    Raises:
        BadInput: a finished dataset in the folder, a folder that cannot be made, or nothing there
            that these settings could resume.
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
    ) -> None:
        self.folder = Path(folder)
        self.skeleton = skeleton or load_skeleton()
        self.splits: dict[str, tuple[str, ...]] = {}
        self._cases: dict[str, Case] = {}
        self._resumed = resume
        self._document = DatasetDocument(
            format="fetusmap-dataset",
            version=1,
            name=name,
            licence=licence,
            skeleton=entry_from_skeleton(self.skeleton),
            made_by=dict(made_by or {}),
        )
        if is_dataset(self.folder):
            raise BadInput(
                self.folder,
                expected="a folder without a finished dataset",
                found=f"{DATASET_FILE}",
                remedy="choose another folder, or remove that dataset yourself",
            )
        with _writable(self.folder):
            for part in ("volumes", "landmarks"):
                (self.folder / part).mkdir(parents=True, exist_ok=True)
            self._begin(resume)

    def __enter__(self) -> Self:
        """Begin; the folders exist already."""
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
        """The cases so far."""
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
        """Write one case, named as its volume.

        Args:
            volume: its name becomes the case's.
            pose: its landmarks, or None for a case without annotation.
            subject: who it is; the case's name where nobody knows.
            gestational_age_days: or None.
            facts: further columns of the table of cases; the volume's warnings become one.

        Raises:
            BadInput: a name that is no file name or stands already, a pose of another skeleton, or
                a fact named as one of our own columns.
        """
        told = dict(facts or {})
        if volume.warnings:
            told.setdefault("warnings", "; ".join(volume.warnings))
        case = self.case(volume.name, subject, gestational_age_days, told)
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
        """Make a case of this dataset and check it; nothing is written.

        Args:
            name: of the case and its files.
            subject: who it is; the case's name where nobody knows.
            gestational_age_days: or None.
            facts: further columns of the table of cases.

        Raises:
            BadInput: a name that is no file name or stands already, an age that is none, or a fact
                named as one of our own columns.
        """
        self._check_name(name)
        if gestational_age_days is not None and not is_age(gestational_age_days):
            raise BadInput(
                f"case {name!r}",
                expected="a gestational age in days",
                found=f"{gestational_age_days}",
                remedy="give days since the last menstrual period, or None",
            )
        told = dict(facts or {})
        if set(told) & set(CASE_COLUMNS):
            raise BadInput(
                f"case {name!r}",
                expected=f"facts other than {', '.join(CASE_COLUMNS)}",
                found=", ".join(sorted(set(told) & set(CASE_COLUMNS))),
                remedy="give them as arguments",
            )
        return Case(name, subject or name, self.folder, self.skeleton, gestational_age_days, told)

    def has(self, case: Case) -> bool:
        """Whether this run or the one that it resumes has finished an annotated case.

        A case without annotation looks like one that was broken off: it is not had.
        """
        ours = self._resumed or case.name.lower() in self._cases
        return ours and case.volume_path.is_file() and case.is_annotated

    def adopt(self, case: Case, *, annotated: bool = True) -> None:
        """Take a case whose files stand into the dataset; the table keeps this order.

        Args:
            case: as `case` made it, and `write_case` wrote it.
            annotated: whether it must have landmarks, too.

        Raises:
            BadInput: a file of the case is missing, or its name stands already.
        """
        self._check_name(case.name)
        needed = [case.volume_path, *([case.landmarks_path] if annotated else [])]
        missing = [path for path in needed if not path.is_file()]
        if missing:
            raise BadInput(
                f"case {case.name!r}",
                expected="its files in place",
                found=f"no {missing[0]}",
                remedy="write the case first, and let one process alone make this dataset",
            )
        self._cases[case.name.lower()] = case

    def _check_name(self, name: str) -> None:
        # Some file systems do not tell "a" from "A".
        if name != safe_name(name) or name.lower() in self._cases:
            raise BadInput(
                f"case {name!r}",
                expected="a new name of letters, digits, '.', '_' and '-'",
                found="one that stands already" if name == safe_name(name) else "other characters",
                remedy="rename the case",
            )

    def _begin(self, resume: bool) -> None:
        """Say what the folder is going to be, so that only the same settings resume it."""
        path = self.folder / PARTIAL_FILE
        finished = list((self.folder / "landmarks").glob("*.json"))
        begun = path.is_file()
        difference = _difference(path, self._document) if begun else "no word of its settings"
        if resume and difference and (begun or finished):
            raise BadInput(
                self.folder,
                expected="an unfinished dataset with the same settings",
                found=difference,
                remedy="repeat the command that began it, or choose another folder",
            )
        if begun and difference:
            # They are of other settings, and a later run must not keep them under these.
            for landmarks in finished:
                landmarks.unlink()
        if difference and (begun or not finished):
            _write_document(self._document, path)

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
        with _writable(self.folder):
            write_rows(self.folder / CASES_FILE, [*CASE_COLUMNS, *extra], rows)
            (self.folder / SPLITS_FILE).unlink(missing_ok=True)
            if self.splits:
                splits = SplitsDocument(format="fetusmap-splits", version=1, splits=self.splits)
                _write_document(splits, self.folder / SPLITS_FILE)
            _write_document(self._document, self.folder / DATASET_FILE)
            (self.folder / PARTIAL_FILE).unlink(missing_ok=True)


def write_case(case: Case, volume: Volume, pose: Pose | None) -> None:
    """Write the files of a case, each atomically, the landmarks last: they say that it is complete.

    Any process may do this; the dataset's writer adopts the case afterwards.

    Raises:
        BadInput: a pose of another skeleton, or a place that cannot be written.
    """
    if pose is not None and pose.skeleton != case.skeleton:
        raise BadInput(
            f"case {case.name!r}",
            expected=f"a pose of {case.skeleton.name}",
            found=f"one of {pose.skeleton.name}",
            remedy="write one dataset per skeleton",
        )
    # An annotation that a broken-off run left behind must not survive under a new volume.
    with _writable(case.landmarks_path):
        case.landmarks_path.unlink(missing_ok=True)
    save_volume(volume, case.volume_path)
    if pose is not None:
        save_pose(pose, case.landmarks_path)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into our words."""
    try:
        yield
    except OSError as error:
        raise BadInput(
            path,
            expected="a folder that can be written",
            found=(error.strerror or type(error).__name__).lower(),
            remedy="check its permissions and the free space",
        ) from error


def _plain(document: Document) -> Any:
    return document.model_dump(mode="json", exclude_none=True)


def _write_document(document: Document, path: Path) -> None:
    plain = _plain(document)
    parse_document(type(document), plain, path)
    limit = MAX_TABLE_BYTES if path.name == SPLITS_FILE else MAX_JSON_BYTES
    write_text(path, json.dumps(plain, indent=1) + "\n", max_bytes=limit)


def _difference(path: Path, document: DatasetDocument) -> str:
    """The first setting in which the document at `path` is another one, in words; "" if none."""
    try:
        there = read_json(path)
    except BadInput as error:
        return error.found
    here = json.loads(json.dumps(_plain(document)))
    if not isinstance(there, dict) or not isinstance(there.get("made_by"), dict):
        return "a document of another kind"
    old_by, new_by = there.pop("made_by"), here.pop("made_by")
    for old, new in ((there, here), (old_by, new_by)):
        for key in (*new, *old):
            if old.get(key) != new.get(key):
                return f"{key} {_quoted(old.get(key))} where {_quoted(new.get(key))} is asked for"
    return ""


def _quoted(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
