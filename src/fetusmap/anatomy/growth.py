"""Growth charts of the first trimester: age from length, length from age, centiles.

Each chart has its source and the range of values for which it was made; values outside this range
are refused. Ages are days since the last menstrual period. Nothing here is a medical device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from scipy.special import ndtr

from fetusmap.errors import BadInput, OutOfRange

NORMAL_95 = 1.96
"""Half width of the central 95 % of a normal distribution, standard deviations."""

DatingChart = Literal["robinson-fleming", "intergrowth-21st"]
ChartT = TypeVar("ChartT")


@dataclass(frozen=True)
class GestationalAge:
    """A gestational age with its standard deviation, days."""

    days: float
    sd_days: float

    @property
    def weeks(self) -> float:
        """Age in weeks."""
        return self.days / 7

    def __str__(self) -> str:
        """Return completed weeks + days, such as "12+3"."""
        return weeks_and_days(self.days)


@dataclass(frozen=True)
class GestationalAgeInterval:
    """A gestational age with its 95 % interval, days, and both parts of the interval.

    Attributes:
        days: the age; NaN if it is not known.
        from_length_days: half width that follows from the interval of the length.
        biological_days: half width that follows from the spread of ages among fetuses of the same
            length.
    """

    days: float
    from_length_days: float
    biological_days: float

    @property
    def half_width_days(self) -> float:
        """Half width of the interval: both parts are independent and are added in squares."""
        return float(np.hypot(self.from_length_days, self.biological_days))

    @property
    def low_days(self) -> float:
        """Lower end of the interval."""
        return self.days - self.half_width_days

    @property
    def high_days(self) -> float:
        """Upper end of the interval."""
        return self.days + self.half_width_days

    def __str__(self) -> str:
        """Return weeks + days with the interval, such as "12+3 (11+5 to 13+1)"."""
        if np.isnan(self.days):
            return "absent"
        ends = (weeks_and_days(days) for days in (self.low_days, self.high_days))
        known = not np.isnan(self.half_width_days)
        return weeks_and_days(self.days) + (f" ({' to '.join(ends)})" if known else "")


@dataclass(frozen=True)
class Dating:
    """A chart that converts a crown-rump length to a gestational age."""

    source: str
    crl_mm: tuple[float, float]
    days: Callable[[float], float]
    sd_days: Callable[[float], float]


@dataclass(frozen=True)
class GrowthChart:
    """A chart of a normally distributed size: mean and standard deviation at each age."""

    quantity: str
    source: str
    days: tuple[float, float]
    mean_mm: Callable[[float], float]
    sd_mm: Callable[[float], float]


DATING: dict[str, Dating] = {
    "robinson-fleming": Dating(
        source=(
            "Robinson HP, Fleming JEE. A critical evaluation of sonar crown-rump length "
            "measurements. BJOG 1975;82:702-710; range as recommended by Loughna P et al., "
            "Ultrasound 2009;17:161-167"
        ),
        crl_mm=(5.0, 84.0),
        days=lambda crl: 8.052 * np.sqrt(1.037 * crl) + 23.73,
        # The authors give 4.7 days as the 95 % limit of a single measurement.
        sd_days=lambda _: 4.7 / NORMAL_95,
    ),
    "intergrowth-21st": Dating(
        source="Papageorghiou AT et al. Ultrasound Obstet Gynecol 2014;44:641-648",
        crl_mm=(15.0, 95.0),
        days=lambda crl: 40.9041 + 3.21585 * np.sqrt(crl) + 0.348956 * crl,
        sd_days=lambda crl: 2.39102 + 0.0193474 * crl,
    ),
}

CHARTS: dict[str, GrowthChart] = {
    "crown_rump_length": GrowthChart(
        quantity="crown-rump length",
        source="Papageorghiou AT et al. Ultrasound Obstet Gynecol 2014;44:641-648",
        days=(58.0, 105.0),
        mean_mm=lambda d: -50.6562 + 0.815118 * d + 0.00535302 * d**2,
        sd_mm=lambda d: -2.21626 + 0.0984894 * d,
    ),
    "femur_shaft": GrowthChart(
        quantity="length of the ossified femur shaft (not the distance hip to knee)",
        source="Papageorghiou AT et al. Lancet 2014;384:869-879",
        days=(98.0, 280.0),
        mean_mm=lambda d: -39.9616 + 4.32298 * (d / 7) - 0.0380156 * (d / 7) ** 2,
        sd_mm=lambda d: np.exp(0.605843 - 42.0014 / (d / 7) ** 2 + 0.00000917972 * (d / 7) ** 3),
    ),
}


def gestational_age(
    crl_mm: float, chart: DatingChart = "robinson-fleming", *, crl_sd_mm: float = 0.0
) -> GestationalAge:
    """Compute the gestational age from a crown-rump length.

    Args:
        crl_mm: crown-rump length.
        chart: name of the chart.
        crl_sd_mm: standard deviation of the length; it is propagated to the age to first order.

    Raises:
        OutOfRange: the length is outside the range of the chart.
        BadInput: there is no such chart.
    """
    dating = _lookup(DATING, chart)
    _check_range("crown-rump length", crl_mm, dating.crl_mm, "mm", chart)
    sd_days = np.hypot(dating.sd_days(crl_mm), _days_per_mm(dating, crl_mm) * crl_sd_mm)
    return GestationalAge(float(dating.days(crl_mm)), float(sd_days))


def gestational_age_interval(
    crl_mm: float, half_width_mm: float, chart: DatingChart = "intergrowth-21st"
) -> GestationalAgeInterval:
    """Compute the gestational age with its 95 % interval from a crown-rump length with its own.

    The default chart is INTERGROWTH-21st, because its standard deviation is that of the ages of
    fetuses of the same length. Robinson and Fleming state how well a repeated measurement agrees.

    Args:
        crl_mm: crown-rump length.
        half_width_mm: half width of its 95 % interval; NaN if it is not known, and then the
            interval of the age is not known either.
        chart: name of the chart.

    Returns:
        The age and its interval; all NaN if the length is NaN or outside the range of the chart.

    Raises:
        BadInput: there is no such chart.
    """
    dating = _lookup(DATING, chart)
    try:
        age = gestational_age(crl_mm, chart)
    except OutOfRange:
        return GestationalAgeInterval(*(float("nan"),) * 3)
    from_length = _days_per_mm(dating, crl_mm) * half_width_mm
    return GestationalAgeInterval(age.days, from_length, NORMAL_95 * age.sd_days)


def crown_rump_length_at(days: float, chart: DatingChart = "robinson-fleming") -> float:
    """Return the mean crown-rump length, mm, at a gestational age.

    Robinson and Fleming published one curve, so their length is the inverse of their dating.
    INTERGROWTH-21st fitted length on age separately.

    Raises:
        OutOfRange: the age is outside the range of the chart.
        BadInput: there is no such chart.
    """
    dating = _lookup(DATING, chart)
    if chart == "intergrowth-21st":
        growth = CHARTS["crown_rump_length"]
        _check_range("gestational age", days, growth.days, "days", chart)
        return float(growth.mean_mm(days))
    low, high = (float(dating.days(crl)) for crl in dating.crl_mm)
    _check_range("gestational age", days, (low, high), "days", chart)
    return float(((days - 23.73) / 8.052) ** 2 / 1.037)


def centile(quantity: str, length_mm: float, days: float) -> float:
    """Return the centile, 0 to 100, of a measured length at a gestational age.

    Args:
        quantity: a key of CHARTS, such as "crown_rump_length". Joint-to-joint distances have no
            chart, because charts are made of clinical bone lengths.
        length_mm: the measurement.
        days: gestational age in days.

    Raises:
        OutOfRange: the age is outside the range of the chart, or the length is not positive.
        BadInput: there is no chart for this quantity.
    """
    chart = _lookup(CHARTS, quantity)
    _check_range("gestational age", days, chart.days, "days", quantity)
    _check_range(chart.quantity, length_mm, (0.1, 1000.0), "mm", quantity)
    return float(100 * ndtr((length_mm - chart.mean_mm(days)) / chart.sd_mm(days)))


def weeks_and_days(days: float) -> str:
    """Return an age as completed weeks + days, such as "12+3"."""
    return f"{int(days) // 7}+{int(days) % 7}"


def _days_per_mm(dating: Dating, crl_mm: float) -> float:
    """Return the slope of a chart."""
    step = 1e-3
    return float((dating.days(crl_mm + step) - dating.days(crl_mm - step)) / (2 * step))


def _lookup(charts: dict[str, ChartT], name: str) -> ChartT:
    try:
        return charts[name]
    except KeyError:
        raise BadInput(
            f"chart {name!r}",
            expected=f"one of {', '.join(charts)}",
            found="a quantity without a chart",
            remedy="measure what the chart measures; joint-to-joint distances have none",
        ) from None


def _check_range(
    what: str, value: float, limits: tuple[float, float], unit: str, chart: str
) -> None:
    low, high = limits
    if not low <= value <= high:
        raise OutOfRange(
            what,
            expected=f"{low:.4g} to {high:.4g} {unit}, the range of {chart}",
            found=f"{value:.6g} {unit}",
            remedy="use a chart that was made for this range",
        )
