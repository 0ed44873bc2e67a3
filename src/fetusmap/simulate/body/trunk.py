"""The axis of the trunk: two arcs from sacrum over spine to neck, with a frame at each point."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.interpolate import pchip_interpolate

from fetusmap.geometry import rotation_from_vector
from fetusmap.simulate.body.fetus import Fetus
from fetusmap.simulate.tables import table
from fetusmap.types import FloatArray, RotationMatrix


@dataclass(frozen=True, eq=False)
class Trunk:
    """Vertebral column and radius of the trunk; t runs from 0 (sacrum) to 1 (neck).

    Attributes:
        fetus: gives posture, angles and lengths.
        girth_mm: largest radius of the trunk.
    """

    fetus: Fetus
    girth_mm: float
    _known: dict[float, tuple[FloatArray, RotationMatrix]] = field(default_factory=dict, repr=False)

    def radius(self, t: float) -> float:
        """Return the radius of the trunk at t, mm, of a circle with its circumference."""
        where, radii = self._profile
        return float(np.interp(t, where, radii))

    @cached_property
    def _profile(self) -> tuple[FloatArray, FloatArray]:
        """Places t and radii there, mm: buttocks, belly, chest, base of the neck."""
        measures, crl = self.fetus.measures, self.fetus.crl_mm
        knots = []
        for knot in table("body/measures")["trunk"]:
            varied = 1 + knot["share"] * (measures[knot["with"]] - 1) if "with" in knot else 1.0
            radius = knot.get("of_girth", 0.0) * self.girth_mm + knot.get("of_crl", 0.0) * crl
            knots.append((knot["at"], varied * radius))
        at, radii = zip(*knots, strict=True)
        where = np.linspace(at[0], at[-1], 113)
        return where, np.asarray(pchip_interpolate(at, radii, where))

    def section(self, t: float) -> tuple[float, float]:
        """Return the cross-section at t as two circles, side by side: radius and half distance.

        The hull of both has the circumference of `radius` and the ratio of width to depth of the
        fetus.
        """
        wider = max(self.fetus.measures["trunk_width"] - 1, 0.0)
        depth = self.radius(t) / (1 + 2 * wider / np.pi)
        return depth, wider * depth

    def frame(self, t: float) -> RotationMatrix:
        """Return the (3, 3) frame at t with the columns right, ventral, cranial."""
        return self._arc(t)[1]

    def at(self, t: float, right: float = 0.0, ventral: float = 0.0) -> FloatArray:
        """Return the (3,) point of the column at t, shifted to the right and to ventral, mm."""
        point, frame = self._arc(t)
        return np.asarray(point + frame[:, 0] * right + frame[:, 1] * ventral)

    def middle(self, t: float, right: float = 0.0, ventral: float = 0.0) -> FloatArray:
        """Return a (3,) point relative to the middle of the trunk, which is ventral of the column.

        Offsets are fractions of the radius at t.
        """
        radius = self.radius(t)
        return self.at(t, right * radius, (self.fetus.measures["column_depth"] + ventral) * radius)

    def _arc(self, t: float) -> tuple[FloatArray, RotationMatrix]:
        """Return point and frame at t; results are cached, because the same few t recur."""
        if t not in self._known:
            self._known[t] = self._compute_arc(t)
        return self._known[t]

    def _compute_arc(self, t: float) -> tuple[FloatArray, RotationMatrix]:
        """Compute point and frame at t, on the lumbar or on the thoracic arc."""
        posture, angles, measures = self.fetus.posture, self.fetus.angles_deg, self.fetus.measures
        lower, upper, share = (
            measures[name] for name in ("sacrum_spine", "spine_neck", "lumbar_part")
        )
        bend = np.radians(
            [-angles["spine_flexion"], angles["spine_lateral"], angles["spine_twist"]]
        )
        split = lower / (lower + upper)
        if t <= split:
            start, first = posture["sacrum"][0], posture.frames["sacrum"][0]
            length, bend, part = lower, share * bend, t / split
        else:
            start, first = posture["spine"][0], posture.frames["waist"][0]
            length, bend, part = upper, (1 - share) * bend, (t - split) / (1 - split)
        angle = float(np.linalg.norm(bend))
        # Chord of a part of the arc over the chord of the whole arc.
        chord = np.sin(angle * part / 2) / np.sin(angle / 2) if angle > 1e-9 else part
        along = first @ rotation_from_vector(bend * part / 2)
        return start + along[:, 2] * (length * chord), first @ rotation_from_vector(bend * part)
