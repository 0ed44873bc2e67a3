"""Random numbers: one generator for each part of a case, and the distributions in use."""

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
    """One seed for each part of a case, so that one part can be redrawn while the others stay."""

    fetus: int
    scene: int
    probe: int
    speckle: int

    @classmethod
    def of_case(cls, seed: int, number: int) -> Seeds:
        """Return the seeds of case `number` of the series with the given seed.

        Raises:
            BadInput: the seed or the number is negative.
        """
        check_seed(seed)
        if number < 0:
            raise BadInput("case number", expected="0 or more", found=f"{number}", remedy="try 0")
        words = np.random.SeedSequence((seed, number)).generate_state(len(PARTS), np.uint64)
        return cls(*(int(word) for word in words))

    def generator(self, part: Part) -> np.random.Generator:
        """Return a new generator for one part."""
        return np.random.Generator(np.random.SFC64(getattr(self, part)))


def generator_of_poses(seed: int) -> np.random.Generator:
    """Return a generator for poses without volumes, independent of the generators of all cases.

    Raises:
        BadInput: the seed is negative.
    """
    check_seed(seed)
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(1,))))


def check_seed(seed: int) -> None:
    """Refuse a negative seed.

    Raises:
        BadInput: the seed is negative.
    """
    if seed < 0:
        raise BadInput("seed", expected="0 or more", found=f"{seed}", remedy="try 0")


def truncated_normal(
    rng: np.random.Generator, mean: float, sd: float, low: float, high: float, count: int
) -> FloatArray:
    """Draw (count,) normal values; those outside [low, high] are drawn again."""
    values = rng.normal(mean, sd, count)
    while (outside := (values < low) | (values > high)).any():
        values[outside] = rng.normal(mean, sd, int(outside.sum()))
    return values


def log_normal(rng: np.random.Generator, cv: float, shape: int | tuple[int, ...]) -> FloatArray:
    """Draw log-normal factors with mean 1 and coefficient of variation `cv`."""
    sigma = np.sqrt(np.log1p(cv**2))
    return np.exp(rng.normal(-(sigma**2) / 2, sigma, shape))


def unit_vectors(rng: np.random.Generator, count: int) -> FloatArray:
    """Draw (count, 3) unit vectors, uniformly over the sphere."""
    vectors = rng.standard_normal((count, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
