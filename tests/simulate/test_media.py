"""The tables of numbers: complete, consistent, and those of the literature where there is any."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import fetusmap.simulate
from fetusmap.simulate import Medium
from fetusmap.simulate.body.posture import ANGLES, ARM_ANGLES, LEG_ANGLES
from fetusmap.simulate.media import FETAL, property_of_media, reflectivity, set_medium
from fetusmap.simulate.tables import NAMES, table, tables_sha256

PROPERTIES = ("impedance", "attenuation", "echo", "texture")


def test_every_medium_has_its_four_numbers_in_the_order_of_the_labels():
    rows = table("media")
    assert list(rows) == [medium.name.lower() for medium in Medium]
    assert [medium.value for medium in Medium] == list(range(len(Medium)))
    for name, row in rows.items():
        assert set(row) == set(PROPERTIES), name
        assert all(np.isfinite(float(value)) for value in row.values()), name


@pytest.mark.parametrize(
    ("name", "label", "value"),
    [
        ("impedance", 0, 1.60),  # outside, the first
        ("attenuation", 1, 0.005),  # amniotic fluid
        ("impedance", 4, 1.56),  # brain
        ("echo", 4, -27.5),
        ("attenuation", 7, 0.20),  # heart
        ("texture", 12, 2.0),  # bowel
        ("echo", 13, -60.5),  # stomach
        ("texture", 13, 0.0),
        ("attenuation", 35, 25.0),  # gas
        ("echo", 36, -31.0),  # thalamus
        ("echo", 37, -22.0),  # cerebellum, the last
    ],
)
def test_properties_stand_at_their_label_numbers(name, label, value):
    """By hand, from the table of media; a label map holds these numbers."""
    found = property_of_media(name)
    assert (found.dtype, found.shape) == (np.float32, (38,))
    assert found[label] == pytest.approx(value)


def test_media_have_possible_numbers():
    assert (property_of_media("impedance") > 0).all()
    assert (property_of_media("attenuation") >= 0).all()
    assert (property_of_media("texture") >= 0).all()
    assert (property_of_media("echo") <= 0).all()


@pytest.mark.parametrize(
    ("medium", "impedance", "attenuation"),
    [
        (Medium.AMNIOTIC_FLUID, (1.5, 1.5), (0.005, 0.005)),
        (Medium.FETAL_TISSUE, (1.6, 1.6), (0.45, 0.45)),
        (Medium.PLACENTA, (1.63, 1.63), (0.58, 0.58)),
        (Medium.MYOMETRIUM, (1.6, 1.7), (0.58, 0.58)),
        (Medium.FAT, (1.38, 1.38), (0.6, 0.8)),
        (Medium.MUSCLE, (1.65, 1.65), (1.0, 1.2)),
        (Medium.LONG_BONE, (6.5, 7.8), (5, 15)),
        (Medium.SKULL, (6.5, 7.8), (5, 15)),
    ],
)
def test_acoustic_numbers_are_those_of_the_textbooks(medium, impedance, attenuation):
    for name, (low, high) in (("impedance", impedance), ("attenuation", attenuation)):
        found = float(property_of_media(name)[medium])
        assert low - 1e-5 <= found <= high + 1e-5, name


def test_fluids_are_dark_and_bone_is_bright():
    echo = property_of_media("echo")
    fluids = [
        Medium.AMNIOTIC_FLUID, Medium.COELOMIC_FLUID, Medium.STOMACH, Medium.FETAL_BLADDER,
        Medium.MATERNAL_BLADDER, Medium.EYE, Medium.VENTRICLE, Medium.NUCHAL_FLUID,
    ]  # fmt: skip
    solids = [Medium.FETAL_TISSUE, Medium.PLACENTA, Medium.MYOMETRIUM, Medium.LIVER, Medium.LUNG]
    assert echo[fluids].max() < echo[solids].min() - 15
    assert echo[[Medium.LONG_BONE, Medium.SKULL]].min() > echo[solids].max()
    assert echo[Medium.BRAIN] == pytest.approx(echo[Medium.FETAL_TISSUE] - 12)


def test_reflectivity_is_the_difference_of_impedances_over_their_sum():
    assert reflectivity(Medium.FAT, Medium.MUSCLE) == pytest.approx(0.27 / 3.03, rel=1e-5)
    assert reflectivity(Medium.FAT, Medium.MUSCLE) == reflectivity(Medium.MUSCLE, Medium.FAT)
    assert reflectivity(Medium.SKULL, Medium.SKULL) == 0
    assert reflectivity(Medium.GAS, Medium.VISCERA) > 0.8


def test_fetal_media_are_what_a_fetus_is_made_of():
    assert Medium.FETAL_TISSUE in FETAL
    assert {Medium.BRAIN, Medium.STOMACH, Medium.SKULL, Medium.LONG_BONE} <= set(FETAL)
    assert not set(FETAL) & {
        Medium.OUTSIDE, Medium.AMNIOTIC_FLUID, Medium.CORD, Medium.PLACENTA, Medium.YOLK_SAC,
        Medium.MYOMETRIUM, Medium.SKIN, Medium.GAS,
    }  # fmt: skip


def test_a_medium_is_set_where_it_is_asked_for():
    label = np.zeros((2, 3), np.uint8)
    set_medium(label, Medium.LIVER, where=np.array([[True, False, False], [False, True, False]]))
    np.testing.assert_array_equal(label, np.diag([1, 1, 0])[:2] * int(Medium.LIVER))


def test_the_table_of_joints_names_every_angle():
    joints = table("body/joints")
    assert set(joints["usual"]) == {
        name.removeprefix("left_").removeprefix("right_") for name in ANGLES
    }
    assert set(joints["extended"]) <= set(ARM_ANGLES + LEG_ANGLES)
    assert set(joints["startled"]) <= set(ARM_ANGLES)
    for kind in ("usual", "extended", "startled"):
        for name, entry in joints[kind].items():
            assert set(entry) == {"mean", "sd", "low", "high"}, name
            assert entry["low"] < entry["mean"] < entry["high"], name
            assert entry["sd"] > 0, name
    assert all(0 < chance < 1 for chance in joints["chance"].values())
    extended = joints["chance"]["extended_limb"] + joints["chance"]["startled_arms"]
    assert extended == pytest.approx(0.20, abs=0.05)


def test_volumes_of_sac_and_placenta_are_those_of_the_literature():
    volumes = table("body/measures")["volume_ml"]
    assert volumes["sac"] == [44, 69, 95, 122, 150]
    assert volumes["weeks"] == [10, 11, 12, 13, 14]
    assert volumes["placenta"] == [43, 91]
    # 10 weeks + 6 days to 13 + 6.
    np.testing.assert_allclose(volumes["placenta_weeks"], [76 / 7, 97 / 7], atol=1e-3)


def test_the_hash_covers_every_table():
    """Otherwise nobody would notice that two cases were drawn from different tables."""
    root = Path(fetusmap.simulate.__file__).parent
    found = {str(path.relative_to(root).with_suffix("")) for path in root.rglob("*.toml")}
    assert set(NAMES) == found
    text = "".join((root / f"{name}.toml").read_text("utf-8") for name in NAMES)
    assert tables_sha256() == hashlib.sha256(text.encode()).hexdigest()
