"""`pose.json`: exactly its keys, its schema, both versions, and nothing that only looks like it."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetusmap.anatomy import (
    Pose,
    Provenance,
    Quality,
    load_skeleton,
    plain_from_skeleton,
    reference_pose,
    skeleton_from_plain,
)
from fetusmap.errors import BadInput
from fetusmap.io import load_pose, plain_from_pose, pose_from_plain, pose_schema, save_pose
from fetusmap.io.poses.pose_json import schema_from_model, write_pose_json

KEYS = {
    "format", "version", "skeleton", "coordinate_system", "unit", "landmarks", "segments",
    "quality", "provenance",
}  # fmt: skip

ARMS = {
    "format": "fetusmap-skeleton",
    "version": 1,
    "name": "arms",
    "description": "the landmarks of somebody's own study",
    "landmarks": [
        {"name": name} for name in ("neck", "left_elbow", "left_hand", "right_elbow", "right_hand")
    ],
    "mirror_pairs": [["left_elbow", "right_elbow"], ["left_hand", "right_hand"]],
    "segments": [
        {"name": "left_lower", "start": "left_elbow", "end": "left_hand"},
        {"name": "right_lower", "start": "right_elbow", "end": "right_hand"},
    ],
    "lateral_pairs": [["left_elbow", "right_elbow"]],
    "colors": {"left": "#0000ff", "right": "#ff0000", "midline": "#ffffff"},
}

# A file as version 0.1 of the package wrote it, shortened by the landmarks that are absent in it.
VERSION_1 = """
{"format": "fetusmap-pose", "version": 1, "skeleton": "fetus-16",
 "coordinate_system": "LPS", "unit": "mm",
 "landmarks": [
  {"name": "head", "position": [1.5, -2.0, 30.25], "confidence": 0.75},
  {"name": "neck", "position": [1.0, -2.0, 20.0], "confidence": 0.5},
  ABSENT
 ],
 "segments": [{"name": "head_neck", "length_mm": 10.262187}],
 "quality": {"score": 0.9, "fetus": 0.99, "sides": 0.95, "reasons": ["faint"], "mean": 0.25},
 "provenance": {"fetusmap": "0.1.0", "refine": "fast", "changes": ["left arm moved by 4 mm"],
                "kept": "the refined pose fits worse", "seed": 7}}
"""


@pytest.fixture(scope="module")
def arms():
    """A user's skeleton of five landmarks."""
    return skeleton_from_plain(ARMS)


@pytest.fixture
def version_1():
    """The plain data of a file of version 1."""
    absent = [
        json.dumps({"name": name, "position": None, "confidence": 0})
        for name in load_skeleton().landmarks
        if name not in ("head", "neck")
    ]
    return json.loads(VERSION_1.replace("ABSENT", ", ".join(absent)))


@pytest.fixture
def plain():
    """The plain data of a whole pose, free to be changed."""
    return plain_from_pose(reference_pose())


@pytest.fixture(scope="session")
def validator():
    """A validator of the published schema."""
    schema = pose_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture
def load(tmp_path):
    """Write data or text as a file and load it."""

    def load(content):
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "pose.json").write_text(text)
        return load_pose(tmp_path / "pose.json")

    return load


def test_a_file_has_exactly_its_keys_in_order(tmp_path):
    pose = Pose(
        load_skeleton(),
        reference_pose().positions_mm,
        quality=Quality(score=0.5),
        provenance=Provenance(model="none", warnings=("a",)),
    )
    save_pose(pose, tmp_path / "pose.json")
    data = json.loads((tmp_path / "pose.json").read_text())
    assert set(data) == KEYS
    assert data["format"] == "fetusmap-pose"
    assert data["version"] == 2
    assert data["skeleton"] == plain_from_skeleton(load_skeleton())
    assert data["coordinate_system"] == "LPS"
    assert data["unit"] == "mm"
    assert all(set(entry) == {"name", "position", "confidence"} for entry in data["landmarks"])
    assert all(set(entry) == {"name", "length_mm"} for entry in data["segments"])
    assert [entry["name"] for entry in data["landmarks"]] == list(load_skeleton().landmarks)
    assert len(data["landmarks"]) == 16
    assert len(data["segments"]) == 15
    assert data["quality"] == {"score": 0.5}
    assert data["provenance"] == {"model": "none", "warnings": ["a"]}


def test_an_absent_landmark_is_null_and_so_are_its_segments():
    pose = Pose.from_positions({"neck": (0, 0, 0), "spine": (3, 4, 0)})
    data = plain_from_pose(pose)
    marks = {entry["name"]: entry for entry in data["landmarks"]}
    lengths = {entry["name"]: entry["length_mm"] for entry in data["segments"]}
    assert marks["neck"] == {"name": "neck", "position": [0.0, 0.0, 0.0], "confidence": 1.0}
    assert marks["head"] == {"name": "head", "position": None, "confidence": 0.0}
    assert lengths["neck_spine"] == 5.0
    assert lengths["head_neck"] is None
    assert sum(length is not None for length in lengths.values()) == 1


