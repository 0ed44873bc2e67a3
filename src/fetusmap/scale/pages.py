"""Pages for browsers in a folder of results: one of each case.

OUT/<case>/report.html     the page of the case
OUT/<case>/thumbnail.jpg   its small picture
"""

from __future__ import annotations

from pathlib import Path

from fetusmap.anatomy import Pose
from fetusmap.files import write_bytes, write_text
from fetusmap.report import case_page, thumbnail
from fetusmap.scale.records import PAGE_FILE, THUMBNAIL_FILE
from fetusmap.volume import Volume


def write_case_page(folder: Path, volume: Volume, pose: Pose, case: str) -> None:
    """Write the page and the small picture of a case into its folder."""
    write_bytes(folder / THUMBNAIL_FILE, thumbnail(volume, pose))
    write_text(folder / PAGE_FILE, case_page(volume, pose, case))


def has_case_page(folder: Path) -> bool:
    """Whether the folder of a case holds its page; the page is written last."""
    return (folder / PAGE_FILE).is_file()
