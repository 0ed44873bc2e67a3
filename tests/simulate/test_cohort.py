"""Simulated datasets have the same bytes after interruptions, extensions and with any workers."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.errors import BadInput, ResourceError
from fetusmap.simulate import (
    Difficulty,
    Presentation,
    Seeds,
    SimulationSettings,
    dataset_origin,
    draw_case,
    draw_poses,
    simulate_case,
    simulate_dataset,
)

SETTINGS = SimulationSettings("half", weeks=(10.0, 11.0))
COUNT, SEED = 4, 3
SPLITS = {"train": 0.5, "val": 0.25, "test": 0.25}


def write(folder, workers=0, **changed):
    options = {"count": COUNT, "seed": SEED, "splits": SPLITS, **changed}
    settings = options.pop("settings", SETTINGS)
    return simulate_dataset(folder, settings, workers=workers, **options)


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def dataset_folder(tmp_path_factory):
    """A dataset that was written without interruption; the others have the same name."""
    folder = tmp_path_factory.mktemp("whole") / "cohort"
    list(write(folder))
    return folder


@pytest.fixture(scope="module")
def whole(dataset_folder):
    return content(dataset_folder)


def test_a_dataset_holds_the_cases_of_the_stream(dataset_folder):
    dataset = fm.load_dataset(dataset_folder)
    assert dataset.name == "cohort"
    assert dataset.licence == "CC0-1.0"
    assert dataset.skeleton == fm.load_skeleton("fetus-22")
    assert [case.name for case in dataset.cases] == [f"sim-{n:06d}" for n in range(COUNT)]
    for number, case in enumerate(dataset.cases):
        expected = simulate_case(SETTINGS, SEED, number)
        found = case.load_volume()
        np.testing.assert_array_equal(found.array, expected.volume.array)
        assert found.grid.is_close(expected.volume.grid, 1e-3)
        pose = case.load_pose()
        np.testing.assert_allclose(pose.positions_mm, expected.pose.positions_mm, atol=1e-4)
        np.testing.assert_array_equal(pose.confidence, expected.pose.confidence)


def test_the_table_describes_how_each_case_was_drawn(dataset_folder):
    for number, case in enumerate(fm.load_dataset(dataset_folder).cases):
        seeds = Seeds.of_case(SEED, number)
        drawn = draw_case(SETTINGS, seeds)
        assert case.subject == f"fetus-{number:06d}"
        assert case.gestational_age_days == pytest.approx(
            drawn.fetus.gestational_age_days, abs=0.006
        )
        facts = case.facts
        assert float(facts["crl_mm"]) == pytest.approx(drawn.fetus.crown_rump_mm, abs=0.006)
        assert {facts[f"seed_{part}"] for part in asdict(seeds)} == {
            str(word) for word in asdict(seeds).values()
        }
        outside = facts["outside"].split()
        pose = case.load_pose()
        assert outside == [
            name
            for name, seen in zip(pose.skeleton.landmarks, pose.confidence, strict=True)
            if seen == 0
        ]


def test_the_document_says_how_to_make_it_again(dataset_folder):
    made_by = fm.load_dataset(dataset_folder).made_by
    assert made_by == dataset_origin(SETTINGS, COUNT, SEED, SPLITS)
    assert made_by["seed"] == SEED
    assert made_by["preset"] == "half"
    assert made_by["weeks"] == [10.0, 11.0]
    assert made_by["difficulty"] == asdict(Difficulty())
    json.dumps(dict(made_by))


def test_no_fetus_is_in_two_splits(dataset_folder):
    dataset = fm.load_dataset(dataset_folder)
    assert {name: len(cases) for name, cases in dataset.splits.items()} == {
        "train": 2, "val": 1, "test": 1,
    }  # fmt: skip
    split = [case.subject for name in SPLITS for case in dataset.split(name)]
    assert sorted(split) == sorted(case.subject for case in dataset.cases)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_no_byte(tmp_path, whole, workers):
    cases = list(write(tmp_path / "cohort", workers))
    assert [case.name for case in cases] == [f"sim-{n:06d}" for n in range(COUNT)]
    assert content(tmp_path / "cohort") == whole


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_off_dataset_goes_on_where_it_stopped(tmp_path, whole, workers):
    folder = tmp_path / "cohort"
    cases = write(folder, workers)
    first = next(cases)
    cases.close()
    assert not (folder / "dataset.json").exists()
    written = first.volume_path.stat().st_mtime_ns, first.landmarks_path.stat().st_mtime_ns
    list(write(folder))
    assert content(folder) == whole
    again = first.volume_path.stat().st_mtime_ns, first.landmarks_path.stat().st_mtime_ns
    assert again == written  # it was not written twice


def test_an_extended_dataset_has_the_bytes_of_one_that_was_written_at_once(tmp_path, whole):
    folder = tmp_path / "cohort"
    splits = {"train": 0.5, "test": 0.5}
    shorter = fm.load_dataset(written_whole(folder, count=2, splits=splits)).splits
    list(write(folder, splits=splits))
    longer = fm.load_dataset(folder)
    for name, cases in shorter.items():
        assert set(cases) <= set(longer.splits[name])
    other = written_whole(tmp_path / "other" / "cohort", splits=splits)
    assert content(folder) == content(other)
    volumes = {name: data for name, data in whole.items() if name.startswith("volumes/")}
    assert {name: content(folder)[name] for name in volumes} == volumes


def test_an_interrupted_extension_is_unfinished_and_goes_on(tmp_path, whole):
    folder = written_whole(tmp_path / "cohort", count=2, splits=None)
    cases = write(folder, splits=None)
    times = [next(cases).volume_path.stat().st_mtime_ns for _ in range(3)]
    cases.close()
    with pytest.raises(BadInput, match="unfinished dataset"):
        fm.load_dataset(folder)
    with pytest.raises(BadInput, match=f"cases {COUNT} where 2 is asked for"):
        next(write(folder, count=2, splits=None))
    finished = list(write(folder, splits=None))
    assert [case.volume_path.stat().st_mtime_ns for case in finished[:3]] == times
    assert content(folder) == {
        **{name: data for name, data in whole.items() if name[-3:] not in ("son", "csv")},
        **{name: data for name, data in content(folder).items() if name[-3:] in ("son", "csv")},
    }
    assert len(fm.load_dataset(folder).cases) == COUNT


def test_an_interrupted_run_may_go_on_to_a_larger_number(tmp_path, whole):
    folder = tmp_path / "cohort"
    cases = write(folder, count=3, splits=None)
    next(cases)
    cases.close()
    list(write(folder, splits=None))
    found = content(folder)
    assert {n: d for n, d in found.items() if n.startswith(("volumes", "landmarks"))} == {
        n: d for n, d in whole.items() if n.startswith(("volumes", "landmarks"))
    }


def test_a_kill_between_the_two_documents_of_an_extension_leaves_the_shorter_dataset(tmp_path):
    folder = written_whole(tmp_path / "cohort", count=1, splits=None)
    finished = (folder / "dataset.json").read_bytes()
    cases = write(folder, count=2, splits=None)
    next(cases)
    cases.close()
    (folder / "dataset.json").write_bytes(finished)  # as if it had not been removed yet
    assert len(fm.load_dataset(folder).cases) == 1
    list(write(folder, count=2, splits=None))
    assert len(fm.load_dataset(folder).cases) == 2
    assert not (folder / "dataset.partial.json").exists()


def test_splits_in_order_cannot_be_extended(tmp_path):
    halves = {"train": 0.5, "test": 0.5}
    folder = written_whole(tmp_path / "cohort", count=2, splits=halves, shuffle=False)
    before = content(folder)
    with pytest.raises(BadInput, match="keep their splits when it is extended") as caught:
        next(write(folder, splits=halves, shuffle=False))
    assert "\n" not in str(caught.value)
    assert content(folder) == before


def written_whole(folder, **changed):
    list(write(folder, **changed))
    return folder


def test_an_iterator_that_was_not_used_up_leaves_the_dataset_unfinished(tmp_path):
    folder = tmp_path / "cohort"
    cases = write(folder)
    assert len(list(islice(cases, COUNT))) == COUNT
    with pytest.raises(BadInput, match="unfinished dataset"):
        fm.load_dataset(folder)
    assert next(cases, None) is None
    assert len(fm.load_dataset(folder).cases) == COUNT


def test_without_splits_there_are_none(tmp_path):
    list(write(tmp_path / "cohort", count=1, splits=None))
    dataset = fm.load_dataset(tmp_path / "cohort")
    assert dataset.splits == {}
    assert not (tmp_path / "cohort" / "splits.json").exists()


def test_nothing_is_written_before_the_first_case_is_asked_for(tmp_path):
    write(tmp_path / "cohort")
    assert list(tmp_path.iterdir()) == []


def test_a_case_whose_volume_is_lost_is_made_again(tmp_path, whole):
    folder = tmp_path / "cohort"
    cases = write(folder)
    first = next(cases)
    next(cases)
    cases.close()
    first.volume_path.unlink()
    list(write(folder))
    assert content(folder) == whole


KILLED = """
import sys
from fetusmap.simulate import SimulationSettings, simulate_dataset
if __name__ == "__main__":
    settings = SimulationSettings("half", weeks=(10.0, 11.0))
    splits = {"train": 0.5, "val": 0.25, "test": 0.25}
    for case in simulate_dataset(
        sys.argv[1], settings, count=4, seed=3, workers=int(sys.argv[2]), splits=splits
    ):
        print(case.name, flush=True)
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_can_be_taken_up_again(tmp_path, whole, workers):
    folder = tmp_path / "cohort"
    run = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(workers)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert run.stdout is not None
        assert run.stdout.readline().strip() == "sim-000000"
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdout.close()
    assert not (folder / "dataset.json").exists()
    list(write(folder))
    found = content(folder)
    # What a killed writer left behind under a temporary name is no part of the dataset.
    assert {name: data for name, data in found.items() if name in whole} == whole
    assert len(fm.load_dataset(folder).cases) == COUNT


