"""Cohorts: many cases, resumable runs, tables of results."""

from fetusmap.scale.prediction import PredictionSettings, predict_case, predict_cases
from fetusmap.scale.sources import VolumeFile, find_volumes
from fetusmap.scale.summary import SUMMARY_FILE, CaseResult, changes_of, joined, write_summary

__all__ = [
    "SUMMARY_FILE",
    "CaseResult",
    "PredictionSettings",
    "VolumeFile",
    "changes_of",
    "find_volumes",
    "joined",
    "predict_case",
    "predict_cases",
    "write_summary",
]
