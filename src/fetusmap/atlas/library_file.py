"""Pose library files (`.safetensors`): whole numbers of a small unit, about 110 bytes per atlas.

positions  I16 (A, N, 3)  each landmark from the origin of its atlas, in units; -32768 if absent
origins    I32 (A, 3)     the middle of each atlas, in units
groups     I32 (A)        which of the named groups each atlas belongs to, if any are known

The metadata hold a single JSON document, because safetensors would write several entries in random
order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import FailFast, Field, JsonValue
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fetusmap.anatomy import (
    Skeleton,
    built_in_skeletons,
    plain_from_skeleton,
    skeleton_from_entry,
)
from fetusmap.anatomy.skeleton_file import SkeletonDocument
from fetusmap.atlas.library import PoseLibrary
from fetusmap.errors import BadInput, UnreadableFile, errors_about
from fetusmap.files.documents import (
    MAX_TABLE_BYTES,
    Document,
    Number,
    Version1,
    decode_json,
    parse_document,
    refuse_newer,
)
from fetusmap.files.names import LIBRARY_SUFFIXES, suffix_of
from fetusmap.files.reading import check_regular_file, read_head
from fetusmap.files.writing import write_bytes
from fetusmap.types import FloatArray

FORMAT = "fetusmap-library"
VERSION = 1
MAX_BYTES = 64 * 1024 * 1024
"""Largest file: 600,000 atlases of fetus-16, which take 0.5 GB while they are unpacked."""

ABSENT = np.iinfo(np.int16).min
REACH = np.iinfo(np.int16).max - 1
"""Largest distance from the middle of an atlas, in units. One unit is kept free, because positions
and middle are rounded."""

UNITS_MM = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Possible units. With the last one, the largest coordinates that a pose may have can be stored."""

Tensors = dict[str, NDArray[Any]]


class LibraryDocument(Document):
    """What the metadata of a pose library file hold."""

    format: Literal["fetusmap-library"]
    version: Version1
    skeleton: str | SkeletonDocument
    unit_mm: Annotated[Number, Field(ge=UNITS_MM[0], le=UNITS_MM[-1])]
    made_by: dict[str, JsonValue] = Field(default_factory=dict)
    groups: Annotated[tuple[str, ...], FailFast()] = ()


