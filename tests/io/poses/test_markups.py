"""3D Slicer markups: written files fit Slicer's schema, and files of Slicer are read."""

from __future__ import annotations

import copy
import json

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetusmap.anatomy import Pose, load_skeleton, reference_pose
from fetusmap.errors import BadInput
from fetusmap.io import load_pose, save_pose
from fetusmap.io.poses.markups import (
    markups_from_pose,
    pose_from_markups,
    read_markups,
    write_markups,
)

NUMBER, STRING, BOOLEAN = {"type": "number"}, {"type": "string"}, {"type": "boolean"}
UNIT = {"type": "number", "minimum": 0, "maximum": 1}
POSITIVE = {"type": "number", "minimum": 0}
COLOR = {"type": "array", "items": UNIT, "minItems": 3, "maxItems": 3}
FLAGS = (
    "visibility", "propertiesLabelVisibility", "pointLabelsVisibility", "useGlyphScale",
    "snapMode", "interactionHandleVisibility", "handlesInteractive",
)  # fmt: skip

# The part of 3D Slicer's markups schema v1.0.3 that we rely on, in our own words.
SLICER = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["@schema", "markups"],
    "properties": {
        "@schema": {"type": "string", "pattern": r"markups-schema-v1\.[0-9]+\.[0-9]+\.json#?$"},
        "markups": {"type": "array", "items": {"$ref": "#/definitions/markup"}},
    },
    "definitions": {
        "markup": {
            "type": "object",
            "required": ["type"],
            "properties": {
                "type": {
                    "enum": ["Fiducial", "Line", "Angle", "Curve", "ClosedCurve", "Plane", "ROI"]
                },
                "name": STRING,
                "coordinateSystem": {"enum": ["LPS", "RAS"]},
                "coordinateUnits": {
                    "anyOf": [
                        {"enum": ["mm", "um"]},
                        {"type": "array", "items": STRING, "minItems": 3, "maxItems": 3},
                    ]
                },
                "locked": BOOLEAN,
                "fixedNumberOfControlPoints": BOOLEAN,
                "labelFormat": STRING,
                "controlPoints": {
                    "type": "array",
                    "items": {"$ref": "#/definitions/point"},
                },
                "display": {"$ref": "#/definitions/display"},
            },
        },
        "point": {
            "type": "object",
            "properties": {
                **dict.fromkeys(("id", "label", "description", "associatedNodeID"), STRING),
                **dict.fromkeys(("selected", "locked", "visibility"), BOOLEAN),
                "position": {"type": "array", "items": NUMBER, "minItems": 3, "maxItems": 3},
                "orientation": {"type": "array", "items": NUMBER, "minItems": 9, "maxItems": 9},
                "positionStatus": {"enum": ["undefined", "preview", "defined"]},
            },
        },
        "display": {
            "type": "object",
            "properties": {
                **dict.fromkeys(FLAGS, BOOLEAN),
                "opacity": UNIT,
                **dict.fromkeys(("color", "selectedColor", "activeColor"), COLOR),
                **dict.fromkeys(("textScale", "glyphScale", "glyphSize"), POSITIVE),
                "glyphType": {
                    "enum": [
                        "Vertex2D", "Dash2D", "Cross2D", "ThickCross2D", "Triangle2D", "Square2D",
                        "Circle2D", "Diamond2D", "Arrow2D", "ThickArrow2D", "HookedArrow2D",
                        "StarBurst2D", "Sphere3D", "Diamond3D",
                    ]
                },
            },
        },
    },
}  # fmt: skip


@pytest.fixture(scope="session")
def validator():
    """A validator of the part of Slicer's schema that we rely on."""
    jsonschema.Draft7Validator.check_schema(SLICER)
    return jsonschema.Draft7Validator(SLICER)


@pytest.fixture
def plain():
    """The markups of a whole pose, free to be changed."""
    return copy.deepcopy(markups_from_pose(reference_pose()))


def point(label, position, **more):
    return {"label": label, "position": position, **more}


