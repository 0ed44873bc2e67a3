"""`results.json`: all numbers of an experiment, from which its tables can be made again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fetusmap.anatomy import Skeleton
from fetusmap.evaluate import Comparison, Interval, Summary
from fetusmap.experiment.claims import Claim, ClaimResult
from fetusmap.experiment.profile import Profile
from fetusmap.experiment.results import Results
from fetusmap.experiment.rows import Row

_COUNTS = ("cases", "wrong_sides", "missed")
_PER_LANDMARK = ("landmark_mean_mm", "landmark_auc_percent")


def plain_from_results(results: Results, profile: Profile) -> dict[str, Any]:
    """Return all numbers, rounded to four digits, ready for JSON."""
    return {
        "profile": profile.model_dump(mode="json"),
        "differences": list(profile.differences),
        "unfinished": list(results.unfinished),
        "rows": {
            row.name: {"group": row.group, "about": row.about}
            | _rounded(asdict(results.summaries[row.name]))
            for row in results.rows
        },
        "claims": [_plain_claim(result) for result in results.claims],
    }


def results_from_plain(plain: Mapping[str, Any], skeleton: Skeleton) -> Results:
    """Return the results that a results file holds.

    Args:
        plain: what `plain_from_results` returned.
        skeleton: skeleton of the cohort.
    """
    return Results(
        skeleton=skeleton,
        rows=tuple(
            Row(name, entry["group"], about=entry["about"]) for name, entry in plain["rows"].items()
        ),
        summaries={name: _summary(entry) for name, entry in plain["rows"].items()},
        claims=tuple(_claim_result(entry) for entry in plain["claims"]),
        unfinished=tuple(plain["unfinished"]),
    )


def _plain_claim(result: ClaimResult) -> dict[str, Any]:
    return {
        "claim": result.claim.words,
        "better": result.claim.better,
        "worse": result.claim.worse,
        "mean_mm": _rounded(result.mean_mm.difference),
        "verdict_mm": result.verdict_mm,
        "auc_percent": _rounded(result.auc_percent.difference),
        "verdict_auc": result.verdict_auc,
        "p_value_mm": float(f"{result.mean_mm.p_value:.3g}"),
        "p_value_auc": float(f"{result.auc_percent.p_value:.3g}"),
        "published_mm": result.published_mm,
        "published_auc": result.published_auc,
    }


def _claim_result(entry: Mapping[str, Any]) -> ClaimResult:
    return ClaimResult(
        Claim(entry["claim"], entry["better"], entry["worse"]),
        Comparison(_interval(entry["mean_mm"]), entry["p_value_mm"]),
        Comparison(_interval(entry["auc_percent"]), entry["p_value_auc"]),
        entry["published_mm"],
        entry["published_auc"],
    )


def _summary(entry: Mapping[str, Any]) -> Summary:
    values: dict[str, Any] = {}
    for name in Summary.__dataclass_fields__:
        if name in _COUNTS:
            values[name] = entry[name]
        elif name in _PER_LANDMARK:
            values[name] = tuple(map(_number, entry[name]))
        elif name == "worst_case_mm":
            values[name] = _number(entry[name])
        else:
            values[name] = _interval(entry[name])
    return Summary(**values)


def _interval(ends: Sequence[float | None]) -> Interval:
    return Interval(*map(_number, ends))


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _rounded(value: Any) -> Any:
    """Round numbers, and replace what is not a number by null."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, (tuple, list, Interval)):
        return [_rounded(part) for part in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