def save_library(library: PoseLibrary, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a pose library, atomically. The same library gives the same bytes.

    Coordinates are rounded to a unit of 0.01 mm, which moves each by 0.005 mm at most; it is
    coarser (0.02, 0.05, 0.1 mm and so on) only where an atlas reaches farther than 327 mm from its
    middle. A library that was read is written again without further rounding.

    Args:
        library: what to write.
        path: ends in `.safetensors`.
        overwrite: replace an existing file.

    Raises:
        BadInput: another suffix, a library that could not be read back, a place that cannot be
            written, or an existing file.
    """
    path = Path(path)
    if not suffix_of(path, LIBRARY_SUFFIXES):
        raise BadInput(
            path,
            expected=f"the suffix {LIBRARY_SUFFIXES[0]}",
            found=repr(path.suffix),
            remedy="give the file that suffix",
        )
    labels = tuple(dict.fromkeys(library.groups))
    unit_mm, tensors = _encode(library.positions_mm.astype(np.float64))
    if labels:
        row = {label: number for number, label in enumerate(labels)}
        tensors["groups"] = np.array([row[label] for label in library.groups], np.int32)
    plain = {
        "format": FORMAT,
        "version": VERSION,
        "skeleton": plain_from_skeleton(library.skeleton),
        "unit_mm": unit_mm,
        "made_by": dict(library.made_by),
        "groups": labels,
    }
    document = parse_document(LibraryDocument, plain, path)
    text = json.dumps(
        document.model_dump(mode="json", exclude_none=True), separators=(",", ":"), allow_nan=False
    )
    content = save(tensors, {FORMAT: text})
    header = int.from_bytes(content[:8], "little")
    if header > MAX_TABLE_BYTES:
        raise BadInput(
            path,
            expected=f"a header of at most {MAX_TABLE_BYTES} bytes, so that it can be read back",
            found=f"{header}",
            remedy="put less into made_by and the names of groups",
        )
    write_bytes(path, content, overwrite=overwrite, max_bytes=MAX_BYTES)


def load_library(path: str | Path, skeleton: Skeleton | None = None) -> PoseLibrary:
    """Read a pose library.

    Args:
        path: a `.safetensors` file as `save_library` writes it.
        skeleton: skeleton that the library must have; None accepts any. A library of a built-in
            skeleton is returned on another built-in one whose landmarks it has.

    Raises:
        UnreadableFile: the file does not exist, is too large, damaged or of a newer version, or is
            not a pose library.
        BadInput: the library has another skeleton, or its positions are not valid.
    """
    path = Path(path)
    document, tensors = _read(path)
    with errors_about(path):
        found = skeleton_from_entry(document.skeleton, path)
        if skeleton is not None and not _fits(found, skeleton):
            namesake = found.name == skeleton.name
            raise BadInput(
                path,
                expected=f"a pose library of {skeleton.name}",
                found="another skeleton of this name" if namesake else f"one of {found.name}",
                remedy="give a library of the same skeleton",
            )
        groups: tuple[str, ...] = ()
        if "groups" in tensors:
            groups = tuple(document.groups[row] for row in tensors["groups"])
        positions = _decode(tensors, document.unit_mm).astype(np.float32)
        library = PoseLibrary(found, positions, document.made_by, groups)
        return library if skeleton is None else library.on(skeleton)


def _fits(found: Skeleton, wanted: Skeleton) -> bool:
    """Whether the poses of one skeleton are poses of another one, too."""
    built_in = {found.name, wanted.name} <= set(built_in_skeletons())
    has_all = set(wanted.landmarks) <= set(found.landmarks)
    return found == wanted or (built_in and has_all)


def _encode(positions_mm: FloatArray) -> tuple[float, Tensors]:
    """Return the finest unit that fits, and the positions in units from each atlas's middle."""
    span = np.fmax.reduce(positions_mm, axis=1) - np.fmin.reduce(positions_mm, axis=1)
    reach = float(np.nan_to_num(span).max()) / 2
    unit_mm = next(unit for unit in UNITS_MM if reach <= REACH * unit)
    # Rounded first, so that what was read is written again as it was.
    whole = np.rint(positions_mm / unit_mm)
    middles = np.floor((np.fmax.reduce(whole, axis=1) + np.fmin.reduce(whole, axis=1)) / 2)
    origins = np.nan_to_num(middles).astype(np.int32)
    offsets = whole - origins[:, None]
    packed = np.where(np.isnan(offsets), ABSENT, offsets).astype(np.int16)
    return unit_mm, {"positions": packed, "origins": origins}


def _decode(tensors: Mapping[str, NDArray[Any]], unit_mm: float) -> FloatArray:
    """Return the (A, N, 3) positions in mm; NaN where absent."""
    positions: FloatArray = tensors["positions"].astype(np.float64)
    positions[positions == ABSENT] = np.nan
    positions += tensors["origins"][:, None]
    positions *= unit_mm
    return positions


def _read(path: Path) -> tuple[LibraryDocument, Tensors]:
    """Return the document and the tensors, after their names, types and shapes were checked."""
    size = check_regular_file(path, follow_links=True)
    if size > MAX_BYTES:
        raise _no_library(path, f"{size} bytes, more than {MAX_BYTES}")
    header = int.from_bytes(read_head(path, 8), "little")  # how safetensors files begin
    if header > MAX_TABLE_BYTES:
        raise _no_library(path, f"a header of {header} bytes, more than {MAX_TABLE_BYTES}")
    try:
        with safe_open(path, framework="numpy") as file:
            document = _document((file.metadata() or {}).get(FORMAT, ""), path)
            views = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            found = {name: (v.get_dtype(), tuple(v.get_shape())) for name, v in views.items()}
            _check_layout(found, document, path)
            tensors = {name: file.get_tensor(name) for name in views}
    except (SafetensorError, OSError) as error:
        raise _no_library(path, str(error)) from error
    groups = tensors.get("groups", np.zeros(0))
    if not ((groups >= 0) & (groups < len(document.groups))).all():
        raise _no_library(path, "an atlas of a group without a name")
    return document, tensors


def _document(text: str, path: Path) -> LibraryDocument:
    if not text:
        raise _no_library(path, f"no {FORMAT} in the metadata")
    plain = decode_json(text.encode("utf-8"), path)
    refuse_newer(plain, VERSION, path)
    return parse_document(LibraryDocument, plain, path)


def _check_layout(
    found: Mapping[str, tuple[str, tuple[int, ...]]], document: LibraryDocument, path: Path
) -> None:
    """Check names, types and shapes of the tensors before any of them is read."""
    count = len(skeleton_from_entry(document.skeleton, path))
    atlases = (found.get("positions", ("", ()))[1] or (0,))[0]
    wanted = {"positions": ("I16", (atlases, count, 3)), "origins": ("I32", (atlases, 3))}
    if document.groups:
        wanted["groups"] = ("I32", (atlases,))
    for name in (*wanted, *found):
        if found.get(name) != wanted.get(name):
            raise _no_library(path, f"{name!r} {_layout(found, name)}", _layout(wanted, name))


def _layout(tensors: Mapping[str, tuple[str, tuple[int, ...]]], name: str) -> str:
    if name not in tensors:
        return "nothing"
    kind, shape = tensors[name]
    return f"{kind} {shape}"


def _no_library(path: Path, found: str, expected: str = "a pose library") -> UnreadableFile:
    return UnreadableFile(
        path,
        expected=expected,
        found=found,
        remedy="give a file that save_library or 'fetusmap library build' wrote",
    )