def fiducials(*points, **more):
    return {"@schema": "", "markups": [{"type": "Fiducial", "controlPoints": [*points], **more}]}


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_what_we_write_fits_slicers_schema(data, poses, validator):
    plain = json.loads(json.dumps(markups_from_pose(data.draw(poses)), allow_nan=False))
    assert list(validator.iter_errors(plain)) == []


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        (("@schema",), None),
        (("markups", 0, "type"), "Points"),
        (("markups", 0, "coordinateSystem"), "LAS"),
        (("markups", 0, "coordinateUnits"), "cm"),
        (("markups", 0, "controlPoints", 0, "position"), [0, 0]),
        (("markups", 0, "controlPoints", 0, "orientation"), [0] * 8),
        (("markups", 0, "controlPoints", 0, "positionStatus"), "absent"),
        (("markups", 0, "controlPoints", 0, "id"), 1),
        (("markups", 3, "display", "color"), [0, 0, 1.1]),
        (("markups", 3, "display", "glyphType"), "Sphere"),
        (("markups", 3, "display", "textScale"), -1),
    ],
)
def test_the_schema_of_this_test_can_fail(path, bad, plain, validator):
    place = plain
    for key in path[:-1]:
        place = place[key]
    assert path[-1] in place
    place[path[-1]] = bad
    assert not validator.is_valid(plain)


def test_a_file_holds_one_point_list_and_a_line_per_segment(plain):
    kinds = [markup["type"] for markup in plain["markups"]]
    assert kinds == ["Fiducial"] + ["Line"] * 15
    skeleton = load_skeleton()
    labels = [point["label"] for point in plain["markups"][0]["controlPoints"]]
    assert labels == list(skeleton.landmarks)
    ends = {
        markup["name"]: tuple(point["label"] for point in markup["controlPoints"])
        for markup in plain["markups"][1:]
    }
    assert ends == {s.name: (s.start, s.end) for s in skeleton.segments}
    assert ends["left_femur"] == ("left_hip", "left_knee")


def test_everything_is_in_lps_millimetres(plain):
    for markup in plain["markups"]:
        assert markup["coordinateSystem"] == "LPS"
        assert markup["coordinateUnits"] == "mm"
    # The reference pose for a crown-rump length of 60 mm: 60 times the skeleton's own numbers.
    knee = next(p for p in plain["markups"][0]["controlPoints"] if p["label"] == "left_knee")
    np.testing.assert_allclose(knee["position"], [-0.154 * 60, 0.258 * 60, 0.047 * 60])


def test_lines_end_where_the_points_are(plain):
    points = {p["label"]: p["position"] for p in plain["markups"][0]["controlPoints"]}
    for line in plain["markups"][1:]:
        for end in line["controlPoints"]:
            assert end["position"] == points[end["label"]]


def test_left_is_blue_right_is_orange_and_the_midline_is_white(plain):
    for line in plain["markups"][1:]:
        red, green, blue = line["display"]["color"]
        assert line["display"]["selectedColor"] == [red, green, blue]
        if line["name"].startswith("left_"):
            assert blue > green > red
        elif line["name"].startswith("right_"):
            assert red > green > blue
        else:
            assert min(red, green, blue) > 0.9
    sides = [line["name"].split("_")[0] for line in plain["markups"][1:]]
    assert sides.count("left") == sides.count("right") == 6


def test_an_absent_landmark_is_undefined_in_the_list_and_in_its_lines():
    positions = reference_pose().positions_mm.copy()
    skeleton = load_skeleton()
    positions[skeleton.index("left_knee")] = np.nan
    plain = markups_from_pose(Pose(skeleton, positions))
    for markup in plain["markups"]:
        for mark in markup["controlPoints"]:
            absent = mark["label"] == "left_knee"
            assert mark["positionStatus"] == ("undefined" if absent else "defined")
            assert np.isfinite(mark["position"]).all()
    json.dumps(plain, allow_nan=False)


def test_confidence_travels_in_the_description(tmp_path):
    skeleton = load_skeleton()
    confidence = np.linspace(0, 1, 16)
    pose = Pose(skeleton, reference_pose().positions_mm, confidence)
    write_markups(pose, tmp_path / "pose.mrk.json")
    np.testing.assert_array_equal(read_markups(tmp_path / "pose.mrk.json").confidence, confidence)


@pytest.mark.parametrize(
    ("description", "confidence"),
    [
        ("confidence 0.25 at 1.0 2.0 3.0", 0.25),
        ("  confidence 1e-05 at 1 2 3 ", 1e-5),
        ("confidence 0 at 1 2 3.0005", 0.0),
        ("confidence 0.25 at 1 2 3.1", 1.0),  # dragged
        ("confidence 0.25", 1.0),
        ("", 1.0),
        ("seen by a person", 1.0),
        ("confidence", 1.0),
        ("confidence 1.5", 1.0),
        ("confidence 1e999", 1.0),
        ("confidence nan", 1.0),
        ("confidence -0.5", 1.0),
        ("confidence 0.5.5", 1.0),
        ("confidence 0.5 or so", 1.0),
    ],
)
def test_a_description_that_we_did_not_write_means_certain(description, confidence):
    pose = pose_from_markups(fiducials(point("head", [1, 2, 3], description=description)))
    assert pose["head"].confidence == confidence


