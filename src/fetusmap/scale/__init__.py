"""Cohorts: many cases in several processes, resumable runs, and tables of results."""

from fetusmap.scale.corrected import (
    CorrectedCase,
    ImportedCorrection,
    find_corrected_cases,
    import_corrected,
    load_prediction,
)
from fetusmap.scale.dicom_export import (
    ReportSettings,
    export_case_report,
    export_report,
    pose_file,
)
from fetusmap.scale.isolation import Killed, OpenExecutor, run_cases
from fetusmap.scale.landmarks import write_landmarks
from fetusmap.scale.names import assign_folders
from fetusmap.scale.pages import write_cohort_page
from fetusmap.scale.prediction import (
    load_estimator,
    predict_case,
    predict_cases,
    write_tables,
)
from fetusmap.scale.records import (
    DONE_FILE,
    SUMMARY_FILE,
    DoneDocument,
    PredictionSettings,
    read_done,
    read_failed,
    write_record,
)
from fetusmap.scale.sources import FoundVolumes, describe_raw, find_volumes, split_sequences
from fetusmap.scale.summary import (
    CaseResult,
    changes_of,
    folders_of_cases,
    has_changed_since,
    joined,
    write_summary,
)
from fetusmap.scale.volume_file import VolumeFile

__all__ = [
    "DONE_FILE",
    "SUMMARY_FILE",
    "CaseResult",
    "CorrectedCase",
    "DoneDocument",
    "FoundVolumes",
    "ImportedCorrection",
    "Killed",
    "OpenExecutor",
    "PredictionSettings",
    "ReportSettings",
    "VolumeFile",
    "assign_folders",
    "changes_of",
    "describe_raw",
    "export_case_report",
    "export_report",
    "find_corrected_cases",
    "find_volumes",
    "folders_of_cases",
    "has_changed_since",
    "import_corrected",
    "joined",
    "load_estimator",
    "load_prediction",
    "pose_file",
    "predict_case",
    "predict_cases",
    "read_done",
    "read_failed",
    "run_cases",
    "split_sequences",
    "write_cohort_page",
    "write_landmarks",
    "write_record",
    "write_summary",
    "write_tables",
]
