"""Cohorts: many cases in several processes, resumable runs, and tables of results."""

from fetusmap.scale.isolation import Killed, OpenExecutor, run_cases
from fetusmap.scale.prediction import predict_case, predict_cases
from fetusmap.scale.records import SUMMARY_FILE, PredictionSettings
from fetusmap.scale.sources import VolumeFile, assign_folders, find_volumes, split_sequences
from fetusmap.scale.summary import CaseResult, changes_of, joined, write_summary

__all__ = [
    "SUMMARY_FILE",
    "CaseResult",
    "Killed",
    "OpenExecutor",
    "PredictionSettings",
    "VolumeFile",
    "assign_folders",
    "changes_of",
    "find_volumes",
    "joined",
    "predict_case",
    "predict_cases",
    "run_cases",
    "split_sequences",
    "write_summary",
]
