"""Strict JSON documents: bounded reading, no unknown keys, errors of one line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict, ValidationError

from fetusmap.errors import BadInput, UnreadableFile

MAX_JSON_BYTES = 1024 * 1024
"""A pose takes 4 kB, with Slicer's lines 40 kB; more is not one of our files."""

MAX_TABLE_BYTES = 8 * 1024 * 1024
"""A cohort's table of cases or landmarks: 16,000 cases at 500 bytes. Twice as much, all of it
wrong, would take more than 1 GB to refuse."""


class Document(BaseModel):
    """Base of the models of our own JSON files: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Number = Annotated[float, Strict()]
"""A finite number; neither text nor a truth value is taken for one."""

Position = tuple[Number, Number, Number]

Version1 = Annotated[Literal[1], BeforeValidator(lambda value: "true" if value is True else value)]
"""The number 1, which in Python would equal True."""

LONGEST_PLACE = 80

DocumentT = TypeVar("DocumentT", bound=BaseModel)


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Read a JSON file of bounded size.

    Raises:
        UnreadableFile: missing, forbidden, no regular file, too large, or not JSON.
    """
    try:
        if not path.is_file():
            found = "a folder" if path.is_dir() else "no such file"
            raise UnreadableFile(
                path, expected="a JSON file", found=found, remedy="give a JSON file"
            )
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, UnreadableFile):
            raise
        found = getattr(error, "strerror", None) or str(error)
        raise UnreadableFile(
            path,
            expected="a readable file",
            found=found,
            remedy="check the path and its permissions",
        ) from error
    if len(content) > max_bytes:
        raise UnreadableFile(
            path,
            expected=f"at most {max_bytes} bytes of JSON",
            found="more",
            remedy="check that this is the right file",
        )
    return decode_json(content, path)


def decode_json(content: bytes, subject: object) -> Any:
    """The plain data of JSON bytes.

    Raises:
        UnreadableFile: not JSON.
    """
    try:
        return json.loads(content.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(
            subject, expected="JSON", found=f"{error}", remedy="give a JSON file"
        ) from error


def parse_document(model: type[DocumentT], data: object, subject: object) -> DocumentT:
    """Check plain data against a model.

    Raises:
        BadInput: the first thing that does not fit, in one line.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:LONGEST_PLACE] or "the document"
        more = error.error_count() - 1
        title = model.model_config.get("title") or model.__name__
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", title.removesuffix("Document"))
        raise BadInput(
            subject,
            expected=f"a valid {words.lower()}",
            found=f"{place}: {first['msg']}" + (f" (and {more} more)" if more else ""),
            remedy="mend the file, or write it again with FetusMap",
        ) from error


def refuse_newer(plain: object, version: int, subject: object) -> None:
    """Say that a document is of a newer version before anything else about it is found wrong.

    Raises:
        UnreadableFile: its version is above ours.
    """
    found = plain.get("version") if isinstance(plain, dict) else None
    if isinstance(found, int) and found > version:
        raise UnreadableFile(
            subject,
            expected=f"version {version} of the format",
            found=f"version {found}",
            remedy="update FetusMap",
        )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which JSON does not have (an absent landmark has position null)")
