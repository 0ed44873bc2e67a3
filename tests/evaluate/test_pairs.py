"""Predictions and annotations of the same cases: what is missing on either side, by hand."""

import numpy as np
import pytest

from fetusmap.anatomy import Pose, Segment, Skeleton, load_skeleton, reference_pose
from fetusmap.dataset import Case
from fetusmap.errors import BadInput
from fetusmap.evaluate import describe_landmarks, exchanged_pairs, pair_with_truth, summarize
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
    assert pairs.without_truth == ("a", "other")
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


def test_different_skeletons_are_compared_over_the_names_that_they_share(make_case):
    """The order of the rows differs, and each side has a landmark that the other lacks."""
    true = Skeleton(
        "true", ("left", "chin", "right", "nose"),
        (Segment("face", "chin", "nose"), Segment("across", "left", "right")), (("left", "right"),),
    )  # fmt: skip
    found = Skeleton("found", ("nose", "right", "tail", "left"), (), (("left", "right"),))
    truth = Pose(true, np.array([[-10.0, 0, 0], [0, -9, 0], [10, 0, 0], [0, 5, 0]]))
    pose = Pose(found, np.array([[0.0, 5, 3], [-10, 0, 2], [0, 0, 99], [10, 0, 0]]))
    pairs = pair_with_truth({"a": pose}, [make_case("a", truth, skeleton=true)])
    assert pairs.skeleton.landmarks == ("left", "right", "nose")
    assert pairs.skeleton.mirror_pairs == (("left", "right"),)
    assert [segment.name for segment in pairs.skeleton.segments] == ["across"]
    assert (pairs.only_true, pairs.only_found) == (("chin",), ("tail",))
    np.testing.assert_allclose(pairs.errors_mm, [[20, np.hypot(20, 2), 3]])
    assert exchanged_pairs(pairs.skeleton, pairs.found_mm, pairs.true_mm).tolist() == [[1]]


def test_a_pair_whose_partner_is_not_shared_has_no_side(make_case):
    """The nose and the left ear remain; a pair of one ear cannot be exchanged."""
    half = Skeleton("half", ("left_ear", "nose"), (), ())
    truth = Pose(NOSE, np.array([[0.0, 0, 0], [-5, 0, 0], [5, 0, 0]]))
    pose = Pose(half, np.array([[5.0, 0, 0], [0, 0, 0]]))
    pairs = pair_with_truth({"a": pose}, [make_case("a", truth, skeleton=NOSE)])
    assert pairs.skeleton.mirror_pairs == ()
    assert pairs.errors_mm.tolist() == [[0, 10]]
    assert np.isnan(summarize(pairs).swap_percent.value)


@pytest.mark.parametrize("count", [5, 22])
def test_skeletons_of_any_size_are_evaluated(make_case, count):
    own = Skeleton(f"own-{count}", tuple(f"p{n}" for n in range(count)), (), (("p0", "p1"),))
    places = np.arange(3.0 * count).reshape(count, 3)
    pairs = pair_with_truth(
        {"a": Pose(own, places + np.array([0, 3, 4]))},
        [make_case("a", Pose(own, places), skeleton=own)],
    )
    assert pairs.skeleton == own
    assert pairs.errors_mm.tolist() == [[5.0] * count]
    assert (pairs.only_true, pairs.only_found) == ((), ())


def test_predictions_of_one_folder_may_have_different_skeletons(make_case):
    """The landmarks that all of them have are compared."""
    truth = Pose(NOSE, np.zeros((3, 3)))
    ears = Skeleton("ears", ("left_ear", "right_ear"), (), ())
    pairs = pair_with_truth(
        {"a": Pose(NOSE, np.ones((3, 3))), "b": Pose(ears, np.full((2, 3), 2.0))},
        [make_case(name, truth, skeleton=NOSE) for name in "ab"],
    )
    assert pairs.skeleton.landmarks == ("left_ear", "right_ear")
    assert pairs.found_mm.tolist() == [[[1] * 3] * 2, [[2] * 3] * 2]
    assert pairs.only_true == ("nose",)


def test_a_prediction_that_shares_no_landmark_is_refused_by_name(make_case):
    truth = reference_pose(60.0)
    cases = [make_case("a", truth), make_case("b", truth)]
    found = {"a": truth, "b": Pose(NOSE, np.zeros((3, 3)))}
    with pytest.raises(
        BadInput, match=r"^prediction of b: .*fetus-16.*found the skeleton nose-and"
    ):
        pair_with_truth(found, cases)


def test_pairs_can_be_restricted_to_some_landmarks(make_case):
    truth = reference_pose(60.0)
    shift = np.arange(16.0)[:, None] * [0, 0, 1]
    pairs = pair_with_truth({"a": Pose(FETUS, truth.positions_mm + shift)}, [make_case("a", truth)])
    some = pairs.restricted_to(("neck", "left_knee", "head", "right_knee"))
    expected = sorted(rows_of("neck", "left_knee", "head", "right_knee"))
    assert some.skeleton.landmarks == tuple(FETUS.landmarks[row] for row in expected)
    assert some.skeleton.mirror_pairs == (("left_knee", "right_knee"),)
    np.testing.assert_allclose(some.errors_mm, [expected])
    assert pairs.restricted_to(FETUS.landmarks).skeleton == FETUS


def test_landmarks_that_are_not_shared_cannot_be_compared(make_case):
    pairs = pair_with_truth({"a": reference_pose()}, [make_case("a", reference_pose())])
    with pytest.raises(BadInput, match=r"share: head, .*found crown, tail"):
        pairs.restricted_to(("head", "crown", "tail"))


@pytest.mark.parametrize("found_name", ["fetus-16", "fetus-22"])
def test_both_built_in_skeletons_are_compared_over_the_sixteen(make_case, found_name):
    names = {"fetus-16", "fetus-22"} - {found_name}
    truth = reference_pose(60.0, load_skeleton(names.pop()))
    found = reference_pose(60.0, load_skeleton(found_name))
    pairs = pair_with_truth({"a": found}, [make_case("a", truth, skeleton=truth.skeleton)])
    assert pairs.skeleton.landmarks == FETUS.landmarks
    assert len(pairs.skeleton.mirror_pairs) == 6
    assert pairs.skeleton.crown_rump_ends is None
    np.testing.assert_allclose(pairs.errors_mm, 0, atol=1e-12)
    assert describe_landmarks(pairs.skeleton.landmarks) == "the 16 landmarks of fetus-16"


def test_landmarks_in_words():
    assert describe_landmarks(load_skeleton("fetus-22").landmarks[::-1]).endswith("fetus-22")
    assert describe_landmarks(("crown", "rump")) == "the 2 landmarks crown, rump"
    assert describe_landmarks(("head",)) == "the 1 landmark head"


@pytest.mark.parametrize(("count", "found"), [(0, "found none"), (2, "found 2 without annotation")])
def test_without_an_annotated_case_nothing_is_evaluated(make_case, count, found):
    cases = [make_case(f"{n}") for n in range(count)]
    with pytest.raises(BadInput, match=found):
        pair_with_truth({"0": reference_pose(60.0)}, cases)
