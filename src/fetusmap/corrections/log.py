"""The log of the corrections of one case, and the pose that it leads to. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from fetusmap.anatomy import Pose
from fetusmap.corrections.records import Correction

CaseStatus = Literal["todo", "done", "problem"]

CASE_STATUS: dict[str, CaseStatus] = {
    "accept_case": "done",
    "problem": "problem",
    "reopen": "todo",
}

YIELDING = ("ask", "accept", "accept_case")
"""Actions that change only landmarks that no person has reviewed. In one log they never name
others; in the merged logs of two copies they may."""

MAX_AGREEMENT_MM = 2.0
"""Two people disagree about a landmark if their positions are farther apart."""


@dataclass(frozen=True)
class CorrectionLog:
    """The corrections of one case.

    Attributes:
        entries: all lines, in the order in which they were written.
        damaged: number of lines that cannot be read, for example because the machine lost power
            while it wrote.
    """

    entries: tuple[Correction, ...] = ()
    damaged: int = 0

    @cached_property
    def effective(self) -> tuple[Correction, ...]:
        """The actions that count: without those that were undone."""
        counting = {entry for stack in self._stacks[0].values() for entry in stack}
        return tuple(entry for entry in self.entries if entry.id in counting)

    def to_undo(self, author: str) -> Correction | None:
        """Return the action that this person would undo next: the last one of their own."""
        return self._last(0, author)

    def to_redo(self, author: str) -> Correction | None:
        """Return the action that this person would redo next; none after a new action."""
        return self._last(1, author)

    @property
    def authors(self) -> tuple[str, ...]:
        """The names of those whose actions count, sorted."""
        return tuple(sorted({entry.author for entry in self.effective}))

    @property
    def status(self) -> CaseStatus:
        """Whether a person accepted the case or reported a problem last."""
        last = self._last_status
        return "todo" if last is None else CASE_STATUS[last.action]

    @property
    def note(self) -> str:
        """The words about the problem of a case; "" if there is none."""
        last = self._last_status
        return last.note if last is not None and last.action == "problem" else ""

    def of_author(self, author: str) -> CorrectionLog:
        """Return the log with the lines of one person only."""
        return replace(self, entries=tuple(e for e in self.entries if e.author == author))

    @property
    def _last_status(self) -> Correction | None:
        return next((e for e in reversed(self.effective) if e.action in CASE_STATUS), None)

    @cached_property
    def _stacks(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Identifiers of the actions that count, and of those that can be redone, per author."""
        done: dict[str, list[str]] = {}
        undone: dict[str, list[str]] = {}
        author_of = {entry.id: entry.author for entry in self.entries}
        for entry in self.entries:
            if entry.action in ("undo", "redo"):
                source, target = (done, undone) if entry.action == "undo" else (undone, done)
                author = author_of.get(entry.target or "", "")
                if entry.target in source.get(author, []):
                    source[author].remove(entry.target)
                    target.setdefault(author, []).append(entry.target)
            else:
                done.setdefault(entry.author, []).append(entry.id)
                undone.pop(entry.author, None)
        return done, undone

    def _last(self, which: int, author: str) -> Correction | None:
        stack = self._stacks[which].get(author)
        return next((e for e in self.entries if e.id == stack[-1]), None) if stack else None


def corrected_pose(prediction: Pose, log: CorrectionLog) -> Pose:
    """Return the predicted pose with the corrections of a log.

    Each line of the log holds landmarks as they are after it, so the order of the lines decides.
    Positions that the machine found when it was asked again never replace those of a person, and
    who accepts a position does not replace one that somebody else has set, also if the lines come
    from two copies of the log. Landmarks that the skeleton lacks are passed over.

    Args:
        prediction: the pose that a model predicted.
        log: the corrections of the case.

    Returns:
        The corrected pose. Its quality is that of the prediction; its provenance names the authors
        under `notes["annotators"]`.
    """
    rows = {name: row for row, name in enumerate(prediction.skeleton.landmarks)}
    positions, confidence = prediction.positions_mm.copy(), prediction.confidence.copy()
    review = [*prediction.review]
    for entry in log.effective:
        for name, state in entry.landmarks.items():
            row = rows.get(name)
            if row is None or (entry.action in YIELDING and review[row] != "machine"):
                continue
            positions[row] = np.nan if state.position is None else state.position
            confidence[row], review[row] = state.confidence, state.review
    if not log.effective:
        return prediction
    notes = {**prediction.provenance.notes, "annotators": [*log.authors]}
    return replace(
        prediction,
        positions_mm=positions,
        confidence=confidence,
        review=tuple(review),
        provenance=prediction.provenance.model_copy(update={"notes": notes}),
    )


def merge_logs(logs: Iterable[CorrectionLog]) -> CorrectionLog:
    """Merge the logs of copies of a case: every line once, in the order of their times.

    The order of the lines of each log is kept, even if a clock was set back between them.
    """
    merged: dict[str, tuple[str, int, Correction]] = {}
    damaged = 0
    for log in logs:
        latest = ""
        damaged += log.damaged
        for number, entry in enumerate(log.entries):
            latest = max(latest, entry.time)
            merged.setdefault(entry.id, (latest, number, entry))
    ordered = sorted(merged.values(), key=lambda item: (*item[:2], item[2].id))
    return CorrectionLog(tuple(entry for _, _, entry in ordered), damaged)


def disagreements(prediction: Pose, log: CorrectionLog) -> list[str]:
    """Describe each landmark that two people reviewed and left in different places.

    Returns:
        One sentence per landmark; the corrected pose holds the later position.
    """
    sentences = []
    poses = {name: corrected_pose(prediction, log.of_author(name)) for name in log.authors}
    for landmark in prediction.skeleton.landmarks:
        marks = [(name, pose[landmark]) for name, pose in poses.items()]
        reviewed = [(name, mark) for name, mark in marks if mark.review != "machine"]
        for number, (first, one) in enumerate(reviewed):
            for second, other in reviewed[number + 1 :]:
                apart_mm = float(np.linalg.norm(one.position_mm - other.position_mm))
                if one.is_present != other.is_present:
                    absent, present = (second, first) if one.is_present else (first, second)
                    sentences.append(f"{landmark}: absent for {absent}, but not for {present}")
                elif apart_mm > MAX_AGREEMENT_MM:
                    sentences.append(
                        f"{landmark}: {first} and {second} are {apart_mm:.1f} mm apart"
                    )
    return sentences


def pose_sha256(pose: Pose) -> str:
    """Return the hash of a pose's landmarks: their names, positions and confidences."""
    digest = hashlib.sha256("\n".join(pose.skeleton.landmarks).encode())
    digest.update(np.ascontiguousarray(pose.positions_mm).tobytes())
    digest.update(np.ascontiguousarray(pose.confidence).tobytes())
    return digest.hexdigest()
