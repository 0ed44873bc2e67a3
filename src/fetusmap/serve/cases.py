"""Answers about cases: the work list, the detail of a case, and its results in every format."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from math import isfinite
from pathlib import Path

from fetusmap.anatomy import Pose, load_skeleton, measurements
from fetusmap.anatomy import Skeleton as AnatomySkeleton
from fetusmap.corrections import (
    CorrectionLog,
    corrected_pose,
    disagreements,
    pose_sha256,
)
from fetusmap.errors import BadInput, FetusmapError
from fetusmap.io import load_grid, save_pose, write_measurements_csv
from fetusmap.io.poses.landmark_table import write_landmarks_csv
from fetusmap.io.poses.nnlandmark import write_nnlandmark
from fetusmap.scale import DONE_FILE, ReportSettings, export_report
from fetusmap.serve.models import (
    CaseDetail,
    CaseItem,
    CaseList,
    CaseState,
    Entry,
    History,
    Landmark,
    Measure,
    Skeleton,
    SkeletonLandmark,
    SkeletonSegment,
)
from fetusmap.serve.workspace import (
    CaseRow,
    Reading,
    ServedCase,
    Workspace,
    empty_pose,
)

STATES: tuple[CaseState, ...] = ("todo", "done", "problem", "new", "failed")
DEFAULT_SKELETON = "fetus-22"
REPORT_PAGE = "report.html"
PREVIEW_FILE = "preview.png"

RESULT_FILES = {
    "pose.json": "application/json",
    "pose.mrk.json": "application/json",
    "landmarks.csv": "text/csv; charset=utf-8",
    "lengths.csv": "text/csv; charset=utf-8",
    "nnlandmark.json": "application/json",
    "report.dcm": "application/dicom",
}
"""The formats of results, and their media types."""

NO_REVIEWS = ("this format cannot say which landmarks a person accepted, moved or placed",)


def case_list(
    workspace: Workspace,
    *,
    state: CaseState | None,
    order: str,
    search: str,
    offset: int,
    limit: int,
) -> CaseList:
    """Return a page of the work list.

    Args:
        workspace: the cases.
        state: only cases in this state; None for all.
        order: "doubtful" sorts by quality, lowest first; "list" keeps the order of the list that
            was given, and else of the names.
        search: only cases whose name contains this text.
        offset: number of cases before the page.
        limit: largest number of cases on the page.
    """
    rows = [_with_log(workspace, row) for row in workspace.rows()]
    counts: dict[CaseState, int] = dict.fromkeys(STATES, 0)
    for _, its_state, _ in rows:
        counts[its_state] += 1
    rows = [
        (row, its_state, log)
        for row, its_state, log in rows
        if search.lower() in row.name.lower() and state in (None, its_state)
    ]
    if order == "doubtful":
        rows.sort(key=lambda each: (STATES.index(each[1]), _doubt(each[0])))
    page = [
        CaseItem(
            name=row.name,
            state=its_state,
            quality=row.quality,
            reasons=row.reasons,
            warnings=row.warnings,
            authors=[*log.authors],
            note=log.note,
        )
        for row, its_state, log in rows[offset : offset + limit]
    ]
    return CaseList(total=len(rows), offset=offset, counts=counts, cases=page)


def case_detail(case: ServedCase, author: str = "") -> CaseDetail:
    """Return everything about a case but its voxels.

    Args:
        case: the case.
        author: whose actions `history.undo` and `history.redo` are.
    """
    prediction, log = base_pose(case), case.load_log()
    pose = corrected_pose(prediction, log)
    quality, provenance = prediction.quality, prediction.provenance
    reading = case.reading
    return CaseDetail(
        name=case.name,
        state=_state(case.has_pose, case.error, log),
        note=log.note,
        error=case.error,
        has_volume=bool(reading is not None and reading.file_key),
        has_page=case.pose_path.with_name(REPORT_PAGE).is_file(),
        volume_key="" if reading is None else reading.file_key,
        quality=quality.score,
        fetus=quality.fetus,
        sides=quality.sides,
        reasons=[*case.doubts, *quality.reasons],
        warnings=[*provenance.warnings],
        changes=[*provenance.changes],
        skeleton=_skeleton(prediction.skeleton),
        prediction=_landmarks(prediction),
        pose=_landmarks(pose),
        measurements=[
            Measure(
                kind=m.kind, name=m.name, value=m.value if isfinite(m.value) else None, unit=m.unit
            )
            for m in measurements(pose)
        ],
        history=_history(prediction, log, author),
    )


def base_pose(case: ServedCase) -> Pose:
    """Return the prediction or the annotation; without any a pose of absent landmarks."""
    pose = case.load_pose()
    return empty_pose(case.skeleton or _default_skeleton()) if pose is None else pose


def result_file(case: ServedCase, name: str, *, corrected: bool) -> tuple[bytes, tuple[str, ...]]:
    """Return the content of a result in one of the formats of `RESULT_FILES`, and its doubts.

    Raises:
        BadInput: the format cannot hold the pose, or the volume that it needs cannot be read.
    """
    pose = base_pose(case)
    if corrected:
        pose = corrected_pose(pose, case.load_log())
    doubts: tuple[str, ...] = ()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        if name == "lengths.csv":
            write_measurements_csv(pose, path, case.name)
        elif name == "landmarks.csv":
            write_landmarks_csv(pose, path, case.name)
        elif name == "report.dcm":
            doubts = _save_report(case, pose, path)
        elif name == "nnlandmark.json":
            _save_indices(case, pose, path)
            doubts = NO_REVIEWS if set(pose.review) != {"machine"} else ()
        else:
            save_pose(pose, path)
        return path.read_bytes(), doubts


def whole_limbs(skeleton: AnatomySkeleton, landmarks: Sequence[str]) -> list[str]:
    """Return the landmarks with all others of the same limbs, of the left side or without a side.

    Raises:
        BadInput: the skeleton lacks one of them.
    """
    rows = set(skeleton.indices(tuple(landmarks)).tolist())
    rows |= {int(skeleton.mirror_index[row]) for row in rows}
    limbs = [limb for limb in skeleton.limb_index if rows & set(limb.tolist())]
    names = [skeleton.landmarks[row] for limb in limbs for row in limb.tolist()]
    return names or list(landmarks)


def _save_report(case: ServedCase, pose: Pose, path: Path) -> tuple[str, ...]:
    """Write the DICOM report of a pose in the study of its scan; return doubts about it."""
    reading = _known_reading(case)
    record = case.pose_path.with_name(DONE_FILE)
    if record.is_file():  # it says which scan the pose is of
        shutil.copyfile(record, path.with_name(DONE_FILE))
    pose_path = path.with_name("pose.json")
    save_pose(pose, pose_path)
    scan = reading.source
    settings = ReportSettings(scan=scan.path, frame=scan.frame, limits=reading.limits)
    return export_report(pose_path, path, settings)[1]


def _known_reading(case: ServedCase) -> Reading:
    if case.reading is None:
        raise BadInput(case.name, expected="a volume", found="none", remedy="choose another format")
    return case.reading


def _save_indices(case: ServedCase, pose: Pose, path: Path) -> None:
    reading = _known_reading(case)
    grid = load_grid(
        reading.source,
        spacing_mm=reading.spacing_mm,
        conversion=reading.conversion,
        limits=reading.limits,
    )
    write_nnlandmark(pose, path, grid)


def _with_log(workspace: Workspace, row: CaseRow) -> tuple[CaseRow, CaseState, CorrectionLog]:
    """Return a row of the work list with the state and the corrections of its case."""
    try:
        log = workspace.log_of(row.name)
    except FetusmapError as error:
        failed = CaseRow(row.name, "failed", None, str(error), "")
        return failed, "failed", CorrectionLog()
    problem = "failed" if row.state == "failed" else ""
    return row, _state(row.state == "predicted", problem, log), log


def _state(has_pose: bool, error: str, log: CorrectionLog) -> CaseState:
    """What a person said about a case counts more than what became of its prediction."""
    if log.status != "todo":
        return log.status
    if error:
        return "failed"
    return "todo" if has_pose else "new"


def _doubt(row: CaseRow) -> float:
    if row.quality is None:
        return -1.0 if row.reasons else 0.0
    return row.quality


def _history(prediction: Pose, log: CorrectionLog, author: str) -> History:
    counting = {entry.id for entry in log.effective}
    base = pose_sha256(prediction)
    undo, redo = log.to_undo(author), log.to_redo(author)
    return History(
        entries=[
            Entry(
                id=entry.id,
                time=entry.time,
                author=entry.author,
                action=entry.action,
                landmarks=[*entry.landmarks],
                note=entry.note,
                counts=entry.id in counting,
            )
            for entry in log.entries
        ],
        authors=[*log.authors],
        undo=None if undo is None else undo.action,
        redo=None if redo is None else redo.action,
        damaged_lines=log.damaged,
        disagreements=disagreements(prediction, log),
        # The pose of a dataset may hold the corrections already, and then names the people.
        prediction_changed="annotators" not in prediction.provenance.notes
        and any(entry.base_sha256 != base for entry in log.effective),
    )


def _landmarks(pose: Pose) -> list[Landmark]:
    return [
        Landmark(
            name=mark.name,
            position=_point(mark.position_mm.tolist()) if mark.is_present else None,
            confidence=mark.confidence,
            review=mark.review,
        )
        for mark in pose
    ]


def _point(values: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = values
    return x, y, z


def _skeleton(skeleton: AnatomySkeleton) -> Skeleton:
    partners = [skeleton.landmarks[row] for row in skeleton.mirror_index.tolist()]
    partner_of = dict(zip(skeleton.landmarks, partners, strict=True))
    limb_of = {
        name: limb.name
        for limb in skeleton.limbs
        for left in limb.landmarks
        for name in (left, partner_of[left])
    }
    return Skeleton(
        name=skeleton.name,
        landmarks=[
            SkeletonLandmark(
                name=name,
                side=skeleton.side(name),
                partner=None if partner == name else partner,
                limb=limb_of.get(name),
                color=skeleton.color(skeleton.side(name)),
            )
            for name, partner in zip(skeleton.landmarks, partners, strict=True)
        ],
        segments=[
            SkeletonSegment(
                name=segment.name,
                start=segment.start,
                end=segment.end,
                side=skeleton.segment_side(segment),
                color=skeleton.color(skeleton.segment_side(segment)),
            )
            for segment in skeleton.segments
        ],
    )


@lru_cache(maxsize=1)
def _default_skeleton() -> AnatomySkeleton:
    return load_skeleton(DEFAULT_SKELETON)
