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
BRAIN = (Medium.BRAIN, Medium.VENTRICLE, Medium.CHOROID_PLEXUS)


@pytest.fixture(scope="module")
def lattice():
    """Side by side from far away: nearly a grid of 0.4 mm around (0, 30, 0)."""
    across = np.arange(-16, 16, 0.4) / 2030
    return BeamLattice(2000.0, 2000.0, np.arange(14.0, 46.0, 0.4), across, across)


def painted(lattice, ossification=1.0, axes=None):
    label = np.zeros(lattice.shape, np.uint8)
    specular = np.zeros(lattice.shape, np.float32)
    head = Ellipsoid(np.array([0.0, 30.0, 0.0]), np.eye(3) if axes is None else axes, SEMI)
    body = SimpleNamespace(crl_mm=CRL_MM, ossification=ossification)
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
    body = SimpleNamespace(crl_mm=CRL_MM, ossification=1.0)
    placement = Placement(lattice, np.zeros((lattice.shape[2], 3), np.float32))
    paint_head(label, specular, placement, far, body)
    assert not label.any()
    assert not specular.any()
