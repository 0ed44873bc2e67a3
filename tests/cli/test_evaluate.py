"""`fetusmap evaluate` on predictions whose errors are known by hand."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest

from fetusmap.anatomy import Pose, load_skeleton, reference_pose, skeleton_from_plain
from fetusmap.dataset import DatasetWriter
from fetusmap.geometry import Grid
from fetusmap.io import save_pose, write_landmark_table
from fetusmap.volume import Volume

CASES = ("a", "b", "c")


@pytest.fixture(scope="module")
def truth():
    """Three poses; the second one's head lies outside the volume."""
    poses = [reference_pose(size) for size in (60.0, 70.0, 80.0)]
    confidence = np.ones(16)
    confidence[poses[1].skeleton.index("head")] = 0
    poses[1] = replace(poses[1], confidence=confidence)
    return dict(zip(CASES, poses, strict=True))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, truth):
    folder = tmp_path_factory.mktemp("data") / "cohort"
    volume = Volume(np.zeros((16, 17, 18), np.uint8), Grid.from_spacing((16, 17, 18), 1.0))
    with DatasetWriter(
        folder, name="cohort", licence="CC0-1.0", skeleton=load_skeleton()
    ) as writer:
        for name, pose in truth.items():
            writer.add(replace(volume, name=name), pose, subject=f"of {name}")
        writer.splits = {"test": ("a", "b"), "train": ("c",)}
    return folder


def write_off_by(folder, truth, offset_mm, cases=CASES):
    """As predict lays them out."""
    for name in cases:
        pose = truth[name]
        (folder / name).mkdir(parents=True)
        moved = Pose(pose.skeleton, pose.positions_mm + np.array([0, 0, offset_mm]))
        save_pose(moved, folder / name / "pose.json")
    return folder


def metrics_of(outcome):
    """Metric to what the table prints for the one method."""
    lines = (re.split(r"\s{2,}", line.strip()) for line in outcome.out.splitlines())
    return {parts[0]: parts[1] for parts in lines if len(parts) == 2}


def test_errors_are_printed_with_intervals(fetusmap, dataset, truth, tmp_path):
    found = write_off_by(tmp_path / "found", truth, 2.5)
    outcome = fetusmap("evaluate", str(found), "--truth", str(dataset))
    assert outcome.code == 0
    printed = metrics_of(outcome)
    assert printed["mean, mm"] == printed["median, mm"] == "2.50 (2.50 to 2.50)"
    assert printed["AUC, %"] == "75.00 (75.00 to 75.00)"
    assert printed["within 10 mm, %"] == "100.00 (100.00 to 100.00)"
    assert printed["bodies exchanged"] == printed["missed"] == "0"
    assert f"3 cases of {dataset}" in outcome.out


def test_a_dataset_with_its_own_skeleton_is_evaluated(fetusmap, tmp_path):
    own = skeleton_from_plain(
        {
            "format": "fetusmap-skeleton",
            "version": 1,
            "name": "own-3",
            "landmarks": [{"name": "top"}, {"name": "L"}, {"name": "R"}],
            "mirror_pairs": [["L", "R"]],
            "segments": [{"name": "across", "start": "L", "end": "R"}],
        }
    )
    truth = {"a": Pose(own, np.diag([8.0, 9.0, 10.0]))}
    volume = Volume(np.zeros((16, 17, 18), np.uint8), Grid.from_spacing((16, 17, 18), 1.0))
    with DatasetWriter(tmp_path / "data", name="own", licence="CC0-1.0", skeleton=own) as writer:
        writer.add(replace(volume, name="a"), truth["a"], subject="of a")
    found = write_off_by(tmp_path / "found", truth, 2.0, ("a",))
    outcome = fetusmap("evaluate", str(found), "--truth", str(tmp_path / "data"))
    assert outcome.code == 0
    assert metrics_of(outcome)["mean, mm"].startswith("2.00")


def test_two_are_compared_case_by_case(fetusmap, dataset, truth, tmp_path):
    before = write_off_by(tmp_path / "before", truth, 4.0)
    after = write_off_by(tmp_path / "after", truth, 1.0)
    out = tmp_path / "out"
    words = ["evaluate", str(before), str(after), "--truth", str(dataset), "-o", str(out)]
    outcome = fetusmap(*words)
    assert outcome.code == 0
    assert "Difference from before, case by case" in outcome.out
    assert "-3.00 (-3.00 to -3.00)" in outcome.out
    assert "+30.00 (+30.00 to +30.00)" in outcome.out
    rows = list(csv.DictReader((out / "errors.csv").read_text().splitlines()))
    assert len(rows) == 6
    assert rows[1]["head"] == ""  # outside the volume
    assert float(rows[1]["neck"]) == pytest.approx(4.0)
    assert float(rows[3]["head"]) == pytest.approx(1.0)
    summary = csv.DictReader((out / "evaluation.csv").read_text().splitlines())
    assert [row["method"] for row in summary] == ["before", "after"]
    assert (out / "pck.png").stat().st_size > 5000


