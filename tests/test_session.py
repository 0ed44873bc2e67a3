"""Pins are honoured, and the rest of the pose follows them: with the shipped model, on one scan."""

import numpy as np
import pytest

from fetusmap.anatomy import Provenance
from fetusmap.detect import AffordableDetections, back_to_front
from fetusmap.errors import BadInput
from fetusmap.estimate import PoseEstimator
from fetusmap.preprocess import prepare
from fetusmap.session import Session
from fetusmap.simulate import SimulationSettings, simulate_case


@pytest.fixture(scope="module")
def made():
    return simulate_case(SimulationSettings(preset="half"), seed=2019, number=100)


@pytest.fixture(scope="module")
def estimator():
    return PoseEstimator.from_pretrained(device="cpu")


@pytest.fixture(scope="module")
def predicted(made, estimator):
    return estimator(made.volume).pose


@pytest.fixture
def session(made, estimator):
    return estimator.session(made.volume)


def off_mm(pose, truth):
    return np.linalg.norm(pose.positions_mm - truth.positions_mm, axis=1)


def wrongly_detected(made, estimator) -> Session:
    """A session whose first detection took the body back to front."""
    pipeline, prepared = estimator.pipeline, prepare(made.volume)
    (frame, *_) = pipeline.find_frames(prepared.volume)
    wrong = pipeline.detect_in_frame(prepared.volume, back_to_front(frame))
    found = AffordableDetections([wrong], half=False)
    return Session(
        pipeline, estimator.card.calibration, prepared, found, Provenance(), estimator.library
    )


def test_without_pins_the_answer_is_the_estimators(session, predicted):
    pose = session.solve()
    assert pose.equals(predicted)
    assert pose.quality == predicted.quality
    assert pose.provenance.model == predicted.provenance.model


def test_a_pin_stays_where_it_was_put_and_is_certain(session, predicted):
    place = predicted["left_wrist"].position_mm + np.array([3.0, -2.0, 1.0])
    session.pin("left_wrist", place)
    pose = session.solve()
    np.testing.assert_allclose(pose["left_wrist"].position_mm, place, atol=1e-9)
    assert pose["left_wrist"].confidence == 1
    assert (pose["left_wrist"].review, pose["head"].review) == ("moved", "machine")
    assert pose.provenance.notes == {"pins": ["left_wrist"]}
    np.testing.assert_allclose(session.pins["left_wrist"], place, atol=1e-9)


@pytest.mark.parametrize(
    "pinned",
    [
        ("head",),
        ("left_knee", "right_elbow"),
        ("neck", "sacrum", "left_hip", "right_knee"),
        ("head", "neck", "spine", "sacrum"),
    ],
)
def test_right_pins_leave_a_right_pose_right(session, made, predicted, pinned):
    for name in pinned:
        session.pin(name, made.pose[name].position_mm)
    errors = off_mm(session.solve(), made.pose)
    assert errors.mean() < off_mm(predicted, made.pose).mean() + 0.3
    assert errors.max() < 5


def test_the_answer_does_not_depend_on_earlier_questions(session, made, estimator):
    session.pin("left_ankle", made.pose["right_wrist"].position_mm)
    session.solve()
    session.unpin("left_ankle")
    session.pin("neck", made.pose["neck"].position_mm)
    again = estimator.session(made.volume)
    again.pin("neck", made.pose["neck"].position_mm)
    assert session.solve().equals(again.solve())


def test_unpinning_everything_gives_the_first_answer_back(session, predicted):
    session.pin("head", [0.0, 0.0, 0.0])
    session.unpin("head")
    session.unpin("neck")
    assert dict(session.pins) == {}
    assert session.solve().equals(predicted)


def test_pins_turn_a_body_around_that_was_detected_back_to_front(made, estimator):
    """Four pins determine the frame against all that the first detection says."""
    session = wrongly_detected(made, estimator)
    assert off_mm(session.solve(), made.pose).mean() > 6
    for name in ("head", "sacrum", "left_shoulder", "right_knee"):
        session.pin(name, made.pose[name].position_mm)
    errors = off_mm(session.solve(), made.pose)
    assert errors.mean() < 1.5
    assert errors.max() < 6


def test_a_pin_that_anatomy_does_not_allow_is_doubted(made, session):
    """The pose is checked with its pins, and they stay where they are."""
    place = made.pose["left_wrist"].position_mm + np.array([40.0, 0, 0])
    session.pin("left_wrist", place)
    pose = session.solve()
    np.testing.assert_allclose(pose["left_wrist"].position_mm, place)
    assert any("lengths of the left arm are implausible" in why for why in pose.quality.reasons)


def test_a_name_that_the_skeleton_lacks_and_a_place_that_is_none_are_refused(session):
    with pytest.raises(BadInput, match=r"'tail'.*expected a landmark of fetus-22"):
        session.pin("tail", [0, 0, 0])
    with pytest.raises(BadInput, match="expected three finite coordinates in mm"):
        session.pin("head", [0, np.nan, 0])
    with pytest.raises(BadInput, match="expected three finite coordinates in mm"):
        session.pin("head", [0, 0])
    assert dict(session.pins) == {}


def test_where_no_body_was_found_pins_alone_are_the_pose(made, estimator):
    found = AffordableDetections([], half=False)
    session = Session(
        estimator.pipeline,
        estimator.card.calibration,
        prepare(made.volume),
        found,
        Provenance(),
        estimator.library,
    )
    assert not session.solve().present.any()
    session.pin("head", made.pose["head"].position_mm)
    pose = session.solve()
    assert pose.present.sum() == 1
    assert pose.quality.reasons == ("no fetus in view",)
    for name in ("sacrum", "left_shoulder", "right_knee", "neck"):
        session.pin(name, made.pose[name].position_mm)
    assert off_mm(session.solve(), made.pose).mean() < 2
