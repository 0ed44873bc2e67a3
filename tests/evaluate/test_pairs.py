"""Predictions beside annotations: what is missing on either side, and where poses are found."""

import numpy as np
import pytest

from fetusmap.anatomy import Pose, Skeleton, load_skeleton, reference_pose
from fetusmap.dataset import Case
from fetusmap.errors import BadInput
from fetusmap.evaluate import find_poses, pair_with_truth
from fetusmap.io import save_pose

FETUS = load_skeleton()
NOSE = Skeleton(
    "nose-and-ears", ("nose", "left_ear", "right_ear"), (), (("left_ear", "right_ear"),)
)
NAN, INF = np.nan, np.inf


@pytest.fixture
def make_case(tmp_path):
    """A function that makes a case of a dataset, annotated where a pose is given."""
    (tmp_path / "landmarks").mkdir()

    def make(name, pose=None, *, subject="", skeleton=FETUS):
        case = Case(name, subject, tmp_path, skeleton)
        if pose is not None:
            save_pose(pose, case.landmarks_path)
        return case

    return make


def rows_of(*names):
    return list(FETUS.indices(names))


# Pairs


def test_predictions_stand_beside_the_annotations_of_their_cases(make_case):
    """In the order of the cases, whatever that of the predictions."""
    truths = {name: reference_pose(40.0 + n) for n, name in enumerate("abc")}
    cases = [make_case(name, truth, subject=f"of-{name}") for name, truth in truths.items()]
    found = {
        name: Pose(FETUS, truths[name].positions_mm + shift)
        for name, shift in (("c", [0, 0, 9]), ("a", [3, 4, 0]), ("b", [2, 3, 6]))
    }
    pairs = pair_with_truth(found, cases)
    assert pairs.cases == ("a", "b", "c")
    assert pairs.subjects == ("of-a", "of-b", "of-c")
    assert pairs.skeleton == FETUS
    assert pairs.without_prediction == ()
    for n, name in enumerate("abc"):
        np.testing.assert_array_equal(pairs.true_mm[n], truths[name].positions_mm)
        np.testing.assert_array_equal(pairs.found_mm[n], found[name].positions_mm)
    np.testing.assert_allclose(pairs.errors_mm, np.repeat([[5.0], [7], [9]], 16, axis=1))


def test_a_case_without_prediction_is_missed_altogether(make_case):
    truth = reference_pose(60.0)
    pairs = pair_with_truth({"b": truth}, [make_case(name, truth) for name in "abc"])
    assert pairs.without_prediction == ("a", "c")
    assert pairs.cases == ("a", "b", "c")
    np.testing.assert_array_equal(pairs.errors_mm, [[INF] * 16, [0] * 16, [INF] * 16])
    nothing = pair_with_truth({}, [make_case("d", truth)])
    assert nothing.found_mm.shape == (1, 16, 3)
    assert np.isinf(nothing.errors_mm).all()


def test_a_case_without_annotation_is_left_out(make_case):
    """And so are predictions of cases that nobody asked about."""
    truth = reference_pose(60.0)
    cases = [make_case("a"), make_case("b", truth), make_case("c")]
    pairs = pair_with_truth(dict.fromkeys(["a", "b", "other"], truth), cases)
    assert pairs.cases == ("b",)
    assert pairs.without_prediction == ()
    assert pairs.errors_mm.tolist() == [[0] * 16]


def test_a_case_of_unknown_subject_is_a_subject_of_its_own(make_case):
    truth = reference_pose(60.0)
    cases = [make_case("a", truth), make_case("b", truth, subject="s"), make_case("c", truth)]
    assert pair_with_truth({}, cases).subjects == ("a", "s", "c")


def test_what_the_annotation_does_not_vouch_for_is_not_counted(make_case):
    """Absent, or outside the volume: a position of confidence 0."""
    head, wrist, ankle = rows_of("head", "left_wrist", "right_ankle")
    positions = reference_pose(60.0).positions_mm.copy()
    confidence = np.full(16, 0.01)
    confidence[wrist] = 0
    positions[head] = NAN
    found = reference_pose(60.0).positions_mm + np.array([0, 2, 0])
    found[ankle] = NAN
    found[head] = NAN
    case = make_case("a", Pose(FETUS, positions, confidence))
    pairs = pair_with_truth({"a": Pose(FETUS, found)}, [case])
    expected = np.full(16, 2.0)
    expected[[head, wrist, ankle]] = NAN, NAN, INF
    np.testing.assert_allclose(pairs.errors_mm[0], expected)
    assert np.isnan(pairs.true_mm[0, [head, wrist]]).all()


