"""Models of `dataset.json` and `splits.json`, and how to write and compare them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from fetusmap.anatomy.skeleton_file import SkeletonDocument
from fetusmap.files import (
    MAX_JSON_BYTES,
    MAX_TABLE_BYTES,
    Document,
    Version1,
    parse_document,
    write_text,
)

DATASET_FILE = "dataset.json"
PARTIAL_FILE = "dataset.partial.json"
CASES_FILE = "cases.csv"
SPLITS_FILE = "splits.json"
FORMAT = "fetusmap-dataset"

MAX_QUOTED_CHARACTERS = 60
"""Largest number of characters of a setting that an error message quotes."""


class DatasetDocument(Document):
    """Content of `dataset.json`."""

    format: Literal["fetusmap-dataset"]
    version: Version1
    name: str
    licence: str
    skeleton: str | SkeletonDocument
    made_by: dict[str, JsonValue] = Field(default_factory=dict)


class SplitsDocument(Document):
    """Content of `splits.json`."""

    format: Literal["fetusmap-splits"]
    version: Version1
    splits: dict[str, tuple[Annotated[str, Field(min_length=1)], ...]]


def write_document(document: Document, path: Path) -> None:
    """Check a document and write it as JSON, atomically."""
    plain = _plain(document)
    parse_document(type(document), plain, path)
    limit = MAX_TABLE_BYTES if path.name == SPLITS_FILE else MAX_JSON_BYTES
    write_text(path, json.dumps(plain, indent=1) + "\n", max_bytes=limit)


def first_difference(there: DatasetDocument | dict[str, Any], document: DatasetDocument) -> str:
    """Describe the first setting in which one document differs from another; "" if none does."""
    old = dict(there) if isinstance(there, dict) else json.loads(json.dumps(_plain(there)))
    new = json.loads(json.dumps(_plain(document)))
    old_by, new_by = old.pop("made_by"), new.pop("made_by")
    for before, after in ((old, new), (old_by, new_by)):
        for key in (*after, *before):
            if before.get(key) != after.get(key):
                wanted = _quoted(after.get(key))
                return f"{key} {_quoted(before.get(key))} where {wanted} is asked for"
    return ""


def _plain(document: Document) -> Any:
    return document.model_dump(mode="json", exclude_none=True)


def _quoted(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    short = text[:MAX_QUOTED_CHARACTERS]
    return text if len(text) <= MAX_QUOTED_CHARACTERS else f"{short}..."
