"""Where randomness comes from: one generator per part of a case, and the distributions in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fetusmap.errors import BadInput
from fetusmap.types import FloatArray

Part = Literal["fetus", "scene", "probe", "speckle"]
PARTS: tuple[Part, ...] = ("fetus", "scene", "probe", "speckle")


@dataclass(frozen=True)
class Seeds:
    """One seed per part of a case, so that a part can be drawn anew while the others stay."""

    fetus: int
    scene: int
    probe: int
    speckle: int

    @classmethod
    def of_case(cls, seed: int, number: int) -> Seeds:
        """The seeds of case `number` of the series that starts from `seed`.

        Raises:
            BadInput: a negative seed or number.
        """
        check_seed(seed)
        if number < 0:
            raise BadInput("case number", expected="0 or more", found=f"{number}", remedy="try 0")
        words = np.random.SeedSequence((seed, number)).generate_state(len(PARTS), np.uint64)
        return cls(*(int(word) for word in words))

    def generator(self, part: Part) -> np.random.Generator:
        """A fresh generator of one part."""
        return np.random.Generator(np.random.SFC64(getattr(self, part)))


def generator_of_poses(seed: int) -> np.random.Generator:
    """A generator of poses without volumes; it shares nothing with any case.

    Raises:
        BadInput: a negative seed.
    """
    check_seed(seed)
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(1,))))


def check_seed(seed: int) -> None:
    """Refuse a negative seed.

    Raises:
        BadInput: if it is.
    """
    if seed < 0:
        raise BadInput("seed", expected="0 or more", found=f"{seed}", remedy="try 0")


def truncated_normal(
    rng: np.random.Generator, mean: float, sd: float, low: float, high: float, count: int
) -> FloatArray:
    """(count,) normal draws; those outside [low, high] are drawn again."""
    values = rng.normal(mean, sd, count)
    while (outside := (values < low) | (values > high)).any():
        values[outside] = rng.normal(mean, sd, int(outside.sum()))
    return values


def log_normal(rng: np.random.Generator, cv: float, shape: int | tuple[int, ...]) -> FloatArray:
    """Factors of mean 1 and coefficient of variation `cv`."""
    sigma = np.sqrt(np.log1p(cv**2))
    return np.exp(rng.normal(-(sigma**2) / 2, sigma, shape))


def unit_vectors(rng: np.random.Generator, count: int) -> FloatArray:
    """(count, 3) directions, uniform over the sphere."""
    vectors = rng.standard_normal((count, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