def test_ras_is_turned_into_lps():
    pose = pose_from_markups(fiducials(point("left_knee", [1, 2, 3]), coordinateSystem="RAS"))
    assert pose["left_knee"].position_mm.tolist() == [-1, -2, 3]
    assert not pose["right_knee"].is_present


@pytest.mark.parametrize("unit", ["um", ["um", "um", "um"]], ids=str)
def test_micrometres_are_turned_into_millimetres(unit):
    pose = pose_from_markups(fiducials(point("head", [1000, 2500, -3]), coordinateUnits=unit))
    np.testing.assert_allclose(pose["head"].position_mm, [1, 2.5, -0.003], rtol=1e-15)


@pytest.mark.parametrize("unit", ["mm", ["mm", "mm", "mm"]], ids=str)
def test_millimetres_are_taken_as_they_are(unit):
    pose = pose_from_markups(fiducials(point("head", [1, 2.5, -3]), coordinateUnits=unit))
    assert pose["head"].position_mm.tolist() == [1, 2.5, -3]


@pytest.mark.parametrize(
    "unit", ["m", "inch", "", ["m", "m", "m"], ["mm", "mm"], ["mm"] * 4, 1, None], ids=str
)
def test_a_unit_that_we_do_not_know_is_refused(unit, refused):
    with refused(error=BadInput):
        pose_from_markups(fiducials(point("head", [1, 2, 3]), coordinateUnits=unit))


def test_three_different_units_are_refused(refused):
    markups = fiducials(point("head", [1, 2, 3]), coordinateUnits=["mm", "mm", "um"])
    with refused("um", error=BadInput):
        pose_from_markups(markups)


@pytest.mark.parametrize(
    "absent",
    [
        {"positionStatus": "undefined"},
        {"positionStatus": "preview"},
        {"positionStatus": "missing"},  # marked as not visible in newer Slicer
        {"position": None},
        {"position": None, "positionStatus": "undefined"},
    ],
    ids=str,
)
def test_a_point_that_is_not_set_is_an_absent_landmark(absent):
    pose = pose_from_markups(
        fiducials({**point("head", [1, 2, 3]), **absent}, point("neck", [4, 5, 6]))
    )
    assert not pose["head"].is_present
    assert pose["head"].confidence == 0
    assert pose["neck"].position_mm.tolist() == [4, 5, 6]


def test_a_list_that_was_edited_in_slicer_is_read(tmp_path):
    # As Slicer 5 saves a point list: only the list, more keys than we know, newer schema.
    control = {
        "id": "1", "description": "", "associatedNodeID": "vtkMRMLScalarVolumeNode1",
        "orientation": [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0],
        "selected": True, "locked": False, "visibility": True, "positionStatus": "defined",
        "aKeyOfTomorrow": {"x": [1, 2]},
    }  # fmt: skip
    content = {
        "@schema": "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/"
        "Markups/Resources/Schema/markups-schema-v1.0.4.json#",
        "markups": [
            {
                "type": "Fiducial",
                "coordinateSystem": "LPS",
                "coordinateUnits": "mm",
                "locked": False,
                "fixedNumberOfControlPoints": False,
                "labelFormat": "%N-%d",
                "lastUsedControlPointNumber": 2,
                "controlPoints": [
                    {**control, "label": "right_wrist", "position": [-11.5, 2.25, 3.0]},
                    {**control, "label": "left_wrist", "position": [11.5, 2.25, 3.0]},
                    {**control, "label": "head", "position": [0.0, 0.0, 0.0],
                     "positionStatus": "undefined"},
                ],
                "measurements": [],
                "display": {"visibility": True, "opacity": 1.0, "sliceProjection": False},
            }
        ],
    }  # fmt: skip
    (tmp_path / "F.mrk.json").write_text(json.dumps(content, indent=4))
    pose = load_pose(tmp_path / "F.mrk.json")
    assert pose["right_wrist"].position_mm.tolist() == [-11.5, 2.25, 3]
    assert pose["left_wrist"].position_mm.tolist() == [11.5, 2.25, 3]
    assert pose.present.sum() == 2
    assert pose["left_wrist"].confidence == 1


def test_dragged_points_win_over_the_lines(plain, tmp_path):
    for mark in plain["markups"][0]["controlPoints"]:
        if mark["label"] == "left_knee":
            mark["position"] = [7.0, 8.0, 9.0]
    (tmp_path / "a.mrk.json").write_text(json.dumps(plain))
    assert load_pose(tmp_path / "a.mrk.json")["left_knee"].position_mm.tolist() == [7, 8, 9]


