"""A dataset with corrections: what people did counts, and the files of the dataset stay."""

import numpy as np
import pytest

from fetusmap.anatomy import reference_pose
from fetusmap.corrections import (
    accept,
    append_correction,
    corrected_pose,
    move,
    new_correction,
)
from fetusmap.dataset import DatasetWriter, load_dataset
from fetusmap.files import sha256_of
from fetusmap.geometry import Grid
from fetusmap.train.cases import annotated_cases
from fetusmap.volume import Volume

POSE = reference_pose(40.0)
GRID = Grid.centered((30, 30, 30), (3.0, 3.0, 3.0), (0.0, 0.0, 10.0))


@pytest.fixture
def dataset(tmp_path):
    """An annotated case, one that is to be checked, and one without annotation."""
    with DatasetWriter(tmp_path / "set", name="set", licence="", skeleton=POSE.skeleton) as writer:
        for name, pose, doubts in (("a", POSE, ()), ("b", POSE, ("odd",)), ("c", None, ())):
            volume = Volume(np.ones(GRID.shape, np.uint8), GRID, name=name)
            writer.add(volume, pose, to_check=doubts)
    return load_dataset(tmp_path / "set")


def case_of(dataset, name):
    (case,) = (case for case in load_dataset(dataset.folder).cases if case.name == name)
    return case


def correct(case, action, states=None, base=POSE):
    def make(log):
        pose = corrected_pose(base, log)
        return new_correction(base, "Anna", action, states(pose) if states else None)

    append_correction(case.corrections_path, make)


def names(dataset):
    return [case.name for case in annotated_cases(load_dataset(dataset.folder), "train")]


def test_training_sees_the_corrected_pose_and_the_file_stays(dataset):
    case = case_of(dataset, "a")
    before, content = case.annotation_sha256(), case.landmarks_path.read_bytes()
    assert before == sha256_of(case.landmarks_path)
    correct(case, "move", lambda pose: move(pose, "head", (1, 2, 3)))
    pose = case.load_pose()
    assert pose["head"].position_mm.tolist() == [1, 2, 3]
    assert pose["head"].review == "moved"
    assert case.annotation_sha256() != before  # so that no cache returns the old pose
    assert case.landmarks_path.read_bytes() == content


def test_what_a_person_accepted_is_checked_and_a_problem_is_left_out(dataset):
    assert names(dataset) == ["a"]
    correct(case_of(dataset, "b"), "accept_case", accept)
    assert names(dataset) == ["a", "b"]
    correct(case_of(dataset, "a"), "problem")
    assert names(dataset) == ["b"]
    correct(case_of(dataset, "a"), "reopen")
    assert names(dataset) == ["a", "b"]


def test_a_case_that_a_person_annotated_from_nothing_is_annotated_once_it_is_accepted(dataset):
    case, nothing = case_of(dataset, "c"), POSE.from_positions({}, POSE.skeleton)
    correct(case, "move", lambda pose: move(pose, "head", (1, 2, 3)), nothing)
    assert not case.is_annotated
    correct(case, "accept_case", accept, nothing)
    assert case.is_annotated
    pose = case.load_pose()
    assert (pose["head"].review, pose["neck"].review) == ("placed", "absent")
    assert names(dataset) == ["a", "c"]
