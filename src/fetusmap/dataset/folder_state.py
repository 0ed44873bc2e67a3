"""Which dataset a folder holds or will hold, and whether other settings may write into it."""

from __future__ import annotations

from pathlib import Path

from fetusmap.dataset.documents import (
    DATASET_FILE,
    PARTIAL_FILE,
    DatasetDocument,
    first_difference,
    write_document,
)
from fetusmap.dataset.layout import is_dataset
from fetusmap.errors import BadInput
from fetusmap.files import parse_document, read_json, writable


def check_folder(folder: Path, document: DatasetDocument, count_key: str | None) -> None:
    """Refuse a folder with a `dataset.json`, unless that dataset can be extended.

    Args:
        folder: the folder of the dataset.
        document: the dataset that is to be written.
        count_key: entry of `made_by` with the number of cases; None if nothing may be extended.

    Raises:
        BadInput: the folder holds a finished dataset, or a `dataset.json` of another program.
    """
    path = folder / DATASET_FILE
    if not path.is_file():
        return
    if not is_dataset(folder):
        raise BadInput(
            folder,
            expected=f"a folder without a {DATASET_FILE}",
            found=f"a {DATASET_FILE} of another program",
            remedy="choose another folder",
        )
    if count_key is None or not _can_extend(path, document, count_key):
        difference = _difference_of(path, document) or "the same settings"
        raise BadInput(
            folder,
            expected="a folder without a finished dataset, or one that can be extended",
            found=f"{DATASET_FILE} with {difference}",
            remedy="choose another folder, or remove that dataset yourself",
        )


def begin_folder(
    folder: Path, document: DatasetDocument, resume: bool, count_key: str | None
) -> None:
    """Make the folders of a dataset, and describe it in them, so that only its settings resume it.

    Args:
        folder: the folder of the dataset.
        document: the dataset that is to be written.
        resume: whether finished cases of the same settings are kept.
        count_key: see `check_folder`.

    Raises:
        BadInput: the folder cannot be written, or its cases have other settings.
    """
    with writable(folder):
        for part in ("volumes", "landmarks"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        _describe(folder, document, resume, count_key)


def _describe(folder: Path, document: DatasetDocument, resume: bool, count_key: str | None) -> None:
    path, finished = folder / PARTIAL_FILE, folder / DATASET_FILE
    if finished.is_file():
        # In this order: a kill in between leaves the finished, shorter dataset.
        write_document(document, path)
        finished.unlink()
        return
    landmarks = list((folder / "landmarks").glob("*.json"))
    begun = path.is_file()
    difference = _difference_of(path, document) if begun else "cases without a record of settings"
    if begun and count_key is not None and _can_extend(path, document, count_key):
        write_document(document, path)
        return
    if resume and difference and (begun or landmarks):
        raise BadInput(
            folder,
            expected="an unfinished dataset with the same settings",
            found=difference,
            remedy="repeat the command that began it, or choose another folder",
        )
    if begun and difference:
        # These cases have other settings; a later run must not keep them under the new ones.
        for stale in landmarks:
            stale.unlink()
    if difference and (begun or not landmarks):
        write_document(document, path)


def _can_extend(path: Path, document: DatasetDocument, count_key: str) -> bool:
    """Return whether the document at `path` describes the same dataset with fewer cases."""
    try:
        there = parse_document(DatasetDocument, read_json(path), path)
    except BadInput:
        return False
    fewer, wanted = there.made_by.get(count_key), document.made_by[count_key]
    if not isinstance(fewer, int) or not isinstance(wanted, int) or fewer >= wanted:
        return False
    made_by = {**there.made_by, count_key: wanted}
    # A folder that was renamed still holds the same dataset.
    renamed = {"made_by": made_by, "name": document.name}
    return not first_difference(there.model_copy(update=renamed), document)


def _difference_of(path: Path, document: DatasetDocument) -> str:
    """Describe the first setting in which the document at `path` differs; "" if none does."""
    try:
        plain = read_json(path)
    except BadInput as error:
        return error.found
    if not isinstance(plain, dict) or not isinstance(plain.get("made_by"), dict):
        return "a document of another kind"
    if not document.skeleton:  # it will be that of the first pose
        plain["skeleton"] = document.skeleton
    return first_difference(plain, document)
