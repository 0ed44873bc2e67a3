"""Draw the shape of the amniotic sac around a body."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull

from fetusmap.geometry import random_rotations
from fetusmap.simulate.body.body import Body
from fetusmap.simulate.body.shapes import Ellipsoid
from fetusmap.types import Points3


def draw_sac_around(rng: np.random.Generator, body: Body, volume_mm3: float) -> Ellipsoid:
    """Draw an ellipsoid of a given volume that contains the body.

    It is a mixture of the smallest ellipsoid around the body and one of random shape and direction,
    because a sac does not copy the shape of the body. If the body needs more space than the given
    volume, the sac becomes larger.
    """
    shapes = (*body.outline, *body.limbs)
    points = np.concatenate([shape.surface_points() for shape in shapes])
    tight = smallest_ellipsoid(points)
    ratios, turn = rng.uniform(0.75, 1.3, 3), random_rotations(rng, 1)[0]
    part, slack, aside = rng.uniform(0, 1), rng.uniform(1.03, 1.15), rng.uniform(-0.6, 0.6, 3)
    own = (tight.axes * tight.semi_axes**2) @ tight.axes.T
    size = tight.semi_axes.prod() ** (1 / 3)
    other = (turn * (size * ratios) ** 2) @ turn.T
    target = volume_mm3 / (4 / 3 * np.pi)
    for _ in range(6):
        squares, axes = np.linalg.eigh((1 - part) * own + part * other)
        away = ((points - tight.center) @ axes) ** 2 / squares
        semi = np.sqrt(squares * away.sum(axis=1).max()) * slack ** (1 / 3)
        if semi.prod() <= target:
            break
        part /= 2  # a shape closer to the body's own needs less volume
    axes[:, 0] *= np.sign(np.linalg.det(axes))
    # The real root t of (a + t)(b + t)(c + t) = target enlarges all semi-axes to the volume.
    roots = np.roots(np.poly(-semi) - np.array([0, 0, 0, max(target, semi.prod())]))
    margin = max(0.0, float(roots[np.abs(roots.imag) < 1e-6].real.max()))
    return Ellipsoid(tight.center + axes @ aside * margin, axes, semi + margin)


def smallest_ellipsoid(points_mm: Points3, tolerance: float = 0.01) -> Ellipsoid:
    """Return the ellipsoid of least volume around (N, 3) points, to a relative tolerance.

    Khachiyan's algorithm with the step of Kumar and Yildirim (2005): the weight of the outermost
    point is increased until all points lie inside.
    """
    # Only corners of the convex hull can touch the ellipsoid.
    points_mm = points_mm[ConvexHull(points_mm).vertices]
    count, dimension = points_mm.shape
    lifted = np.concatenate([points_mm, np.ones((count, 1))], axis=1)
    weights = np.full(count, 1 / count)
    for _ in range(1000):
        inverse = np.linalg.inv(lifted.T @ (lifted * weights[:, None]))
        far = ((lifted @ inverse) * lifted).sum(axis=1)
        outermost = int(far.argmax())
        excess = far[outermost] - dimension - 1
        if excess < tolerance * (dimension + 1):
            break
        step = excess / ((dimension + 1) * (far[outermost] - 1))
        weights *= 1 - step
        weights[outermost] += step
    center = weights @ points_mm
    spread = (points_mm - center).T @ ((points_mm - center) * weights[:, None]) * dimension
    squares, axes = np.linalg.eigh(spread)
    axes[:, 0] *= np.sign(np.linalg.det(axes))
    return Ellipsoid(center, axes, np.sqrt(squares))
