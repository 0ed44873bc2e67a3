"""The cases that the server offers: those of a folder of results, or of a dataset.

Requests name cases; they never name files. A case is looked up among those that were found.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.corrections import (
    CORRECTIONS_FILE,
    CORRECTIONS_FOLDER,
    CorrectionLog,
    read_log,
)
from fetusmap.dataset import Dataset, is_dataset, load_dataset
from fetusmap.errors import BadInput, FetusmapError
from fetusmap.files import VOLUME_SUFFIXES, make_folder, read_rows, safe_name, suffix_of
from fetusmap.io import DEFAULT_LIMITS, Conversion, ReadLimits, Source, load_pose
from fetusmap.scale import (
    SUMMARY_FILE,
    VolumeFile,
    assign_folders,
    find_volumes,
    folders_of_cases,
    has_changed_since,
    read_done,
    read_failed,
    split_sequences,
)
from fetusmap.types import Triple

POSE_FILE = "pose.json"
UPLOAD_STEM = "upload"
UPLOADS_FOLDER = ".uploads"
"""Files that are being received; what is in it when the server starts is removed."""

UNTRUSTED_LIMITS = replace(DEFAULT_LIMITS, allow_detached=False)
"""Limits for uploads: their header may not name another file."""


FileKey = tuple[int, int, int]


class NoSuchCase(FetusmapError):
    """A request names a case that is not among those of the workspace."""


@dataclass(frozen=True)
class Reading:
    """Where the volume of a case is, and how to read it as it was read for the prediction."""

    source: Source
    spacing_mm: Triple | None = None
    conversion: Conversion = field(default_factory=Conversion)
    limits: ReadLimits = DEFAULT_LIMITS

    @property
    def file_key(self) -> str:
        """Changes when the file changes; "" if there is no file."""
        try:
            return "-".join(map(str, _file_key(self.source.path)))
        except OSError:
            return ""


@dataclass(frozen=True)
class ServedCase:
    """A case: where its pose, its corrections and its volume are.

    Attributes:
        name: unique in the workspace.
        pose_path: file of the prediction, or of the annotation of a dataset.
        log_path: file of the corrections.
        skeleton: skeleton of a case without a pose; None takes that of the model.
        reading: its volume; None if it is not known.
        error: why the prediction failed; "" if it did not.
        doubts: what is to be checked about an annotation.
    """

    name: str
    pose_path: Path
    log_path: Path
    skeleton: Skeleton | None = None
    reading: Reading | None = None
    error: str = ""
    doubts: tuple[str, ...] = ()

    @property
    def has_pose(self) -> bool:
        """Whether the case was predicted or annotated."""
        return self.pose_path.is_file()

    def load_pose(self) -> Pose | None:
        """Read the prediction or annotation; None if there is none."""
        return load_pose(self.pose_path, self.skeleton) if self.has_pose else None

    def load_log(self) -> CorrectionLog:
        """Read the corrections."""
        return read_log(self.log_path)


@dataclass(frozen=True)
class CaseRow:
    """What the work list shows of a case without reading its pose."""

    name: str
    state: str  # "predicted", "failed", "new"
    quality: float | None
    reasons: str
    warnings: str


class Workspace:
    """The cases of a folder of results, with volumes that may still be predicted into it.

    Args:
        root: the folder of results or the dataset.
        inputs: volumes to predict into the folder.
        order: names of cases in the order of a list; cases that are not in it come last.

    Attributes:
        notes: a sentence for each input that was left out, or is not used as one might expect.

    Raises:
        BadInput: the folder cannot be used.
    """

    def __init__(
        self, root: Path, inputs: Sequence[Path] = (), order: Sequence[str] | None = None
    ) -> None:
        self.root = root
        self.order = None if order is None else {name: n for n, name in enumerate(order)}
        self.dataset: Dataset | None = load_dataset(root) if is_dataset(root) else None
        self.notes: tuple[str, ...] = ()
        self._inputs: dict[str, VolumeFile] = {}
        self._lock = threading.Lock()
        self._logs: dict[str, tuple[FileKey, CorrectionLog]] = {}
        self._rows: tuple[FileKey, dict[str, dict[str, str]]] = ((0, 0, 0), {})
        self._known: set[str] = set()
        if self.dataset is None:
            make_folder(root)
            shutil.rmtree(root / UPLOADS_FOLDER, ignore_errors=True)
            if inputs:
                found = find_volumes(inputs)
                volumes, renamed = assign_folders(
                    split_sequences(found, DEFAULT_LIMITS), root, DEFAULT_LIMITS
                )
                self._inputs = {volume.case: volume for volume in volumes}
                self.notes = (*found.left_out, *found.notes, *renamed)
        else:
            self._cases_of_dataset = {case.name: case for case in self.dataset.cases}

    @property
    def predicts(self) -> bool:
        """Whether volumes can be predicted into this folder; a dataset is left as it is."""
        return self.dataset is None

    def names(self) -> list[str]:
        """Return the names of all cases, sorted or in the order of the list."""
        if self.dataset is not None:
            names: Iterable[str] = self._cases_of_dataset
        else:
            names = self._folders() | set(self._inputs)
        order = self.order or {}
        return sorted(names, key=lambda name: (order.get(name, len(order)), name))

    def case(self, name: str) -> ServedCase:
        """Return a case.

        Raises:
            NoSuchCase: there is none of this name.
        """
        if name != safe_name(name):  # no path, and no other name for a folder
            raise NoSuchCase(f"no case {name[:80]!r}")
        if self.dataset is not None:
            found = self._cases_of_dataset.get(name)
            if found is None:
                raise NoSuchCase(f"no case {name!r}")
            reading = Reading(Source(found.volume_path))
            return ServedCase(
                name,
                found.landmarks_path,
                found.corrections_path,
                found.skeleton,
                reading,
                doubts=found.to_check,
            )
        folder = self.root / name
        if name not in self._inputs and not self._is_case(folder):
            raise NoSuchCase(f"no case {name!r}")
        failed = read_failed(folder)
        return ServedCase(
            name,
            folder / POSE_FILE,
            folder / CORRECTIONS_FILE,
            reading=self._reading(folder),
            error="" if failed is None else failed.error,
        )

    def log_of(self, name: str) -> CorrectionLog:
        """Return the corrections of a case that `names` lists; read again only if they changed."""
        path = (
            self.root / name / CORRECTIONS_FILE
            if self.dataset is None
            else self.root / CORRECTIONS_FOLDER / f"{name}.jsonl"
        )
        try:
            key = _file_key(path)
        except OSError:
            return CorrectionLog()
        known = self._logs.get(name)
        if known is None or known[0] != key:
            self._logs[name] = known = (key, read_log(path))
        return known[1]

    def volume_file(self, name: str) -> VolumeFile | None:
        """Return the volume of a case for a prediction; None if it is not known."""
        reading = self.case(name).reading
        if name in self._inputs or reading is None:
            return self._inputs.get(name)
        return VolumeFile(name, reading.source.path, reading.source.frame)

    def rows(self) -> list[CaseRow]:
        """Return what the work list shows, in the order of `names`; most of it from the table."""
        table = self._table()
        return [self._row(name, table.get(name)) for name in self.names()]

    def claim_folder(self, wanted: str) -> Path:
        """Make the folder of a new case, and return it; a taken name gets a number."""
        for number in range(1, 100_000):
            name = wanted if number == 1 else safe_name(f"{wanted[:100]}-{number}")
            with self._lock:
                if name.lower() in {taken.lower() for taken in self.names()}:
                    continue
                try:
                    (self.root / name).mkdir()
                except FileExistsError:
                    continue
                return self.root / name
        raise BadInput(wanted, expected="a new name", found="too many", remedy="rename the file")

    def _row(self, name: str, row: Mapping[str, str] | None) -> CaseRow:
        table = self.root / SUMMARY_FILE
        if row is not None and not has_changed_since(table, self.root / name):
            state = "failed" if row["status"] == "failed" else "predicted"
            score = float(row["quality"]) if row["quality"] else None
            return CaseRow(name, state, score, row["reasons"], row["warnings"])
        try:
            case = self.case(name)
            if case.error:
                return CaseRow(name, "failed", None, case.error, "")
            pose = case.load_pose()
        except FetusmapError as error:
            return CaseRow(name, "failed", None, str(error), "")
        if pose is None:
            return CaseRow(name, "new", None, "", "")
        quality = pose.quality
        reasons = "; ".join((*case.doubts, *quality.reasons))
        warnings = "; ".join(pose.provenance.warnings)
        return CaseRow(name, "predicted", quality.score, reasons, warnings)

    def _table(self) -> dict[str, dict[str, str]]:
        """Return the rows of the table of the results; none if it is missing or damaged."""
        if self.dataset is not None:
            return {}
        path = self.root / SUMMARY_FILE
        try:
            key = _file_key(path)
            if self._rows[0] != key:
                rows = read_rows(path, ("case", "status", "quality", "reasons", "warnings"))
                self._rows = (key, {row["case"]: row for row in rows})
        except (FetusmapError, OSError):
            return {}
        return self._rows[1]

    def _reading(self, folder: Path) -> Reading | None:
        done = read_done(folder)
        for path in self._files_of_upload(folder):
            return Reading(Source(path), limits=UNTRUSTED_LIMITS)
        if done is not None:
            source = Source(Path(done.source), frame=done.frame, layout=done.layout)
            conversion = Conversion(done.voxel_size_mm, done.mirror, done.force_spacing)
            return Reading(source, done.spacing_mm, conversion)
        given = self._inputs.get(folder.name)
        if given is not None:
            return Reading(Source(given.path, frame=given.frame), given.spacing_mm)
        failed = read_failed(folder)
        return Reading(Source(Path(failed.source))) if failed is not None else None

    def _is_case(self, folder: Path) -> bool:
        if folder.is_symlink() or not folder.is_dir() or folder.name != safe_name(folder.name):
            return False
        has_record = any(True for _ in folders_of_cases(self.root, [folder]))
        return has_record or any(True for _ in self._files_of_upload(folder))

    def _folders(self) -> set[str]:
        """Return the names of the folders that hold a case; a known one is not looked at again."""
        with os.scandir(self.root) as entries:
            there = {e.name for e in entries if e.is_dir(follow_symlinks=False)}
        known = self._known & there
        known |= {name for name in there - known if self._is_case(self.root / name)}
        self._known = known
        return known

    def _files_of_upload(self, folder: Path) -> Iterable[Path]:
        paths = (folder / f"{UPLOAD_STEM}{suffix}" for suffix in VOLUME_SUFFIXES)
        return (path for path in paths if path.is_file() and not path.is_symlink())


def _file_key(path: Path) -> FileKey:
    """Return what changes with the content of a file; raises OSError if there is none."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def empty_pose(skeleton: Skeleton) -> Pose:
    """Return the pose of a case that nobody has annotated: all landmarks are absent."""
    return Pose(skeleton, np.full((len(skeleton), 3), np.nan))


def upload_suffix(name: str) -> str:
    """Return the suffix of an uploaded file's name.

    Raises:
        BadInput: it is not that of a volume in one file.
    """
    allowed = tuple(s for s in VOLUME_SUFFIXES if s not in (".nhdr", ".mhd"))
    suffix = suffix_of(Path(name.replace("\\", "/").rsplit("/", 1)[-1] or "x"), allowed)
    if not suffix:
        raise BadInput(
            "name of the upload",
            expected=f"the name of a volume in one file ({', '.join(allowed)})",
            found=repr(name[-40:]),
            remedy="export the volume as one file",
        )
    return suffix