def test_quality_and_provenance_come_back(tmp_path):
    quality = Quality(
        score=0.25, reasons=("a", "b"), notes={"mean": 0.5, "nested": {"deep": [1, None, True]}}
    )
    provenance = Provenance(fetusmap="0.1.0", warnings=("Größe",), notes={"seed": 7})
    pose = Pose(
        load_skeleton(), reference_pose().positions_mm, quality=quality, provenance=provenance
    )
    write_pose_json(pose, tmp_path / "pose.json")
    back = load_pose(tmp_path / "pose.json")
    assert back.quality == quality
    assert back.provenance == provenance


def test_a_pose_of_a_users_own_skeleton_is_read_without_that_skeletons_file(tmp_path, arms):
    pose = Pose.from_positions({"neck": (0, 0, 0), "left_hand": (10, 12, 0.1)}, arms)
    save_pose(pose, tmp_path / "pose.json")
    for back in (load_pose(tmp_path / "pose.json"), load_pose(tmp_path / "pose.json", arms)):
        assert back.equals(pose)
        assert plain_from_skeleton(back.skeleton) == plain_from_skeleton(arms)


def test_a_given_skeleton_must_agree_with_the_one_in_the_file(tmp_path, arms, refused):
    pose = Pose.from_positions({"neck": (0, 0, 0)}, arms)
    save_pose(pose, tmp_path / "pose.json")
    with refused("fetus-16", "arms", error=BadInput):
        load_pose(tmp_path / "pose.json", load_skeleton())
    swapped = {**ARMS, "mirror_pairs": [pair[::-1] for pair in ARMS["mirror_pairs"]]}
    with refused("another definition of arms", error=BadInput):
        load_pose(tmp_path / "pose.json", skeleton_from_plain(swapped))


def test_the_order_and_the_colours_of_a_given_skeleton_are_used(tmp_path, arms):
    pose = Pose.from_positions({"neck": (1, 2, 3), "right_hand": (4, 5, 6)}, arms)
    save_pose(pose, tmp_path / "pose.json")
    mine = skeleton_from_plain(
        {
            **ARMS,
            "landmarks": ARMS["landmarks"][::-1],
            "colors": {"left": "#00ff00", "right": "#ff0000", "midline": "#ffffff"},
        }
    )
    back = load_pose(tmp_path / "pose.json", mine)
    assert back.skeleton is mine
    assert back["neck"].position_mm.tolist() == [1, 2, 3]
    assert back.positions_mm[0].tolist() == [4, 5, 6]


def test_a_file_of_version_1_is_read(version_1, load):
    pose = load(version_1)
    assert pose.skeleton == load_skeleton()
    assert pose["head"].position_mm.tolist() == [1.5, -2.0, 30.25]
    assert pose["neck"].confidence == 0.5
    assert pose.present.sum() == 2
    assert pose.quality == Quality(
        score=0.9, fetus=0.99, sides=0.95, reasons=("faint",), notes={"mean": 0.25}
    )
    assert pose.provenance == Provenance(
        fetusmap="0.1.0",
        refine="fast",
        changes=("left arm moved by 4 mm",),
        rejected_because="the refined pose fits worse",
        notes={"seed": 7},
    )


def test_version_1_of_a_users_own_skeleton_needs_that_skeleton(version_1, tmp_path, arms, refused):
    version_1["skeleton"] = "arms"
    version_1["landmarks"] = [
        {"name": name, "position": [1, 2, 3], "confidence": 1} for name in arms.landmarks
    ]
    (tmp_path / "pose.json").write_text(json.dumps(version_1))
    with refused("'arms'", error=BadInput):
        load_pose(tmp_path / "pose.json")
    assert load_pose(tmp_path / "pose.json", arms).skeleton is arms


def test_the_schema_of_version_1_still_describes_its_files(version_1):
    schema = pose_schema(1)
    assert schema["$id"] == "fetusmap-pose-1"
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(version_1, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**version_1, "version": 2}, schema)


@pytest.mark.parametrize(
    ("key", "value"), [("quality", {"score": "high"}), ("provenance", {"warnings": 5})]
)
def test_a_known_field_of_another_type_is_refused_in_version_2_and_a_note_in_version_1(
    key, value, plain, version_1, load, refused
):
    plain[key] = version_1[key] = value
    with refused(key, error=BadInput):
        load(plain)
    assert getattr(load(version_1), key).notes == value


