"""Predictions of many cases as folders of files: resumable, and no case stops the others.

OUT/<case>/pose.json       landmarks, confidences, quality, provenance
OUT/<case>/pose.mrk.json   the same for 3D Slicer
OUT/<case>/lengths.csv     lengths, angles and the crown-rump estimate
OUT/<case>/preview.png
OUT/<case>/done.json       written last: what was predicted, with what
OUT/summary.csv            one row per case, also for those that failed
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from fetusmap._version import __version__
from fetusmap.anatomy import Pose
from fetusmap.errors import BadInput, FetusmapError, UnreadableFile, one_line
from fetusmap.estimate import PoseEstimator, Refine
from fetusmap.files.documents import Document, Version1, parse_document, read_json
from fetusmap.files.reading import check_regular_file, sha256_of
from fetusmap.files.writing import write_text
from fetusmap.io import (
    DEFAULT_LIMITS,
    ReadLimits,
    load_pose,
    load_volume,
    save_pose,
    write_measurements_csv,
)
from fetusmap.network import one_thread
from fetusmap.report import draw_prediction, save_figure
from fetusmap.scale.sources import VolumeFile
from fetusmap.scale.summary import SUMMARY_FILE, CaseResult, write_summary
from fetusmap.threads import one_blas_thread
from fetusmap.types import Triple
from fetusmap.workers import map_in_order

DONE_FILE = "done.json"
RESULT_FILES = ("pose.json", "pose.mrk.json", "lengths.csv")
PREVIEW_FILE = "preview.png"


@dataclass(frozen=True)
class PredictionSettings:
    """With what cases are predicted.

    Attributes:
        model: "default" or a model folder.
        device: "auto", "cpu" or "cuda".
        refine: "none", "paper" or "fast".
        library: file of the atlases to refine with; None for those that ship.
        flip_average: also look at the mirror image.
        spacing_mm: overrides the files' spacing.
        follow_links: read through symbolic links.
        previews: draw each case.
    """

    model: str = "default"
    device: str = "auto"
    refine: Refine = "none"
    library: str | None = None
    flip_average: bool = True
    spacing_mm: Triple | None = None
    follow_links: bool = False
    previews: bool = True

    @property
    def limits(self) -> ReadLimits:
        """What a file may ask for."""
        return replace(DEFAULT_LIMITS, follow_links=self.follow_links)


class DoneDocument(Document):
    """What `done.json` holds: the same settings and input need not be predicted again."""

    format: str = "fetusmap-done"
    version: Version1 = 1
    fetusmap: str
    device: str
    precision: str
    file_sha256: str
    model_sha256: str
    refine: str
    library_sha256: str | None = None
    flip_average: bool
    spacing_mm: Triple | None
    previews: bool


def predict_cases(
    volumes: Sequence[VolumeFile],
    output: Path,
    settings: PredictionSettings,
    workers: int = 1,
) -> Iterator[CaseResult]:
    """Predict cases in order, write each into its folder, and the summary at the end.

    Args:
        volumes: see `find_volumes`.
        output: folder; is made where it does not exist.
        settings: with what.
        workers: processes that work side by side; their number changes nothing but the time.

    Raises:
        BadInput: a model or device that cannot be used, or an output that cannot be written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            output,
            expected="a folder that can be written",
            found=(error.strerror or type(error).__name__).lower(),
            remedy="choose another",
        ) from error
    # A model or library that does not load, or is too small, stops everything.
    _estimator(settings.model, settings.device, settings.library).check(settings.refine)
    results: list[CaseResult] = []
    for result in map_in_order(partial(predict_case, output, settings), volumes, workers):
        results.append(result)
        yield result
    write_summary(output / SUMMARY_FILE, results)


def predict_case(output: Path, settings: PredictionSettings, volume: VolumeFile) -> CaseResult:
    """Predict one case and write its folder; whatever goes wrong becomes part of the result."""
    start = time.perf_counter()
    try:
        with one_thread(), one_blas_thread():  # workers must not get into each other's way
            pose, fresh = _predict(output / volume.case, settings, volume)
    except (FetusmapError, MemoryError, OSError) as error:
        return CaseResult(volume.case, volume.path, error=one_line(str(error) or "out of memory"))
    except Exception as error:  # one bad case never stops the others
        message = one_line(f"internal error: {type(error).__name__}: {error}")
        return CaseResult(volume.case, volume.path, error=message)
    seconds = time.perf_counter() - start if fresh else None
    return CaseResult(volume.case, volume.path, pose, seconds=seconds)


@cache
def _estimator(model: str, device: str, library: str | None) -> PoseEstimator:
    return PoseEstimator.from_pretrained(model, device, library)


def _predict(folder: Path, settings: PredictionSettings, file: VolumeFile) -> tuple[Pose, bool]:
    """The pose, and whether it was predicted now."""
    estimator = _estimator(settings.model, settings.device, settings.library)
    check_regular_file(file.path, follow_links=settings.follow_links)
    done = DoneDocument(
        fetusmap=__version__,
        device=estimator.device.type,
        precision=estimator.precision,
        file_sha256=sha256_of(file.path),
        model_sha256=estimator.model_sha256,
        refine=settings.refine,
        library_sha256=None if settings.refine == "none" else estimator.library_sha256,
        flip_average=settings.flip_average,
        spacing_mm=settings.spacing_mm,
        previews=settings.previews,
    )
    if _is_done(folder, done):
        with suppress(FetusmapError):  # a pose that was damaged since is predicted anew
            return load_pose(folder / "pose.json", estimator.pipeline.skeleton), False
    for name in (DONE_FILE, *RESULT_FILES, PREVIEW_FILE):  # of another volume, model or setting
        (folder / name).unlink(missing_ok=True)
    volume = load_volume(file.path, spacing_mm=settings.spacing_mm, limits=settings.limits)
    folder.mkdir(exist_ok=True)
    found = estimator(volume, refine=settings.refine, flip_average=settings.flip_average)
    save_pose(found.pose, folder / "pose.json")
    save_pose(found.pose, folder / "pose.mrk.json")
    write_measurements_csv(found.pose, folder / "lengths.csv", file.case)
    if settings.previews:
        save_figure(draw_prediction(volume, found.pose, file.case), folder / PREVIEW_FILE)
    write_text(folder / DONE_FILE, done.model_dump_json(indent=1) + "\n")
    return found.pose, True


def _is_done(folder: Path, done: DoneDocument) -> bool:
    try:
        there = parse_document(DoneDocument, read_json(folder / DONE_FILE), folder)
    except (BadInput, UnreadableFile):
        return False
    files = (*RESULT_FILES, *([PREVIEW_FILE] if done.previews else []))
    return there == done and all((folder / name).is_file() for name in files)
