"""The acoustic media: what each label of a simulated scene is made of."""

from __future__ import annotations

from enum import IntEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fetusmap.simulate.tables import table
from fetusmap.types import BoolArray


class Medium(IntEnum):
    """Label numbers, as in label maps; the numbers of `media.toml` stand in this order."""

    OUTSIDE = 0
    AMNIOTIC_FLUID = 1
    COELOMIC_FLUID = 2
    FETAL_TISSUE = 3
    BRAIN = 4
    CHOROID_PLEXUS = 5
    VENTRICLE = 6
    HEART = 7
    LUNG = 8
    LIVER = 9
    BOWEL = 10
    STOMACH = 11
    FETAL_BLADDER = 12
    EYE = 13
    NUCHAL_FLUID = 14
    CARTILAGE = 15
    LONG_BONE = 16
    SKULL = 17
    CORD = 18
    CORD_VESSEL = 19
    YOLK_SAC = 20
    PLACENTA = 21
    MYOMETRIUM = 22
    SKIN = 23
    FAT = 24
    MUSCLE = 25
    MATERNAL_BLADDER = 26
    VISCERA = 27
    GAS = 28


FETAL = tuple(m for m in Medium if Medium.FETAL_TISSUE <= m <= Medium.SKULL)

Labels = NDArray[np.uint8]
MediaProperty = NDArray[np.float32]


@cache
def property_of_media(name: str) -> MediaProperty:
    """One property ("impedance", "attenuation", "echo", "texture") for every label number."""
    rows = table("media")
    return np.array([rows[medium.name.lower()][name] for medium in Medium], dtype=np.float32)


def reflectivity(first: Medium, second: Medium) -> float:
    """Amplitude that an interface reflects, 0 to 1: the difference over the sum of impedances."""
    impedance = property_of_media("impedance")
    a, b = float(impedance[first]), float(impedance[second])
    return abs(a - b) / (a + b)


def set_medium(label: Labels, medium: Medium, where: BoolArray) -> None:
    """Give the chosen samples a medium, in place."""
    np.copyto(label, np.uint8(medium), where=where)
