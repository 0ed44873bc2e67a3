"""The layers of the mother between the probe and the uterus, and the neighbours of the uterus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetusmap.simulate.draws import unit_vectors
from fetusmap.types import FloatArray


@dataclass(frozen=True, eq=False)
class Mother:
    """Layers under the probe, with depth measured along the beams, and neighbours of the uterus.

    Attributes:
        skin_mm, fat_mm, muscle_mm: mean thicknesses.
        waves: (3, 6) amplitude (fraction of the thickness), two frequencies (per radian) and three
            phases of the undulation of each layer.
        bladder: (5,) lateral position, position along the sweep, and semi-axes, mm; None if it is
            empty.
        fascia: (F, 5) sheets in the wall: depth (fraction of the wall), strength, two frequencies,
            a phase.
        loops: (L, 5) bowel and other neighbours of the uterus: direction, radius, choice of medium.
        gas: (G, 4) directions and sizes of pockets of bowel gas around the uterus.
    """

    skin_mm: float
    fat_mm: float
    muscle_mm: float
    waves: FloatArray
    bladder: FloatArray | None
    fascia: FloatArray
    loops: FloatArray
    gas: FloatArray

    @property
    def wall_mm(self) -> float:
        """Return the thickness of skin, fat and muscle together."""
        return self.skin_mm + self.fat_mm + self.muscle_mm


def draw_mother(rng: np.random.Generator) -> Mother:
    """Draw the layers between probe and uterus, and the neighbours of the uterus."""
    waves = np.column_stack(
        [
            rng.uniform(0.05, 0.25, 3),
            rng.uniform(1.5, 7.0, (3, 2)),
            rng.uniform(0, 2 * np.pi, (3, 3)),
        ]
    )
    side = 1.0 if rng.random() < 0.5 else -1.0
    bladder = np.array([rng.uniform(-35, 35), side * rng.uniform(30, 60), *rng.uniform(9, 24, 3)])
    pockets = int(rng.integers(0, 7))
    sheets, loops = int(rng.integers(3, 12)), int(rng.integers(4, 14))
    gas = np.column_stack([unit_vectors(rng, pockets), rng.uniform(3, 9, pockets)])
    return Mother(
        skin_mm=float(rng.uniform(1.2, 2.5)),
        fat_mm=float(min(4.0 + rng.gamma(4.0, 3.0), 40.0)),
        muscle_mm=float(rng.uniform(4, 10)),
        waves=waves,
        bladder=bladder if rng.random() < 0.3 else None,
        fascia=np.column_stack(
            [
                rng.uniform(0.15, 0.97, sheets),
                rng.uniform(0.15, 1.0, sheets),
                rng.uniform(3, 14, (sheets, 2)),
                rng.uniform(0, 2 * np.pi, sheets),
            ]
        ),
        loops=np.column_stack(
            [unit_vectors(rng, loops), rng.uniform(5, 15, loops), rng.uniform(0, 1, loops)]
        ),
        gas=gas,
    )
