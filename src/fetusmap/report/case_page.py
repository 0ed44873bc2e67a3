"""The page of a case: volume, pose, measurements and doubts in one file that opens from disk."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from fetusmap.anatomy import (
    CHARTS,
    DATING,
    NO_FETUS,
    Pose,
    crown_rump_length,
    gestational_age_interval,
)
from fetusmap.geometry import Grid
from fetusmap.report.measurement_rows import angle_rows, length_rows
from fetusmap.report.page import bundled, render_page
from fetusmap.report.page_drawings import draw_growth, draw_skeleton_svg
from fetusmap.report.preview import PLANES, Picture, preview_picture
from fetusmap.report.viewing_volume import nifti_bytes, viewing_volume
from fetusmap.report.views import body_views
from fetusmap.volume import Volume

MAX_PAGE_BYTES = 6_000_000
"""Largest page of a case."""

RESERVED_BYTES = 400_000
"""Space of a page for everything but the volume and the script."""

STILL_PIXELS = 420
THUMBNAIL_PIXELS = 96


def case_page(volume: Volume, pose: Pose, case: str) -> str:
    """Return the page of a case: one HTML file without links, of at most `MAX_PAGE_BYTES`.

    Slices, a 3D view and the landmarks follow each other; a browser without WebGL 2 shows still
    pictures instead. A pose without a fetus gives a page that says so and has no measurements. The
    same volume and pose give the same bytes.

    Args:
        volume: the volume in which the pose was found. A copy of it for viewing is embedded, of 8
            bits and, where it would be too large, resampled to larger voxels.
        pose: the pose with its quality and provenance.
        case: name of the case.

    Raises:
        ResourceError: the package was installed without its bundle for browsers.
    """
    has_fetus = bool(pose.present.any()) and NO_FETUS not in pose.quality.reasons
    space = MAX_PAGE_BYTES - RESERVED_BYTES - len(bundled("case.js").encode())
    shown = viewing_volume(volume, max_bytes=3 * space // 4)
    return render_page(
        "case.html",
        "case.js",
        case=case,
        has_fetus=has_fetus,
        quality=pose.quality,
        provenance=pose.provenance,
        skeleton=pose.skeleton,
        planes=[plane.name for plane in PLANES],
        still=_jpeg_url(preview_picture(volume, pose, size=STILL_PIXELS)),
        stored=_grid_in_words(volume.grid),
        shown=_grid_in_words(shown.grid),
        is_resampled=shown.grid is not volume.grid,
        volume=base64.b64encode(nifti_bytes(shown)).decode(),
        data=_data(pose, has_fetus=has_fetus),
        landmarks=list(pose) if has_fetus else [],
        **(_measurements(pose) if has_fetus else {}),
    )


def thumbnail(volume: Volume, pose: Pose) -> bytes:
    """Return a JPEG of 288 by 96 pixels: three planes through the body."""
    return _jpeg(preview_picture(volume, pose, size=THUMBNAIL_PIXELS))


def _measurements(pose: Pose) -> dict[str, Any]:
    crl = crown_rump_length(pose)
    age = gestational_age_interval(crl.length_mm, crl.half_width_mm)
    return {
        "crl": crl,
        "age": age,
        "dating_source": DATING["intergrowth-21st"].source,
        "growth": draw_growth(crl, age),
        "lengths": length_rows(pose),
        "angles": angle_rows(pose),
        "views": [draw_skeleton_svg(pose, view) for view in body_views(pose)],
    }


def _data(pose: Pose, *, has_fetus: bool) -> dict[str, Any]:
    """Return what the script needs; `web/src/data.ts` declares it."""
    skeleton = pose.skeleton
    chart = CHARTS["crown_rump_length"]
    first, last = (round(day) for day in chart.days)
    days = range(first, last + 1)
    length = crown_rump_length(pose).length_mm
    landmarks = [
        {
            "name": mark.name,
            "side": mark.side,
            "position_mm": np.round(mark.position_mm, 2).tolist() if mark.is_present else None,
            "confidence": round(mark.confidence, 3),
        }
        for mark in pose
    ]
    segments = [
        {"start": int(start), "end": int(end), "side": skeleton.segment_side(segment)}
        for segment, (start, end) in zip(skeleton.segments, skeleton.segment_index, strict=True)
    ]
    return {
        "landmarks": landmarks if has_fetus else [],
        "segments": segments if has_fetus else [],
        "colors": {side: skeleton.color(side) for side in ("left", "right", "midline")},
        "crown_rump_length_mm": round(length, 2) if has_fetus and np.isfinite(length) else None,
        "chart": {
            "first_day": first,
            "mean_mm": [round(float(chart.mean_mm(day)), 3) for day in days],
            "sd_mm": [round(float(chart.sd_mm(day)), 4) for day in days],
        },
    }


def _grid_in_words(grid: Grid) -> str:
    times = " \N{MULTIPLICATION SIGN} "
    size = times.join(str(n) for n in grid.shape)
    return f"{size} voxels of {times.join(f'{s:.3g}' for s in grid.spacing_mm)} mm"


def _jpeg_url(picture: Picture) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(_jpeg(picture)).decode()


def _jpeg(picture: Picture) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
