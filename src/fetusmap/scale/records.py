"""The small files in a case's folder that say whose it is, and how far the work on it has come.

started.json    written before the work; left behind if the process was killed
failed.json     why the case failed
done.json       written last: what was predicted, with what
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator

from fetusmap.errors import BadInput
from fetusmap.files import Document, parse_document, read_json, write_text
from fetusmap.io import DEFAULT_LIMITS, Conversion, RawLayout, ReadLimits
from fetusmap.refine import Refine, refinement_named
from fetusmap.types import Triple

SUMMARY_FILE = "summary.csv"
LANDMARKS_FILE, LANDMARKS_PARQUET_FILE = "landmarks.csv", "landmarks.parquet"
INDEX_FILE = "index.html"
COHORT_FILES = (SUMMARY_FILE, LANDMARKS_FILE, LANDMARKS_PARQUET_FILE, INDEX_FILE)
"""Files beside the folders of the cases, whose names no case may have."""

DONE_FILE = "done.json"
FAILED_FILE = "failed.json"
STARTED_FILE = "started.json"
RESULT_FILES = ("pose.json", "pose.mrk.json", "lengths.csv")
PREVIEW_FILE = "preview.png"
PAGE_FILE, THUMBNAIL_FILE = "report.html", "thumbnail.jpg"
REPORT_FILE, REPORT_PICTURE_FILE = "report.dcm", "report-picture.dcm"


class PredictionSettings(Document):
    """How cases are predicted.

    Attributes:
        model: "default", "land" or a model folder.
        device: "auto", "cpu" or "cuda".
        refine: kind of refinement, see `fetusmap.refine`.
        library: file of the pose library to refine with; None for the one that ships.
        flip_average: average the heatmaps with those of the mirror image.
        spacing_mm: spacing of the files that state none.
        force_spacing: let the given spacing replace one that a file states.
        voxel_size_mm: size of the voxels that stored beams are converted to; None for the usual.
        mirror: exchange left and right of files that do not state their sides.
        follow_links: read through symbolic links.
        previews: draw each case.
        pages: write a page for browsers about each case.
        parquet: write the landmarks of the cohort as Parquet, too.
    """

    model: str = "default"
    device: str = "auto"
    refine: Annotated[Refine, BeforeValidator(refinement_named)] = "none"
    library: str | None = None
    flip_average: bool = True
    spacing_mm: Triple | None = None
    force_spacing: bool = False
    voxel_size_mm: float | None = None
    mirror: bool = False
    follow_links: bool = False
    previews: bool = True
    pages: bool = True
    parquet: bool = False

    @property
    def limits(self) -> ReadLimits:
        """Limits for reading the files."""
        return replace(DEFAULT_LIMITS, follow_links=self.follow_links)

    @property
    def conversion(self) -> Conversion:
        """How files are read whose own statements are incomplete, wrong, or of beams."""
        return Conversion(self.voxel_size_mm, self.mirror, self.force_spacing)

    @property
    def sha256(self) -> str:
        """Hash of the settings that change a result.

        Model and library are identified by the hashes of their files and not by their names; the
        other fields left out change no result. Newer fields count only if they are set, so that
        results of earlier versions stay valid.
        """
        newer = {"voxel_size_mm", "mirror", "force_spacing"} & set(
            self.model_dump(exclude_defaults=True)
        )
        plain = self.model_dump_json(include={"refine", "flip_average", "spacing_mm", *newer})
        return hashlib.sha256(plain.encode()).hexdigest()


class DoneDocument(Document):
    """Content of `done.json`: a case with the same content need not be predicted again.

    `source` and the five fields after it say how to read the same volume again.
    """

    format: Literal["fetusmap-done"] = "fetusmap-done"
    version: Literal[2] = 2
    source: str
    frame: int | None = None
    layout: RawLayout | None = None
    spacing_mm: Triple | None = None
    force_spacing: bool = False
    voxel_size_mm: float | None = None
    mirror: bool = False
    input_sha256: str
    settings_sha256: str
    model_sha256: str
    library_sha256: str | None = None
    refine: Refine
    fetusmap: str
    device: str
    precision: str


class FailedDocument(Document):
    """Content of `failed.json`."""

    format: Literal["fetusmap-failed"] = "fetusmap-failed"
    version: Literal[1] = 1
    source: str
    error: str


class StartedDocument(Document):
    """Content of `started.json`."""

    format: Literal["fetusmap-started"] = "fetusmap-started"
    version: Literal[1] = 1
    source: str


def write_record(folder: Path, name: str, document: Document) -> None:
    """Write a record into the folder of a case; the folder is made where it does not exist."""
    folder.mkdir(exist_ok=True)
    write_text(folder / name, document.model_dump_json(indent=1) + "\n")


def read_done(folder: Path) -> DoneDocument | None:
    """Read `done.json`; None if there is none, or one of another version."""
    try:
        return parse_document(DoneDocument, read_json(folder / DONE_FILE), folder)
    except BadInput:
        return None


def read_failed(folder: Path) -> FailedDocument | None:
    """Read `failed.json`; None if there is none."""
    try:
        return parse_document(FailedDocument, read_json(folder / FAILED_FILE), folder)
    except BadInput:
        return None


def owner_of(folder: Path) -> tuple[str, str] | None:
    """Return the input file that a case's folder belongs to, and the hash of its bytes.

    Either is "" if it is not known: version 1 of `done.json` holds no path, and only a finished
    case has a hash. None for a folder that no record claims.
    """
    owner: tuple[str, str] | None = None
    for name in (STARTED_FILE, FAILED_FILE, DONE_FILE):
        if not (folder / name).is_file():
            continue
        try:
            plain = read_json(folder / name)
        except BadInput:
            continue
        if isinstance(plain, dict):
            known_hash = plain.get("input_sha256") or plain.get("file_sha256") or ""
            owner = (str(plain.get("source") or (owner or ("",))[0]), str(known_hash))
    return owner
