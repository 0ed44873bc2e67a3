"""Read the simulator's tables of anatomy, joints, media and scanners, which state their sources."""

from __future__ import annotations

import hashlib
import tomllib
from functools import cache
from importlib import resources
from typing import Any

NAMES = (
    "media",
    "body/joints",
    "body/measures",
    "body/other",
    "scanner/scanners",
    "scanner/specular",
)
"""All tables."""


@cache
def tables_sha256() -> str:
    """Return a hash of all tables: cases that were drawn from other tables differ."""
    return hashlib.sha256("".join(_text_of(name) for name in NAMES).encode()).hexdigest()


@cache
def table(name: str) -> dict[str, Any]:
    """Return the content of `<name>.toml`, a path below this package such as `body/joints`."""
    return tomllib.loads(_text_of(name))


def _text_of(name: str) -> str:
    return resources.files("fetusmap.simulate").joinpath(f"{name}.toml").read_text("utf-8")
