"""The grid of a volume from what its file states, and from the spacing that the caller gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.geometry import Grid, affine_from, check_affine
from fetusmap.geometry.affine import direction_of, shear_of, spacing_of
from fetusmap.io.volumes.header import VolumeHeader
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.types import Affine, ArrayLike, FloatArray, Triple

OVERRIDE = "give the true spacing with --spacing X Y Z"
MAX_SPACING_DIFFERENCE = 0.01
"""Relative difference up to which two statements of a spacing agree."""


def checked_grid(
    header: VolumeHeader,
    path: Path,
    limits: ReadLimits,
    spacing_mm: Triple | None,
    *,
    force_spacing: bool = False,
) -> tuple[Grid, tuple[str, ...]]:
    """Return the header's grid, with the caller's spacing if there is one.

    Args:
        header: as read.
        path: for messages.
        limits: plausible spacing and shear.
        spacing_mm: replaces the spacing of the file; directions and origin are kept if the file
            has any.
        force_spacing: whether the given spacing may contradict one that the file states.

    Returns:
        The grid, and a warning for each statement of the file that was replaced or assumed.

    Raises:
        UnreadableFile: the file has no orientation, or `check_geometry` refuses its geometry.
        BadInput: the given spacing is not three positive numbers, or it contradicts a plausible
            spacing of the file and is not forced.
    """
    if header.conflict:
        raise UnreadableFile(
            path,
            expected="one orientation and position",
            found=header.conflict,
            remedy="mend the header with the program that wrote it",
        )
    if spacing_mm is not None:
        spacing = _checked_spacing(spacing_mm)
        stated = _stated_spacing(header, limits)
        if stated is not None and not force_spacing:
            _check_agreement(spacing, stated, path)
        affine, warnings = _override_spacing(header.affine, spacing, stated)
        warnings += (f"not used: {header.doubt}",) if header.doubt else ()
    elif header.affine is None or header.doubt:
        raise UnreadableFile(
            path,
            expected="a spacing and an orientation (without them lengths and sides are unknown)",
            found=header.doubt or "none",
            remedy=OVERRIDE,
        )
    else:
        affine, warnings = header.affine, ()
    check_geometry(affine, path, limits)
    return Grid(header.shape, affine), warnings


def check_geometry(affine: Affine, path: Path, limits: ReadLimits) -> None:
    """Refuse an affine that is not a box of plausible voxels; for reading and for writing.

    Raises:
        UnreadableFile: the affine is not finite, singular or sheared, or has an implausible
            spacing.
    """
    try:
        check_affine(affine, path)
    except BadInput as error:
        raise UnreadableFile(
            path,
            expected="a finite, invertible affine",
            found=f"{np.array2string(affine[:3], precision=3, separator=',')}",
            remedy=OVERRIDE,
        ) from error
    spacing = spacing_of(affine)
    low, high = limits.spacing_mm
    rounding = 1e-6  # of single precision, in which NIfTI keeps its numbers
    if not ((spacing >= low * (1 - rounding)) & (spacing <= high * (1 + rounding))).all():
        raise UnreadableFile(
            path,
            expected=f"a spacing of {low} to {high} mm",
            found=f"{_text(spacing)} mm",
            remedy=OVERRIDE,
        )
    if shear_of(affine) > limits.max_shear:
        raise UnreadableFile(
            path,
            expected="axes at right angles",
            found=f"a sheared affine (cosine {shear_of(affine):.3f} between two axes)",
            remedy="resample it onto a box first",
        )


def _checked_spacing(spacing_mm: Triple) -> Triple:
    """Return the caller's spacing if it is three positive numbers."""
    values = np.asarray(spacing_mm, dtype=np.float64)
    if values.shape != (3,) or not (np.isfinite(values) & (values > 0)).all():
        raise BadInput(
            "spacing",
            expected="three positive numbers of millimetres",
            found=repr(spacing_mm),
            remedy="give X Y Z",
        )
    return float(values[0]), float(values[1]), float(values[2])


def _stated_spacing(header: VolumeHeader, limits: ReadLimits) -> FloatArray | None:
    """Return the spacing that the file states without a doubt, if it is a plausible one.

    A file may state a spacing without an orientation.
    """
    if header.affine is None:
        spacing = np.array(header.spacing_mm or (np.nan,) * 3, dtype=np.float64)
    elif header.doubt or not np.isfinite(header.affine).all():
        return None
    else:
        spacing = spacing_of(header.affine)
    low, high = limits.spacing_mm
    return spacing if ((spacing >= low) & (spacing <= high)).all() else None


def spacings_agree(first: ArrayLike, second: ArrayLike) -> bool:
    """Return whether two spacings, each of one or three numbers, differ by at most 1 %."""
    return bool(np.allclose(first, second, rtol=MAX_SPACING_DIFFERENCE, atol=0))


def _check_agreement(spacing_mm: Triple, stated_mm: FloatArray, path: Path) -> None:
    """Refuse a given spacing that contradicts the file, which may be right."""
    if not spacings_agree(spacing_mm, stated_mm):
        raise BadInput(
            path,
            expected=f"the spacing that the file states, {_text(stated_mm)} mm, or no other",
            found=f"{_text(spacing_mm)} mm given",
            remedy="correct or leave out --spacing, or add --force-spacing if the file is wrong",
        )


def _override_spacing(
    affine: Affine | None, spacing_mm: Triple, stated_mm: FloatArray | None
) -> tuple[Affine, tuple[str, ...]]:
    """Return the affine with the caller's spacing along the file's directions, or along L, P, S."""
    given = f"spacing {_text(spacing_mm)} mm given by the caller"
    if stated_mm is not None and not spacings_agree(spacing_mm, stated_mm):
        given += f", where the file states {_text(stated_mm)} mm"
    spacing = np.array(spacing_mm, dtype=np.float64)
    if affine is not None and np.isfinite(affine).all() and spacing_of(affine).all():
        return affine_from(direction_of(affine) * spacing, affine[:3, 3]), (given,)
    assumed = "no usable orientation in the file: axes taken as left, posterior, superior"
    return affine_from(np.diag(spacing), np.zeros(3)), (given, assumed)


def _text(spacing: object) -> str:
    return " x ".join(f"{v:.4g}" for v in np.asarray(spacing))
