"""Datasets with skeletons of their own: trained, predicted, refined and evaluated as commands.

One skeleton has 5 of the landmarks of fetus-16, the other has all of them and six more, which are
made from them. The cases are simulated; the training takes a few steps of narrow networks, and a
minute for each skeleton in the slow variant.
"""

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.anatomy import Skeleton, plain_from_skeleton, skeleton_from_plain
from fetusmap.cli.main import run
from fetusmap.detect import BodyFrameGrid, WholeVolumeGrid
from fetusmap.model import load_model
from fetusmap.simulate import SimulationSettings, simulate_case
from fetusmap.volume import Volume

SIMULATED, HELD_OUT_CASES = 6, 1
TRAINING_CASES = 2 * (SIMULATED - HELD_OUT_CASES)
"""Each simulated case is in the dataset twice: `fast` needs ten poses and their mirror images."""

FEW_STEPS = ("steps=3", "widths=8,16", "batch=1", "validation_cases=1", "warmup=0")
ONE_MINUTE = (
    "coarse.steps=800",
    "canonical.steps=400",
    "widths=16,24,32",
    "batch=1",
    "warmup=10",
    "learning_rate=4e-3",
    "average=0.9",
    "validation_cases=1",
)
"""About a minute on two quiet cores; in steps, so that the result does not depend on the load."""

MAX_ERROR_AFTER_A_MINUTE_MM = 20.0
"""A body of 13 weeks is about 70 mm long; a guess in the middle of it is off by about 25 mm."""

FIVE = {"neck", "spine", "sacrum", "left_shoulder", "right_shoulder"}

MADE = {
    "crown": ({"head": 2.0, "neck": -1.0}, None),
    "rump": ({"sacrum": 1.5, "spine": -0.5}, None),
    "left_hand": ({"left_wrist": 1.25, "left_elbow": -0.25}, "left_wrist"),
    "right_hand": ({"right_wrist": 1.25, "right_elbow": -0.25}, "right_wrist"),
    "left_foot": ({"left_ankle": 1.25, "left_knee": -0.25}, "left_ankle"),
    "right_foot": ({"right_ankle": 1.25, "right_knee": -0.25}, "right_ankle"),
}
"""Landmarks as weighted sums of others, and the landmark that a bone joins them to."""


def five_landmarks(skeleton: Skeleton) -> Skeleton:
    """Trunk and shoulders of fetus-16."""
    plain = plain_from_skeleton(skeleton)
    return skeleton_from_plain(
        {
            "format": plain["format"],
            "version": plain["version"],
            "name": "trunk-5",
            "landmarks": [{"name": one} for one in skeleton.landmarks if one in FIVE],
            "segments": [
                {"name": "lower-back", "start": "sacrum", "end": "spine"},
                {"name": "upper-back", "start": "spine", "end": "neck"},
            ],
            "mirror_pairs": [["left_shoulder", "right_shoulder"]],
            "trunk": plain["trunk"],
            "lateral_pairs": [["left_shoulder", "right_shoulder"]],
        }
    )


def twenty_two_landmarks(skeleton: Skeleton) -> Skeleton:
    """fetus-16, and crown, rump, hands and feet."""
    plain = plain_from_skeleton(skeleton)
    landmarks = [{"name": entry["name"]} for entry in plain["landmarks"]]
    bones = [
        {"name": f"{name}-bone", "start": start, "end": name}
        for name, (_, start) in MADE.items()
        if start
    ]
    return skeleton_from_plain(
        {
            **plain,
            "name": "own-22",
            "landmarks": [*landmarks, *({"name": name} for name in MADE)],
            "segments": [*plain["segments"], *bones],
            "mirror_pairs": [
                *plain["mirror_pairs"],
                ["left_hand", "right_hand"],
                ["left_foot", "right_foot"],
            ],
        }
    )


SKELETONS: dict[str, Callable[[Skeleton], Skeleton]] = {
    "5": five_landmarks,
    "22": twenty_two_landmarks,
}


def pose_of(pose: fm.Pose, skeleton: Skeleton) -> fm.Pose:
    """A pose of fetus-16 as one of another skeleton."""
    positions = dict(zip(pose.skeleton.landmarks, pose.positions_mm, strict=True))
    confidence = dict(zip(pose.skeleton.landmarks, pose.confidence, strict=True))
    for name, (parts, _) in MADE.items():
        positions[name] = sum(weight * positions[part] for part, weight in parts.items())
        confidence[name] = min(confidence[part] for part in parts)
    names = skeleton.landmarks
    return fm.Pose(
        skeleton,
        np.array([positions[name] for name in names]),
        np.array([confidence[name] for name in names]),
    )


