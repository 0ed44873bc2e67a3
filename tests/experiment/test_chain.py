"""The whole chain of tasks, also interrupted and continued."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fetusmap.anatomy import Pose, Skeleton, load_skeleton
from fetusmap.atlas import SHIPPED_LIBRARY, load_library, save_library
from fetusmap.errors import BadInput
from fetusmap.estimate import MODELS
from fetusmap.experiment import Experiment
from fetusmap.experiment.cohort import load_test_cases
from fetusmap.experiment.hashes import hash_of
from fetusmap.files import sha256_of, visible_files
from fetusmap.io import load_pose, save_pose

DIFFERENT = {"costs.md", "costs.csv"}


def results_of(folder: Path) -> dict[str, bytes]:
    """The bytes of all results but the costs, by the name of their file."""
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
    results = json.loads((finished.folder / "results" / "results.json").read_text())
    assert list(results["rows"]) == [
        "Land-R4", "Land-GCP", "RNN-R4", "RNN-GCP", "GAN-R4", "GAN-GCP", "SSL-R4", "SSL-GCP",
        "SSL-tuned-R4", "SSL-tuned-GCP", "SSL-tuned-20k-R4", "SSL-tuned-20k-GCP", "Fast-100-R4",
        "Fast-100-GCP", "Fast-R4", "Fast-GCP", "GRU-R4", "GRU-GCP", "Sides-R4", "Pairs-R4",
        "Product", "Product-fast",
    ]  # fmt: skip
    assert results["unfinished"] == []
    assert results["rows"]["Product"]["mean_mm"][0] < 3 < results["rows"]["Land-R4"]["mean_mm"][0]
    for name in ("figure-1c.png", "figure-5.png", "figure-6.png", "costs.csv", "our-claims.tex"):
        assert (finished.folder / "results" / name).stat().st_size > 300


def test_a_second_run_does_nothing(finished):
    before = {p: p.stat().st_mtime_ns for p in finished.folder.rglob("*") if p.is_file()}
    done = []
    finished.run(after=done.append)
    assert done == []
    assert before == {p: p.stat().st_mtime_ns for p in finished.folder.rglob("*") if p.is_file()}


def test_networks_and_cases_in_other_processes_give_the_same_bytes(finished, copied):
    """Two networks side by side, and a test case that is missing."""
    names = ("train/Land-R4", "train/RNN-R4", "predict/Land-R4")
    work = copied(workers=2)
    for network in ("Land-R4", "RNN-R4"):
        (work.folder / "manifests" / "train" / f"{network}.json").unlink()
        shutil.rmtree(work.folder / "networks" / network)
    (work.folder / "predictions" / "Land-R4" / "sim-000021.json").unlink()
    done = []
    work.run(names, after=lambda task: done.append(task.name))
    assert tuple(done) == names
    for name in names:
        both = [one.tasks.manifest(name).output_sha256 for one in (work, finished)]
        assert both[0] == both[1], name


def test_a_task_that_was_begun_from_something_else_starts_anew(finished, copied):
    work = copied()
    folder = work.folder
    task = work.tasks.tasks["predict/RNN-R4"]
    poses = sorted((folder / "predictions" / "RNN-R4").glob("*.json"))
    (folder / "manifests" / "predict" / "RNN-R4.json").unlink()
    begun = folder / "manifests" / "predict" / "RNN-R4.begun"
    begun.write_text(json.dumps(finished.tasks.manifest(task.name).inputs))
    poses[0].unlink()
    work.tasks.begin(task)
    assert [p for p in poses if p.exists()] == poses[1:]  # continues with what it has
    begun.write_text(json.dumps({"cohort": "another", "train/RNN-R4": "another"}))
    work.tasks.begin(task)
    assert not any(p.exists() for p in poses)


def test_the_report_names_the_stages_between_which_the_code_changed(finished, copied):
    report = (finished.folder / "results" / "report.md").read_text()
    assert "The code changed" not in report
    work = copied()
    now = work.tasks.manifest("cohort").code_sha256
    manifest = work.folder / "manifests" / "cohort.json"
    manifest.write_text(manifest.read_text().replace(now, "0" * 64))
    (work.folder / "manifests" / "evaluate.json").unlink()
    work.run(["evaluate"])
    expected = f"stages of this run: cohort (00000000); train, tune, predict, refine ({now[:8]})."
    assert expected in (work.folder / "results" / "report.md").read_text()


def test_a_peer_has_every_test_case_or_none(copied):
    work = copied()
    folder = work.folder
    shutil.copytree(folder / "predictions" / "Product", folder / "peers" / "other")
    work.run(["evaluate"])
    rows = json.loads((folder / "results" / "results.json").read_text())["rows"]
    assert rows["other"]["mean_mm"] == rows["Product"]["mean_mm"]
    (folder / "peers" / "other" / "sim-000020.json").unlink()
    with pytest.raises(BadInput, match=r"2 test cases.*found 1 missing, such as sim-000020\.json"):
        work.run(["evaluate"])


def test_a_peer_has_every_landmark(copied):
    """It may have more; a landmark that it never predicts is written as absent."""
    work = copied()
    peer = work.folder / "peers" / "other"
    peer.mkdir(parents=True)
    whole = load_skeleton()
    fewer = Skeleton("fewer", whole.landmarks[1:], (), ())
    more = Skeleton("more", ("tail", *whole.landmarks), (), ())
    truths = {case.name: case.load_pose() for case in load_test_cases(work.folder)}
    for name, truth in truths.items():
        save_pose(Pose(fewer, truth.positions_mm[1:]), peer / f"{name}.json")
    with pytest.raises(BadInput, match="every landmark of fetus-16, found none with head"):
        work.run(["evaluate"])
    for name, truth in truths.items():
        points = np.concatenate([[[0, 0, 0]], truth.positions_mm])
        save_pose(Pose(more, points), peer / f"{name}.json")
    work.run(["evaluate"])
    rows = json.loads((work.folder / "results" / "results.json").read_text())["rows"]
    assert rows["other"]["mean_mm"][0] == pytest.approx(0, abs=1e-3)


def test_a_run_refuses_to_finish_a_task_when_the_code_has_changed(copied, monkeypatch):
    work = copied()
    (work.folder / "manifests" / "draw.json").unlink()
    monkeypatch.setattr("fetusmap.experiment.tasks.code_sha256", lambda: "another")
    with pytest.raises(BadInput, match="expected the code that this run began with"):
        work.run()
    assert work.tasks.manifest("draw") is None


def test_rows_that_use_a_model_or_atlases_of_the_package_name_them(finished):
    inputs = {row: set(finished.tasks.manifest(row).inputs) for row in (
        "predict/Land-R4", "predict/Product", "refine/SSL-R4", "refine/SSL-tuned-R4",
        "refine/SSL-tuned-20k-R4", "refine/Fast-100-R4", "refine/Fast-R4", "refine/Product-fast",
    )}  # fmt: skip
    network = {"cohort", "train/Land-R4"}
    assert inputs == {
        "predict/Land-R4": network,
        "predict/Product": {"cohort", "model default"},
        "refine/SSL-R4": network,
        "refine/SSL-tuned-R4": network | {"tune/dose"},
        "refine/SSL-tuned-20k-R4": network | {"tune/dose", "atlases"},
        "refine/Fast-100-R4": network,
        "refine/Fast-R4": network | {"atlases"},
        "refine/Product-fast": {"cohort", "model default", "atlases"},
    }


def outdated(work: Experiment) -> set[str]:
    return {t.name for t in work.tasks if work.tasks.state(t) == "outdated"} - {"evaluate", "draw"}


def test_an_upgraded_model_makes_its_rows_anew(copied, tmp_path, monkeypatch):
    card = (MODELS["default"] / "card.json").read_text()
    upgraded = tmp_path / "upgraded"
    upgraded.mkdir()
    (upgraded / "card.json").write_text(card + "\n")
    monkeypatch.setitem(MODELS, "default", upgraded)
    assert outdated(copied()) == {"predict/Product", "refine/Product-fast"}


def test_upgraded_atlases_make_their_rows_anew(copied, tmp_path, monkeypatch):
    """The poses are deleted and predicted again, so that none of the old atlases remains."""
    upgraded = tmp_path / "atlases.safetensors"
    save_library(load_library(SHIPPED_LIBRARY).select(range(300, 350)), upgraded)
    monkeypatch.setattr("fetusmap.experiment.plan.SHIPPED_LIBRARY", upgraded)
    work = copied()
    others = {
        "refine/Fast-GCP", "refine/SSL-tuned-20k-R4", "refine/SSL-tuned-20k-GCP",
        "refine/Product-fast",
    }  # fmt: skip
    assert outdated(work) == {"refine/Fast-R4", *others}
    poses = work.folder / "predictions" / "Fast-R4"
    (poses / "sim-000020.json").write_text("of the old atlases")
    work.run(["refine/Fast-R4"])
    assert load_pose(poses / "sim-000020.json").provenance.refine == "fast"
    assert work.tasks.manifest("refine/Fast-R4").inputs["atlases"] == sha256_of(upgraded)
    assert outdated(work) == others


def killed_when(work: Experiment, atlases: Path, there: Path) -> bool:
    """Run in another process, and kill it when a file appears; return whether it was in time."""
    code = (
        "import runpy, sys\nfrom pathlib import Path\nimport pytest\n"
        "from fetusmap.experiment import Experiment, Profile\n"
        "shrink = runpy.run_path(sys.argv[4])['shrink_package']\n"
        "shrink(Path(sys.argv[3]), pytest.MonkeyPatch())\n"
        "profile = Profile.model_validate_json(sys.argv[2])\n"
        "Experiment(Path(sys.argv[1]), profile, workers=0).run()\n"
    )
    conftest = Path(__file__).with_name("conftest.py")
    words = [
        sys.executable, "-c", code, str(work.folder), work.profile.model_dump_json(), str(atlases),
        str(conftest),
    ]  # fmt: skip
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
def test_kill_9_at_any_stage_gives_the_same_bytes(finished, tiny, few_atlases, tmp_path):
    folder = tmp_path / "run"
    work = Experiment(folder, tiny, workers=0)
    moments = (
        folder / "cohort" / "landmarks" / "sim-000003.json",
        folder / "networks" / "Land-GCP" / "metrics.jsonl",
        folder / "predictions" / "GAN-GCP" / "sim-000020.json",
        folder / "predictions" / "SSL-R4" / "sim-000020.json",
        folder / "results" / "table1.md",
        folder / "results" / "figure-1c.png",
    )
    assert [killed_when(work, few_atlases, moment) for moment in moments] == [True] * len(moments)
    assert "begun" in states(work) or "not begun" in states(work)
    work.run()
    assert states(work) == {"done"}
    assert results_of(folder) == results_of(finished.folder)


def test_what_rests_on_a_changed_network_is_made_anew(finished, copied):
    work = copied()
    folder = work.folder
    (folder / "manifests" / "train" / "Land-R4.json").unlink()
    shutil.rmtree(folder / "networks" / "Land-R4")
    changed = {t.name for t in work.tasks if work.tasks.state(t) != "done"}
    assert {"train/Land-R4", "predict/Land-R4", "refine/SSL-R4", "refine/Fast-R4"} <= changed
    assert "predict/Land-GCP" not in changed
    done = []
    work.run(after=lambda task: done.append(task.name))
    assert done[0] == "train/Land-R4"
    assert results_of(folder) == results_of(finished.folder)  # the same seed, the same bytes
