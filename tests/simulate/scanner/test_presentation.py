"""How the fetus lies to the probe, and which flips of a volume keep that."""

from itertools import product

import numpy as np
import pytest

from fetusmap.errors import BadInput
from fetusmap.simulate.scanner.presentation import (
    FACE_UP_PART,
    MAX_ROLL_DEG,
    MAX_TILT_DEG,
    STANDARD,
    Presentation,
    draw_rotation,
)
from fetusmap.train.stages import SYMMETRIES

RIGHT, VENTRAL, CRANIAL = range(3)  # axes of the body
LATERAL, DEPTH, SWEEP = range(3)  # axes of the probe


def rotations(presentation, count=400, seed=0):
    rng = np.random.default_rng(seed)
    return np.array([draw_rotation(rng, presentation) for _ in range(count)])


def kinds(turns):
    """Head at high lateral positions, face at high depths: two booleans for each rotation."""
    return np.stack([turns[:, LATERAL, CRANIAL] > 0, turns[:, DEPTH, VENTRAL] > 0], axis=1)


def test_the_standard_presentation_by_hand():
    np.testing.assert_array_equal(STANDARD @ [0, 0, 1], [-1, 0, 0])  # the head at low lateral
    np.testing.assert_array_equal(STANDARD @ [0, 1, 0], [0, -1, 0])  # the face to the probe
    np.testing.assert_array_equal(STANDARD @ [1, 0, 0], [0, 0, -1])  # the right side at low sweep
    assert np.linalg.det(STANDARD) == 1


@pytest.mark.parametrize("name", ["any", "clinical", "standard"])
def test_rotations_never_mirror(name):
    turns = rotations(Presentation(name), 50)
    errors = turns @ turns.transpose(0, 2, 1) - np.eye(3)
    assert np.abs(errors).max() < 1e-12
    np.testing.assert_allclose(np.linalg.det(turns), 1)


def test_the_median_plane_is_the_central_plane_of_the_sweep():
    """The left-right axis lies along the sweep, up to tilt and roll."""
    turns = rotations(Presentation("clinical"))
    away = np.degrees(np.arccos(np.abs(turns[:, SWEEP, RIGHT])))
    assert away.max() <= MAX_TILT_DEG + MAX_ROLL_DEG
    assert away.max() > MAX_ROLL_DEG  # both take part
    across = np.degrees(np.arcsin(np.abs(turns[:, DEPTH, CRANIAL])))
    assert MAX_TILT_DEG * 0.9 < across.max() <= MAX_TILT_DEG + 1e-9


def test_heads_lie_on_both_sides_and_most_faces_look_up():
    found = kinds(rotations(Presentation("clinical"), 2000))
    assert found[:, 0].mean() == pytest.approx(0.5, abs=0.04)
    assert 1 - found[:, 1].mean() == pytest.approx(FACE_UP_PART, abs=0.04)


def test_the_standard_part_is_the_fraction_of_standard_ones():
    standard = kinds(STANDARD[None])[0]
    assert (kinds(rotations(Presentation("standard"))) == standard).all()
    mixed = (kinds(rotations(Presentation("clinical", 0.8), 2000)) == standard).all(axis=1)
    assert mixed.mean() == pytest.approx(0.8 + 0.2 * 0.5 * FACE_UP_PART, abs=0.03)


@pytest.mark.parametrize("signs", list(product([1, -1], repeat=3)))
def test_flips_keep_the_clinical_presentations_and_the_sagittal_one_each_of_them(signs):
    """A flip of the volume with an odd number of axes mirrors the body.

    A mirrored body is a body whose left and right are exchanged, so its right axis changes sign.
    """
    flip = np.diag(signs).astype(float)
    mirrored = np.linalg.det(flip) < 0
    turns = rotations(Presentation("clinical"), 100)
    shown = flip @ turns @ np.diag([-1.0 if mirrored else 1.0, 1, 1])
    np.testing.assert_allclose(np.linalg.det(shown), 1)
    away = np.degrees(np.arccos(np.abs(shown[:, SWEEP, RIGHT])))
    assert away.max() <= MAX_TILT_DEG + MAX_ROLL_DEG  # one of the four clinical ones, as before
    keeps_each = (kinds(shown) == kinds(turns)).all()
    flipped = tuple(axis for axis in range(3) if signs[axis] < 0)
    assert keeps_each == (set(flipped) <= set(SYMMETRIES["sagittal-flip"][1]))


def test_right_angles_do_not_keep_the_clinical_presentations():
    """Exchanging depth and sweep lays the fetus on its side, which the sonographer avoids."""
    turns = rotations(Presentation("clinical"), 100)
    shown = np.eye(3)[[LATERAL, SWEEP, DEPTH]] @ turns
    assert np.degrees(np.arccos(np.abs(shown[:, SWEEP, RIGHT]))).min() > 45


@pytest.mark.parametrize(
    ("name", "part"), [("breech", 0.0), ("any", 0.5), ("clinical", 1.2), ("clinical", np.nan)]
)
def test_other_presentations_are_refused(name, part):
    with pytest.raises(BadInput, match="presentation"):
        Presentation(name, part)