def test_what_was_not_predicted_counts_as_missed_and_is_listed(fetusmap, dataset, truth, tmp_path):
    found = write_off_by(tmp_path / "found", truth, 0.0, cases=("a",))
    outcome = fetusmap("evaluate", str(found), "--truth", str(dataset))
    assert outcome.code == 0
    assert "2 cases without a prediction, counted as missed: b, c" in outcome.err
    assert metrics_of(outcome)["missed"] == "31"  # 15 visible landmarks of b, 16 of c


def test_a_prediction_without_annotation_is_listed(fetusmap, dataset, truth, tmp_path):
    found = write_off_by(tmp_path / "found", truth, 0.0)
    save_pose(truth["a"], found / "z.json")
    outcome = fetusmap("evaluate", str(found), "--truth", str(dataset))
    assert outcome.code == 0
    assert "1 case predicted but not annotated, not counted: z" in outcome.err
    assert metrics_of(outcome)["missed"] == "0"


def test_one_folder_beside_pose_files_hides_none_of_them(fetusmap, dataset, truth, tmp_path):
    found = write_off_by(tmp_path / "found", truth, 2.0, cases=("a",))
    for name in ("b", "c"):
        save_pose(truth[name], found / f"{name}.json")
    outcome = fetusmap("evaluate", str(found), "--truth", str(dataset))
    assert (outcome.code, outcome.err) == (0, "")
    # 16 landmarks of a are 2 mm off, 15 of b and 16 of c are exact
    assert metrics_of(outcome)["mean, mm"].startswith(f"{2 * 16 / 47:.2f} ")


def skeleton_of(*landmarks, mirror_pairs=()):
    return skeleton_from_plain(
        {
            "format": "fetusmap-skeleton",
            "version": 1,
            "name": f"own-{len(landmarks)}",
            "landmarks": [{"name": name} for name in landmarks],
            "mirror_pairs": [list(pair) for pair in mirror_pairs],
        }
    )


@pytest.fixture
def write_dataset(tmp_path):
    """A function that writes a dataset of one case, "a"."""

    def write(pose):
        volume = Volume(np.zeros((16, 17, 18), np.uint8), Grid.from_spacing((16, 17, 18), 1.0))
        folder = tmp_path / "data"
        with DatasetWriter(folder, name="own", licence="CC0-1.0", skeleton=pose.skeleton) as writer:
            writer.add(replace(volume, name="a"), pose, subject="of a")
        return folder

    return write


def write_pose(folder, skeleton, positions_mm):
    folder.mkdir()
    save_pose(Pose(skeleton, np.array(positions_mm, dtype=float)), folder / "a.json")
    return folder


def test_different_skeletons_are_compared_over_the_shared_names(fetusmap, write_dataset, tmp_path):
    """Of the five annotated landmarks the prediction has three, in another order, and one more."""
    five = skeleton_of("top", "L", "R", "tail", "chin", mirror_pairs=(("L", "R"),))
    four = skeleton_of("R", "extra", "top", "L", mirror_pairs=(("L", "R"),))
    truth = [[8, 8, 8], [5, 8, 8], [11, 8, 8], [8, 8, 2], [8, 5, 8]]
    dataset = write_dataset(Pose(five, np.array(truth, dtype=float)))
    found = write_pose(tmp_path / "found", four, [[5, 8, 8], [0, 0, 0], [8, 8, 9], [11, 8, 8]])
    out = tmp_path / "out"
    outcome = fetusmap("evaluate", str(found), "--truth", str(dataset), "-o", str(out))
    assert outcome.code == 0
    (line,) = outcome.err.splitlines()
    assert "3 landmarks that predictions and annotations share" in line
    assert "only predicted: extra; only annotated: tail, chin" in line
    printed = metrics_of(outcome)
    assert printed["mean, mm"].startswith(f"{(1 + 6 + 6) / 3:.2f} ")
    assert printed["pairs exchanged, %"].startswith("100.00 ")
    rows = list(csv.reader((out / "errors.csv").read_text().splitlines()))
    assert rows == [["method", "case", "top", "L", "R"], ["found", "a", "1.0", "6.0", "6.0"]]


