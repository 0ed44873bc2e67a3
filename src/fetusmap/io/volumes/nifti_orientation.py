"""The orientation of a NIfTI file, from its quaternion (qform) or its matrix (sform).

Source: methods 2 and 3 of the NIfTI-1 standard (nifti1.h). All affines here are in RAS and in the
unit of the file.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from fetusmap.geometry import affine_from, apply_affine, is_reflection, rotation_from_quaternion
from fetusmap.types import Affine, FloatArray, Shape3

MAX_ROUNDED_SQUARE = 3 * float(np.finfo(np.float32).eps)
"""Squared first component of a quaternion up to which it is only rounding: a half turn."""


def orientation_of(
    shape: Shape3,
    pixdim: tuple[float, ...],
    codes: tuple[float, ...],
    quaternion: tuple[float, ...],
    srow: tuple[float, ...],
) -> tuple[Affine | None, str, str, str, list[str]]:
    """Return the affine, where it was found, a doubt, a conflict, and warnings.

    The affine is world_from_index in RAS and in the file's unit. The sform is preferred to the
    qform, as in nibabel. If the two are mirror images of each other, nothing in the file says which
    is right. Without either, the standard gives only a spacing, and programs differ in the
    direction of the axes: then there is no orientation.
    """
    qform_code, sform_code = (int(code) for code in codes)
    spacing = np.array(pixdim[1:4], dtype=np.float64)
    usable = (spacing > 0) & np.isfinite(spacing)
    doubt = "" if usable.all() else f"pixdim {as_text(spacing)}"
    qform = affine_from_qform(np.where(usable, spacing, 1.0), pixdim[0], quaternion)
    if sform_code <= 0 and qform_code <= 0:
        return None, "none", f"neither qform nor sform, only pixdim {as_text(spacing)}", "", []
    if sform_code <= 0:
        return qform, f"qform (code {qform_code})", doubt, "", []
    sform = np.vstack([np.reshape(srow, (3, 4)), [0, 0, 0, 1]]).astype(np.float64)
    lengths = np.linalg.norm(sform[:3, :3], axis=0)
    conflict, warnings = "", []
    if not np.allclose(lengths, spacing, rtol=0.01, atol=0):
        doubt = f"pixdim {as_text(spacing)} but spacing {as_text(lengths)} in the sform"
    elif qform_code > 0 and (apart := corner_distance(qform, sform, shape)) > lengths.min() / 4:
        warnings.append(f"qform and sform disagree by up to {apart:.3g} mm: sform used")
    if qform_code > 0 and is_reflection(qform) != is_reflection(sform):
        conflict = "a qform and an sform that are mirror images of each other"
    return sform, f"sform (code {sform_code})", doubt, conflict, warnings


def corner_distance(first: Affine, second: Affine, shape: Shape3) -> float:
    """Return the largest distance between the corners of a volume under two affines."""
    corners = np.array(list(product(*((0, n - 1) for n in shape))))
    apart = np.linalg.norm(apply_affine(first, corners) - apply_affine(second, corners), axis=1)
    return float(apart.max())


def affine_from_qform(spacing: FloatArray, qfac: float, quaternion: tuple[float, ...]) -> Affine:
    """Return the affine of method 2 of the standard.

    It consists of the rotation of the quaternion (b, c, d), the spacing, and a flip of the third
    axis.
    """
    vector = np.array(quaternion[:3], dtype=np.float64)
    square = float(vector @ vector)
    # (b, c, d) are rounded to single precision. Near a half turn the rest, which is a², is only
    # that rounding, and zero is exact (nibabel uses the same threshold). A square far above 1 is
    # not a rotation.
    rest = 1.0 - square
    w = np.nan if rest < -1e-5 else 0.0 if rest < MAX_ROUNDED_SQUARE else np.sqrt(rest)
    unit = np.array([w, *vector])
    rotation = rotation_from_quaternion(unit / np.linalg.norm(unit))
    flip = np.array([1.0, 1.0, -1.0 if qfac < 0 else 1.0])
    return affine_from(rotation * spacing * flip, quaternion[3:])


def as_text(values: FloatArray) -> str:
    """Return numbers as text, rounded, in brackets."""
    return "(" + ", ".join(f"{v:.4g}" for v in values) + ")"
