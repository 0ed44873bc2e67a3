"""The face: everything on its side of the skull, and as large as it was drawn."""

from dataclasses import replace

import numpy as np
import pytest

from fetusmap.simulate import Medium
from fetusmap.simulate.body.body import skull_surface
from fetusmap.simulate.body.face import face_outline, face_parts, small_face
from fetusmap.simulate.body.fetus import draw_fetus
from fetusmap.simulate.body.shapes import Ellipsoid


@pytest.fixture(scope="module")
def fetuses():
    return [draw_fetus(np.random.default_rng(seed)) for seed in range(12)]


def in_head(fetus, shape):
    """The middle of a solid from the middle of the skull: right, ventral, cranial, in CRL."""
    skull = skull_surface(fetus)
    return skull.axes.T @ (shape.balls()[0].mean(axis=0) - skull.center) / fetus.crl_mm


def parts_of(fetus, medium):
    parts = face_parts(fetus, skull_surface(fetus))
    return [in_head(fetus, part.shape) for part in parts if part.medium is medium]


def test_eyes_look_forward_and_are_mirror_images(fetuses):
    for fetus in fetuses:
        for medium in (Medium.EYE, Medium.LENS):
            left, right = sorted(parts_of(fetus, medium), key=lambda place: place[0])
            np.testing.assert_allclose(left, right * [-1, 1, 1], atol=1e-9)
        for eye, lens in zip(
            parts_of(fetus, Medium.EYE), parts_of(fetus, Medium.LENS), strict=True
        ):
            assert lens[1] > eye[1]
            assert abs(lens[0] - eye[0]) < 0.005


def test_nose_mouth_and_chin_follow_each_other_from_top_to_bottom(fetuses):
    for fetus in fetuses:
        skull = skull_surface(fetus)
        own = [shape for shape in small_face(fetus, skull) if not isinstance(shape, Ellipsoid)]
        ends = np.concatenate([(s.balls()[0] - skull.center) @ skull.axes for s in own])
        radii = np.concatenate([s.balls()[1] for s in own])
        # The tip of the nose reaches farther to the front than anything else of the face.
        foremost = int((ends[:, 1] + radii).argmax())
        assert abs(ends[foremost, 0]) < 1e-9
        (upper, lower) = (in_head(fetus, shape) for shape in face_outline(fetus, skull)[:2])
        mouth = max(parts_of(fetus, Medium.MOUTH), key=lambda place: -place[2])
        assert ends[foremost, 2] / fetus.crl_mm > mouth[2] > lower[2]
        assert upper[2] > lower[2]


def test_ears_lie_on_both_sides_of_the_skull(fetuses):
    for fetus in fetuses:
        skull = skull_surface(fetus)
        ears = [shape for shape in small_face(fetus, skull) if isinstance(shape, Ellipsoid)]
        places = sorted((in_head(fetus, ear) for ear in ears), key=lambda place: place[0])
        assert len(places) == 2
        np.testing.assert_allclose(places[0], places[1] * [-1, 1, 1], atol=1e-9)
        half_width = skull.semi_axes[0] / fetus.crl_mm
        assert places[1][0] == pytest.approx(half_width, rel=0.05)


@pytest.mark.parametrize(("measure", "kind"), [("eyes", Medium.EYE), ("eyes", Medium.LENS)])
def test_eyes_are_as_large_as_drawn(fetuses, measure, kind):
    fetus = fetuses[0]
    larger = replace(fetus, measures={**fetus.measures, measure: 1.5 * fetus.measures[measure]})
    radii = [
        [part.shape.start_radius for part in face_parts(one, skull_surface(one))
         if part.medium is kind]
        for one in (fetus, larger)
    ]  # fmt: skip
    np.testing.assert_allclose(radii[1], 1.5 * np.array(radii[0]))
