"""Datasets: read, write and split them, import other layouts, and build pose libraries."""

from fetusmap.dataset.foreign_case import ForeignCase
from fetusmap.dataset.importers import (
    ImportedCase,
    Subject,
    find_foreign_cases,
    import_cases,
    landmark_names,
    read_subjects,
    splits_of,
)
from fetusmap.dataset.layout import Case, Dataset, is_dataset, load_dataset, read_splits
from fetusmap.dataset.libraries import (
    find_pose_files,
    library_from_dataset,
    library_from_files,
)
from fetusmap.dataset.nnlandmark_folder import NNUNET_FOLDER_NAME, export_nnlandmark
from fetusmap.dataset.splits import (
    check_fractions,
    check_splits,
    split_by_subject,
    split_in_sequence,
)
from fetusmap.dataset.writer import DatasetWriter, write_case

__all__ = [
    "NNUNET_FOLDER_NAME",
    "Case",
    "Dataset",
    "DatasetWriter",
    "ForeignCase",
    "ImportedCase",
    "Subject",
    "check_fractions",
    "check_splits",
    "export_nnlandmark",
    "find_foreign_cases",
    "find_pose_files",
    "import_cases",
    "is_dataset",
    "landmark_names",
    "library_from_dataset",
    "library_from_files",
    "load_dataset",
    "read_splits",
    "read_subjects",
    "split_by_subject",
    "split_in_sequence",
    "splits_of",
    "write_case",
]