def test_killed_workers_give_an_error_of_one_line_and_the_run_can_be_repeated(tmp_path, whole):
    folder = tmp_path / "cohort"
    before = {process.pid for process in multiprocessing.active_children()}
    cases = write(folder, 2)
    next(cases)
    for process in multiprocessing.active_children():
        if process.pid not in before:
            os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ResourceError, match="repeat the command to continue") as caught:
        list(cases)
    assert "\n" not in str(caught.value)
    assert not (folder / "dataset.json").exists()
    list(write(folder))
    assert {name: data for name, data in content(folder).items() if name in whole} == whole


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"seed": SEED + 1}, "seed"),
        ({"count": COUNT - 1}, "cases"),
        ({"splits": None}, "splits"),
        ({"settings": SimulationSettings("half", weeks=(10.0, 12.0))}, "weeks"),
        ({"settings": SimulationSettings("mid", weeks=(10.0, 11.0))}, "preset"),
        ({"settings": SimulationSettings("half", (10.0, 11.0), "reference")}, "scanner_profile"),
        (
            {"settings": SimulationSettings("half", (10.0, 11.0), difficulty=Difficulty(blur=2))},
            "difficulty",
        ),
        (
            {
                "settings": SimulationSettings(
                    "half", (10.0, 11.0), presentation=Presentation("clinical")
                )
            },
            "presentation",
        ),
        (
            {"settings": SimulationSettings("half", (10.0, 11.0), like=draw_poses(3, seed=0))},
            "poses_like",
        ),
    ],
)
def test_other_settings_do_not_go_on(begun_folder, changed, what):
    before = content(begun_folder)
    with pytest.raises(BadInput, match=rf"found .*{what} .* is asked for") as caught:
        next(write(begun_folder, **changed))
    assert "\n" not in str(caught.value)
    assert content(begun_folder) == before