def test_methods_of_different_skeletons_are_compared_over_what_all_have(
    fetusmap, write_dataset, tmp_path
):
    three = skeleton_of("top", "L", "R", mirror_pairs=(("L", "R"),))
    dataset = write_dataset(Pose(three, np.diag([8.0, 9.0, 10.0])))
    one = write_pose(tmp_path / "one", skeleton_of("top", "L"), [[8, 0, 1], [0, 9, 3]])
    two = write_pose(tmp_path / "two", skeleton_of("L", "R"), [[0, 9, 5], [0, 0, 10]])
    outcome = fetusmap("evaluate", str(one), str(two), "--truth", str(dataset))
    assert outcome.code == 0
    assert "methods are compared over the 1 landmark that all of them predict" in outcome.err
    assert "+2.00 (+2.00 to +2.00)" in outcome.out  # 5 mm minus 3 mm at L
    only_top = write_pose(tmp_path / "top", skeleton_of("top"), [[8, 0, 1]])
    outcome = fetusmap("evaluate", str(only_top), str(two), "--truth", str(dataset))
    assert outcome.code == 2
    assert "expected folders whose predictions have a landmark in common" in outcome.err


def test_a_model_of_22_landmarks_is_evaluated_on_annotations_of_16(
    fetusmap, dataset, truth, tmp_path
):
    """The neck is 8 mm too high, everything else 2 mm."""
    more = load_skeleton("fetus-22")
    poses = {name: pose.on(more) for name, pose in truth.items()}
    neck = np.zeros((22, 3))
    neck[more.index("neck"), 2] = 6
    poses = {name: replace(p, positions_mm=p.positions_mm + neck) for name, p in poses.items()}
    found = write_off_by(tmp_path / "found", poses, 2.0)
    words = ("evaluate", str(found), "--truth", str(dataset))
    outcome = fetusmap(*words)
    assert (outcome.code, outcome.err) == (0, "")
    assert "compared: the 16 landmarks of fetus-16" in outcome.out
    printed = metrics_of(outcome)
    assert printed["mean, mm"].startswith(f"{2 + 6 * 3 / 47:.2f} ")  # one head is not annotated
    assert (printed["neck"], printed["left wrist"]) == ("8.00", "2.00")
    outcome = fetusmap(*words, "--landmarks", "neck, left_hip")
    assert metrics_of(outcome)["mean, mm"].startswith("5.00 ")
    assert "compared: the 2 landmarks neck, left_hip" in outcome.out
    assert fetusmap(*words, "--landmarks", "fetus-16").code == 0
    outcome = fetusmap(*words, "--landmarks", "crown,neck")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "found crown" in outcome.err


def test_a_split_is_evaluated_alone(fetusmap, dataset, truth, tmp_path):
    found = write_off_by(tmp_path / "found", truth, 0.0, cases=("a", "b"))
    outcome = fetusmap("evaluate", str(found), "--truth", str(dataset), "--split", "test")
    assert outcome.code == 0
    assert outcome.err == ""
    assert "2 cases" in outcome.out
    both = write_off_by(tmp_path / "both", truth, 0.0)  # c is of another split: nothing to warn of
    assert fetusmap("evaluate", str(both), "--truth", str(dataset), "--split", "test").err == ""


def test_bad_input_is_one_line(fetusmap, dataset, truth, tmp_path):
    found = write_off_by(tmp_path / "found", truth, 0.0)
    others = tmp_path / "others"
    others.mkdir()
    save_pose(truth["a"], others / "z.json")
    strangers = tmp_path / "strangers"
    write_pose(strangers, skeleton_of("top", "L"), [[0, 0, 0], [1, 1, 1]])
    for words, said in (
        ((str(tmp_path / "nowhere"),), "found no folder"),
        ((str(others),), "expected predictions of the annotated cases, such as a, found others"),
        ((str(found), str(found)), "expected folders that differ in their names"),
        ((str(found), "--split", "val"), "val"),
        ((str(strangers),), "prediction of a: expected a landmark that the annotations (fetus-16)"),
    ):
        outcome = fetusmap("evaluate", *words, "--truth", str(dataset))
        assert outcome.code == 2
        (line,) = outcome.err.splitlines()
        assert line.startswith("fetusmap: ")
        assert said in line


def write_poses(folder, poses, layout):
    """Write poses in a layout: one file per case, or one table."""
    folder.mkdir(exist_ok=True)
    if layout.startswith("landmarks"):
        write_landmark_table(poses.items(), folder / layout)
        return folder / layout
    for name, pose in poses.items():
        save_pose(pose, folder / layout.format(name))
    return folder


