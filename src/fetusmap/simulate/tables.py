"""Read the simulator's tables of anatomy, joints, media and scanners, which state their sources."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any


@cache
def table(name: str) -> dict[str, Any]:
    """Return the content of `<name>.toml`, a path below this package such as `body/joints`."""
    text = resources.files("fetusmap.simulate").joinpath(f"{name}.toml").read_text("utf-8")
    return tomllib.loads(text)
