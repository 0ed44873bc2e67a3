"""The acoustic media of a simulated scene, and their properties."""

from __future__ import annotations

from enum import IntEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fetusmap.simulate.tables import table
from fetusmap.types import BoolArray, Labels


class Medium(IntEnum):
    """Numbers of the media in label maps; `media.toml` lists the media in this order."""

    OUTSIDE = 0
    AMNIOTIC_FLUID = 1
    COELOMIC_FLUID = 2
    FETAL_TISSUE = 3
    BRAIN = 4
    CHOROID_PLEXUS = 5
    VENTRICLE = 6
    HEART = 7
    MYOCARDIUM = 8
    LUNG = 9
    LIVER = 10
    KIDNEY = 11
    BOWEL = 12
    STOMACH = 13
    FETAL_BLADDER = 14
    EYE = 15
    LENS = 16
    MOUTH = 17
    NUCHAL_FLUID = 18
    CARTILAGE = 19
    LONG_BONE = 20
    THIN_BONE = 21
    SKULL = 22
    CORD = 23
    CORD_VESSEL = 24
    YOLK_SAC = 25
    PLACENTA = 26
    DECIDUA = 27
    MYOMETRIUM = 28
    SKIN = 29
    FAT = 30
    MUSCLE = 31
    MATERNAL_BLADDER = 32
    VISCERA = 33
    MATERNAL_BOWEL = 34
    GAS = 35
    THALAMUS = 36
    CEREBELLUM = 37


FETAL = (
    *(m for m in Medium if Medium.FETAL_TISSUE <= m <= Medium.SKULL),
    Medium.THALAMUS,
    Medium.CEREBELLUM,
)
BONES = (Medium.CARTILAGE, Medium.LONG_BONE, Medium.THIN_BONE, Medium.SKULL)
SOFT = tuple(m for m in FETAL if m not in BONES)
"""Fetal media that an organ may replace."""

MediaProperty = NDArray[np.float32]


@cache
def property_of_media(name: str) -> MediaProperty:
    """Return a property of all label numbers: "impedance", "attenuation", "echo" or "texture"."""
    rows = table("media")
    return np.array([rows[medium.name.lower()][name] for medium in Medium], dtype=np.float32)


def reflectivity(first: Medium, second: Medium) -> float:
    """Return the amplitude that an interface reflects: difference over sum of the impedances."""
    impedance = property_of_media("impedance")
    a, b = float(impedance[first]), float(impedance[second])
    return abs(a - b) / (a + b)


def set_medium(label: Labels, medium: Medium, where: BoolArray) -> None:
    """Set the medium of the chosen samples in place."""
    np.copyto(label, np.uint8(medium), where=where)