@pytest.fixture(scope="module")
def begun_folder(tmp_path_factory):
    """A dataset that was interrupted after one case."""
    folder = tmp_path_factory.mktemp("begun") / "cohort"
    cases = write(folder)
    next(cases)
    cases.close()
    return folder


def test_libraries_of_other_poses_are_other_settings():
    one, other = (
        dataset_origin(SimulationSettings("half", like=draw_poses(3, seed=seed)), 1, 0)
        for seed in (0, 1)
    )
    same = dataset_origin(SimulationSettings("half", like=draw_poses(3, seed=0)), 1, 0)
    assert one["poses_like"] == same["poses_like"] != other["poses_like"]
    # Even if nothing records how they were made.
    library = draw_poses(3, seed=0)
    nameless = fm.PoseLibrary(library.skeleton, library.positions_mm + 1)
    again = fm.PoseLibrary(library.skeleton, library.positions_mm)
    described = [
        dataset_origin(SimulationSettings("half", like=each), 1, 0)["poses_like"]
        for each in (nameless, again)
    ]
    assert described[0] != described[1]
    json.dumps(described)


@pytest.mark.parametrize("changed", [{}, {"count": COUNT - 1}, {"count": COUNT + 1, "seed": 9}])
def test_a_finished_dataset_is_left_alone(dataset_folder, whole, changed):
    with pytest.raises(BadInput, match=r"finished dataset|keep their splits") as caught:
        next(write(dataset_folder, **changed))
    assert "\n" not in str(caught.value)
    assert content(dataset_folder) == whole


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"count": 0}, "^simulated cases: expected 1 or more, found 0"),
        ({"count": -5}, "^simulated cases: expected 1 or more"),
        ({"seed": -1}, "^seed: expected 0 or more"),
        ({"workers": -1}, "^workers: expected 0 or more"),
        ({"splits": {"train": 0.5}}, "^splits: expected named, positive parts"),
        (
            {"count": 1, "splits": {"train": 0.9, "test": 0.1}},
            "^splits: expected at least one subject",
        ),
    ],
)
def test_bad_arguments_are_refused_at_once_and_leave_nothing_behind(tmp_path, changed, message):
    with pytest.raises(BadInput, match=message) as caught:
        write(tmp_path / "cohort", **changed)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_function_is_called_after_each_case_that_was_made(tmp_path, whole):
    folder = tmp_path / "cohort"
    seen = []
    cases = write(folder, after_case=lambda case, made: seen.append((case, made)))
    case = next(cases)
    cases.close()
    assert [entry.name for entry, _ in seen] == ["sim-000000"]
    np.testing.assert_array_equal(seen[0][1].volume.array, case.load_volume().array)
    # Not again for what stands already.
    list(write(folder, after_case=lambda case, made: seen.append((case, made))))
    assert [entry.name for entry, _ in seen] == [f"sim-{n:06d}" for n in range(COUNT)]
    assert content(folder) == whole


