"""Files that cannot be read: whose they are, and which export works instead.

Makers keep 3D volumes in formats of their own, which are not published and often compressed or
encrypted. Nothing of such a file is interpreted; its suffix and the name of a maker among its first
bytes choose the advice.
"""

from __future__ import annotations

from pathlib import Path

from fetusmap.errors import UnreadableFile
from fetusmap.files.names import VOLUME_SUFFIXES
from fetusmap.io.volumes.raw import SUFFIXES, layout_path

CARTESIAN = "export the volume on the scanner as a 3D (cartesian) DICOM volume"
MAKERS = {
    b"MEDISON": "Samsung",
    b"SAMSUNG": "Samsung",
    b"MINDRAY": "Mindray",
    b"PHILIPS": "Philips",
    b"TOSHIBA": "Canon",
    b"CANON": "Canon",
    b"SIEMENS": "Siemens",
    b"HITACHI": "Hitachi",
}
SUFFIX_MAKERS = {".mvl": "Samsung", ".3dd": "Ultrasonix", ".3dv": "Ultrasonix"}
ARCHIVES = {
    b"PK\x03\x04": "a ZIP archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
}


def refusal_of(path: Path, head: bytes) -> UnreadableFile:
    """Return the error about a file of no known format, from its name and its first bytes."""
    suffix = path.suffix.lower()
    archive = next((name for magic, name in ARCHIVES.items() if head.startswith(magic)), "")
    if archive:
        return UnreadableFile(
            path, expected="a volume file", found=archive, remedy="unpack it and give what it holds"
        )
    if suffix in SUFFIXES:
        return UnreadableFile(
            path,
            expected="a description of the raw voxels",
            found="none",
            remedy=f"write {layout_path(path).name} beside it with shape, dtype and spacing, or "
            "convert it with --shape, --dtype and --spacing",
        )
    by_content = next((maker for word, maker in MAKERS.items() if word in head.upper()), "")
    maker = SUFFIX_MAKERS.get(suffix) or by_content
    if maker:
        return UnreadableFile(
            path,
            expected=f"a volume file ({', '.join(VOLUME_SUFFIXES)})",
            found=f"a private file of {maker}, whose format is not published",
            remedy=f"{CARTESIAN}, and give that file",
        )
    return UnreadableFile(
        path,
        expected=f"a volume file ({', '.join(VOLUME_SUFFIXES)})",
        found=f"content of another kind and the suffix {path.suffix!r}",
        remedy=f"convert it to NIfTI, NRRD or MetaImage, or {CARTESIAN}",
    )
