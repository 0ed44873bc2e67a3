"""Turn envelopes into grey levels as scanners do: log compression, filters, grey curve."""

from __future__ import annotations

import numpy as np

from fetusmap.simulate.scanner.scanner import Scanner
from fetusmap.types import Field
from fetusmap.volume.beams import row_blocks

CURVE_STEPS = 1024


def to_decibels(envelope: Field) -> Field:
    """Convert an envelope to decibels in place: 20 log10."""
    for block in row_blocks(len(envelope)):
        rows = envelope[block]
        np.maximum(rows, np.float32(1e-9), out=rows)
        np.log(rows, out=rows)
        rows *= np.float32(20 / np.log(10))
    return envelope


def to_grey(level_db: Field, scanner: Scanner) -> Field:
    """Convert levels in dB to grey levels from 0 to 255 (float) in place.

    An automatic gain sets white at a headroom above the brightest echoes of the volume; black lies
    the dynamic range below white.
    """
    bright = float(np.percentile(level_db[::5, ::3, ::3], 99.0))
    white = bright + scanner.headroom * scanner.dynamic_range_db
    scale = np.float32(1 / scanner.dynamic_range_db)
    shift = np.float32(1 - white / scanner.dynamic_range_db)
    for block in row_blocks(len(level_db)):
        rows = level_db[block]
        rows *= scale
        rows += shift
        np.clip(rows, 0, 1, out=rows)
    if scanner.smoothing > 0 or scanner.edge_enhancement > 0:
        _filter(level_db, scanner)
    curve = grey_curve(scanner)
    for block in row_blocks(len(level_db)):
        rows = level_db[block]
        np.clip(rows, 0, 1, out=rows)
        rows *= np.float32(CURVE_STEPS - 1)
        np.take(curve, rows.astype(np.int16), out=rows, mode="clip")
    return level_db


def grey_curve(scanner: Scanner) -> Field:
    """Return the (1024,) grey level of each compressed level: a power mixed with an S-curve."""
    level = np.linspace(0, 1, CURVE_STEPS) ** scanner.gamma
    sigmoid = level * level * (3 - 2 * level)
    mixed = (1 - scanner.contrast) * level + scanner.contrast * sigmoid
    return np.asarray(255 * mixed, dtype=np.float32)


def _filter(level: Field, scanner: Scanner) -> None:
    """Smooth across neighbouring beams and sharpen along them in place, as post-processing does."""
    smooth, sharp = np.float32(scanner.smoothing), np.float32(scanner.edge_enhancement)
    rows = len(level)
    before = level[0].copy()
    for n in range(rows):
        row = level[n]
        own = row.copy()
        after = level[min(n + 1, rows - 1)]
        # The difference from the mean (1/4, 1/2, 1/4) along the beam is an edge.
        edge = own - (np.float32(0.5) * own + np.float32(0.25) * (before + after))
        if scanner.smoothing > 0:
            mean = own * np.float32(0.5)
            mean[1:-1] += np.float32(0.25) * (own[:-2] + own[2:])
            mean[0] += np.float32(0.5) * own[0]
            mean[-1] += np.float32(0.5) * own[-1]
            row += smooth * (mean - own)
        row += sharp * edge
        before = own
