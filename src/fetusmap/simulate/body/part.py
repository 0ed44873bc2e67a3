"""A solid of one medium."""

from __future__ import annotations

from dataclasses import dataclass

from fetusmap.simulate.body.shapes import Shape
from fetusmap.simulate.media import Medium


@dataclass(frozen=True)
class Part:
    """A solid of one medium.

    Attributes:
        shape: its surface, mm.
        medium: its medium.
        specular: specular reflection of beams at right angles to its axis, 0 to 1.
        within: whether it replaces only soft media of the body.
    """

    shape: Shape
    medium: Medium
    specular: float = 0.0
    within: bool = False
