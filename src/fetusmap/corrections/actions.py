"""The landmarks after each kind of correction, and the line of the log that holds them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import numpy as np

from fetusmap.anatomy import Pose, PosedLandmark
from fetusmap.corrections.log import pose_sha256
from fetusmap.corrections.records import Action, Correction, LandmarkState
from fetusmap.errors import BadInput
from fetusmap.files import parse_document
from fetusmap.types import ArrayLike

MAX_FILE_ROUNDING_MM = 1e-3
"""Positions that differ by less are the same: files of other programs round."""

States = Mapping[str, LandmarkState]


def move(pose: Pose, landmark: str, position_mm: ArrayLike) -> States:
    """Move a landmark to a position, (3,) LPS mm, or place it if it is absent.

    Raises:
        BadInput: the skeleton has no such landmark, or the position is no point.
    """
    before = pose[landmark]
    point = np.asarray(position_mm, dtype=np.float64)
    if point.shape != (3,) or not np.isfinite(point).all():
        raise BadInput(
            f"position of {landmark}",
            expected="three finite coordinates in mm",
            found=f"{position_mm!r}"[:80],
            remedy="give x, y, z in the world of the volume",
        )
    placed = not before.is_present or before.review == "placed"
    x, y, z = point.tolist()
    return {landmark: LandmarkState(position=(x, y, z), review="placed" if placed else "moved")}


def mark_absent(pose: Pose, landmarks: Iterable[str]) -> States:
    """State that the volume does not show these landmarks.

    Raises:
        BadInput: the skeleton lacks one of them.
    """
    absent = LandmarkState(position=None, confidence=0.0, review="absent")
    return {pose[name].name: absent for name in landmarks}


def accept(pose: Pose, landmarks: Iterable[str] | None = None) -> States:
    """Accept landmarks as they are, or all of them; what is missing is thereby absent.

    Raises:
        BadInput: the skeleton lacks one of them.
    """
    states = {}
    for name in pose.skeleton.landmarks if landmarks is None else landmarks:
        mark = pose[name]
        if mark.review == "machine":
            states[name] = _state(mark, "accepted") if mark.is_present else _absent()
    return states


def exchange(pose: Pose, landmarks: Iterable[str] | None = None) -> States:
    """Exchange left and right of the mirror pairs that contain these landmarks, or of all.

    Positions keep their confidences, because only their names were wrong.

    Raises:
        BadInput: the skeleton lacks one of them, or none of them has a side.
    """
    chosen = None if landmarks is None else tuple(landmarks)
    exchanged = pose.exchange_sides(chosen)
    skeleton = pose.skeleton
    rows = set(range(len(skeleton))) if chosen is None else set(skeleton.indices(chosen).tolist())
    partner = skeleton.mirror_index.tolist()
    states = {}
    for row, name in enumerate(skeleton.landmarks):
        if partner[row] != row and (row in rows or partner[row] in rows):
            mark = exchanged[name]
            review = "moved" if mark.is_present else mark.review
            states[name] = _state(mark, review, mark.confidence)
    if not states:
        raise BadInput(
            "exchange",
            expected="landmarks that have a side",
            found=", ".join(chosen or ()) or "none",
            remedy="name a landmark of a limb",
        )
    return states


def reset(prediction: Pose, landmarks: Iterable[str] | None = None) -> States:
    """Take landmarks, or all of them, as the model predicted them.

    Raises:
        BadInput: the skeleton lacks one of them.
    """
    names = prediction.skeleton.landmarks if landmarks is None else landmarks
    return {name: _state(m, m.review, m.confidence) for name in names for m in [prediction[name]]}


def ask(answer: Pose) -> States:
    """Take from an answer of `Session` the landmarks that no person has reviewed."""
    return {
        mark.name: _state(mark, "machine", mark.confidence)
        for mark in answer
        if mark.review == "machine"
    }


def take_over(prediction: Pose, pose: Pose, edited: Pose) -> States:
    """Take from a pose that a person edited in another program what differs.

    A landmark counts as edited if its file says so, or if it lies neither where it is now nor where
    it was predicted: the file may have been written before other corrections.

    Args:
        prediction: the pose without corrections.
        pose: the pose as it is.
        edited: the pose of the other program, on the same skeleton.
    """
    states: dict[str, LandmarkState] = {}
    for mark in edited:
        now, before = pose[mark.name], prediction[mark.name]
        if mark.review == "machine":
            if not mark.is_present or _are_close(mark, now) or _are_close(mark, before):
                continue
            states |= move(pose, mark.name, mark.position_mm)
        elif not (_are_close(mark, now) and mark.review == now.review):
            states[mark.name] = _state(mark, mark.review, mark.confidence)
    return states


def _are_close(one: PosedLandmark, other: PosedLandmark) -> bool:
    """Whether two landmarks are both absent, or in the same place up to the rounding of files."""
    if one.is_present != other.is_present:
        return False
    apart_mm = np.abs(one.position_mm - other.position_mm).max()
    return not one.is_present or bool(apart_mm <= MAX_FILE_ROUNDING_MM)


def new_correction(
    prediction: Pose,
    author: str,
    action: Action,
    landmarks: States | None = None,
    *,
    note: str = "",
    target: str | None = None,
) -> Correction:
    """Return a line of the log with a new identifier and the present time.

    Args:
        prediction: the pose that the person saw before any correction.
        author: the name that the person chose.
        action: what was done.
        landmarks: the changed landmarks as they are now.
        note: words of the person.
        target: of undo and redo the identifier of the line.

    Raises:
        BadInput: the name or the note is too long or no single line of text.
    """
    plain = {
        "id": secrets.token_hex(16),
        "time": datetime.now(UTC).isoformat(timespec="microseconds"),
        "author": author,
        "action": action,
        "landmarks": dict(landmarks or {}),
        "note": note,
        "base_sha256": pose_sha256(prediction),
        "target": target,
    }
    return parse_document(Correction, plain, "correction")


def _state(mark: PosedLandmark, review: str, confidence: float = 1.0) -> LandmarkState:
    position = mark.position_mm.tolist() if mark.is_present else None
    plain = {"position": position, "confidence": confidence, "review": review}
    return LandmarkState.model_validate(plain)


def _absent() -> LandmarkState:
    return LandmarkState(position=None, confidence=0.0, review="absent")
