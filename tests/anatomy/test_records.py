"""Quality and provenance: what they hold, and what they read from other programs and versions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fetusmap.anatomy import Provenance, Quality

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(0, 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
NAMES = st.sampled_from([*Quality.model_fields, *Provenance.model_fields, "kept", "other"])


def test_an_empty_record_is_empty_in_a_file():
    assert Quality().plain() == {}
    assert Provenance().plain() == {}
    assert Quality.from_plain({}) == Quality()


def test_a_record_is_written_and_read_back():
    quality = Quality(score=0.25, fetus=1, reasons=("blurred", "small"), notes={"reader": "A"})
    assert quality.plain() == {
        "score": 0.25,
        "fetus": 1.0,
        "reasons": ["blurred", "small"],
        "notes": {"reader": "A"},
    }
    assert Quality.from_plain(json.loads(json.dumps(quality.plain()))) == quality


def test_fields_of_other_programs_become_notes():
    plain = {"score": 0.5, "snr": 12, "notes": {"reader": "A"}}
    quality = Quality.from_plain(plain)
    assert quality == Quality(score=0.5, notes={"snr": 12, "reader": "A"})
    assert Quality.from_plain(quality.plain()) == quality


@pytest.mark.parametrize("score", ["good", 1.5, -0.1, True, [0.5]])
def test_a_value_of_another_type_or_range_becomes_a_note(score):
    quality = Quality.from_plain({"score": score, "fetus": 0.5})
    assert (quality.score, quality.fetus) == (None, 0.5)
    assert quality.notes == {"score": score}


def test_notes_that_are_no_mapping_become_a_note():
    assert Quality.from_plain({"notes": "a remark"}).notes == {"notes": "a remark"}


@pytest.mark.parametrize(("kept", "reason"), [("fits worse", "fits worse"), ("", ""), (None, "")])
def test_the_name_that_an_earlier_version_wrote_is_read(kept, reason):
    provenance = Provenance.from_plain({"kept": kept, "refine": "fast"})
    assert provenance == Provenance(rejected_because=reason, refine="fast")


@pytest.mark.parametrize("score", [1.01, -0.01, float("nan"), "0.5"])
def test_a_record_made_in_code_refuses_what_is_no_probability(score):
    with pytest.raises(ValidationError):
        Quality(score=score)


def test_a_record_refuses_an_unknown_field_and_cannot_be_changed():
    with pytest.raises(ValidationError, match="Extra inputs"):
        Quality(colour="red")
    quality = Quality(notes={"a": 1})
    with pytest.raises(TypeError, match="item assignment"):
        quality.notes["a"] = 2
    assert hash(quality) == hash(Quality(notes={"a": 1}))


@given(plain=st.dictionaries(NAMES, JSON))
def test_any_plain_data_are_read_and_written_back(plain):
    for kind in (Quality, Provenance):
        record = kind.from_plain(plain)
        assert kind.from_plain(json.loads(json.dumps(record.plain()))) == record
