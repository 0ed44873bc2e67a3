"""Datasets: their layout, splits, and the layouts of others."""

from fetusmap.dataset.importers import ForeignCase, export_nnlandmark, find_foreign_cases
from fetusmap.dataset.layout import Case, Dataset, is_dataset, load_dataset
from fetusmap.dataset.splits import check_splits, split_by_subject
from fetusmap.dataset.writer import DatasetWriter

__all__ = [
    "Case",
    "Dataset",
    "DatasetWriter",
    "ForeignCase",
    "check_splits",
    "export_nnlandmark",
    "find_foreign_cases",
    "is_dataset",
    "load_dataset",
    "split_by_subject",
]
