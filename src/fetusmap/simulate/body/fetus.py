"""Draw a simulated fetus: age, proportions and posture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from pydantic import JsonValue

from fetusmap.anatomy import Pose, crown_rump_length_at, load_skeleton
from fetusmap.atlas import PoseLibrary
from fetusmap.errors import BadInput
from fetusmap.simulate.body.angles import draw_angles
from fetusmap.simulate.body.collision import intersects_itself, outgrows_sac
from fetusmap.simulate.body.measures import (
    USUAL_ANATOMY,
    Measures,
    check_anatomy,
    draw_measures,
)
from fetusmap.simulate.body.posture import ANGLES, BODY_SKELETON, Angles, Posture, pose_body
from fetusmap.simulate.draws import generator_of_poses, log_normal
from fetusmap.simulate.tables import table
from fetusmap.types import FloatArray, FrozenMapping

MIN_WEEKS, MAX_WEEKS = 9.5, 14.0
MAX_ROUNDS = 500  # of drawing postures again; without poses to imitate, about ten suffice


@dataclass(frozen=True)
class Fetus:
    """A fetus in its body frame (x right, y ventral, z cranial, origin sacrum).

    Attributes:
        gestational_age_days: days since the last menstrual period.
        crl_mm: crown-rump length for which the measures were drawn; that of the posture deviates.
        measures: distances, girths and proportions of all parts, see `measures.toml`.
        angles_deg: joint angles, see `joints.toml`.
        posture: landmarks and frames that follow from measures and angles (A = 1 body).
        ossification: ossified part of the skeleton, 0 to 1; the difficulty knob may raise it
            above 1.
        details: nuchal translucency (mm), curl of the fingers (degrees), and the relative sizes of
            heart, stomach and bladder (1 is the mean).
    """

    gestational_age_days: float
    crl_mm: float
    measures: Mapping[str, float]
    angles_deg: Mapping[str, float]
    posture: Posture = field(repr=False)
    ossification: float = 1.0
    details: Mapping[str, float] = field(default_factory=dict)

    @property
    def weeks(self) -> float:
        """Return the gestational age in weeks."""
        return self.gestational_age_days / 7

    @property
    def pose(self) -> Pose:
        """Return the landmarks in the body frame."""
        return Pose(load_skeleton(BODY_SKELETON), self.posture.landmarks_mm[0])

    @property
    def crown_rump_mm(self) -> float:
        """Return the distance from crown to rump in this posture."""
        return float(np.linalg.norm(self.posture["crown"][0] - self.posture["rump"][0]))

    @property
    def hardness_weeks(self) -> float:
        """Return the age, in weeks, at which bones are usually as ossified as in this fetus."""
        return self.weeks + self.measures["ossified_weeks"]


def draw_fetus(
    rng: np.random.Generator,
    weeks: tuple[float, float] = (10.0, 14.0),
    *,
    anatomy: str = USUAL_ANATOMY,
    ossification: float = 1.0,
    like: PoseLibrary | None = None,
) -> Fetus:
    """Draw a fetus.

    Args:
        rng: generator of the fetus.
        weeks: range of gestational age.
        anatomy: range of bodies, see `ANATOMIES`.
        ossification: factor on the ossified part of the skeleton.
        like: poses whose limb postures are imitated with the proportions of this fetus.

    Raises:
        BadInput: the weeks are outside 9.5 to 14, or in the wrong order, or there is no such
            anatomy.
    """
    days, crl = draw_sizes(rng, 1, check_weeks(weeks))
    measures = draw_measures(rng, crl, check_anatomy(anatomy))
    angles, posture = draw_postures(rng, measures, crl, mean_sac_ml(days, crl), like)
    age = float(days[0])
    hardness = age / 7 + float(measures["ossified_weeks"][0])
    return Fetus(
        gestational_age_days=age,
        crl_mm=float(crl[0]),
        measures=FrozenMapping({name: float(values[0]) for name, values in measures.items()}),
        angles_deg=FrozenMapping({name: float(deg[0]) for name, deg in angles.items()}),
        posture=posture,
        ossification=float(np.clip((hardness - 9.5) / 3, 0.35, 1.0)) * ossification,
        details=FrozenMapping(_draw_details(rng, float(crl[0]))),
    )


def draw_poses(
    count: int,
    *,
    seed: int,
    weeks: tuple[float, float] = (10.0, 14.0),
    anatomy: str = USUAL_ANATOMY,
    like: PoseLibrary | None = None,
) -> PoseLibrary:
    """Draw poses without volumes, each in its body frame, as atlases for a pose library.

    Args:
        count: number of poses, at least 1.
        seed: seed of the draws.
        weeks: range of gestational age.
        anatomy: range of bodies, see `ANATOMIES`.
        like: poses whose limb postures are imitated.

    Raises:
        BadInput: the count is below 1, the seed is negative, the weeks are outside 9.5 to 14, or
            there is no such anatomy.
    """
    if count < 1:
        raise BadInput(
            "simulated poses", expected="1 or more", found=f"{count}", remedy="ask for more"
        )
    rng = generator_of_poses(seed)
    days, crl = draw_sizes(rng, count, check_weeks(weeks))
    measures = draw_measures(rng, crl, check_anatomy(anatomy))
    _, posture = draw_postures(rng, measures, crl, mean_sac_ml(days, crl), like)
    made_by: dict[str, JsonValue] = {
        "simulated": count, "seed": seed, "weeks": list(weeks), "like": like is not None,
        **({} if anatomy == USUAL_ANATOMY else {"anatomy": anatomy}),
    }  # fmt: skip
    return PoseLibrary(
        load_skeleton(BODY_SKELETON), posture.landmarks_mm.astype(np.float32), made_by
    )


def check_weeks(weeks: tuple[float, float]) -> tuple[float, float]:
    """Return a range of weeks if the simulator covers it.

    Raises:
        BadInput: the range is outside 9.5 to 14 weeks, or in the wrong order.
    """
    low, high = weeks
    if not MIN_WEEKS <= low <= high <= MAX_WEEKS:
        raise BadInput(
            "gestational age",
            expected=f"a range within {MIN_WEEKS:g} to {MAX_WEEKS:g} weeks, lower end first",
            found=f"{low:g} to {high:g}",
            remedy="the simulator knows the anatomy only there; try 10 14",
        )
    return low, high


def draw_sizes(
    rng: np.random.Generator, count: int, weeks: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Draw (count,) ages in days and (count,) crown-rump lengths, mm."""
    days = 7 * rng.uniform(*weeks, count)
    factor = log_normal(rng, table("body/measures")["crown_rump_length"]["cv"], count)
    return days, np.array([crown_rump_length_at(day) for day in days]) * factor


