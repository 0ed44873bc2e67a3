"""Skull and brain in the label map of a head alone."""

from types import SimpleNamespace

import numpy as np
import pytest

from fetusmap.simulate import Medium
from fetusmap.simulate.body.shapes import Ellipsoid
from fetusmap.simulate.scanner.fields import Placement
from fetusmap.simulate.scanner.head import paint_head
from fetusmap.volume.beams import BeamLattice

CRL_MM = 60.0
SEMI = np.array([10.5, 13.2, 12.6])
BRAIN = (
    Medium.BRAIN, Medium.VENTRICLE, Medium.CHOROID_PLEXUS, Medium.THALAMUS, Medium.CEREBELLUM
)  # fmt: skip


@pytest.fixture(scope="module")
def lattice():
    """Side by side from far away: nearly a grid of 0.4 mm around (0, 30, 0)."""
    across = np.arange(-16, 16, 0.4) / 2030
    return BeamLattice(2000.0, 2000.0, np.arange(14.0, 46.0, 0.4), across, across)


def painted(lattice, ossification=1.0, axes=None, brain=(1.0, 1.0, 1.0)):
    label = np.zeros(lattice.shape, np.uint8)
    specular = np.zeros(lattice.shape, np.float32)
    head = Ellipsoid(np.array([0.0, 30.0, 0.0]), np.eye(3) if axes is None else axes, SEMI)
    body = SimpleNamespace(crl_mm=CRL_MM, ossification=ossification, brain=brain)
    placement = Placement(lattice, np.zeros((lattice.shape[2], 3), np.float32))
    paint_head(label, specular, placement, head, body)
    x, y, z = np.broadcast_arrays(*lattice.positions((slice(None),) * 3))
    local = np.stack(np.broadcast_arrays(*head.local(x, y, z)), axis=-1)
    return label, specular, local


@pytest.fixture(scope="module")
def head(lattice):
    return painted(lattice)


def test_nothing_is_painted_outside_the_skull(head):
    label, specular, local = head
    outside = ((local / SEMI) ** 2).sum(axis=-1) > 1.01
    assert (label[outside] == 0).all()
    assert (specular[outside] == 0).all()


def test_the_brain_fills_the_vault_and_not_the_face(head):
    label, _, local = head
    brain = np.isin(label, BRAIN)
    vault = 0.4**3 * brain.sum() / (4 / 3 * np.pi * SEMI.prod())
    assert 0.5 < vault < 0.9
    face = (local[..., 1] > 0.5 * SEMI[1]) & (local[..., 2] < -0.4 * SEMI[2])
    assert not brain[face].any()
    occiput = (np.linalg.norm(local - [0, -0.7 * SEMI[1], 0.1 * SEMI[2]], axis=-1)) < 1.5
    assert brain[occiput].all()


def test_the_skull_is_a_shell_of_the_vault(head):
    label, _, local = head
    bone = label == Medium.SKULL
    depth = (1 - np.sqrt(((local / SEMI) ** 2).sum(axis=-1))) * SEMI.min()
    assert bone.sum() > 1000
    assert depth[bone].max() < 1.5
    assert not bone[local[..., 2] < -0.81 * SEMI[2]].any()


def test_left_and_right_are_alike(head):
    label, specular, local = head
    for where in (*(label == medium for medium in (*BRAIN, Medium.SKULL)), specular > 0):
        here = local[where][:, 0]
        left, right = (here < -1e-3).sum(), (here > 1e-3).sum()
        assert left == pytest.approx(right, rel=0.02)
        assert left > 50


def test_ventricles_lie_to_both_sides_and_hold_their_plexus(head):
    label, _, local = head
    plexus = local[label == Medium.CHOROID_PLEXUS]
    assert np.abs(plexus[:, 0]).min() > 0.5
    lateral = local[(label == Medium.VENTRICLE) & (np.abs(local[..., 0]) > 0.2 * SEMI[0])]
    np.testing.assert_allclose(
        np.abs(plexus[:, 0]).mean(), np.abs(lateral[:, 0]).mean(), atol=0.15 * SEMI[0]
    )


def middle_and_ml(label, local, medium, side=0):
    """Middle of a medium in semi-axes of the skull, and its volume; of the right side if 1."""
    where = label == medium
    if side:
        where &= local[..., 0] * side > 0
    return (local[where] / SEMI).mean(axis=0), 0.4**3 * where.sum() / 1000


