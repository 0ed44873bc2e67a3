"""What a DICOM file is, in a clinician's words; no word of it describes a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fetusmap.errors import one_line
from fetusmap.io.volumes.dicom_frames import Frame

US = "1.2.840.10008.5.1.4.1.1."
KINDS = {
    f"{US}6.2": "Enhanced US Volume: 3D ultrasound whose frames state where they lie",
    f"{US}3.1": "multi-frame ultrasound: 2D frames in one file",
    f"{US}3": "multi-frame ultrasound (old form): 2D frames in one file",
    f"{US}6.1": "single ultrasound frames, one per file",
    f"{US}6": "single ultrasound frames (old form), one per file",
    f"{US}7": "pictures of a screen (secondary capture)",
    f"{US}7.2": "pictures of a screen (secondary capture), several in one file",
    f"{US}4": "MR images",
    f"{US}2": "CT images",
}
SYNTAXES = {
    "1.2.840.10008.1.2": "none",
    "1.2.840.10008.1.2.1": "none",
    "1.2.840.10008.1.2.2": "none (big endian)",
    "1.2.840.10008.1.2.1.99": "deflated",
    "1.2.840.10008.1.2.5": "RLE, without loss",
    "1.2.840.10008.1.2.4.50": "JPEG, with loss",
    "1.2.840.10008.1.2.4.51": "JPEG, with loss",
    "1.2.840.10008.1.2.4.57": "JPEG, without loss",
    "1.2.840.10008.1.2.4.70": "JPEG, without loss",
    "1.2.840.10008.1.2.4.80": "JPEG-LS, without loss",
    "1.2.840.10008.1.2.4.81": "JPEG-LS, possibly with loss",
    "1.2.840.10008.1.2.4.90": "JPEG 2000, without loss",
    "1.2.840.10008.1.2.4.91": "JPEG 2000, possibly with loss",
    "1.2.840.10008.1.2.4.201": "JPEG 2000, without loss",
    "1.2.840.10008.1.2.4.202": "JPEG 2000, without loss",
    "1.2.840.10008.1.2.4.203": "JPEG 2000, possibly with loss",
}
"""Transfer syntaxes that are read, and how they compress."""

MODALITIES = frozenset(
    ["US", "MR", "CT", "PT", "NM", "XA", "RF", "CR", "DX", "MG", "IVUS", "OCT", "ES", "OT", "SC",
     "SR", "KO", "PR", "SEG", "REG", "DOC", "ECG", "FID", "RTSTRUCT"]
)  # fmt: skip
MEANINGS = frozenset(
    ["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "HSV", "ARGB", "CMYK", "YBR_FULL",
     "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "XYB"]
)  # fmt: skip
"""Values that are passed on; a file may have any text in their place, also a name."""

MAX_WORDS = 48
TEXT_WARNING = (
    "the frames may contain burned-in text, and with it the name of a patient: look at the "
    "pictures before you pass them on"
)


def describe_kind(described: Sequence[Mapping[str, Any]], frame: Frame) -> dict[str, str]:
    """Return maker, model, kind, compression, and whether text is burned in."""
    kind = KINDS.get(frame.text("SOPClassUID"), "")
    if frame.values.get("slices") is not None:
        kind = "Philips 3D volume of cubic voxels (as QLAB exports it)"
    maker = [frame.text("Manufacturer"), frame.text("ManufacturerModelName")]
    groups = any(d["frames"] for d in described)
    shared = any(d["shared"] for d in described)
    where = ["in each frame's own groups"] if groups else []
    where += ["in shared groups"] if shared else []
    facts = {
        "kind": kind or f"DICOM of another kind (modality {modality_of(frame)})",
        "made by": one_line(" ".join(filter(None, maker)))[:MAX_WORDS] or "not stated",
        "files": f"{len(described)} DICOM instance{'s' * (len(described) > 1)}",
        "compression": SYNTAXES.get(described[0]["syntax"], "unknown"),
        "text in the picture": burned_in_words(described),
    }
    if where:
        facts["geometry stated"] = " and ".join(where)
    return facts


def modality_of(frame: Frame) -> str:
    """Return the modality, if it is one that the standard knows."""
    stated = frame.text("Modality")
    return stated if stated in MODALITIES else "unknown"


def syntax_words(syntax: str) -> str:
    """Return the identifier of a transfer syntax, if it has the form of one."""
    return syntax[:64] if set(syntax) <= set("0123456789.") else "that is no identifier"


def burned_in_words(described: Sequence[Mapping[str, Any]]) -> str:
    """Return whether text is burned into the voxels, as far as the file states it."""
    stated = {str(d["tags"].get("BurnedInAnnotation") or "").upper() for d in described}
    if "YES" in stated:
        return "yes"
    return "no, says the file" if stated == {"NO"} else "not stated"


def sequence_words(offsets_ms: Sequence[float | None]) -> str:
    """Return how many volumes there are, and at what times."""
    known = [v for v in offsets_ms if v is not None]
    times = f", {min(known):g} to {max(known):g} ms" if len(known) == len(offsets_ms) else ""
    return f"{len(offsets_ms)} volumes{times}"


def warnings_of(described: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return remarks about loss and burned-in text."""
    found = []
    if burned_in_words(described) == "yes":
        found.append(TEXT_WARNING)
    lossy = {str(d["tags"].get("LossyImageCompression") or "") for d in described}
    syntax = SYNTAXES.get(described[0]["syntax"], "")
    if lossy & {"01", "1"} or "with loss" in syntax.replace("possibly with loss", ""):
        found.append("the voxels were compressed with loss")
    return tuple(found)
