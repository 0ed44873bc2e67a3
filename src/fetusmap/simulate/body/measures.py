"""Draw the measures of simulated fetuses: distances, girths and proportions of all parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fetusmap.errors import BadInput
from fetusmap.simulate.draws import log_normal
from fetusmap.simulate.tables import table
from fetusmap.types import FloatArray

SIDES = ("left", "right")
USUAL_ANATOMY = "usual"
ANATOMIES = (USUAL_ANATOMY, "other")
"""Ranges from which bodies are drawn. "other" lies outside the usual one and is for tests only."""

Measures = Mapping[str, FloatArray]
"""Each measure of A fetuses, (A,): mm, or without unit; see `measures.toml`."""


def check_anatomy(anatomy: str) -> str:
    """Return the name of a range of bodies if it exists.

    Raises:
        BadInput: there is no such range.
    """
    if anatomy not in ANATOMIES:
        raise BadInput(
            "anatomy",
            expected=f"one of {', '.join(ANATOMIES)}",
            found=repr(anatomy),
            remedy="choose one of them",
        )
    return anatomy


def draw_measures(
    rng: np.random.Generator, crl_mm: FloatArray, anatomy: str = USUAL_ANATOMY
) -> dict[str, FloatArray]:
    """Draw the measures of A fetuses.

    Measures that share a hidden factor of the build, such as fat, vary together. A measure with two
    sides is returned as `left_NAME` and `right_NAME`.

    Args:
        rng: generator of the fetus.
        crl_mm: (A,) crown-rump lengths.
        anatomy: "usual" or "other", see `ANATOMIES`.
    """
    build = table("body/measures")["build"]
    count = len(crl_mm)
    factors = {name: rng.standard_normal(count) for name in build["factors"]}
    measures = {}
    for name, entry in table("body/measures")["measure"].items():
        loads = entry.get("with", {})
        own = np.sqrt(1 - sum(load**2 for load in loads.values()))
        z = sum((load * factors[factor] for factor, load in loads.items()),
                own * rng.standard_normal(count))  # fmt: skip
        values = _values(name, entry, crl_mm, np.clip(z, -build["limit"], build["limit"]), anatomy)
        if entry.get("sides", False):
            for side in SIDES:
                measures[f"{side}_{name}"] = values * log_normal(rng, build["side_cv"], count)
        else:
            measures[name] = values
    return measures


def _values(
    name: str, entry: Mapping[str, Any], crl_mm: FloatArray, z: FloatArray, anatomy: str
) -> FloatArray:
    """Return the (A,) values of a measure whose deviations are z standard deviations."""
    unit = np.ones_like(crl_mm) if "value" in entry else crl_mm
    mean = entry.get("value", entry.get("of_crl", 0.0)) * unit + entry.get("plus_mm", 0.0)
    if anatomy != USUAL_ANATOMY:
        other = table(f"body/{anatomy}")
        if name in other["scale"] or name in other["shift"]:
            mean = mean * other["scale"].get(name, 1.0) + other["shift"].get(name, 0.0) * unit
            z = z * other["spread"]
    if "cv" in entry:
        return np.asarray(mean * np.exp(entry["cv"] * z - entry["cv"] ** 2 / 2))
    return np.asarray(mean + entry["sd"] * unit * z)
