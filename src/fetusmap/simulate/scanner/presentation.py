"""Draw how the fetus lies to the probe.

A sonographer who acquires a volume of a whole fetus usually starts from the mid-sagittal plane,
with the fetus across the beam, as for the measurement of crown-rump length and nuchal translucency
(ISUOG guidelines 2013, doi 10.1002/uog.12342; Abuhamad's mid-sagittal volume technique of 2012,
doi 10.1201/b17841-7). The median plane of the fetus is then the central plane of the sweep, and
four presentations remain: the head lies left or right, the face looks to the probe or away from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetusmap.errors import BadInput
from fetusmap.geometry import random_rotations, rotation_about
from fetusmap.simulate.tables import table
from fetusmap.types import RotationMatrix

PRESENTATIONS = ("any", "clinical", "standard")

FACE_UP_PART = 0.65
"""Fraction of the clinical presentations with the face towards the probe. A guess."""

MAX_TILT_DEG = 15.0
"""Largest tilt of the long axis from the direction across the beam, in two planes. A guess."""

MAX_ROLL_DEG = 25.0
"""Largest roll about the long axis. A guess."""

STANDARD: RotationMatrix = np.array([[0.0, 0, -1], [0, -1, 0], [-1, 0, 0]])
"""probe_from_body of the standard presentation: the head lies at low lateral positions, the face
looks to the probe, and the right side lies at low sweep positions."""


@dataclass(frozen=True)
class Presentation:
    """Distribution of the rotations of the fetus.

    Attributes:
        name: "any": any azimuth, any roll about the long axis, mostly across the beam.
            "clinical": the sweep starts from the mid-sagittal plane; the head lies left or right
            with equal probability, the face looks up or down. "standard": head and face of all
            fetuses look the same way.
        standard_part: for "clinical", fraction of the fetuses that are drawn from "standard".

    Raises:
        BadInput: the name is unknown, or the fraction does not belong to it.
    """

    name: str = "any"
    standard_part: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a presentation that does not exist."""
        if self.name not in PRESENTATIONS:
            raise BadInput(
                "presentation",
                expected=f"one of {', '.join(PRESENTATIONS)}",
                found=repr(self.name),
                remedy="choose one of them",
            )
        largest = 1.0 if self.name == "clinical" else 0.0
        if not 0 <= self.standard_part <= largest:
            raise BadInput(
                "fraction in the standard presentation",
                expected="a number from 0 to 1, and 0 unless the presentation is clinical",
                found=f"{self.standard_part} with {self.name}",
                remedy="choose the presentation clinical for a mixture",
            )


USUAL_PRESENTATION = Presentation()


def draw_rotation(rng: np.random.Generator, presentation: Presentation) -> RotationMatrix:
    """Draw probe_from_body, (3, 3)."""
    if presentation.name == "any":
        return _draw_any(rng)
    is_standard = presentation.name == "standard" or rng.random() < presentation.standard_part
    return _draw_jitter(rng) @ (STANDARD if is_standard else _draw_clinical(rng))


def _draw_any(rng: np.random.Generator) -> RotationMatrix:
    """Draw an orientation: mostly within 25 degrees of perpendicular to the beam, else any."""
    numbers = table("body/joints")["orientation"]
    if rng.random() >= numbers["across_the_beam"]:
        return np.asarray(random_rotations(rng, 1)[0])
    roll = rotation_about([0, 0, 1.0], rng.uniform(0, 2 * np.pi))
    tilt = rotation_about([1.0, 0, 0], np.radians(rng.uniform(-1, 1) * numbers["tilt"]))
    azimuth = rotation_about([0, 1.0, 0], rng.uniform(0, 2 * np.pi))
    return np.asarray(azimuth @ tilt @ roll)


def _draw_clinical(rng: np.random.Generator) -> RotationMatrix:
    """Draw one of the four presentations, which half turns about the probe's axes interchange."""
    head_is_right = rng.random() < 0.5
    face_is_up = rng.random() < FACE_UP_PART
    face_turn = np.diag([1.0, 1, 1]) if face_is_up else np.diag([1.0, -1, -1])
    head_turn = np.diag([-1.0, 1, -1]) if head_is_right else np.diag([1.0, 1, 1])
    return np.asarray(head_turn @ face_turn @ STANDARD)


def _draw_jitter(rng: np.random.Generator) -> RotationMatrix:
    """Draw a small rotation: roll about the long axis, and tilt of it in both directions."""
    limits = [MAX_TILT_DEG, MAX_TILT_DEG, MAX_ROLL_DEG]
    in_plane, out_of_plane, roll = np.radians(rng.uniform(-1, 1, 3) * limits)
    return np.asarray(
        rotation_about([0, 0, 1.0], in_plane)
        @ rotation_about([0, 1.0, 0], out_of_plane)
        @ rotation_about([1.0, 0, 0], roll)
    )
