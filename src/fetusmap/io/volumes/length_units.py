"""Words for units of length in the text headers of volume files."""

from __future__ import annotations

MM_PER_WORD = {
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1.0),
    **dict.fromkeys(("m", "meter", "metre"), 1000.0),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 10.0),
    **dict.fromkeys(("dm", "decimeter", "decimetre"), 100.0),
    **dict.fromkeys(("um", "\u00b5m", "\u03bcm", "mu", "micron", "micrometer", "micrometre"), 1e-3),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-6),
}


def mm_per_unit(word: str) -> float | None:
    """Return the millimetres of one unit of length, or None if the word is not known.

    Capitals, surrounding blanks and the plural do not matter.
    """
    name = word.strip().lower()
    return MM_PER_WORD.get(name, MM_PER_WORD.get(name.removesuffix("s")))
