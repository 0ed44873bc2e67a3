"""Cases that kill their process, with functions that do: by name, as processes import them."""

import csv
import multiprocessing
import os
import signal
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

import fetusmap.workers
from fetusmap.errors import BadInput
from fetusmap.io import save_volume
from fetusmap.scale import (
    Killed,
    PredictionSettings,
    VolumeFile,
    assign_folders,
    predict_cases,
    run_cases,
)
from fetusmap.simulate import SimulationSettings, simulate_case

MODULE = """
import os, signal, sys
from pathlib import Path

def work(item):
    '''Doubles a number; of (folder, number) kills the process until enough marks are there.'''
    if isinstance(item, int):
        return 2 * item
    folder, number, kills = item
    marks = len(list(Path(folder).glob(f"{number}-*")))
    if marks < kills:
        (Path(folder) / f"{number}-{marks}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number

def kill_on(name):
    '''Kills this process as soon as it opens a file of this name.'''
    def watch(event, arguments):
        if event == "open" and str(arguments[0]).endswith(name):
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A function in a module that worker processes can import."""
    folder = tmp_path_factory.mktemp("module")
    (folder / "killing_cases.py").write_text(textwrap.dedent(MODULE))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), before)))
    sys.path.insert(0, str(folder))
    from killing_cases import work

    yield work
    sys.path.remove(str(folder))
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def test_in_one_process_cases_are_worked_on_in_order(work):
    assert list(run_cases(work, [3, 1, 2], 1)) == [(3, 6), (1, 2), (2, 4)]


def test_a_case_that_kills_its_process_once_succeeds_at_the_second_attempt(work, tmp_path):
    killer = (str(tmp_path), 10, 1)
    results = list(run_cases(work, [1, 2, killer, 3, 4, 5, 6, 7], 2))
    assert [result for _, result in results] == [2, 4, 20, 6, 8, 10, 12, 14]
    assert [item for item, _ in results] == [1, 2, killer, 3, 4, 5, 6, 7]


def test_a_case_that_always_kills_its_process_costs_only_itself(work, tmp_path):
    killer = (str(tmp_path), 10, 100)
    results = dict(run_cases(work, [1, killer, 2, 3, 4, 5], 2))
    assert isinstance(results.pop(killer), Killed)
    assert results == {n: 2 * n for n in (1, 2, 3, 4, 5)}
    # The process of the pool, where another case may have been responsible, and two of its own.
    assert len(list(tmp_path.iterdir())) == 3


def test_two_cases_side_by_side_that_kill_their_process_once_both_succeed(work, tmp_path):
    killers = [(str(tmp_path), 10, 1), (str(tmp_path), 20, 1)]
    assert [result for _, result in run_cases(work, [*killers, 1], 2)] == [20, 40, 2]


def test_processes_that_never_work_are_not_blamed_on_the_cases(work):
    """As those of a script that starts them without a main guard."""

    def broken(workers):
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(workers, spawn, initializer=int, initargs=("no number",))

    with pytest.raises(BadInput, match="start the work below `if __name__ == '__main__':`"):
        list(run_cases(work, [1, 2], 2, open_executor=broken))


@pytest.mark.parametrize("workers", [1, 2])
def test_suspects_come_last_and_alone(work, tmp_path, workers):
    killer = (str(tmp_path), 10, 100)
    results = list(run_cases(work, [1, 2], workers, suspects=[killer, 3]))
    assert [item for item, _ in results] == [1, 2, killer, 3]
    assert isinstance(results[2][1], Killed)
    assert results[3][1] == 6


# Predictions


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    made = simulate_case(SimulationSettings(preset="half", profile="reference"), 11, 0)
    for name in ("a", "b", "c"):
        save_volume(made.volume, folder / f"{name}.nii.gz")
    return folder


def statuses(out: Path) -> dict[str, str]:
    with (out / "summary.csv").open() as file:
        return {row["case"]: row["status"] for row in csv.DictReader(file)}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_volume_that_kills_every_process_is_named_and_the_others_are_done(
    scans, small, work, tmp_path
):
    """As the out-of-memory killer does; the next run, in one process, survives it as well."""
    from killing_cases import kill_on

    def dying(workers):
        context = multiprocessing.get_context(fetusmap.workers.START_METHOD)
        return ProcessPoolExecutor(workers, context, initializer=kill_on, initargs=("b.nii.gz",))

    settings = PredictionSettings(model=str(small / "model"), previews=False, pages=False)
    volumes = [VolumeFile(name, scans / f"{name}.nii.gz") for name in ("a", "b", "c")]
    for workers in (2, 1):
        results = {
            result.case: result
            for result in predict_cases(volumes, tmp_path, settings, workers, open_executor=dying)
        }
        assert "the process that worked on it was killed 2 times" in results["b"].error
        assert results["a"].pose is not None
        assert results["c"].pose is not None
        assert statuses(tmp_path) == {"a": "done", "b": "failed", "c": "done"}
        assert (tmp_path / "b" / "started.json").is_file()  # so that the next run tries it alone


def test_a_case_that_an_earlier_run_left_unfinished_is_worked_on_last(scans, small, tmp_path):
    """Its mark is what a run leaves that was killed together with its only process."""
    settings = PredictionSettings(model=str(small / "model"), previews=False, pages=False)
    (tmp_path / "a").mkdir()
    source = VolumeFile("a", scans / "a.nii.gz").source
    (tmp_path / "a" / "started.json").write_text(
        f'{{"format": "fetusmap-started", "version": 1, "source": "{source}"}}'
    )
    volumes = [VolumeFile(name, scans / f"{name}.nii.gz") for name in ("a", "b")]
    assert assign_folders(volumes, tmp_path, settings.limits) == (volumes, [])
    results = list(predict_cases(volumes, tmp_path, settings))
    assert [result.case for result in results] == ["b", "a"]
    assert all(result.pose is not None for result in results)
    assert not (tmp_path / "a" / "started.json").exists()