def test_a_prediction_counts_however_unsure_it_is(make_case):
    truth = reference_pose(60.0)
    unsure = Pose(FETUS, truth.positions_mm, np.zeros(16))
    assert not pair_with_truth({"a": unsure}, [make_case("a", truth)]).errors_mm.any()


def test_other_skeletons_are_evaluated_too(make_case):
    true = Pose(NOSE, np.zeros((3, 3)))
    found = Pose(NOSE, np.array([[1.0, 2, 2], [NAN] * 3, [0, 0, 5]]))
    pairs = pair_with_truth({"a": found}, [make_case("a", true, skeleton=NOSE)])
    assert pairs.skeleton == NOSE
    assert pairs.errors_mm.tolist() == [[3, INF, 5]]


def test_a_prediction_of_another_skeleton_is_refused_by_name(make_case):
    truth = reference_pose(60.0)
    cases = [make_case("a", truth), make_case("b", truth)]
    found = {"a": truth, "b": Pose(NOSE, np.zeros((3, 3)))}
    with pytest.raises(BadInput, match=r"^prediction of b: .*fetus-16, found one of nose-and-ears"):
        pair_with_truth(found, cases)


@pytest.mark.parametrize(("count", "told"), [(0, "found none"), (2, "found 2 without annotation")])
def test_without_an_annotated_case_nothing_is_evaluated(make_case, count, told):
    cases = [make_case(f"{n}") for n in range(count)]
    with pytest.raises(BadInput, match=told):
        pair_with_truth({"0": reference_pose(60.0)}, cases)


# Poses in folders


@pytest.mark.parametrize("layout", ["{}/pose.json", "{}.json"])
def test_poses_of_a_folder_are_found_by_case(tmp_path, layout):
    poses = {name: reference_pose(40.0 + n) for n, name in enumerate(["case-2", "b.1", "a"])}
    for name, pose in poses.items():
        path = tmp_path / layout.format(name)
        path.parent.mkdir(exist_ok=True)
        save_pose(pose, path)
    found = find_poses(tmp_path)
    assert found.keys() == poses.keys()
    assert all(found[name].equals(pose) for name, pose in poses.items())


def test_what_else_a_prediction_wrote_is_no_pose(tmp_path):
    """Beside the folders of cases, and within them."""
    (tmp_path / "a").mkdir()
    (tmp_path / "empty").mkdir()
    save_pose(reference_pose(50.0), tmp_path / "a" / "pose.json")
    (tmp_path / "a" / "quality.json").write_text("{}")
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "table.csv").write_text("case\n")
    assert [*find_poses(tmp_path)] == ["a"]


def test_poses_of_another_skeleton_are_read_with_it(tmp_path):
    pose = Pose(NOSE, np.arange(9.0).reshape(3, 3))
    save_pose(pose, tmp_path / "a.json")
    assert find_poses(tmp_path, NOSE)["a"].equals(pose)
    with pytest.raises(BadInput, match="nose-and-ears"):
        find_poses(tmp_path)


def test_a_file_that_is_no_pose_is_refused_by_name(tmp_path):
    save_pose(reference_pose(50.0), tmp_path / "a.json")
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(BadInput, match=r"b\.json"):
        find_poses(tmp_path)


def test_where_nothing_is_nothing_is_found(tmp_path):
    with pytest.raises(BadInput, match="found none; give the folder"):
        find_poses(tmp_path)
    with pytest.raises(BadInput, match="found no such folder"):
        find_poses(tmp_path / "nowhere")
    save_pose(reference_pose(50.0), tmp_path / "a.json")
    with pytest.raises(BadInput, match="found no such folder"):
        find_poses(tmp_path / "a.json")


def test_what_a_killed_process_left_is_no_pose(tmp_path):
    save_pose(reference_pose(60.0), tmp_path / "a.json")
    (tmp_path / ".0123456789abcdef.partial.json").write_text('{"format": "fetus')
    assert list(find_poses(tmp_path)) == ["a"]