def test_what_a_later_version_adds_to_the_records_becomes_a_note(plain, load):
    plain["quality"] = {"score": 0.5, "sharpness": 3}
    plain["provenance"] = {"mirror": True, "notes": {"by": "hand"}}
    pose = load(plain)
    assert pose.quality == Quality(score=0.5, notes={"sharpness": 3})
    assert pose.provenance == Provenance(notes={"by": "hand", "mirror": True})


def test_the_file_is_plain_ascii_with_a_line_end(tmp_path):
    pose = replace(reference_pose(), provenance=Provenance(model="Größe"))
    write_pose_json(pose, tmp_path / "pose.json")
    content = (tmp_path / "pose.json").read_bytes()
    assert content.isascii()
    assert content.endswith(b"}\n")


def test_plain_data_is_a_pose_and_back(plain):
    assert pose_from_plain(plain).equals(reference_pose())
    assert plain_from_pose(pose_from_plain(plain)) == plain


def test_lengths_in_the_file_are_never_read(plain):
    for entry in plain["segments"]:
        entry["length_mm"] = 999.0
    assert pose_from_plain(plain).equals(reference_pose())


@pytest.mark.parametrize("key", ["segments", "quality", "provenance"])
def test_what_follows_from_the_landmarks_may_be_left_out(key, plain):
    del plain[key]
    assert pose_from_plain(plain).equals(reference_pose())


def test_a_byte_order_mark_is_passed_over(plain, tmp_path):
    (tmp_path / "pose.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(plain).encode())
    assert load_pose(tmp_path / "pose.json").equals(reference_pose())


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_the_schema_accepts_whatever_we_write(data, poses, validator):
    plain = plain_from_pose(data.draw(poses))
    assert list(validator.iter_errors(json.loads(json.dumps(plain)))) == []


def test_the_schema_in_the_package_is_the_one_that_the_code_checks():
    assert without_descriptions(pose_schema()) == without_descriptions(schema_from_model())


def without_descriptions(schema):
    """A schema without its words: what a validator uses."""
    if isinstance(schema, dict):
        return {k: without_descriptions(v) for k, v in schema.items() if k != "description"}
    return [without_descriptions(v) for v in schema] if isinstance(schema, list) else schema


def test_the_schema_names_its_dialect_and_forbids_unknown_keys():
    schema = pose_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == KEYS


def change(*path, to):
    """A function that sets one place of a pose's plain data."""

    def apply(data):
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = to

    return apply


def drop(*path):
    """A function that removes one place of a pose's plain data."""

    def apply(data):
        for key in path[:-1]:
            data = data[key]
        del data[path[-1]]

    return apply


# Whether the schema can tell, what is wrong, and what the message names.
WRONG = {
    "unknown key": (True, change("colour", to="red"), "colour"),
    "unknown key of a landmark": (True, change("landmarks", 0, "side", to="left"), "side"),
    "another format": (True, change("format", to="pose"), "format"),
    "a later version": (True, change("version", to=3), "version 2"),
    "no version": (True, drop("version"), "version"),
    "a name for a skeleton": (True, change("skeleton", to="fetus-16"), "skeleton"),
    "no skeleton": (True, drop("skeleton"), "skeleton"),
    "an unknown key of the skeleton": (True, change("skeleton", "bones", to=[]), "bones"),
    "a segment to nowhere": (False, change("skeleton", "segments", 0, "end", to="tail"), "tail"),
    "version as text": (True, change("version", to="1"), "version"),
    "inches": (True, change("unit", to="inch"), "unit"),
    "RAS": (True, change("coordinate_system", to="RAS"), "coordinate_system"),
    "no landmarks": (True, drop("landmarks"), "landmarks"),
    "landmarks by name": (True, change("landmarks", to={"head": [0, 0, 0]}), "landmarks"),
    "a missing landmark": (False, drop("landmarks", 0), "head"),
    "a repeated landmark": (False, change("landmarks", 1, "name", to="head"), "right_shoulder"),
    "an unknown landmark": (False, change("landmarks", 0, "name", to="tail"), "head"),
    "two coordinates": (True, change("landmarks", 0, "position", to=[1, 2]), "position"),
    "four coordinates": (True, change("landmarks", 0, "position", to=[1, 2, 3, 4]), "position"),
    "half absent": (True, change("landmarks", 0, "position", to=[1, 2, None]), "position"),
    "a confidence of 1.2": (True, change("landmarks", 0, "confidence", to=1.2), "confidence"),
    "a confidence below 0": (True, change("landmarks", 0, "confidence", to=-0.1), "confidence"),
    "no confidence": (True, drop("landmarks", 0, "confidence"), "confidence"),
    "a huge integer": (False, change("landmarks", 0, "position", to=[10**400, 0, 0]), "position"),
    "quality as a list": (True, change("quality", to=[1]), "quality"),
}


@pytest.mark.parametrize(("in_schema", "spoil", "word"), WRONG.values(), ids=WRONG)
def test_a_file_with_one_thing_wrong_is_refused(
    in_schema, spoil, word, plain, load, refused, validator
):
    assert validator.is_valid(plain)
    spoil(plain)
    with refused(word, error=BadInput):
        load(plain)
    if in_schema:
        assert not validator.is_valid(plain)


def test_a_pose_that_lost_its_format_is_told_so(plain, load, refused):
    del plain["format"]
    with refused("format", error=BadInput):
        load(plain)


@pytest.mark.parametrize(
    "spoil",
    [
        change("version", to=True),
        change("landmarks", 0, "confidence", to=True),
        change("landmarks", 0, "confidence", to="0.5"),
        change("landmarks", 0, "position", to=["1", "2", "3"]),
        change("landmarks", 0, "position", to=[True, False, True]),
    ],
    ids=["version true", "confidence true", "confidence text", "position text", "position true"],
)
def test_what_the_schema_refuses_is_not_read(spoil, plain, load, refused, validator):
    spoil(plain)
    assert not validator.is_valid(plain)
    with refused(error=BadInput):
        load(plain)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constants_that_json_does_not_have_are_refused(constant, plain, load, refused):
    text = json.dumps(plain).replace("0.0", constant, 1)
    assert constant in text
    with refused(constant):
        load(text)


def test_a_number_beyond_all_floats_is_refused(plain, load, refused):
    text = json.dumps(plain).replace("0.0", "1e999", 1)
    with refused("finite", error=BadInput):
        load(text)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.99])
