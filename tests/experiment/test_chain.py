"""The whole chain, broken off and gone on with."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fetusmap.errors import BadInput
from fetusmap.experiment import Experiment
from fetusmap.experiment.tasks import hash_of
from fetusmap.files.reading import visible_files

DIFFERENT = {"costs.md", "costs.csv"}


def results_of(folder: Path) -> dict[str, bytes]:
    """Everything but what the run cost."""
    files = visible_files(folder / "results", "*")
    files = (path for path in files if path.name not in DIFFERENT)
    return {path.name: path.read_bytes() for path in files}


def states(work: Experiment) -> set[str]:
    return {work.tasks.state(task) for task in work.tasks}


def test_every_task_is_done_and_has_a_manifest(finished):
    assert states(finished) == {"done"}
    manifests = [finished.tasks.manifest(task.name) for task in finished.tasks]
    assert all(m.seed == 4 and m.profile == "tiny" and m.device == "cpu" for m in manifests)
    assert len({m.code_sha256 for m in manifests}) == 1
    trained = finished.tasks.manifest("train/GAN-GCP")
    assert trained.inputs == {"cohort": finished.tasks.manifest("cohort").output_sha256}
    weights = finished.folder / "networks" / "GAN-GCP" / "network.safetensors"
    assert trained.output_sha256 == hash_of([weights])
    assert trained.seconds > 0
    assert trained.peak_bytes > 1e8


def test_the_tables_have_all_rows(finished):
    told = json.loads((finished.folder / "results" / "results.json").read_text())
    assert list(told["rows"]) == [
        "Land-R4", "Land-GCP", "RNN-R4", "RNN-GCP", "GAN-R4", "GAN-GCP", "SSL-R4", "SSL-GCP",
        "Fast-R4", "Fast-GCP", "Product", "Product-fast",
    ]  # fmt: skip
    assert told["unfinished"] == []
    assert told["rows"]["Product"]["mean_mm"][0] < 3 < told["rows"]["Land-R4"]["mean_mm"][0]
    for name in ("figure-1c.png", "figure-5.png", "figure-6.png", "costs.csv", "our-claims.tex"):
        assert (finished.folder / "results" / name).stat().st_size > 300


def test_a_second_run_does_nothing(finished):
    before = {p: p.stat().st_mtime_ns for p in finished.folder.rglob("*") if p.is_file()}
    done = []
    finished.run(after=done.append)
    assert done == []
    assert before == {p: p.stat().st_mtime_ns for p in finished.folder.rglob("*") if p.is_file()}


def test_any_number_of_workers_gives_the_same_tables(finished, tiny, tmp_path):
    """Two networks side by side, and two test cases."""
    work = Experiment(tmp_path / "run", tiny, workers=2)
    work.run(["cohort", "train/Land-R4", "train/RNN-R4", "predict/Land-R4"])
    for name in ("cohort", "train/Land-R4", "train/RNN-R4", "predict/Land-R4"):
        both = [one.tasks.manifest(name).output_sha256 for one in (work, finished)]
        assert both[0] == both[1], name


def test_a_task_that_was_begun_from_something_else_starts_anew(finished, tiny, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    work = Experiment(folder, tiny, workers=0)
    task = work.tasks.tasks["predict/RNN-R4"]
    poses = sorted((folder / "predictions" / "RNN-R4").glob("*.json"))
    (folder / "manifests" / "predict" / "RNN-R4.json").unlink()
    begun = folder / "manifests" / "predict" / "RNN-R4.begun"
    begun.write_text(json.dumps(finished.tasks.manifest(task.name).inputs))
    poses[0].unlink()
    work.tasks.begin(task)
    assert [p for p in poses if p.exists()] == poses[1:]  # goes on with what it has
    begun.write_text(json.dumps({"cohort": "another", "train/RNN-R4": "another"}))
    work.tasks.begin(task)
    assert not any(p.exists() for p in poses)


def test_it_is_told_where_the_code_has_changed_in_between(finished, tiny, tmp_path):
    report = (finished.folder / "results" / "report.md").read_text()
    assert "state of the code" not in report
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    work = Experiment(folder, tiny, workers=0)
    manifest = folder / "manifests" / "cohort.json"
    manifest.write_text(
        manifest.read_text().replace(work.tasks.manifest("cohort").code_sha256, "0" * 64)
    )
    (folder / "manifests" / "evaluate.json").unlink()
    work.run(["evaluate"])
    now = finished.tasks.manifest("cohort").code_sha256[:8]
    told = f"one state of the code: cohort (00000000); train, predict, refine ({now})."
    assert told in (folder / "results" / "report.md").read_text()


def test_a_peer_has_every_test_case_or_none(finished, tiny, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    shutil.copytree(folder / "predictions" / "Product", folder / "peers" / "other")
    work = Experiment(folder, tiny, workers=0)
    work.run(["evaluate"])
    told = json.loads((folder / "results" / "results.json").read_text())["rows"]
    assert told["other"]["mean_mm"] == told["Product"]["mean_mm"]
    (folder / "peers" / "other" / "sim-000010.json").unlink()
    with pytest.raises(BadInput, match=r"2 test cases.*found 1 missing, such as sim-000010\.json"):
        work.run(["evaluate"])


def test_code_that_changes_while_it_runs_is_not_vouched_for(finished, tiny, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    work = Experiment(folder, tiny, workers=0)
    (folder / "manifests" / "draw.json").unlink()
    monkeypatch.setattr("fetusmap.experiment.tasks.code_sha256", lambda: "another")
    with pytest.raises(BadInput, match="expected the code that this run began with"):
        work.run()
    assert work.tasks.manifest("draw") is None


def killed_when(work: Experiment, there: Path) -> bool:
    """Run in a process of its own, and kill that when a file is there; whether it was in time."""
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from fetusmap.experiment import Experiment, Profile\n"
        "profile = Profile.model_validate_json(sys.argv[2])\n"
        "Experiment(Path(sys.argv[1]), profile, workers=0).run()\n"
    )
    words = [sys.executable, "-c", code, str(work.folder), work.profile.model_dump_json()]
    process = subprocess.Popen(words, start_new_session=True)
    while not there.exists() and process.poll() is None:
        time.sleep(0.02)
    in_time = process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return in_time


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_kill_9_at_any_stage_gives_the_same_bytes(finished, tiny, tmp_path):
    folder = tmp_path / "run"
    work = Experiment(folder, tiny, workers=0)
    moments = (
        folder / "cohort" / "landmarks" / "sim-000003.json",
        folder / "networks" / "Land-GCP" / "metrics.jsonl",
        folder / "predictions" / "GAN-GCP" / "sim-000010.json",
        folder / "predictions" / "SSL-R4" / "sim-000010.json",
        folder / "results" / "table1.md",
        folder / "results" / "figure-1c.png",
    )
    assert [killed_when(work, moment) for moment in moments] == [True] * len(moments)
    assert "begun" in states(work) or "not begun" in states(work)
    work.run()
    assert states(work) == {"done"}
    assert results_of(folder) == results_of(finished.folder)


def test_what_rests_on_a_changed_network_is_made_anew(finished, tiny, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    work = Experiment(folder, tiny, workers=0)
    (folder / "manifests" / "train" / "Land-R4.json").unlink()
    shutil.rmtree(folder / "networks" / "Land-R4")
    changed = {t.name for t in work.tasks if work.tasks.state(t) != "done"}
    assert {"train/Land-R4", "predict/Land-R4", "refine/SSL-R4", "refine/Fast-R4"} <= changed
    assert "predict/Land-GCP" not in changed
    done = []
    work.run(after=lambda task: done.append(task.name))
    assert done[0] == "train/Land-R4"
    assert results_of(folder) == results_of(finished.folder)  # the same seed, the same bytes