def test_an_error_after_a_case_ends_the_run_and_the_case_is_made_again(tmp_path, whole):
    folder = tmp_path / "cohort"

    def fail(case, made):
        raise RuntimeError("no ink")

    with pytest.raises(RuntimeError, match="no ink"):
        list(write(folder, after_case=fail))
    assert not (folder / "dataset.json").exists()
    list(write(folder))
    assert content(folder) == whole


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match="expected a folder that can be written") as caught:
        next(write(tmp_path / "file" / "cohort"))
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "in the way"


FULL = """
import resource, sys
from fetusmap.errors import BadInput, ResourceError
from fetusmap.simulate import SimulationSettings, simulate_dataset
if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    settings = SimulationSettings("half", weeks=(10.0, 11.0))
    splits = {"train": 0.5, "val": 0.25, "test": 0.25}
    try:
        list(simulate_dataset(
            sys.argv[1], settings, count=4, seed=3, workers=int(sys.argv[2]), splits=splits
        ))
    except BadInput as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_full_disk_gives_an_error_of_one_line_and_no_half_written_case_counts(
    tmp_path, whole, workers
):
    """A volume that may not grow beyond 200 kB stands for a disk that is full."""
    folder = tmp_path / "cohort"
    run = subprocess.run(
        [sys.executable, "-c", FULL, str(folder), str(workers)],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    (message,) = run.stdout.splitlines()
    assert "too large" in message
    assert run.stderr == ""
    assert not (folder / "dataset.json").exists()
    assert not list(folder.glob("landmarks/*"))
    list(write(folder))
    assert content(folder) == whole