@pytest.fixture(scope="module", autouse=True)
def small_grids():
    """Both passes have larger voxels than usual."""
    with pytest.MonkeyPatch.context() as patch:
        whole = partial(WholeVolumeGrid, spacing_mm=3.0, shape=(40, 40, 40))
        in_body = partial(BodyFrameGrid, step=0.08, shape=(40, 32, 48))
        patch.setattr("fetusmap.train.stages.WholeVolumeGrid", whole)
        patch.setattr("fetusmap.train.stages.BodyFrameGrid", in_body)
        yield


@pytest.fixture(scope="module")
def simulated() -> list[tuple[Volume, fm.Pose]]:
    """Volumes with poses of fetus-16."""
    settings = SimulationSettings(preset="half")
    cases = [simulate_case(settings, seed=31, number=n) for n in range(SIMULATED)]
    pairs = [(case.volume, case.pose) for case in cases]
    training, held_out = pairs[:-HELD_OUT_CASES], pairs[-HELD_OUT_CASES:]
    return [*training, *training, *held_out]


@pytest.fixture(scope="module", params=SKELETONS)
def own(request, simulated, tmp_path_factory) -> SimpleNamespace:
    """A dataset with a skeleton of its own."""
    skeleton = SKELETONS[request.param](fm.load_skeleton())
    assert len(skeleton) == int(request.param)
    folder = tmp_path_factory.mktemp(skeleton.name)
    dataset = folder / "dataset"
    with fm.DatasetWriter(dataset, name="own", licence="CC0-1.0", skeleton=skeleton) as writer:
        for number, (volume, pose) in enumerate(simulated):
            named = Volume(volume.array, volume.grid, name=f"case-{number:02d}")
            writer.add(named, pose_of(pose, skeleton), subject=f"subject-{number}")
        names = [f"case-{number:02d}" for number in range(len(simulated))]
        writer.splits = {"train": names[:TRAINING_CASES], "val": names[TRAINING_CASES:]}
    held_out = [dataset / "volumes" / f"{name}.nii.gz" for name in names[TRAINING_CASES:]]
    return SimpleNamespace(
        folder=folder, dataset=dataset, skeleton=skeleton, held_out=held_out, names=names
    )


def call(*words: object) -> None:
    """Run a command line, which must succeed."""
    assert run([str(word) for word in words]) == 0, words


def train(own: SimpleNamespace, output: Path, settings: tuple[str, ...], *words: object) -> Path:
    """Train a model on a dataset; its folder."""
    options = [part for text in settings for part in ("--set", text)]
    call("train", own.dataset, "-o", output, "--cache", own.folder / "cache", "--device", "cpu",
         "--workers", 0, *options, *words)  # fmt: skip
    return output / "model"


@pytest.fixture(scope="module")
def model(own) -> Path:
    """A two-pass model of the dataset, hardly trained."""
    return train(own, own.folder / "run", FEW_STEPS)


@pytest.fixture(scope="module")
def results(own, model) -> Path:
    """What it predicts in the held-out cases, refined."""
    output = own.folder / "results"
    call("predict", *own.held_out, "-o", output, "--model", model, "--refine", "fast",
         "--device", "cpu", "--workers", 1, "--no-previews")  # fmt: skip
    return output


def test_a_model_has_the_skeleton_and_the_library_of_its_dataset(own, model):
    pipeline, card = load_model(model)
    assert pipeline.skeleton == own.skeleton
    assert len(pipeline.canonical.channels) == len(own.skeleton)
    # The training poses and their mirror images.
    assert len(pipeline.library) == 2 * TRAINING_CASES
    assert "training poses of the dataset own" in card.made_by["library"]
    assert card.calibration.cases <= HELD_OUT_CASES
    assert list(card.metrics["mean_mm_per_landmark"]) == list(own.skeleton.landmarks)
    plain = json.loads((model / "card.json").read_text())
    assert plain["skeleton"]["name"] == own.skeleton.name
    assert f"its split val ({HELD_OUT_CASES} cases)" in plain["limits"][0]


