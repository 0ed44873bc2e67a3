"""DICOM frames: what the description of an instance states about each frame, checked.

A value of a frame may stand in its own functional groups, in the shared ones, or beside them. The
nearest one counts.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fetusmap.errors import UnreadableFile

MAX_FRAMES = 4000
AGAIN = "copy or export it again"


@dataclass(frozen=True)
class Frame:
    """One two-dimensional frame, and what is stated about it.

    Attributes:
        instance: number of its instance.
        index: its number in the instance.
        values: what is stated, by keyword.
        path: for messages.
    """

    instance: int
    index: int
    values: Mapping[str, Any]
    path: Path

    def numbers(self, word: str, count: int) -> tuple[float, ...] | None:
        """Return the finite numbers of an element; None if it is missing or empty.

        Raises:
            UnreadableFile: it has another number of values, or some of them are no numbers.
        """
        value = self.values.get(word)
        if value is None or value == []:
            return None
        values = value if isinstance(value, list) else [value]
        if len(values) == count and all(isinstance(v, float) and math.isfinite(v) for v in values):
            return tuple(values)
        shown = ", ".join(f"{v:g}" if isinstance(v, float) else "text" for v in values[:6])
        expected = f"{count} finite numbers" if count > 1 else "a finite number"
        raise UnreadableFile(self.path, expected=f"{expected} in {word}", found=shown, remedy=AGAIN)

    def number(self, word: str) -> float | None:
        """Return the finite number of an element; None if it is missing."""
        values = self.numbers(word, 1)
        return None if values is None else values[0]

    def text(self, word: str) -> str:
        """Return the text of an element; "" if it is missing."""
        value = self.values.get(word)
        return "" if value is None else str(value).strip()


def frames_of(described: Sequence[Mapping[str, Any]], path: Path) -> tuple[list[Frame], int]:
    """Return all frames of described instances, and how many slices are stored as one frame.

    Raises:
        UnreadableFile: an instance has another number of frames than it states.
    """
    frames: list[Frame] = []
    slices = 1
    for number, instance in enumerate(described):
        tags = instance["tags"]
        whole = Frame(number, 0, tags, path)
        slices = positive_integer(whole, "slices", 1)
        count = positive_integer(whole, "NumberOfFrames", 1) * slices
        if count + len(frames) > MAX_FRAMES:
            raise UnreadableFile(
                path,
                expected=f"at most {MAX_FRAMES} frames",
                found=f"{count + len(frames)}",
                remedy="export fewer volumes into one file",
            )
        groups = instance["frames"]
        if groups and len(groups) != count:
            raise UnreadableFile(
                path,
                expected=f"a functional group for each of {count} frames",
                found=f"{len(groups)}",
                remedy=AGAIN,
            )
        _check_voxels(whole, instance, count)
        frames += [
            Frame(
                number,
                n,
                ChainMap(*([groups[n]] if groups else []), instance["shared"], tags),
                path,
            )
            for n in range(count)
        ]
    return frames, slices


def scales_of(
    frames: Sequence[Frame], inverted_top: float | None, path: Path
) -> tuple[list[tuple[float, float]], tuple[str, ...]]:
    """Return slope and intercept of the values of each frame, and a remark if one was assumed.

    Args:
        frames: the frames of all volumes.
        inverted_top: the highest stored value if dark and bright are exchanged, else None.
        path: for messages.

    Raises:
        UnreadableFile: only some frames state them, or a slope is 0.
    """
    stated = {
        word: [frame.number(word) for frame in frames]
        for word in ("RescaleSlope", "RescaleIntercept")
    }
    missing = {word: sum(v is None for v in values) for word, values in stated.items()}
    for word, count in missing.items():
        if 0 < count < len(frames):
            raise UnreadableFile(
                path,
                expected=f"{word} of every frame, or of none",
                found=f"{count} frames without one",
                remedy=AGAIN,
            )
    scales = []
    for slope, intercept in zip(*stated.values(), strict=True):
        slope, offset = 1.0 if slope is None else slope, intercept or 0.0
        if slope == 0:
            raise UnreadableFile(path, expected="a slope other than 0", found="0", remedy=AGAIN)
        if inverted_top is not None:
            slope, offset = -slope, offset + slope * inverted_top
        scales.append((slope, offset))
    alone = [word for word, count in missing.items() if not count]
    notes = (f"the file states only {alone[0]} of slope and intercept",) if len(alone) == 1 else ()
    return scales, notes


def positive_integer(frame: Frame, word: str, default: int | None = None) -> int:
    """Return the positive whole number of an element.

    Raises:
        UnreadableFile: it is missing and there is no default, or it is no such number.
    """
    value = frame.number(word)
    if value is None and default is not None:
        return default
    if value is None or value < 1 or value != int(value):
        found = "none" if value is None else f"{value:g}"
        raise UnreadableFile(
            frame.path, expected=f"a positive whole number in {word}", found=found, remedy=AGAIN
        )
    return int(value)


def _check_voxels(whole: Frame, instance: Mapping[str, Any], count: int) -> None:
    """Refuse an instance with fewer voxels than it states."""
    bits = positive_integer(whole, "BitsAllocated")
    samples = positive_integer(whole, "SamplesPerPixel", 1)
    size = (
        positive_integer(whole, "Rows") * positive_integer(whole, "Columns") * samples * bits // 8
    )
    native = instance["native bytes"]
    if native is not None and native < size * count:
        raise UnreadableFile(
            whole.path,
            expected=f"{size * count} bytes of voxels",
            found=f"{native} (the file is cut short)",
            remedy=AGAIN,
        )
    if native is None and 0 <= instance["fragments"] < count:
        raise UnreadableFile(
            whole.path,
            expected=f"{count} compressed frames",
            found=f"{instance['fragments']}",
            remedy=AGAIN,
        )