def test_landmarks_may_be_spread_over_several_lists():
    plain = fiducials(point("head", [1, 2, 3]))
    plain["markups"] += fiducials(point("neck", [4, 5, 6]), coordinateSystem="RAS")["markups"]
    pose = pose_from_markups(plain)
    assert pose["head"].position_mm.tolist() == [1, 2, 3]
    assert pose["neck"].position_mm.tolist() == [-4, -5, 6]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (fiducials(point("F-1", [1, 2, 3])), "F-1"),
        (fiducials(point("", [1, 2, 3])), "''"),
        (fiducials(point("Skull", [1, 2, 3])), "Skull"),
        (fiducials(point("head", [1, 2, 3]), point("Head", [1, 2, 3])), "'Head' twice"),
        (fiducials({"position": [1, 2, 3]}), "''"),
        (fiducials(point("head", [1, 2, 3]), point("head", [1, 2, 3])), "'head' twice"),
        (fiducials(point("\x1b[31mhead\n", [1, 2, 3])), "head"),
        (fiducials(), "point list"),
        ({"markups": []}, "point list"),
        ({"markups": [{"type": "Line", "controlPoints": [point("head", [1, 2, 3])]}]}, "Fiducial"),
        ({"markups": [{"controlPoints": [point("head", [1, 2, 3])]}]}, "type"),
        ({"markups": {}}, "markups"),
        ({"markups": None}, "markups"),
        ({}, "markups"),
        ([], "document"),
        (fiducials(point("head", [1, 2])), "position"),
        (fiducials(point("head", [1, 2, None])), "position"),
        (fiducials(point("head", [1, 2, 10**400])), "position"),
        (fiducials(point("head", [1, 2, 3], positionStatus=1)), "positionStatus"),
        (fiducials(point("head", [1, 2, 3]), coordinateSystem="LAS"), "coordinateSystem"),
        (fiducials(*[point("head", [1, 2, 3])] * 100_001), "controlPoints"),
    ],
    ids=[
        "default label", "no label", "other label", "spelt twice", "label missing", "twice",
        "control characters",
        "empty list", "no markups", "only a line", "no type", "markups as object", "markups null",
        "no markups key", "list", "two coordinates", "half absent", "huge integer", "status",
        "system", "too many points",
    ],
)  # fmt: skip
def test_markups_that_are_no_pose_are_refused(content, word, refused):
    with refused(word, error=BadInput):
        pose_from_markups(content)


def test_coordinates_as_text_are_refused(refused):
    with refused("position", error=BadInput):
        pose_from_markups(fiducials(point("head", ["1", "2", "3"])))


def test_the_file_name_stands_in_the_error(tmp_path, refused):
    (tmp_path / "F.mrk.json").write_text(json.dumps(fiducials(point("F-1", [1, 2, 3]))))
    with refused("F.mrk.json", "F-1", error=BadInput):
        load_pose(tmp_path / "F.mrk.json")


def test_the_file_is_plain_ascii_with_a_line_end(tmp_path):
    save_pose(reference_pose(), tmp_path / "pose.mrk.json")
    content = (tmp_path / "pose.mrk.json").read_bytes()
    assert content.isascii()
    assert content.endswith(b"}\n")


def test_what_is_dragged_set_and_unset_in_slicer_counts_as_a_persons_work(tmp_path):
    """Slicer changes positions and their status, and leaves the descriptions alone."""
    pose = reference_pose()
    positions = pose.positions_mm.copy()
    positions[1] = np.nan
    review = ("accepted", *["machine"] * 15)
    save_pose(Pose(pose.skeleton, positions, 0.5, review=review), tmp_path / "pose.mrk.json")
    plain = json.loads((tmp_path / "pose.mrk.json").read_text())
    accepted, missing, dragged, unset, *_ = plain["markups"][0]["controlPoints"]
    accepted["position"][0] += 1.0
    missing.update(position=[1.0, 2.0, 3.0], positionStatus="defined")
    dragged["position"][2] -= 0.5
    unset["positionStatus"] = "undefined"
    (tmp_path / "pose.mrk.json").write_text(json.dumps(plain))
    back = load_pose(tmp_path / "pose.mrk.json")
    assert back.review == ("moved", "placed", "moved", "absent", *["machine"] * 12)
    assert back.confidence.tolist() == [1.0, 1.0, 1.0, 0.0, *[0.5] * 12]
    assert back.positions_mm[1].tolist() == [1.0, 2.0, 3.0]
