"""Writing a dataset, case by case; it counts as finished only when its last file is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from fetusmap.anatomy import (
    Pose,
    Skeleton,
    built_in_skeleton,
    load_skeleton,
    plain_from_skeleton,
)
from fetusmap.anatomy.skeleton_file import BUILT_IN
from fetusmap.dataset.layout import (
    CASE_COLUMNS,
    CASES_FILE,
    DATASET_FILE,
    SPLITS_FILE,
    Case,
    DatasetDocument,
    SplitsDocument,
    is_age,
    is_dataset,
)
from fetusmap.dataset.splits import check_splits
from fetusmap.documents import MAX_JSON_BYTES, MAX_TABLE_BYTES, Document, parse_document
from fetusmap.errors import BadInput
from fetusmap.io import save_pose, save_volume
from fetusmap.io.files import safe_name, write_text
from fetusmap.io.tables import write_rows
from fetusmap.volume import Volume


class DatasetWriter:
    """Writes a dataset folder; use it in a `with` block.

    Each case is written at once and atomically. The tables follow when the block ends well, and
    `dataset.json` last, so that a broken-off run is never taken for a finished dataset.

    Args:
        folder: created if needed; must not hold a finished dataset.
        name: of the dataset.
        licence: of the data.
        skeleton: of all its poses.
        made_by: how it was made, plain data.

    Raises:
        BadInput: a finished dataset in the folder, or a folder that cannot be made.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        name: str,
        licence: str,
        skeleton: Skeleton | None = None,
        made_by: Mapping[str, JsonValue] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.skeleton = skeleton or load_skeleton()
        self.splits: dict[str, tuple[str, ...]] = {}
        self._cases: dict[str, Case] = {}
        self._names: set[str] = set()
        plain = plain_from_skeleton(self.skeleton)
        # A name is enough only where it stands for this very skeleton.
        known = self.skeleton.name in BUILT_IN and plain == plain_from_skeleton(
            built_in_skeleton(self.skeleton.name)
        )
        self._document = DatasetDocument(
            format="fetusmap-dataset",
            version=1,
            name=name,
            licence=licence,
            skeleton=self.skeleton.name if known else plain,
            made_by=dict(made_by or {}),
        )
        if is_dataset(self.folder):
            raise BadInput(
                self.folder,
                expected="a folder without a finished dataset",
                found=f"{DATASET_FILE}",
                remedy="choose another folder, or remove that dataset yourself",
            )
        try:
            for part in ("volumes", "landmarks"):
                (self.folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(
                self.folder,
                expected="a folder that can be written",
                found=(error.strerror or type(error).__name__).lower(),
                remedy="check its permissions and the free space",
            ) from error

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
        name = volume.name
        # Some file systems do not tell "a" from "A".
        if name != safe_name(name) or name.lower() in self._names:
            raise BadInput(
                f"case {name!r}",
                expected="a new name of letters, digits, '.', '_' and '-'",
                found="one that stands already" if name == safe_name(name) else "other characters",
                remedy="rename the volume",
            )
        if pose is not None and pose.skeleton != self.skeleton:
            raise BadInput(
                f"case {name!r}",
                expected=f"a pose of {self.skeleton.name}",
                found=f"one of {pose.skeleton.name}",
                remedy="write one dataset per skeleton",
            )
        if gestational_age_days is not None and not is_age(gestational_age_days):
            raise BadInput(
                f"case {name!r}",
                expected="a gestational age in days",
                found=f"{gestational_age_days}",
                remedy="give days since the last menstrual period, or None",
            )
        told = dict(facts or {})
        if volume.warnings:
            told.setdefault("warnings", "; ".join(volume.warnings))
        if set(told) & set(CASE_COLUMNS):
            raise BadInput(
                f"case {name!r}",
                expected=f"facts other than {', '.join(CASE_COLUMNS)}",
                found=", ".join(sorted(set(told) & set(CASE_COLUMNS))),
                remedy="give them as arguments",
            )
        case = Case(name, subject or name, self.folder, self.skeleton, gestational_age_days, told)
        # An annotation that a broken-off run left behind must not survive under a new volume.
        case.landmarks_path.unlink(missing_ok=True)
        save_volume(volume, case.volume_path)
        if pose is not None:
            save_pose(pose, case.landmarks_path)
        self._cases[name] = case
        self._names.add(name.lower())
        return case

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
        write_rows(self.folder / CASES_FILE, [*CASE_COLUMNS, *extra], rows)
        (self.folder / SPLITS_FILE).unlink(missing_ok=True)
        if self.splits:
            splits = SplitsDocument(format="fetusmap-splits", version=1, splits=self.splits)
            _write_document(splits, self.folder / SPLITS_FILE)
        _write_document(self._document, self.folder / DATASET_FILE)


def _write_document(document: Document, path: Path) -> None:
    plain = document.model_dump(mode="json", exclude_none=True)
    parse_document(type(document), plain, path)
    limit = MAX_TABLE_BYTES if path.name == SPLITS_FILE else MAX_JSON_BYTES
    write_text(path, json.dumps(plain, indent=1) + "\n", max_bytes=limit)
