"""The orientation of an NRRD file, from its space, directions, origin, spacings and units."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.geometry import affine_from
from fetusmap.io.volumes.length_units import mm_per_unit
from fetusmap.io.volumes.textheader import numbers, spacing_in
from fetusmap.types import Affine, FloatArray, Triple

# Signs that convert the file's world axes into left, posterior, superior.
SPACES = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
UNNAMED_SPACES = {
    "scanner-xyz": (1, 1, 1), "3d-right-handed": (1, 1, 1), "3d-left-handed": (-1, 1, 1),
}  # fmt: skip
"""Spaces that state their handedness, but not which way they lie in the patient."""

MAX_DISAGREEMENT = 0.01
"""Relative difference up to which `spacings` and the lengths of the directions agree."""


def orientation_of(
    path: Path, fields: dict[str, str], list_axis: int | None
) -> tuple[Affine | None, str, str, tuple[str, ...]]:
    """Return world_from_index in LPS mm, where it was found, a doubt, and warnings.

    Args:
        path: for messages.
        fields: the lines of the header by their keys.
        list_axis: number of the axis that lists volumes, which has no direction, or None.

    Raises:
        UnreadableFile: directions or origin are no vectors.
    """
    space = fields.get("space", "").lower()
    signs = SPACES.get(space) or UNNAMED_SPACES.get(space)
    directions = fields.get("space directions")
    spacings = fields.get("spacings", "none")
    if directions is None:
        return None, "none", f"space {space or 'none'!r} with spacings {spacings}", ()
    columns = _directions(path, directions, list_axis)
    origin = _vectors(path, "space origin", fields.get("space origin", "(0,0,0)"), 1)[0]
    units = {u.strip() for u in re.findall(r'"([^"]*)"', fields.get("space units", '"mm"'))}
    warnings: tuple[str, ...] = (
        ("no unit in the file: taken as millimetres",) if "" in units else ()
    )
    mm = mm_per_unit(units.pop() or "mm") if len(units) == 1 else None
    # With a doubt the directions are still right; only a given spacing makes them usable.
    doubt = f"space units {fields['space units']}" if mm is None else ""
    doubt = doubt or _contradiction(spacings, columns, list_axis)
    if space not in SPACES:
        doubt = doubt or f"space {space or 'none'!r}, which names no axes of the patient"
        warnings += ("axes of the file taken as left, posterior, superior",)
    flips = np.array(signs or (1, 1, 1), dtype=np.float64)
    affine = affine_from(columns.T * flips[:, None] * (mm or 1.0), origin * flips * (mm or 1.0))
    return affine, space or "space directions", doubt, warnings


def stated_spacing(fields: dict[str, str], list_axis: int | None) -> Triple | None:
    """Return the spacing of a file that states no directions."""
    words = fields.get("spacings", "").split()
    if list_axis is not None and len(words) == 4:
        del words[list_axis]
    units = set(re.findall(r'"([^"]+)"', fields.get("units", ""))) or {"mm"}
    unit = mm_per_unit(units.pop()) if len(units) == 1 else None
    return spacing_in(" ".join(words), unit)


def _contradiction(spacings: str, directions: FloatArray, list_axis: int | None) -> str:
    """Say how the per-axis spacings contradict the lengths of the directions; "" if they agree.

    Spacings that are not known (nan) count as agreeing.
    """
    words = spacings.lower().split()
    if list_axis is not None and len(words) == 4:
        del words[list_axis]
    lengths = np.linalg.norm(directions, axis=1)
    try:
        stated = np.array([float(word) for word in words]) if spacings != "none" else lengths
    except ValueError:
        return f"spacings {spacings}"
    agree = stated.shape == (3,) and np.all(
        np.isnan(stated) | np.isclose(stated, lengths, rtol=MAX_DISAGREEMENT, atol=0)
    )
    found = " ".join(f"{length:.4g}" for length in lengths)
    return "" if agree else f"spacings {spacings}, but space directions of the lengths {found}"


def _directions(path: Path, text: str, list_axis: int | None) -> FloatArray:
    """Return the (3, 3) directions of the axes of space, one per row."""
    if list_axis is not None:
        entries = re.findall(r"\([^()]*\)|none", text.lower())
        if len(entries) == 4 and entries[list_axis] == "none":
            text = " ".join(entries[:list_axis] + entries[list_axis + 1 :])
    return _vectors(path, "space directions", text, 3)


def _vectors(path: Path, key: str, text: str, count: int) -> FloatArray:
    """Return the vectors of `(a,b,c) (d,e,f) ...` as a (count, 3) array."""
    groups = re.findall(r"\(([^()]*)\)", text)
    if len(groups) != count or "none" in text.lower():
        raise UnreadableFile(
            path,
            expected=f"{count} vectors in {key!r}",
            found=repr(text[:80]),
            remedy="write the file again",
        )
    return np.array([numbers(path, key, group.replace(",", " "), 3) for group in groups])
