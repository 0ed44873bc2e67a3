"""Hashes by which tasks recognise that their inputs, outputs or code have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from fetusmap.files import sha256_of, visible_files

PACKAGE = Path(__file__).resolve().parents[1]


def hash_of(paths: Iterable[Path]) -> str:
    """Return one hash of files, and of everything in folders, by their names and bytes."""
    digest = hashlib.sha256()
    for path in paths:
        for file in visible_files(path, "**/*") if path.is_dir() else [path]:
            if file.is_file():
                name = file.relative_to(path).as_posix() if path.is_dir() else file.name
                digest.update(f"{name} {sha256_of(file)}\n".encode())
    return digest.hexdigest()


def code_sha256() -> str:
    """Return the hash of this package's Python files."""
    return hash_of(sorted(PACKAGE.rglob("*.py")))
