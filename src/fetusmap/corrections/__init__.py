"""What people correct on predicted poses: an append-only log per case, and the corrected pose."""

from fetusmap.corrections.actions import (
    States,
    accept,
    ask,
    exchange,
    mark_absent,
    move,
    new_correction,
    reset,
    take_over,
)
from fetusmap.corrections.log import (
    CaseStatus,
    CorrectionLog,
    corrected_pose,
    disagreements,
    merge_logs,
    pose_sha256,
)
from fetusmap.corrections.records import (
    Action,
    Author,
    Coordinate,
    Correction,
    LandmarkState,
    Note,
)
from fetusmap.corrections.store import (
    CORRECTIONS_FILE,
    CORRECTIONS_FOLDER,
    append_correction,
    read_log,
    write_log,
)

__all__ = [
    "CORRECTIONS_FILE",
    "CORRECTIONS_FOLDER",
    "Action",
    "Author",
    "CaseStatus",
    "Coordinate",
    "Correction",
    "CorrectionLog",
    "LandmarkState",
    "Note",
    "States",
    "accept",
    "append_correction",
    "ask",
    "corrected_pose",
    "disagreements",
    "exchange",
    "mark_absent",
    "merge_logs",
    "move",
    "new_correction",
    "pose_sha256",
    "read_log",
    "reset",
    "take_over",
    "write_log",
]
