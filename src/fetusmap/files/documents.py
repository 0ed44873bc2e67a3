"""Strict JSON documents: limited in size, without unknown keys, with errors of one line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict, ValidationError

from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.files.reading import open_regular

MAX_JSON_BYTES = 1024 * 1024
"""A pose takes 10 kB, with Slicer's lines 40 kB; a larger file is not one of this package."""

MAX_TABLE_BYTES = 8 * 1024 * 1024
"""Tables of a cohort: 16,000 cases at 500 bytes. To refuse twice as much, if all of it is wrong,
would take more than 1 GB of memory."""


class Document(BaseModel):
    """Base of the models of this package's JSON files: frozen; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Number = Annotated[float, Strict()]
"""A finite number; text and truth values are refused."""

Position = tuple[Number, Number, Number]


def _null_without_numbers(value: object) -> object:
    return None if value == [None, None, None] else value


OptionalPosition = Annotated[Position | None, BeforeValidator(_null_without_numbers)]
"""A position, or None for an absent landmark: files say so with null or with NaN coordinates."""

Version1 = Annotated[Literal[1], BeforeValidator(lambda value: "true" if value is True else value)]
"""The number 1, which in Python would equal True."""

MAX_PLACE_CHARACTERS = 80

DocumentT = TypeVar("DocumentT", bound=BaseModel)


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES, *, nan_is_null: bool = False) -> Any:
    """Return the plain data of a JSON file of limited size.

    Args:
        path: the file; symbolic links are followed.
        max_bytes: largest size.
        nan_is_null: whether NaN, which JSON does not have, is read as null instead of refused.

    Raises:
        UnreadableFile: the file is missing, may not be read, is not a regular file, is too large,
            or is not JSON.
    """
    with open_regular(path, follow_links=True) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UnreadableFile(
            path,
            expected=f"at most {max_bytes} bytes of JSON",
            found="more",
            remedy="check that this is the right file",
        )
    return decode_json(content, path, nan_is_null=nan_is_null)


def decode_json(content: bytes, subject: object, *, nan_is_null: bool = False) -> Any:
    """Return the plain data of JSON bytes.

    Raises:
        UnreadableFile: the bytes are not JSON.
    """
    try:
        return json.loads(
            content.decode("utf-8-sig"),
            parse_constant=_nan_as_null if nan_is_null else _refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(
            subject, expected="JSON", found=f"{error}", remedy="give a JSON file"
        ) from error


def parse_document(model: type[DocumentT], data: object, subject: object) -> DocumentT:
    """Return plain data as a checked document.

    Raises:
        BadInput: the first thing that does not fit the model, in one line.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = (
            ".".join(str(part) for part in first["loc"])[:MAX_PLACE_CHARACTERS] or "the document"
        )
        more = error.error_count() - 1
        title = model.model_config.get("title") or model.__name__
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", title.removesuffix("Document"))
        raise BadInput(
            subject,
            expected=f"a valid {words.lower()}",
            found=f"{place}: {first['msg']}" + (f" (and {more} more)" if more else ""),
            remedy="correct the file, or write it again with FetusMap",
        ) from error


def refuse_newer(plain: object, version: int, subject: object) -> None:
    """Refuse a document of a newer version, before anything else in it is checked.

    Raises:
        UnreadableFile: the document's version is above the given one.
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


def _nan_as_null(name: str) -> None:
    return None if name == "NaN" else _refuse_constant(name)