LAYOUTS = ["{}.json", "{}.mrk.json", "{}.fcsv", "{}.csv", "landmarks.csv", "landmarks.parquet"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_either_side_may_be_files_or_a_table(fetusmap, truth, layout, tmp_path):
    moved = {
        f"{name}_0000": Pose(pose.skeleton, pose.positions_mm + np.array([0, 0, 2.5]))
        for name, pose in truth.items()
    }
    true = write_poses(tmp_path / "true", truth, layout)
    found = write_poses(tmp_path / "found", moved, LAYOUTS[-1 - LAYOUTS.index(layout)])
    outcome = fetusmap("evaluate", str(found), "--truth", str(true))
    assert outcome.code == 0
    assert metrics_of(outcome)["mean, mm"] == "2.50 (2.50 to 2.50)"
    assert "3 matched by other names: a_0000 = a, b_0000 = b, c_0000 = c" in outcome.err
    assert "3 of 3 annotated cases predicted, 0 counted as missed, 0 predicted but" in outcome.out


def test_a_dataset_may_be_the_prediction(fetusmap, dataset, truth, tmp_path):
    true = write_poses(tmp_path / "true", truth, "landmarks.csv")
    outcome = fetusmap("evaluate", str(dataset), "--truth", str(true))
    assert metrics_of(outcome)["mean, mm"] == "0.00 (0.00 to 0.00)"


def test_names_are_mapped_by_a_table(fetusmap, dataset, truth, tmp_path):
    found = write_off_by(tmp_path / "found", truth, 1.0)
    for old, new in zip(CASES, ("x", "y", "c"), strict=True):
        (found / old).rename(found / new)
    (tmp_path / "names.csv").write_text("prediction;truth\nx.json;a\ny;b\nq;r\n")
    words = ("evaluate", str(found), "--truth", str(dataset))
    outcome = fetusmap(*words, "--names", str(tmp_path / "names.csv"), "-o", str(tmp_path / "out"))
    assert outcome.code == 0
    assert "3 of 3 annotated cases predicted" in outcome.out
    assert "names that no case has: q, r" in outcome.err
    without = fetusmap(*words, "-o", str(tmp_path / "out"))
    assert "1 of 3 annotated cases predicted, 2 counted as missed, 2 predicted but" in without.out
    with (tmp_path / "out" / "unmatched.csv").open(newline="") as file:
        rows = [(row["case"], row["lacks"]) for row in csv.DictReader(file)]
    assert rows == [
        ("a", "prediction"),
        ("b", "prediction"),
        ("x", "annotation"),
        ("y", "annotation"),
    ]


def test_names_are_mapped_by_a_pattern(fetusmap, truth, tmp_path):
    numbered = dict(zip(("P-01", "P-02", "P-03"), truth.values(), strict=True))
    found = {f"scan{name[2:]}-of-{n}": pose for n, (name, pose) in enumerate(numbered.items())}
    true = write_poses(tmp_path / "true", numbered, "{}.mrk.json")
    predicted = write_poses(tmp_path / "found", found, "{}.json")
    words = ("evaluate", str(predicted), "--truth", str(true))
    assert fetusmap(*words).code == 2
    outcome = fetusmap(*words, "--match", r"(\d\d)")
    assert metrics_of(outcome)["mean, mm"] == "0.00 (0.00 to 0.00)"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--match", r"^(.)"), "predictions a_0000, a_pred and annotations a"),
        ((), "predictions a_0000, a_pred and annotations a; leave one out, or map them"),
        (("--match", "(("), "--match: expected a regular expression"),
        (("--match", "a", "--names", "n.csv"), "expected --names or --match, found both"),
        (("--split", "test"), "expected a dataset as --truth, which has splits"),
        (("--names", "NAMES"), "'a' twice"),
    ],
)
def test_names_that_fit_two_ways_are_refused(fetusmap, truth, words, said, tmp_path):
    two = dict.fromkeys(("a_0000", "a_pred"), truth["a"])
    true = write_poses(tmp_path / "true", truth, "landmarks.csv")
    found = write_poses(tmp_path / "found", two, "{}.json")
    (tmp_path / "names.csv").write_text("prediction,truth\na_0000,a\na_pred,a\n")
    words = [str(tmp_path / "names.csv") if word == "NAMES" else word for word in words]
    outcome = fetusmap("evaluate", str(found), "--truth", str(true), *words)
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert said in line
