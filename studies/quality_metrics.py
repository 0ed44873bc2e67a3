"""How well probabilities separate right from wrong, and how often they come true."""

from __future__ import annotations

import numpy as np

BINS = 10
"""Bins of equal width in which probabilities are compared with frequencies."""


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive case has the higher score; ties are halves."""
    positive = positive.astype(bool)
    high, low = scores[positive], scores[~positive]
    if not len(high) or not len(low):
        return float("nan")
    low = np.sort(low)
    below = np.searchsorted(low, high, side="left") + np.searchsorted(low, high, side="right")
    return float(below.mean() / 2 / len(low))


def calibration_error(probabilities: np.ndarray, happened: np.ndarray) -> float:
    """Expected calibration error over ten bins of equal width (Naeini et al., AAAI 2015)."""
    if not len(probabilities):
        return float("nan")
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, probabilities - happened, BINS)
    return float(np.abs(gaps).sum() / len(probabilities))


def reliability(probabilities: np.ndarray, happened: np.ndarray) -> list[dict[str, float]]:
    """Compare probabilities with frequencies in ten bins of equal width, without empty bins."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    return [
        {
            "predicted": round(float(probabilities[bins == b].mean()), 4),
            "observed": round(float(happened[bins == b].mean()), 4),
            "count": int((bins == b).sum()),
        }
        for b in np.unique(bins)
    ]