def mean_sac_ml(days: FloatArray, crl_mm: FloatArray) -> FloatArray:
    """Return the (A,) mean volumes of the amniotic sac, mL, by age and crown-rump length.

    The volume scales with the cube of the fetus's length over the mean length at that age.
    """
    numbers = table("body/measures")["volume_ml"]
    mean = np.interp(days / 7, numbers["weeks"], numbers["sac"])
    usual = np.array([crown_rump_length_at(float(day)) for day in days])
    return np.asarray(mean * (crl_mm / usual) ** 3)


def draw_postures(
    rng: np.random.Generator,
    measures: Measures,
    crl_mm: FloatArray,
    sac_ml: FloatArray,
    like: PoseLibrary | None = None,
) -> tuple[Angles, Posture]:
    """Draw the joint angles of A bodies, and return them with the postures.

    A body is drawn again if it intersects itself, or if a sac of (A,) `sac_ml` cannot hold it.

    An imitated pose may not fit another body, because a fetus of the first trimester has a larger
    head and belly than one near term. The draws then deviate more from it in every round, until
    they fit.

    Raises:
        BadInput: no body was found that imitates the poses without intersecting itself.
    """
    count = len(crl_mm)
    angles = {name: np.empty(count) for name in ANGLES}
    missing = np.arange(count)
    for number in range(MAX_ROUNDS):
        if not len(missing):
            return angles, pose_body(angles, measures)
        # At least 16 candidates are drawn at once, because a batch costs as much as one body.
        rows = np.resize(missing, max(len(missing), 16))
        drawn = draw_angles(rng, len(rows), like, looseness=1 + 0.03 * number)
        own = {name: values[rows] for name, values in measures.items()}
        posture = pose_body(drawn, own)
        bad = intersects_itself(posture, crl_mm[rows])
        bad |= outgrows_sac(posture, crl_mm[rows], sac_ml[rows])
        good = np.flatnonzero(~bad)
        found, first = np.unique(rows[good], return_index=True)
        for name, values in angles.items():
            values[found] = drawn[name][good[first]]
        missing = np.setdiff1d(missing, found)
    raise BadInput(
        "poses to imitate",
        expected="poses that a body can take without intersecting itself",
        found=f"{len(missing)} of {count} bodies that always intersect",
        remedy="check left and right in the library's poses, or use another library",
    )


def _draw_details(rng: np.random.Generator, crl_mm: float) -> dict[str, float]:
    """Draw the details of a fetus, see `Fetus.details`."""
    # Mean nuchal translucency by crown-rump length: the Fetal Medicine Foundation's polynomial.
    log_nt = -1.03 + 0.0314 * crl_mm - 2.20e-4 * crl_mm**2
    return {
        "nuchal_translucency_mm": float(10**log_nt * log_normal(rng, 0.2, 1)[0]),
        "finger_curl_deg": float(rng.uniform(10, 65)),
        "heart": float(rng.uniform(0.9, 1.1)),
        "stomach": float(rng.uniform(0.5, 1.2)),
        "bladder": float(rng.uniform(0.3, 1.3)),
    }
