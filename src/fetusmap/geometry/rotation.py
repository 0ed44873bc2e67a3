"""Rotations of three-dimensional space: vectors, quaternions, Euler angles, random rotations.

All functions are batched over leading axes. Rotation matrices act on column vectors, angles are
radians unless the name says degrees, quaternions are (w, x, y, z) with unit norm.
"""

from __future__ import annotations

import numpy as np

from fetusmap.types import ArrayLike, FloatArray, RotationMatrix


def rotation_from_vector(vector: ArrayLike) -> RotationMatrix:
    """Convert rotation vectors (axis times angle) to (..., 3, 3) matrices: the exponential map.

    Rodrigues' formula; `sinc` keeps it exact near angle 0.
    """
    vector = np.asarray(vector, dtype=np.float64)
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    cross = cross_matrix(vector)
    sine_over_angle = np.sinc(angle / np.pi)
    versine_over_square = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return np.asarray(np.eye(3) + sine_over_angle * cross + versine_over_square * (cross @ cross))


def vector_from_rotation(rotation: ArrayLike) -> FloatArray:
    """Convert (..., 3, 3) matrices to (..., 3) rotation vectors with angles in [0, pi].

    This logarithm map uses the quaternion, which is well conditioned at angle 0 and at angle pi.
    """
    quaternion = quaternion_from_rotation(rotation)
    # A quaternion and its negative are the same rotation: use the one with the smaller angle.
    quaternion = np.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    sine = np.linalg.norm(quaternion[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quaternion[..., :1])
    small = sine < 1e-12
    factor = np.where(small, 2.0, angle / np.where(small, 1.0, sine))
    return np.asarray(quaternion[..., 1:] * factor)


def rotation_about(axis: ArrayLike, angle_rad: ArrayLike) -> RotationMatrix:
    """Return the rotations about (..., 3) axes (of any length but zero) by (...) angles."""
    axis = np.asarray(axis, dtype=np.float64)
    unit = axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    return rotation_from_vector(unit * np.asarray(angle_rad)[..., None])


def random_rotations(rng: np.random.Generator, count: int) -> RotationMatrix:
    """Draw (count, 3, 3) rotations that are uniformly distributed.

    A normalised 4D Gaussian is uniform on the sphere of quaternions (Shoemake 1992).
    """
    quaternions = rng.standard_normal((count, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    return rotation_from_quaternion(quaternions)


def rotation_from_quaternion(quaternion: ArrayLike) -> RotationMatrix:
    """Convert (..., 4) unit quaternions (w, x, y, z) to (..., 3, 3) matrices."""
    w, x, y, z = np.moveaxis(np.asarray(quaternion, dtype=np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def quaternion_from_rotation(rotation: ArrayLike) -> FloatArray:
    """Convert (..., 3, 3) matrices to (..., 4) unit quaternions (w, x, y, z) of either sign.

    The symmetric matrix 4 q q^T is read off the rotation (Shepperd 1978); its column with the
    largest diagonal entry is the best conditioned multiple of q.
    """
    r = np.asarray(rotation, dtype=np.float64)
    trace = np.trace(r, axis1=-2, axis2=-1)
    outer = np.empty((*r.shape[:-2], 4, 4))
    outer[..., 0, 0] = 1 + trace
    for a, (b, c) in enumerate([(1, 2), (2, 0), (0, 1)]):
        outer[..., a + 1, a + 1] = 1 + 2 * r[..., a, a] - trace
        outer[..., 0, a + 1] = outer[..., a + 1, 0] = r[..., c, b] - r[..., b, c]
        outer[..., b + 1, c + 1] = outer[..., c + 1, b + 1] = r[..., b, c] + r[..., c, b]
    largest = np.argmax(np.diagonal(outer, axis1=-2, axis2=-1), axis=-1)
    column = np.take_along_axis(outer, largest[..., None, None], axis=-1)[..., 0]
    return np.asarray(column / np.linalg.norm(column, axis=-1, keepdims=True))


def angle_between_rotations(first: ArrayLike, second: ArrayLike) -> FloatArray:
    """Return the (...) geodesic angles between (..., 3, 3) rotations, radians in [0, pi]."""
    first = np.asarray(first, dtype=np.float64)
    relative = np.swapaxes(first, -2, -1) @ np.asarray(second, dtype=np.float64)
    return np.asarray(np.linalg.norm(vector_from_rotation(relative), axis=-1))


def cross_matrix(vector: ArrayLike) -> FloatArray:
    """Return the (..., 3, 3) matrices whose product with u is the cross product `vector` x u."""
    vector = np.asarray(vector, dtype=np.float64)
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    matrix = np.zeros((*vector.shape, 3))
    matrix[..., 0, 1], matrix[..., 0, 2], matrix[..., 1, 2] = -z, y, -x
    matrix[..., 1, 0], matrix[..., 2, 0], matrix[..., 2, 1] = z, -y, x
    return matrix
