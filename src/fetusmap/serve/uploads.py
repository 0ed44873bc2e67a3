"""Receive volumes: in parts, limited in size, checked before they become cases."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path

from fetusmap.errors import BadInput, FetusmapError, ResourceError
from fetusmap.files import case_name, make_folder, writable
from fetusmap.io import read_volume_header
from fetusmap.serve.limits import ServeLimits, TooLarge, place_in
from fetusmap.serve.workspace import (
    UNTRUSTED_LIMITS,
    UPLOAD_STEM,
    UPLOADS_FOLDER,
    Workspace,
    upload_suffix,
)


class Uploads:
    """Receives volumes into a workspace."""

    def __init__(self, workspace: Workspace, limits: ServeLimits) -> None:
        self._workspace = workspace
        self._limits = limits
        self._places = threading.BoundedSemaphore(limits.uploads)

    async def receive(self, name: str, parts: AsyncIterator[bytes]) -> Path:
        """Receive an upload into a temporary file, and return the file.

        Raises:
            BadInput: the name is not that of a volume.
            Busy: too many uploads are going on.
            TooLarge: the file is larger than allowed.
            ResourceError: the disk is nearly full, or the upload takes too long.
        """
        suffix = upload_suffix(name)
        folder = self._workspace.root / UPLOADS_FOLDER
        make_folder(folder)
        path = folder / f"{secrets.token_hex(16)}{suffix}"
        with place_in(self._places, "other uploads are going on"):
            try:
                async with asyncio.timeout(self._limits.upload_s):
                    await self._write(parts, path)
            except TimeoutError:
                path.unlink(missing_ok=True)
                raise ResourceError(
                    "upload",
                    expected=f"all of the file within {self._limits.upload_s:.0f} s",
                    found="a part of it",
                    remedy="use a faster connection, or predict it on the command line",
                ) from None
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return path

    async def _write(self, parts: AsyncIterator[bytes], path: Path) -> None:
        """Write the parts into a new file, within the limits of size and disk."""
        with writable(path), path.open("xb") as file:
            received = 0
            async for part in parts:
                received += len(part)
                if received > self._limits.upload_bytes:
                    raise TooLarge(f"an upload has at most {self._limits.upload_bytes} bytes")
                self._check_disk(len(part))
                file.write(part)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())

    def adopt(self, path: Path, name: str) -> str:
        """Check a received file, make a case of it, and return the name of the case.

        Raises:
            BadInput: the file is not a volume.
        """
        try:
            read_volume_header(path, limits=UNTRUSTED_LIMITS)
            stem = case_name(Path(name.replace("\\", "/").rsplit("/", 1)[-1]))
            # Without dots, so that no case takes the name of a table or page of the folder.
            folder = self._workspace.claim_folder(stem.replace(".", "_"))
            target = folder / f"{UPLOAD_STEM}{upload_suffix(name)}"
            with writable(folder):
                path.rename(target)
        except FetusmapError as error:
            path.unlink(missing_ok=True)
            if isinstance(error, BadInput):
                raise BadInput(
                    Path(name).name[:80],
                    expected=error.expected,
                    found=error.found,
                    remedy=error.remedy,
                ) from error
            raise
        return folder.name

    def _check_disk(self, size: int) -> None:
        free = shutil.disk_usage(self._workspace.root).free
        if free - size < self._limits.free_bytes:
            raise ResourceError(
                "upload",
                expected="enough space on the disk",
                found=f"{free} bytes, of which {self._limits.free_bytes} stay free",
                remedy="free some space",
            )