def test_thalami_and_cerebellum_lie_where_they_belong(head):
    """Thalami to both sides of the middle of the head; cerebellum behind and below them."""
    label, _, local = head
    for side in (-1, 1):
        thalamus, thalamus_ml = middle_and_ml(label, local, Medium.THALAMUS, side)
        np.testing.assert_allclose(thalamus, [0.20 * side, 0.0, -0.16], atol=0.03)
        ellipsoid_ml = 4 / 3 * np.pi * 0.19 * 0.28 * 0.20 * SEMI.prod() / 1000
        assert thalamus_ml == pytest.approx(ellipsoid_ml, rel=0.15)
        cerebellum, cerebellum_ml = middle_and_ml(label, local, Medium.CEREBELLUM, side)
        assert cerebellum[1] < thalamus[1] - 0.4
        assert cerebellum[2] < thalamus[2] - 0.1
        assert 0.3 * thalamus_ml < cerebellum_ml < thalamus_ml


def test_fluid_lies_between_the_thalami_and_around_the_cerebellum(head):
    """The third ventricle is a slit in the midline; the large cistern is behind all else."""
    label, _, local = head
    fluid = label == Medium.VENTRICLE
    slit = (np.abs(local / SEMI - [0, 0.02, -0.14]) < [0.02, 0.1, 0.08]).all(axis=-1)
    assert slit.sum() > 10
    assert fluid[slit].all()
    behind = (np.abs(local / SEMI - [0, -0.74, -0.45]) < [0.1, 0.03, 0.05]).all(axis=-1)
    assert behind.sum() > 10
    assert fluid[behind].mean() > 0.9


def test_parts_of_the_brain_have_the_drawn_sizes(lattice, head):
    """Each size changes its own part; the volume follows the cube of it."""
    larger = painted(lattice, brain=(1.2, 1.1, 1.25))
    for medium, size, tolerance in (
        (Medium.CHOROID_PLEXUS, 1.2, 0.15), (Medium.THALAMUS, 1.1, 0.1),
        (Medium.CEREBELLUM, 1.25, 0.25),
    ):  # fmt: skip
        usual, large = ((painting[0] == medium).sum() for painting in (head, larger))
        assert large / usual == pytest.approx(size**3, rel=tolerance), medium


def test_young_skulls_have_wider_gaps(lattice, head):
    def gaps(label):
        return (label == Medium.CARTILAGE).sum() / np.isin(
            label, (Medium.CARTILAGE, Medium.SKULL)
        ).sum()

    soft, _, _ = painted(lattice, ossification=0.35)
    assert 0 < gaps(head[0]) < gaps(soft) < 0.6


def test_bone_shines_where_it_faces_the_beam_and_more_when_it_is_harder(lattice, head):
    label, specular, local = head
    bone = label == Medium.SKULL
    # The beams run along y, the head's own axis from nape to face.
    facing = bone & (np.abs(local[..., 1]) > 0.85 * SEMI[1])
    grazing = bone & (np.abs(local[..., 1]) < 0.15 * SEMI[1])
    assert specular[facing].mean() > 3 * specular[grazing].mean()
    _, softer, _ = painted(lattice, ossification=0.5)
    np.testing.assert_allclose(softer[facing].mean() / specular[facing].mean(), 0.5, rtol=0.2)


def test_the_falx_shines_when_its_sheet_lies_across_the_beam(lattice, head):
    """Its normal is the head's x axis; turned into the beam it is bright."""
    turned = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]).T

    def shine(painting):
        label, specular, local = painting
        sheet = (np.abs(local[..., 0]) < 0.3) & np.isin(label, BRAIN) & (local[..., 2] > 0)
        return specular[sheet].mean()

    assert shine(painted(lattice, axes=turned)) > 4 * shine(head)


def test_a_head_out_of_the_field_is_left_out(lattice):
    label = np.zeros(lattice.shape, np.uint8)
    specular = np.zeros(lattice.shape, np.float32)
    far = Ellipsoid(np.array([0.0, 300.0, 0.0]), np.eye(3), SEMI)
    body = SimpleNamespace(crl_mm=CRL_MM, ossification=1.0, brain=(1.0, 1.0, 1.0))
    placement = Placement(lattice, np.zeros((lattice.shape[2], 3), np.float32))
    paint_head(label, specular, placement, far, body)
    assert not label.any()
    assert not specular.any()
