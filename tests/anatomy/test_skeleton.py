"""The built-in skeleton against the plan's list, and skeleton files of one's own, good and bad."""

import json
from dataclasses import fields
from itertools import chain

import numpy as np
import pytest

from fetusmap.anatomy import (
    JointAngle,
    Pose,
    Segment,
    body_axes,
    entry_from_skeleton,
    joint_angles_deg,
    load_skeleton,
    plain_from_skeleton,
    reference_pose,
    skeleton_from_entry,
    skeleton_from_plain,
    trunk_length_mm,
)
from fetusmap.anatomy.skeleton_file import SkeletonDocument
from fetusmap.errors import BadInput, UnreadableFile

PAPER_ORDER = [
    *("head", "right_shoulder", "neck", "left_shoulder", "right_elbow", "right_wrist"),
    *("spine", "sacrum", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle"),
    *("left_hip", "left_knee", "left_ankle"),
]

SEGMENT_ENDS = {
    "head_neck": ("head", "neck"),
    "neck_spine": ("neck", "spine"),
    "spine_sacrum": ("spine", "sacrum"),
    **{
        f"{side}_{name}": (start.format(side), end.format(side))
        for side in ("left", "right")
        for name, start, end in (
            ("neck_shoulder", "neck", "{}_shoulder"),
            ("humerus", "{}_shoulder", "{}_elbow"),
            ("forearm", "{}_elbow", "{}_wrist"),
            ("sacrum_hip", "sacrum", "{}_hip"),
            ("femur", "{}_hip", "{}_knee"),
            ("leg", "{}_knee", "{}_ankle"),
        )
    },
}

BIRD = {
    "format": "fetusmap-skeleton",
    "version": 1,
    "name": "bird-5",
    "landmarks": [
        {"name": "tail", "reference_position": [0, 0, 0]},
        {"name": "beak", "reference_position": [0, 0, 1]},
        {"name": "breast", "paper_index": 7, "reference_position": [0, 0.25, 0.5]},
        {"name": "left_wing", "reference_position": [-0.5, 0, 0.5]},
        {"name": "right_wing", "reference_position": [0.5, 0, 0.5]},
    ],
    "mirror_pairs": [["left_wing", "right_wing"]],
    "segments": [
        {"name": "left_span", "start": "breast", "end": "left_wing"},
        {"name": "right_span", "start": "breast", "end": "right_wing"},
        {"name": "body", "start": "tail", "end": "beak"},
    ],
    "angles": [
        {
            "name": "spread",
            "first": ["breast", "left_wing"],
            "second": ["breast", "right_wing"],
            "meaning": "between the wings",
        }
    ],
    "trunk": ["tail", "breast", "beak"],
    "lateral_pairs": [["left_wing", "right_wing"]],
    "colors": {"left": "#0000FF", "right": "#ff0000"},
}


@pytest.fixture
def fetus():
    return load_skeleton()


@pytest.fixture
def bird(tmp_path):
    path = tmp_path / "bird.json"
    path.write_text(json.dumps(BIRD), encoding="utf-8")
    return load_skeleton(path)


def test_fetus_16_has_the_landmarks_in_the_order_of_the_papers_tables(fetus):
    assert list(fetus.landmarks) == PAPER_ORDER
    assert len(fetus) == 16
    assert [fetus.paper_index[name] for name in PAPER_ORDER] == list(range(1, 17))
    assert [fetus.index(name) for name in PAPER_ORDER] == list(range(16))
    assert fetus.indices(("sacrum", "head")).tolist() == [7, 0]


def test_fetus_16_has_the_fifteen_segments_by_name(fetus):
    assert {s.name: (s.start, s.end) for s in fetus.segments} == SEGMENT_ENDS
    for segment, (start, end) in zip(fetus.segments, fetus.segment_index, strict=True):
        assert (fetus.landmarks[start], fetus.landmarks[end]) == (segment.start, segment.end)


def test_the_segments_form_a_tree(fetus):
    # One segment less than landmarks, and all of them are reached from the head.
    assert len(fetus.segments) == len(fetus) - 1
    reached = {"head"}
    for _ in fetus.segments:
        reached |= set(chain(*(p for p in SEGMENT_ENDS.values() if reached & set(p))))
    assert reached == set(PAPER_ORDER)


def test_mirror_pairs_join_the_six_left_and_right_landmarks_of_one_name(fetus):
    limbs = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    assert set(fetus.mirror_pairs) == {(f"left_{limb}", f"right_{limb}") for limb in limbs}


def test_mirror_index_exchanges_the_names_of_the_sides_and_is_an_involution(fetus):
    exchange = {"left": "right", "right": "left"}
    for name, row in zip(fetus.landmarks, fetus.mirror_index, strict=True):
        side, _, rest = name.partition("_")
        expected = f"{exchange[side]}_{rest}" if side in exchange else name
        assert fetus.landmarks[row] == expected
    np.testing.assert_array_equal(fetus.mirror_index[fetus.mirror_index], np.arange(16))


def test_sides_of_landmarks_and_segments_follow_their_names(fetus):
    for name in fetus.landmarks:
        prefix = name.split("_")[0]
        assert fetus.side(name) == (prefix if prefix in ("left", "right") else "midline")
    for segment in fetus.segments:
        prefix = segment.name.split("_")[0]
        expected = prefix if prefix in ("left", "right") else "midline"
        assert fetus.segment_side(segment) == expected


def test_a_segment_between_both_sides_belongs_to_neither(fetus):
    assert fetus.segment_side(Segment("pelvis", "left_hip", "right_hip")) == "midline"


def test_the_registration_subset_has_the_papers_indices(fetus):
    numbers = {fetus.paper_index[name] for name in fetus.registration_subset}
    assert numbers == {1, 2, 3, 4, 5, 7, 8, 9, 11, 14}
    assert len(fetus.registration_subset) == 10


def test_each_joint_angle_of_one_side_is_the_mirror_image_of_the_other(fetus):
    angles = {a.name: a for a in fetus.angles}
    assert sorted(angles) == sorted(
        ["neck", "spine"]
        + [f"{s}_{j}" for s in ("left", "right") for j in ("shoulder", "elbow", "hip", "knee")]
    )

    def exchanged(names):
        return tuple(fetus.landmarks[fetus.mirror_index[fetus.index(name)]] for name in names)

    for name, angle in angles.items():
        if name.startswith("left_"):
            other = angles[name.replace("left", "right")]
            assert (exchanged(angle.first), exchanged(angle.second)) == (other.first, other.second)
            assert angle.meaning == other.meaning


def test_the_reference_pose_stands_in_the_bodys_own_frame(fetus):
    reference = dict(zip(fetus.landmarks, fetus.reference, strict=True))
    assert reference["sacrum"].tolist() == [0, 0, 0]
    for left, right in fetus.mirror_pairs:
        assert reference[left][0] < 0 < reference[right][0]
    for name in ("head", "neck", "spine", "sacrum"):
        assert reference[name][0] == 0
    assert reference["head"][2] > reference["neck"][2] > reference["spine"][2] > 0
    assert (reference["right_knee"][1], reference["left_knee"][1]) > (0, 0)


def test_load_skeleton_gives_one_object_for_the_built_in_name():
    assert load_skeleton() is load_skeleton("fetus-16")


def test_an_unknown_landmark_is_refused_with_the_names_there_are(fetus):
    for ask in (fetus.index, fetus.side, lambda name: fetus.indices((name,))):
        with pytest.raises(BadInput, match=r"^landmark 'left_ear': .*right_ankle") as error:
            ask("left_ear")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("source", ["fetus-17", "skeleton.yaml", "fetus-16.txt"])
def test_neither_a_built_in_name_nor_a_json_file_is_refused(source):
    with pytest.raises(BadInput, match="fetus-16") as error:
        load_skeleton(source)
    assert error.value.subject == f"skeleton {source!r}"


def test_skeletons_are_equal_if_they_differ_only_in_what_is_shown(fetus):
    plain = plain_from_skeleton(fetus)
    shown = {
        "description": "another",
        "colors": {"left": "#000000"},
        "landmarks": [{**entry, "paper_index": None} for entry in plain["landmarks"]],
        "angles": [{**entry, "meaning": "another"} for entry in plain["angles"]],
        "limbs": [{**entry, "name": f"{entry['name']}s"} for entry in plain["limbs"]],
    }
    for key, value in shown.items():
        same = skeleton_from_plain({**plain, key: value})
        assert same == fetus, key
        assert hash(same) == hash(fetus)
    assert fetus != "fetus-16"


def without_first(entries):
    return entries[1:]


def farther_head(landmarks):
    return [{**landmarks[0], "reference_position": [0.0, 0.0, 1.0]}, *landmarks[1:]]


@pytest.mark.parametrize(
    ("key", "change"),
    {
        "name": lambda _: "other",
        "landmarks": farther_head,
        "segments": without_first,
        "angles": without_first,
        "lateral_pairs": without_first,
        "registration_subset": without_first,
        "trunk": lambda names: [names[0], "head", names[2]],
        "crown_rump": lambda model: {**model, "fraction": 0.7},
        "limbs": lambda limbs: [{**limbs[0], "landmarks": limbs[0]["landmarks"][:2]}, limbs[1]],
    }.items(),
)
def test_skeletons_of_one_name_differ_if_a_computation_would_differ(fetus, key, change):
    plain = plain_from_skeleton(fetus)
    assert skeleton_from_plain({**plain, key: change(plain[key])}) != fetus


def test_skeletons_with_other_mirror_pairs_differ(fetus):
    plain = plain_from_skeleton(fetus)
    changed_pairs = {"mirror_pairs": plain["mirror_pairs"][:-1], "limbs": []}
    assert skeleton_from_plain({**plain, **changed_pairs}) != fetus


def test_plain_from_skeleton_gives_the_shipped_file_back(fetus):
    plain = plain_from_skeleton(fetus)
    assert json.loads(json.dumps(plain)) == plain
    again = skeleton_from_plain(plain)
    for part in fields(fetus):
        assert getattr(again, part.name) == getattr(fetus, part.name), part.name


def test_a_skeleton_of_ones_own_survives_the_round_trip(bird):
    plain = plain_from_skeleton(bird)
    assert plain == {
        **BIRD,
        "description": "",
        "registration_subset": [],
        "limbs": [{"name": "wing", "landmarks": ["left_wing"]}],
        "colors": {"left": "#0000FF", "right": "#ff0000", "midline": "#808080"},
    }


def test_a_skeleton_of_ones_own_says_what_its_file_says(bird):
    assert bird.landmarks == ("tail", "beak", "breast", "left_wing", "right_wing")
    assert bird.angles == (
        JointAngle(
            "spread", ("breast", "left_wing"), ("breast", "right_wing"), "between the wings"
        ),
    )
    assert dict(bird.paper_index) == {"breast": 7}
    assert bird.mirror_index.tolist() == [0, 1, 2, 4, 3]
    assert [bird.side(name) for name in bird.landmarks] == ["midline"] * 3 + ["left", "right"]
    assert (bird.color("left"), bird.color("midline")) == ("#0000FF", "#808080")
    assert bird.crown_rump is None


def test_a_pose_of_ones_own_skeleton_is_measured_and_mirrored(bird):
    pose = reference_pose(40.0, bird)
    span = np.hypot(20, 10)
    assert pose.lengths_mm() == pytest.approx({"left_span": span, "right_span": span, "body": 40})
    # Each wing is at atan2(20, 10) from straight back.
    expected = 2 * np.degrees(np.arctan2(20, 10))
    assert joint_angles_deg(pose) == pytest.approx({"spread": expected})
    assert trunk_length_mm(pose) == 40
    np.testing.assert_allclose(body_axes(pose), np.eye(3), atol=1e-15)
    bent = Pose.from_positions({"left_wing": [-3, 1, 2], "right_wing": [8, 0, 0]}, bird)
    mirrored = bent.mirror()
    assert mirrored["right_wing"].position_mm.tolist() == [3, 1, 2]
    assert mirrored["left_wing"].position_mm.tolist() == [-8, 0, 0]
    assert mirrored.present.tolist() == [False, False, False, True, True]


def test_the_smallest_skeleton_is_one_landmark():
    dot = skeleton_from_plain(
        {"format": "fetusmap-skeleton", "version": 1, "name": "dot", "landmarks": [{"name": "it"}]}
    )
    assert dot.segment_index.shape == (0, 2)
    assert dot.reference is None
    pose = Pose.from_positions({"it": [1, 2, 3]}, dot)
    assert pose.lengths_mm() == {}
    assert joint_angles_deg(pose) == {}
    assert np.isnan(trunk_length_mm(pose))
    assert np.isnan(body_axes(pose)).all()
    with pytest.raises(BadInput, match=r"^skeleton dot: expected a reference_position"):
        reference_pose(60.0, dot)


def changed(**parts):
    return json.dumps({**BIRD, **parts})


CROWN_RUMP = {"path": ["ear", "beak"], "fraction": 1.0, "fraction_cv": 0.1, "segment_cv": 0.1}

BAD_FILES = {
    "unknown key": (changed(wingspan=3), "wingspan: Extra inputs"),
    "unknown key with control characters": (changed(**{"a\n\x1b[31m": 3}), "Extra inputs"),
    "unknown key inside": (changed(landmarks=[{"name": "a", "colour": 1}]), "landmarks.0.colour"),
    "missing key": (json.dumps({"format": "fetusmap-skeleton", "version": 1}), "name: Field"),
    "repeated landmark": (
        changed(landmarks=[{"name": n} for n in ("a", "b", "a")]),
        "landmark 'a' appears more than once",
    ),
    "repeated segment": (
        changed(segments=BIRD["segments"] * 2),
        "segment 'body' appears more than once",
    ),
    "repeated angle": (changed(angles=BIRD["angles"] * 2), "angle 'spread' appears more than once"),
    "landmark in two mirror pairs": (
        changed(mirror_pairs=[["left_wing", "right_wing"], ["tail", "left_wing"]]),
        "'left_wing' appears more than once",
    ),
    "mirror pair of one landmark": (
        changed(mirror_pairs=[["tail", "tail"]]),
        "'tail' appears more than once",
    ),
    "unknown landmark in a segment": (
        changed(segments=[{"name": "s", "start": "tail", "end": "ear"}]),
        "'ear' is used but is not among the landmarks",
    ),
    "unknown landmark in mirror pairs": (changed(mirror_pairs=[["ear", "tail"]]), "'ear' is used"),
    "unknown landmark in lateral pairs": (changed(lateral_pairs=[["ear", "tail"]]), "'ear' is"),
    "unknown landmark in the trunk": (changed(trunk=["tail", "ear", "beak"]), "'ear' is used"),
    "unknown landmark in the path": (changed(crown_rump=CROWN_RUMP), "'ear' is used"),
    "unknown landmark in the subset": (changed(registration_subset=["ear"]), "'ear' is used"),
    "unknown landmark in an angle": (
        changed(angles=[{"name": "a", "first": ["ear", "tail"], "second": ["tail", "beak"]}]),
        "'ear' is used",
    ),
    "no landmarks": (changed(landmarks=[]), "landmarks: Tuple should have at least 1 item"),
    "a name with a blank": (changed(landmarks=[{"name": "the ear"}]), "landmarks.0.name"),
    "a name with a line break": (changed(landmarks=[{"name": "ear\n"}]), "landmarks.0.name"),
    "a name that is a path": (changed(name="../x"), "name: String should match pattern"),
    "wrong version": (changed(version=2), "version: Input should be 1"),
    "another format": (changed(format="fetusmap-pose"), "format: Input should be"),
    "a colour by name": (changed(colors={"left": "blue"}), "colors.left: String should match"),
    "a colour of no side": (changed(colors={"top": "#000000"}), "colors.top"),
    "a trunk of two": (changed(trunk=["tail", "beak"]), "trunk"),
    "a position of two numbers": (
        changed(landmarks=[{"name": "a", "reference_position": [1, 2]}]),
        "landmarks.0.reference_position",
    ),
    "a number beyond all bounds": (
        changed(landmarks=[{"name": "a", "reference_position": [1, 2, 3]}]).replace("3]", "1e999]"),
        "landmarks.0.reference_position.2: Input should be a finite number",
    ),
    "a list": ("[]", "the document: Input should be a valid dictionary"),
    "several faults": (changed(version=2, wingspan=3), "(and 1 more)"),
}


@pytest.mark.parametrize(("text", "found"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_is_no_skeleton_is_refused_in_one_line(tmp_path, text, found):
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as error:
        load_skeleton(path)
    assert error.value.subject == str(path)
    assert error.value.expected == "a valid skeleton"
    assert found in error.value.found
    # Neither a second line nor a terminal's control sequence can be forged by a file.
    assert str(error.value).isprintable()


UNREADABLE_FILES = {
    "not JSON": (b"left, right", "Expecting value"),
    "cut short": (b'{"format": "fetusmap-skeleton"', "delimiter"),
    "empty": (b"", "an empty file"),
    "not text": (b"\xff\xfe\x00\x01", "codec can't decode"),
    "nested too deeply": (b"[" * 200_000, "recursion"),
    "NaN": (b'{"version": NaN}', "NaN, which JSON does not have"),
    "infinity": (b'{"version": -Infinity}', "-Infinity, which JSON does not have"),
    "a number of too many digits": (b"9" * 5000, "digits"),
    "too large": (b" " * (16 * 1024 * 1024 + 1), "more"),
}


@pytest.mark.parametrize(("content", "found"), UNREADABLE_FILES.values(), ids=UNREADABLE_FILES)
def test_a_file_that_is_no_json_is_refused_in_one_line(tmp_path, content, found):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile) as error:
        load_skeleton(path)
    assert error.value.subject == str(path)
    assert found in error.value.found
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder_are_refused_by_what_they_are(tmp_path):
    with pytest.raises(UnreadableFile, match="found no such file"):
        load_skeleton(tmp_path / "none.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(UnreadableFile, match="found a folder"):
        load_skeleton(tmp_path / "folder.json")


def test_a_file_of_exactly_the_largest_size_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "bird.json"
    content = b"\xef\xbb\xbf" + json.dumps(BIRD).encode()
    path.write_bytes(content.ljust(1024 * 1024))
    assert load_skeleton(path).name == "bird-5"


def test_other_files_name_a_built_in_skeleton_and_hold_any_other() -> None:
    assert entry_from_skeleton(load_skeleton()) == "fetus-16"
    assert skeleton_from_entry("fetus-16") == load_skeleton()
    namesake = skeleton_from_plain({**plain_from_skeleton(load_skeleton()), "description": "ours"})
    entry = entry_from_skeleton(namesake)
    assert entry == plain_from_skeleton(namesake)
    assert skeleton_from_entry(SkeletonDocument.model_validate(entry)).description == "ours"
    with pytest.raises(BadInput, match="a built-in skeleton"):
        skeleton_from_entry("skeleton.json", "a file")