def test_json_that_breaks_off_is_refused(part, plain, load, refused):
    text = json.dumps(plain)
    with refused(error=BadInput):
        load(text[: int(part * len(text))])


@pytest.mark.parametrize("nested", ["[" * 100_000, '{"a":' * 100_000])
def test_deeply_nested_json_that_breaks_off_is_refused(nested, load, refused):
    with refused("JSON"):
        load(nested)


def test_deeply_nested_json_is_refused(load, refused):
    # Some versions of Python refuse to read it, others read it and it is no pose.
    with refused("pose.json", error=BadInput):
        load("[" * 9000 + "]" * 9000)


def test_deep_nesting_inside_a_pose_is_refused_in_a_short_line(plain, load, refused):
    text = json.dumps({**plain, "quality": {"a": "?"}}).replace('"?"', "[" * 900 + "]" * 900)
    with refused("quality", error=BadInput):
        load(text)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe{\0}\0", b'{"format": "caf\xe9"}', b"\x80", b"\xed\xa0\x80"]
)
def test_bytes_that_are_no_utf8_are_refused(content, tmp_path, refused):
    (tmp_path / "pose.json").write_bytes(content)
    with refused("JSON"):
        load_pose(tmp_path / "pose.json")


def test_a_huge_number_of_digits_is_refused(plain, load, refused):
    with refused(error=BadInput):
        load(json.dumps(plain).replace('"version": 2', '"version": ' + "1" * 10_000))


@pytest.mark.parametrize("text", ["\x1b[31m", "a\nb", "\u2028", "\x07"])
def test_names_from_the_file_cannot_forge_a_line(text, plain, version_1, load, refused):
    spoiled = copy.deepcopy(plain)
    spoiled[text] = 1
    with refused(error=BadInput):
        load(spoiled)
    plain["skeleton"]["name"] = text
    with refused(error=BadInput):
        load(plain)
    version_1["skeleton"] = text
    with refused(error=BadInput):
        load(version_1)


def test_a_pose_cannot_make_us_open_another_file(version_1, tmp_path, monkeypatch, load, refused):
    # A skeleton file that is called as the pose says, lying where the program was started.
    foreign = {**plain_from_skeleton(load_skeleton()), "name": "foreign.json"}
    (tmp_path / "foreign.json").write_text(json.dumps(foreign))
    monkeypatch.chdir(tmp_path)
    version_1["skeleton"] = "foreign.json"
    with refused("foreign.json", error=BadInput):
        load(version_1)


def test_a_pose_cannot_ask_whether_another_file_exists(version_1, tmp_path, load):
    (tmp_path / "there.json").write_text("{}")
    messages = []
    for name in ("there.json", "gone.json"):
        version_1["skeleton"] = str(tmp_path / name)
        with pytest.raises(BadInput) as caught:
            load(version_1)
        messages.append(str(caught.value).replace(name, "?"))
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    "notes",
    [{"mean": math.nan}, {"mean": np.float32(0.5)}, {"count": np.int64(3)}, {"pair": {1, 2}}],
    ids=["nan", "float32", "int64", "set"],
)
def test_notes_that_json_cannot_hold_are_refused(notes):
    with pytest.raises(ValueError, match="notes"):
        Quality(notes=notes)
