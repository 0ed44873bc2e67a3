"""Datasets: their layout, splits, and the layouts of others."""

from fetusmap.dataset.importers import (
    ForeignCase,
    Subject,
    export_nnlandmark,
    find_foreign_cases,
    import_cases,
    read_subjects,
)
from fetusmap.dataset.layout import Case, Dataset, is_dataset, load_dataset
from fetusmap.dataset.splits import check_fractions, check_splits, split_by_subject
from fetusmap.dataset.writer import DatasetWriter

__all__ = [
    "Case",
    "Dataset",
    "DatasetWriter",
    "ForeignCase",
    "Subject",
    "check_fractions",
    "check_splits",
    "export_nnlandmark",
    "find_foreign_cases",
    "import_cases",
    "is_dataset",
    "load_dataset",
    "read_subjects",
    "split_by_subject",
]
