"""A session of corrections: planted errors are put right, with as few actions as they need.

An action is what one click or one drag sends. The last test asks the shipped model.
"""

from dataclasses import replace

import numpy as np
import pytest

from fetusmap.anatomy import Pose
from fetusmap.cli.main import run
from fetusmap.dataset import load_dataset
from fetusmap.io import Source, load_pose, save_volume
from fetusmap.scale import PredictionSettings
from fetusmap.serve import work
from fetusmap.serve.work import Question, answer_question
from fetusmap.serve.workspace import Reading
from fetusmap.simulate import SimulationSettings, simulate_case

from .conftest import prediction, write_case

TRUTH = prediction()


def with_positions(positions):
    return Pose(TRUTH.skeleton, positions, 0.5, quality=TRUTH.quality)


def wrist_off():
    positions = TRUTH.positions_mm.copy()
    positions[TRUTH.skeleton.index("left_wrist")] += (6.0, -3.0, 2.0)
    return with_positions(positions)


def landmark_missing():
    positions = TRUTH.positions_mm.copy()
    positions[TRUTH.skeleton.index("crown")] = np.nan
    return with_positions(positions)


ARM = ("left_shoulder", "left_elbow", "left_wrist", "left_hand")
PLANTED = {
    "wrist": (wrist_off, [("move", ["left_wrist"])]),
    "arm": (lambda: TRUTH.exchange_sides(ARM), [("exchange", ["left_elbow"])]),
    "body": (TRUTH.exchange_sides, [("exchange", [])]),
    "missing": (landmark_missing, [("move", ["crown"])]),
    "nothing": (lambda: TRUTH, []),
    "several": (
        lambda: wrist_off().exchange_sides(("left_knee", "left_ankle", "left_hip", "left_foot")),
        [("exchange", ["right_knee"]), ("move", ["left_wrist"])],
    ),
}


@pytest.fixture
def planted(tmp_path):
    root = tmp_path / "results"
    root.mkdir()
    for name, (make, _) in PLANTED.items():
        write_case(root, name, make())
    return root


def test_each_planted_error_takes_one_action_and_the_dataset_is_the_truth(
    planted, serve, tmp_path, capsys
):
    client = serve(planted)
    for name, (_, actions) in PLANTED.items():
        for action, landmarks in actions:
            body = {"author": "Anna", "action": action, "landmarks": landmarks}
            if action == "move":
                body["position"] = TRUTH[landmarks[0]].position_mm.tolist()
            assert client.post(f"/api/cases/{name}/corrections", json=body).status_code == 200
        accepted = {"author": "Anna", "action": "accept_case"}
        detail = client.post(f"/api/cases/{name}/corrections", json=accepted).json()
        positions = np.array([mark["position"] for mark in detail["pose"]])
        np.testing.assert_allclose(positions, TRUTH.positions_mm, atol=1e-9, err_msg=name)
    assert client.get("/api/cases").json()["counts"]["done"] == len(PLANTED)
    assert run(["convert", str(planted), str(tmp_path / "set")]) == 0
    for case in load_dataset(tmp_path / "set").cases:
        np.testing.assert_allclose(case.load_pose().positions_mm, TRUTH.positions_mm, atol=1e-9)
        assert case.facts["annotators"] == "Anna"


def test_before_the_corrections_each_planted_case_is_wrong(planted):
    for name, (_, actions) in PLANTED.items():
        same = load_pose(planted / name / "pose.json").positions_mm == TRUTH.positions_mm
        assert same.all() == (not actions)


def test_the_shipped_model_follows_what_a_person_pinned(tmp_path, monkeypatch):
    made = simulate_case(SimulationSettings(preset="half"), seed=2019, number=100)
    save_volume(made.volume, tmp_path / "scan.nii.gz")
    reading = Reading(Source(tmp_path / "scan.nii.gz"))
    settings = PredictionSettings(device="cpu")
    monkeypatch.setattr(work, "_SESSIONS", type(work._SESSIONS)())
    monkeypatch.setattr(work, "MAX_SESSIONS", 1)
    free = Question(reading.source, reading.file_key)
    first = answer_question(settings, free)
    assert first.review == ("machine",) * len(first.skeleton)
    place = tuple(np.add(first["left_wrist"].position_mm, (3.0, -2.0, 1.0)).tolist())
    pinned = replace(free, pins={"left_wrist": (place, "placed"), "tail": (place, "moved")})
    answer = answer_question(settings, pinned)
    np.testing.assert_allclose(answer["left_wrist"].position_mm, place, atol=1e-9)
    assert answer["left_wrist"].review == "placed"
    others = answer.on(made.pose.skeleton)
    errors = np.linalg.norm(others.positions_mm - made.pose.positions_mm, axis=1)
    assert np.nanmedian(errors) < 2
    assert answer_question(settings, free).equals(first)  # pins of earlier questions are gone
    (session,) = work._SESSIONS.values()
    changed = replace(free, file_key="another content of the file")
    assert answer_question(settings, changed).equals(first)
    assert [*work._SESSIONS.values()] != [session]
    assert len(work._SESSIONS) == 1
