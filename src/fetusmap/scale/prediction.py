"""Predictions of many cases as folders of files: resumable, and no case stops the others.

OUT/<case>/pose.json       landmarks, confidences, quality, provenance
OUT/<case>/pose.mrk.json   the same for 3D Slicer
OUT/<case>/lengths.csv     lengths, angles and the crown-rump estimate
OUT/<case>/preview.png
OUT/<case>/report.html     page for browsers; see `pages`
OUT/<case>/done.json       written last: what was predicted, with what; see `records`
OUT/summary.csv            one row per case of the folder, also for those that failed
OUT/landmarks.csv          one row per landmark of each case that is done
OUT/index.html             page of all cases
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from functools import lru_cache, partial
from pathlib import Path

from fetusmap._version import __version__
from fetusmap.anatomy import Pose
from fetusmap.errors import FetusmapError, one_line
from fetusmap.estimate import PoseEstimator, model_folder
from fetusmap.files import make_folder, sha256_of
from fetusmap.io import (
    Source,
    load_pose,
    open_source,
    save_pose,
    volume_of,
    write_measurements_csv,
)
from fetusmap.model import model_sha256
from fetusmap.network import one_thread
from fetusmap.report import check_bundle, draw_prediction, save_figure
from fetusmap.scale.isolation import Killed, OpenExecutor, run_cases
from fetusmap.scale.landmarks import wants_parquet, write_landmarks
from fetusmap.scale.pages import has_case_page, write_case_page, write_cohort_page
from fetusmap.scale.records import (
    DONE_FILE,
    FAILED_FILE,
    PAGE_FILE,
    PREVIEW_FILE,
    REPORT_FILE,
    REPORT_PICTURE_FILE,
    RESULT_FILES,
    STARTED_FILE,
    THUMBNAIL_FILE,
    DoneDocument,
    FailedDocument,
    PredictionSettings,
    StartedDocument,
    read_done,
    write_record,
)
from fetusmap.scale.summary import CaseResult, write_summary
from fetusmap.scale.volume_file import VolumeFile
from fetusmap.threads import one_blas_thread
from fetusmap.workers import check_workers, process_executor


def predict_cases(
    volumes: Sequence[VolumeFile],
    output: Path,
    settings: PredictionSettings,
    workers: int = 0,
    *,
    open_executor: OpenExecutor = process_executor,
) -> Iterator[CaseResult]:
    """Predict cases, write each into its folder, and the table of the folder at the end.

    A case that an earlier run began and did not finish may have killed its process. Such cases come
    last, each in a process of its own; all others keep their order.

    Args:
        volumes: the cases, see `find_volumes` and `assign_folders`.
        output: folder of the results; it is made if it does not exist.
        settings: how to predict.
        workers: number of processes, which changes nothing but the time; 0 computes in this one,
            which a case may kill together with the command.
        open_executor: opens the executor that the cases run in.

    Raises:
        BadInput: the model, the library, the device or Parquet cannot be used, or the output cannot
            be written.
    """
    check_workers(workers)
    make_folder(output)
    wants_parquet(output, settings.parquet)  # refused before the first case, not after the last one
    # A model or a library that cannot be used stops everything before the first case.
    load_estimator(settings).check(settings.refine)
    if settings.pages:
        check_bundle()
    unfinished = [v for v in volumes if (output / v.case / STARTED_FILE).is_file()]
    others = [volume for volume in volumes if volume not in unfinished]
    results: list[CaseResult] = []
    for volume, result in run_cases(
        partial(predict_case, output, settings, all_threads=workers == 0),
        others,
        workers,
        suspects=unfinished,
        open_executor=open_executor,
    ):
        if isinstance(result, Killed):
            result = _killed(output, volume, result.reason)
        results.append(result)
        yield result
    write_tables(output, results, settings)


def write_tables(output: Path, results: Sequence[CaseResult], settings: PredictionSettings) -> None:
    """Write the tables and the page of all cases of a folder, with the results of this run.

    Raises:
        BadInput: the folder cannot be written.
    """
    write_summary(output, results)
    write_landmarks(output, parquet=settings.parquet)
    if settings.pages:
        write_cohort_page(output)


def predict_case(
    output: Path, settings: PredictionSettings, volume: VolumeFile, *, all_threads: bool = False
) -> CaseResult:
    """Predict one case and write its folder; an error becomes part of the result.

    Args:
        output: folder of the results.
        settings: how to predict.
        volume: the case.
        all_threads: compute networks on all threads of torch, which changes nothing but the time.
            Otherwise the case takes one thread, because several processes share the processor.
    """
    if volume.problem:
        return _failed(output, volume, volume.problem)
    if volume.spacing_mm is not None:
        settings = settings.model_copy(update={"spacing_mm": volume.spacing_mm})
    start = time.perf_counter()
    try:
        with nullcontext() if all_threads else one_thread(), one_blas_thread():
            pose, is_new = _predict(output / volume.case, settings, volume)
    except (FetusmapError, MemoryError, OSError) as error:
        return _failed(output, volume, str(error) or "not enough memory")
    except Exception as error:  # one bad case never stops the others
        return _failed(output, volume, f"internal error: {type(error).__name__}: {error}")
    seconds = time.perf_counter() - start if is_new else None
    return CaseResult(volume.case, volume.path, pose, seconds=seconds)


def _failed(output: Path, volume: VolumeFile, message: str) -> CaseResult:
    """Note in the folder of a case why it failed; results of an earlier run stay beside it."""
    error, folder = one_line(message), output / volume.case
    with suppress(FetusmapError, OSError):  # on a full disk the table at least names the case
        write_record(folder, FAILED_FILE, FailedDocument(source=volume.source, error=error))
        (folder / STARTED_FILE).unlink(missing_ok=True)
    return CaseResult(volume.case, volume.path, error=error)


def _killed(output: Path, volume: VolumeFile, reason: str) -> CaseResult:
    """Note that a case killed its process, and leave the mark: the next run tries it alone."""
    result = _failed(output, volume, reason)
    with suppress(FetusmapError, OSError):
        started = StartedDocument(source=volume.source)
        write_record(output / volume.case, STARTED_FILE, started)
    return result


def _predict(folder: Path, settings: PredictionSettings, file: VolumeFile) -> tuple[Pose, bool]:
    """The pose, and whether it was predicted now."""
    # Loading the model or reading the file may already kill the process, so the mark comes first.
    write_record(folder, STARTED_FILE, StartedDocument(source=file.source))
    estimator = load_estimator(settings)
    limits = settings.limits
    origin = Source(file.path, frame=file.frame, layout=file.layout)
    with open_source(origin, limits) as opened:
        read = partial(
            volume_of,
            origin,
            opened,
            spacing_mm=settings.spacing_mm,
            conversion=settings.conversion,
            limits=limits,
        )
        done = DoneDocument(
            source=file.source,
            frame=file.frame,
            layout=file.layout,
            spacing_mm=settings.spacing_mm,
            force_spacing=settings.force_spacing,
            voxel_size_mm=settings.voxel_size_mm,
            mirror=settings.mirror,
            input_sha256=opened.sha256(),
            settings_sha256=settings.sha256,
            model_sha256=estimator.model_sha256,
            library_sha256=None if settings.refine == "none" else estimator.library_sha256,
            refine=settings.refine,
            fetusmap=__version__,
            device=estimator.device.type,
            precision=estimator.precision,
        )
        if _is_done(folder, done, settings):
            with suppress(FetusmapError):  # a damaged pose is predicted anew
                pose = load_pose(folder / "pose.json", estimator.pipeline.skeleton)
                if settings.pages and not has_case_page(folder):
                    write_case_page(folder, read(), pose, file.case)
                write_record(folder, DONE_FILE, done)  # the file may have been moved
                for name in (STARTED_FILE, FAILED_FILE):
                    (folder / name).unlink(missing_ok=True)
                return pose, False
        _remove_results(folder)  # of other settings, or of an earlier version of the file
        volume = read()
    found = estimator(volume, refine=settings.refine, flip_average=settings.flip_average)
    save_pose(found.pose, folder / "pose.json")
    save_pose(found.pose, folder / "pose.mrk.json")
    write_measurements_csv(found.pose, folder / "lengths.csv", file.case)
    if settings.previews:
        save_figure(draw_prediction(volume, found.pose, file.case), folder / PREVIEW_FILE)
    if settings.pages:
        write_case_page(folder, volume, found.pose, file.case)
    write_record(folder, DONE_FILE, done)
    (folder / STARTED_FILE).unlink()
    return found.pose, True


def _remove_results(folder: Path) -> None:
    reports = (PREVIEW_FILE, PAGE_FILE, THUMBNAIL_FILE, REPORT_FILE, REPORT_PICTURE_FILE)
    for name in (DONE_FILE, FAILED_FILE, *RESULT_FILES, *reports):
        (folder / name).unlink(missing_ok=True)


def _is_done(folder: Path, done: DoneDocument, settings: PredictionSettings) -> bool:
    """Whether the folder holds the results that `done` describes; a moved file has the same.

    Earlier versions did not record how the file was read; the hash of the settings covers it.
    """
    there = read_done(folder)
    reading = ("source", "frame", "spacing_mm", "force_spacing", "voxel_size_mm", "mirror")
    same = {name: getattr(done, name) for name in reading}
    files = (*RESULT_FILES, *([PREVIEW_FILE] if settings.previews else []))
    return (
        there is not None
        and there.model_copy(update=same) == done
        and all((folder / name).is_file() for name in files)
    )


def load_estimator(settings: PredictionSettings) -> PoseEstimator:
    """Return the estimator of the settings, loaded once as long as its files stay the same.

    Raises:
        BadInput: the model, the library or the device cannot be used.
    """
    card = model_sha256(model_folder(settings.model))
    path = Path(settings.library or "")
    library = sha256_of(path) if path.is_file() else ""  # a missing file is refused when loading
    return _load_estimator(settings.model, settings.device, settings.library, card, library)


@lru_cache(maxsize=2)
def _load_estimator(
    model: str,
    device: str,
    library: str | None,
    card_sha256: str,  # noqa: ARG001 - part of the key: files may change during a run
    library_sha256: str,  # noqa: ARG001
) -> PoseEstimator:
    return PoseEstimator.from_pretrained(model, device, library)
