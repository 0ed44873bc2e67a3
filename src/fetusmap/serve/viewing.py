"""What a viewer shows of a volume: a small copy, and pictures of the corrected landmarks."""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from fetusmap.corrections import corrected_pose, pose_sha256
from fetusmap.errors import BadInput
from fetusmap.io import load_volume
from fetusmap.report import preview_picture, save_picture, viewing_nifti
from fetusmap.serve.cases import base_pose
from fetusmap.serve.limits import ServeLimits, place_in
from fetusmap.serve.workspace import Reading, ServedCase
from fetusmap.volume import Volume

PICTURE_PIXELS = 320
"""Width of each plane of a picture."""


class Viewing:
    """Prepares volumes for viewing, a few at a time, and keeps the latest."""

    def __init__(self, limits: ServeLimits) -> None:
        self._limits = limits
        self._cache: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._viewing = threading.BoundedSemaphore(limits.volumes_at_once)
        self._waiting_for_volumes = threading.BoundedSemaphore(limits.waiting_for_volumes)

    def volume(self, case: ServedCase) -> tuple[bytes, str]:
        """Return the viewing copy of a case's volume as `.nii.gz`, and a key of its content.

        Raises:
            BadInput: the volume is not there, or cannot be read.
            Busy: too many volumes are being prepared.
        """
        reading = _known_reading(case)
        key = (case.name, reading.file_key)
        content = self._cached(key, lambda: viewing_nifti(_load(reading)))
        return content, reading.file_key

    def picture(self, case: ServedCase) -> bytes:
        """Return a PNG of the corrected landmarks in three planes of the body.

        Raises:
            BadInput: the volume is not there, or cannot be read.
            Busy: too many volumes are being prepared.
        """
        reading = _known_reading(case)
        pose = corrected_pose(base_pose(case), case.load_log())

        def draw() -> bytes:
            picture = preview_picture(_load(reading), pose, size=PICTURE_PIXELS)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "picture.png"
                save_picture(picture, path)
                return path.read_bytes()

        return self._cached((case.name, reading.file_key + pose_sha256(pose)), draw)

    def _cached(self, key: tuple[str, str], make: Callable[[], bytes]) -> bytes:
        """Return what was made for a key before, or make it; the latest are kept."""
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        with (
            place_in(self._waiting_for_volumes, "other volumes are being prepared"),
            self._viewing,
        ):
            content = make()
        with self._lock:
            self._cache[key] = content
            while len(self._cache) > self._limits.cached_volumes:
                self._cache.popitem(last=False)
        return content


def _known_reading(case: ServedCase) -> Reading:
    reading = case.reading
    if reading is None or not reading.file_key:
        raise BadInput(
            case.name,
            expected="the file of the volume",
            found="none",
            remedy="restore it where it was when the case was predicted",
        )
    return reading


def _load(reading: Reading) -> Volume:
    return load_volume(
        reading.source,
        spacing_mm=reading.spacing_mm,
        conversion=reading.conversion,
        limits=reading.limits,
    )