def test_poses_are_predicted_and_refined(own, results):
    for path in own.held_out:
        pose = fm.load_pose(results / path.name.removesuffix(".nii.gz") / "pose.json")
        assert pose.skeleton == own.skeleton
        assert pose.provenance.refine == "fast"
        assert len(pose.positions_mm) == len(own.skeleton)


def test_predictions_are_evaluated(own, results):
    call("evaluate", results, "--truth", own.dataset, "-o", own.folder / "evaluation")
    with (own.folder / "evaluation" / "errors.csv").open(newline="") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    assert list(rows) == own.names
    truth = {case.name: case.load_pose() for case in fm.load_dataset(own.dataset).cases}
    for name in own.names[TRAINING_CASES:]:
        found = fm.load_pose(results / name / "pose.json")
        errors = np.linalg.norm(found.positions_mm - truth[name].positions_mm, axis=1)
        for landmark, error in zip(own.skeleton.landmarks, errors, strict=True):
            cell = rows[name][landmark]
            assert not cell or float(cell) == pytest.approx(error, abs=0.01)


def test_the_papers_network_is_trained_on_any_skeleton(own):
    settings = ("steps=2", "widths=8,16", "validation_cases=1", "spacing_mm=3")
    model = train(own, own.folder / "land", settings, "--profile", "land")
    pipeline, _ = load_model(model)
    assert pipeline.skeleton == own.skeleton
    assert len(pipeline.plain.channels) == len(own.skeleton)


@pytest.mark.slow
def test_a_minute_of_training_finds_the_body(own, tmp_path):
    """On a training case: a minute with five volumes teaches little about others."""
    model = train(own, tmp_path / "run", ONE_MINUTE)
    path = own.dataset / "volumes" / f"{own.names[0]}.nii.gz"
    call("predict", path, "-o", tmp_path / "results", "--model", model, "--refine", "fast",
         "--device", "cpu", "--workers", 1, "--no-previews")  # fmt: skip
    found = fm.load_pose(tmp_path / "results" / own.names[0] / "pose.json")
    truth = fm.load_dataset(own.dataset).cases[0].load_pose()
    errors = np.linalg.norm(found.positions_mm - truth.positions_mm, axis=1)
    assert np.nanmedian(errors) < MAX_ERROR_AFTER_A_MINUTE_MM
    call("evaluate", tmp_path / "results", "--truth", own.dataset)


# Skeletons that define no body frame


@pytest.fixture(scope="module")
def frameless(simulated, tmp_path_factory) -> SimpleNamespace:
    """A dataset of two cases whose skeleton has neither a trunk nor lateral pairs."""
    plain = plain_from_skeleton(five_landmarks(fm.load_skeleton()))
    del plain["trunk"], plain["lateral_pairs"]
    skeleton = skeleton_from_plain({**plain, "name": "points-5"})
    folder = tmp_path_factory.mktemp("frameless")
    with fm.DatasetWriter(
        folder / "dataset", name="points", licence="CC0-1.0", skeleton=skeleton
    ) as writer:
        for number, (volume, pose) in enumerate(simulated[:2]):
            named = Volume(volume.array, volume.grid, name=f"case-{number}")
            writer.add(named, pose_of(pose, skeleton), subject=f"subject-{number}")
    return SimpleNamespace(folder=folder, dataset=folder / "dataset", skeleton=skeleton)


def test_without_a_body_frame_the_two_pass_model_is_refused_in_one_line(frameless, capsys):
    output = frameless.folder / "refused"
    assert run(["train", str(frameless.dataset), "-o", str(output), "--workers", "0"]) == 2
    error = capsys.readouterr().err
    assert "points-5, without trunk and lateral_pairs" in error
    assert "--profile land" in error
    assert error.count("\n") == 1
    assert not output.exists()


def test_without_a_body_frame_the_papers_network_is_trained_and_used(frameless):
    """One of its two cases is held out."""
    settings = ("steps=2", "widths=8,16", "validation_cases=1", "spacing_mm=3")
    model = train(frameless, frameless.folder / "land", settings, "--profile", "land")
    pipeline, card = load_model(model)
    assert len(pipeline.library) == 2
    assert card.made_by["calibration_data"].startswith("1 cases: cases of subjects that were not")
    path = next((frameless.dataset / "volumes").iterdir())
    pose = fm.PoseEstimator.from_pretrained(model, "cpu")(fm.load_volume(path)).pose
    assert pose.skeleton == frameless.skeleton
