"""`fetusmap simulate`: its output, its errors, and how it is interrupted and continued."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

import fetusmap as fm
from fetusmap.atlas import save_library
from fetusmap.cli.main import run
from fetusmap.errors import UnreadableFile
from fetusmap.simulate import HARD, draw_poses

PROGRAM = Path(sys.executable).with_name("fetusmap")
HALF = ("--preset", "half")
ALONE = (*HALF, "--workers", 1)
PATIENCE_S = 120.0  # for what takes a second or two when nothing else runs

needs_posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def break_off(folder: Path, *lost: str) -> None:
    """Make a finished dataset look as if its run had been stopped before some of its cases."""
    (folder / "dataset.json").rename(folder / "dataset.partial.json")
    for name in ("cases.csv", "contact-sheet.png"):
        (folder / name).unlink(missing_ok=True)
    for case in lost:
        (folder / "landmarks" / f"{case}.json").unlink()


def check_same(folder: Path, other: Path) -> None:
    """The same files; pictures that were drawn from the files may differ by rounding."""
    ours, theirs = files_below(folder), files_below(other)
    assert list(ours) == list(theirs)
    for name, content in ours.items():
        if name.endswith(".png"):
            pictures = [image.imread(place / name)[:, :, :3] for place in (folder, other)]
            assert np.abs(pictures[0] - pictures[1]).max() <= 2 / 255
        else:
            assert content == theirs[name]


def temporary_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.is_file()]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cases with pictures, for reading only."""
    folder = tmp_path_factory.mktemp("simulated") / "cohort"
    assert run(["simulate", "-o", str(folder), "-n", "2", *map(str, ALONE)]) == 0
    return folder


@pytest.fixture
def copied(cohort: Path, tmp_path: Path) -> Path:
    """The two cases in a folder of the same name, for changing."""
    return Path(shutil.copytree(cohort, tmp_path / "cohort"))


# Output


def test_a_dataset_with_pictures(cohort: Path) -> None:
    dataset = fm.load_dataset(cohort)
    assert dataset.skeleton == fm.load_skeleton("fetus-22")
    assert [case.name for case in dataset.cases] == ["sim-000000", "sim-000001"]
    assert dataset.licence == "CC0-1.0"
    for case in dataset.cases:
        grid, pose = case.load_grid(), case.load_pose()
        assert np.allclose(grid.spacing_mm, 1.0)
        assert pose.present.all()
        seen = pose.confidence > 0
        assert seen.sum() >= 12
        assert grid.contains(pose.positions_mm[seen]).all()
        assert 70 <= (case.gestational_age_days or 0) <= 98
        picture = image.imread(cohort / "previews" / f"{case.name}.png")
        assert picture.shape[:2] == (200, 600)
        assert picture[:, :, :3].std() > 0.05
    sheet = image.imread(cohort / "contact-sheet.png")
    assert sheet.shape[1] > 2 * sheet.shape[0]
    assert temporary_files(cohort) == []


def test_skeleton_and_anatomy_of_the_cases(fetusmap: Callable, tmp_path: Path) -> None:
    words = ("-n", 1, *ALONE, "--no-previews", "--skeleton", "fetus-16", "--anatomy", "other")
    assert fetusmap("simulate", "-o", tmp_path / "d", *words).code == 0
    dataset = fm.load_dataset(tmp_path / "d")
    assert dataset.skeleton == fm.load_skeleton("fetus-16")
    assert (dataset.made_by["skeleton"], dataset.made_by["anatomy"]) == ("fetus-16", "other")
    assert len(dataset.cases[0].load_pose().skeleton) == 16


def test_its_last_line_says_what_and_where(fetusmap: Callable, tmp_path: Path) -> None:
    outcome = fetusmap("simulate", "-o", tmp_path / "d", "-n", 1, *ALONE)
    assert (outcome.code, outcome.err) == (0, "")
    assert (
        outcome.out.strip() == f"{tmp_path / 'd'}: 1 case; see {tmp_path / 'd'}/contact-sheet.png"
    )
    assert "1 of 1 subjects" in fetusmap("info", tmp_path / "d").out


def test_two_workers_write_the_same_files(cohort: Path, fetusmap: Callable, tmp_path: Path) -> None:
    other = tmp_path / "cohort"
    assert fetusmap("simulate", "-o", other, "-n", 2, *HALF, "--workers", 2).code == 0
    assert files_below(other) == files_below(cohort)


def test_without_pictures(fetusmap: Callable, cohort: Path, tmp_path: Path) -> None:
    words = ["simulate", "-o", tmp_path / "cohort", "-n", 2, *ALONE]
    outcome = fetusmap(*words, "--no-previews")
    assert (outcome.code, outcome.out.strip()) == (0, f"{tmp_path / 'cohort'}: 2 cases")
    there = {path.name for path in (tmp_path / "cohort").iterdir()}
    assert there == {"cases.csv", "dataset.json", "landmarks", "volumes"}
    # Pictures can be had afterwards, and are the same.
    assert "finished already" in fetusmap(*words).out
    check_same(tmp_path / "cohort", cohort)


def test_knobs_change_the_volume_and_not_the_fetus(
    fetusmap: Callable, cohort: Path, tmp_path: Path
) -> None:
    words = ["simulate", "-o", tmp_path / "d", "-n", 1, *ALONE, "--difficulty", "noise_db=12"]
    assert fetusmap(*words, "--difficulty", "blur=1.3").code == 0
    dataset = fm.load_dataset(tmp_path / "d")
    asked = dataset.made_by["difficulty"]
    assert isinstance(asked, dict)
    assert (asked["noise_db"], asked["blur"], asked["motion_mm"]) == (12.0, 1.3, 0.0)
    noisy, usual = dataset.cases[0], fm.load_dataset(cohort).cases[0]
    assert noisy.load_pose().equals(usual.load_pose())
    assert not np.array_equal(noisy.load_volume().array, usual.load_volume().array)


def test_hard_turns_every_knob_and_one_can_be_turned_back(
    fetusmap: Callable, tmp_path: Path
) -> None:
    words = ["simulate", "-o", tmp_path / "d", "-n", 1, *ALONE, "--hard", "--no-previews"]
    assert fetusmap(*words, "--difficulty", "blur=1").code == 0
    assert fm.load_dataset(tmp_path / "d").made_by["difficulty"] == {**asdict(HARD), "blur": 1.0}


def test_splits_share_no_fetus(fetusmap: Callable, tmp_path: Path) -> None:
    words = ["simulate", "-o", tmp_path / "d", "-n", 2, *ALONE, "--no-previews"]
    assert fetusmap(*words, "--split", "train=0.5", "--split", "test=0.5").code == 0
    dataset = fm.load_dataset(tmp_path / "d")
    (train,), (test,) = dataset.split("train"), dataset.split("test")
    assert {train.name, test.name} == {"sim-000000", "sim-000001"}
    assert train.subject != test.subject


def test_poses_to_imitate(fetusmap: Callable, cohort: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        library = replace(draw_poses(6, seed=number), made_by={"files": 6})
        save_library(library, tmp_path / f"{number}.safetensors")
    words = ["simulate", "-o", tmp_path / "d", "-n", 1, *ALONE, "--no-previews", "--like"]
    assert fetusmap(*words, tmp_path / "1.safetensors").code == 0
    dataset = fm.load_dataset(tmp_path / "d")
    assert dataset.made_by["poses_like"]
    usual = fm.load_dataset(cohort).cases[0].load_pose()
    assert not dataset.cases[0].load_pose().equals(usual)
    assert "finished already" in fetusmap(*words, tmp_path / "1.safetensors").out
    # Another library is another dataset, even where both say of themselves the same.
    outcome = fetusmap(*words, tmp_path / "2.safetensors")
    assert outcome.code == 2
    assert "other settings (poses like)" in outcome.err


# Continuing and extending


def test_a_finished_dataset_stays_as_it_is(fetusmap: Callable, copied: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*") if path.is_file()}
    outcome = fetusmap("simulate", "-o", copied, "-n", 2, *ALONE)
    assert outcome.code == 0
    assert f"{copied}: 2 cases, finished already; see" in outcome.out
    after = {path: path.stat().st_mtime_ns for path in copied.rglob("*") if path.is_file()}
    assert after == before


def test_a_broken_off_run_goes_on(fetusmap: Callable, cohort: Path, copied: Path) -> None:
    break_off(copied, "sim-000001")
    finished = copied / "volumes" / "sim-000000.nii.gz"
    before = finished.stat().st_mtime_ns
    (copied / "volumes" / "sim-000001.nii.gz").write_bytes(b"the first half of")
    outcome = fetusmap("simulate", "-o", copied, "-n", 2, *ALONE)
    assert (outcome.code, outcome.err) == (0, "")
    assert "finished already" not in outcome.out
    assert finished.stat().st_mtime_ns == before
    assert files_below(copied) == files_below(cohort)


def test_a_run_that_goes_on_draws_what_was_not_drawn(
    fetusmap: Callable, cohort: Path, copied: Path
) -> None:
    break_off(copied)
    shutil.rmtree(copied / "previews")
    assert fetusmap("simulate", "-o", copied, "-n", 2, *ALONE).code == 0
    check_same(copied, cohort)


def test_a_finished_dataset_becomes_longer(fetusmap: Callable, copied: Path) -> None:
    before = files_below(copied)
    outcome = fetusmap("simulate", "-o", copied, "-n", 3, *ALONE)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"{copied}: 3 cases; see" in outcome.out
    after = files_below(copied)
    changed = {"dataset.json", "cases.csv", "contact-sheet.png"}
    assert {name: after[name] for name in before if name not in changed} == {
        name: data for name, data in before.items() if name not in changed
    }
    assert after["cases.csv"].startswith(before["cases.csv"])
    assert after["contact-sheet.png"] != before["contact-sheet.png"]
    added = {"volumes/sim-000002.nii.gz", "landmarks/sim-000002.json", "previews/sim-000002.png"}
    assert set(after) - set(before) == added
    assert "finished already" in fetusmap("simulate", "-o", copied, "-n", 3, *ALONE).out


@needs_posix
def test_a_terminal_sees_how_far_it_is(copied: Path) -> None:
    break_off(copied, "sim-000001")
    ours, theirs = os.openpty()
    words = [PROGRAM, "simulate", "-o", copied, "-n", 2, *ALONE, "--no-previews"]
    with subprocess.Popen(
        [str(word) for word in words],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "90"},
    ) as running:
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # Linux says so when the other end is closed
            while part := os.read(ours, 4096):
                seen += part
        os.close(ours)
        assert running.wait() == 0
    text = seen.decode()
    # What was finished goes fast, and counts apart, so that the time that is left is not too short.
    for words_ in ("checking finished cases", "simulating", "1/1"):
        assert words_ in text


# Errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--output"),
        (["-o", "d", "--weeks", "9", "12"], "gestational age"),
        (["-o", "d", "--weeks", "12", "15"], "gestational age"),
        (["-o", "d", "--weeks", "13", "11"], "lower end first"),
        (["-o", "d", "--weeks", "nan", "12"], "gestational age"),
        (["-o", "d", "--weeks", "ten", "twelve"], "--weeks"),
        (["-o", "d", "--weeks", "12"], "fetusmap simulate --help"),
        (["-o", "d", "-n", "0"], "1 or more"),
        (["-o", "d", "-n", "-3"], "1 or more"),
        (["-o", "d", "-n", "many"], "--count"),
        (["-o", "d", "--seed", "-1"], "seed"),
        (["-o", "d", "--workers", "-1"], "workers"),
        (["-o", "d", "--preset", "tiny"], "full, mid, half"),
        (["-o", "d", "--profile", "odd"], "shifted-sharp"),
        (["-o", "d", "--skeleton", "fetus-17"], "fetus-22, fetus-16"),
        (["-o", "d", "--anatomy", "odd"], "usual, other"),
        (["-o", "d", "--difficulty", "mood=3"], "clutter_db"),
        (["-o", "d", "--difficulty", "blur"], "KNOB=NUMBER"),
        (["-o", "d", "--difficulty", "blur="], "KNOB=NUMBER"),
        (["-o", "d", "--difficulty", "blur=wide"], "KNOB=NUMBER"),
        (["-o", "d", "--difficulty", "blur=99"], "found 99"),
        (["-o", "d", "--difficulty", "blur=nan"], "blur"),
        (["-o", "d", "--split", "train"], "NAME=PART"),
        (["-o", "d", "--split", "train=0.5"], "sum to 1"),
        (["-o", "d", "-n", "1", "--split", "a=0.5", "--split", "b=0.5"], "at least one subject"),
        (["-o", "d", "--like", "missing.safetensors"], "missing.safetensors"),
        (["-o", "d", "--like", "broken.safetensors"], "broken.safetensors"),
        (["-o", "d", "--like", "folder"], "folder"),
        (["-o", "notes.txt"], "notes.txt"),
        (["-o", "notes.txt/d"], "notes.txt"),
        (["-o", "d", "case"], "case"),
    ],
)
def test_bad_words_are_one_line_and_nothing_is_written(
    fetusmap: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "broken.safetensors").write_bytes(b"\x00" * 40)
    (tmp_path / "folder").mkdir()
    start = time.perf_counter()
    outcome = fetusmap("simulate", *words)
    assert time.perf_counter() - start < 10
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("fetusmap: ")
    assert outcome.err.count("\n") == 1
    assert said in outcome.err
    assert "internal error" not in outcome.err
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"notes.txt", "broken.safetensors", "folder"}
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written(fetusmap: Callable, tmp_path: Path) -> None:
    if os.name != "posix" or os.geteuid() == 0:
        folder = Path("/proc/fetusmap")
        if not Path("/proc").is_dir():
            pytest.skip("nothing is forbidden to this user")
    else:
        folder = tmp_path / "locked" / "d"
        folder.parent.mkdir(mode=0o500)
    outcome = fetusmap("simulate", "-o", folder, "-n", 1, *ALONE)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "a folder that can be written" in outcome.err


@pytest.mark.parametrize(
    ("words", "differing"),
    [
        (["-n", 2, "--workers", 1], "preset"),
        (["-n", 2, *ALONE, "--seed", 1], "seed"),
        (["-n", 2, *ALONE, "--hard", "--weeks", 11, 12], "weeks, difficulty"),
    ],
)
def test_a_dataset_of_other_settings_is_refused_and_kept(
    fetusmap: Callable, copied: Path, words: list[object], differing: str
) -> None:
    before = files_below(copied)
    outcome = fetusmap("simulate", "-o", copied, *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert f"a dataset of other settings ({differing})" in outcome.err
    assert files_below(copied) == before


def test_a_setting_that_only_the_dataset_states_is_another_setting(
    fetusmap: Callable, copied: Path
) -> None:
    """Usual presentations and NIfTI files are not stated, unlike clinical ones and Kretz files."""
    document = copied / "dataset.json"
    plain = json.loads(document.read_text())
    plain["made_by"]["presentation"] = {"name": "clinical", "standard_part": 0.0}
    document.write_text(json.dumps(plain))
    outcome = fetusmap("simulate", "-o", copied, "-n", 2, *ALONE)
    assert outcome.code == 2
    assert "a dataset of other settings (presentation)" in outcome.err


def test_a_smaller_number_of_cases_is_refused_and_the_dataset_kept(
    fetusmap: Callable, copied: Path
) -> None:
    before = files_below(copied)
    outcome = fetusmap("simulate", "-o", copied, "-n", 1, *ALONE)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert "at least the 2 cases of this dataset" in outcome.err
    assert files_below(copied) == before


def test_an_unfinished_dataset_of_other_settings_is_refused_and_kept(
    fetusmap: Callable, copied: Path
) -> None:
    break_off(copied, "sim-000001")
    before = files_below(copied)
    outcome = fetusmap("simulate", "-o", copied, "-n", 2, *ALONE, "--seed", 5)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert "seed 0 where 5 is asked for" in outcome.err
    assert files_below(copied) == before


def test_another_dataset_is_refused_and_kept(
    fetusmap: Callable, volume: Path, tmp_path: Path
) -> None:
    with fm.DatasetWriter(
        tmp_path / "d", name="theirs", licence="CC0-1.0", skeleton=fm.load_skeleton()
    ) as writer:
        writer.add(fm.load_volume(volume), fm.reference_pose())
    before = files_below(tmp_path / "d")
    outcome = fetusmap("simulate", "-o", tmp_path / "d", "-n", 1, *ALONE)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert "another dataset" in outcome.err
    assert files_below(tmp_path / "d") == before


def test_a_damaged_dataset_is_one_line(fetusmap: Callable, copied: Path) -> None:
    (copied / "dataset.json").write_text("{")
    outcome = fetusmap("simulate", "-o", copied, "-n", 2, *ALONE)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert "dataset.json" in outcome.err


# Interruptions


@dataclass
class Running:
    """The command in a session of its own, as a terminal starts it."""

    process: subprocess.Popen[bytes]
    folder: Path

    def members(self) -> list[int]:
        """All living processes of the session: the command and its workers."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    if fields[0] != "Z" and int(fields[3]) == self.process.pid:
                        found.append(int(entry.name))
        return found

    def workers(self) -> list[int]:
        found = []
        for pid in self.members():
            with suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def wait_until(self, condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.005)

    def wait_for_cases(self, count: int) -> None:
        done = partial(self.folder.glob, "landmarks/*.json")
        self.wait_until(lambda: len(list(done())) >= count or self.process.poll() is not None)
        assert self.process.poll() is None, "it ended before it could be stopped"

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out.decode(), err.decode()


@contextmanager
def started(folder: Path, *words: object, before: Callable[[], None] | None = None) -> Iterator:
    command = [str(word) for word in (PROGRAM, "simulate", "-o", folder, *words)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=before,
    )
    try:
        yield Running(process, folder)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def check_stopped_and_resumable(running: Running, fetusmap: Callable, *words: object) -> None:
    """Nothing lives on, nothing half-written stays, and the same command finishes the dataset."""
    running.wait_until(lambda: not running.members(), patience_s=10)
    assert temporary_files(running.folder) == []
    with pytest.raises(UnreadableFile, match="unfinished"):
        fm.load_dataset(running.folder)
    assert fetusmap("simulate", "-o", running.folder, *words).code == 0
    for case in fm.load_dataset(running.folder).cases:
        assert case.load_volume().array.shape == case.load_grid().shape
        assert case.load_pose().present.all()


@needs_posix
@needs_proc
def test_an_interrupt_ends_all_workers_and_keeps_what_is_finished(
    fetusmap: Callable, tmp_path: Path
) -> None:
    words = ["-n", 5, *HALF, "--no-previews", "--workers", 2]
    with started(tmp_path / "d", *words) as running:
        running.wait_for_cases(1)
        assert len(running.workers()) == 2
        os.killpg(running.process.pid, signal.SIGINT)  # as Ctrl-C does: to workers, too
        code, out, err = running.end()
        assert (code, out) == (130, "")
        assert err == "fetusmap: stopped; all finished work is saved\n"
        finished = {path.name for path in (tmp_path / "d" / "landmarks").iterdir()}
        assert finished
        times = [(tmp_path / "d" / "landmarks" / name).stat().st_mtime_ns for name in finished]
        check_stopped_and_resumable(running, fetusmap, "-n", 5, *ALONE, "--no-previews")
        after = [(tmp_path / "d" / "landmarks" / name).stat().st_mtime_ns for name in finished]
        assert after == times


@needs_posix
@needs_proc
def test_an_interrupt_while_workers_start(tmp_path: Path) -> None:
    with started(tmp_path / "d", "-n", 40, *HALF, "--workers", 2) as running:
        running.wait_until(lambda: len(running.workers()) == 2)
        os.killpg(running.process.pid, signal.SIGINT)
        code, out, err = running.end()
        assert (code, out) == (130, "")
        assert err == "fetusmap: stopped; all finished work is saved\n"
        running.wait_until(lambda: not running.members(), patience_s=10)


@pytest.mark.slow
@needs_posix
@needs_proc
@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.1, 0.5, 1.0])
def test_interrupts_one_after_the_other(tmp_path: Path, delay_s: float) -> None:
    with started(tmp_path / "d", "-n", 40, "--no-previews", "--workers", 2) as running:
        running.wait_for_cases(1)
        time.sleep(delay_s)
        for _ in range(4):
            os.killpg(running.process.pid, signal.SIGINT)
            time.sleep(0.01)
        code, out, err = running.end()
        assert (code, out) == (130, "")
        assert err == "fetusmap: stopped; all finished work is saved\n"
        running.wait_until(lambda: not running.members(), patience_s=10)
        assert temporary_files(tmp_path / "d") == []


@pytest.mark.slow
@needs_posix
@needs_proc
def test_a_terminated_run_ends_all_workers(fetusmap: Callable, tmp_path: Path) -> None:
    with started(tmp_path / "d", "-n", 8, *HALF, "--no-previews", "--workers", 2) as running:
        running.wait_for_cases(1)
        running.process.terminate()  # as schedulers do: to the parent only
        code, out, err = running.end()
        assert (code, out, err) == (143, "", "")
        check_stopped_and_resumable(running, fetusmap, "-n", 8, *ALONE, "--no-previews")


@needs_posix
@needs_proc
def test_workers_die_with_a_killed_parent(tmp_path: Path) -> None:
    with started(tmp_path / "d", "-n", 40, *HALF, "--no-previews", "--workers", 2) as running:
        running.wait_for_cases(1)
        assert len(running.workers()) == 2
        running.process.kill()
        running.wait_until(lambda: not running.members(), patience_s=10)
        _, out, err = running.end()
        assert out == ""
        assert "Traceback" not in err
        with pytest.raises(UnreadableFile, match="unfinished"):
            fm.load_dataset(tmp_path / "d")


@pytest.mark.slow
@needs_posix
@needs_proc
def test_a_killed_run_goes_on(fetusmap: Callable, tmp_path: Path) -> None:
    words = ["-n", 8, *HALF, "--no-previews", "--workers", 2]
    with started(tmp_path / "killed", *words) as running:
        running.wait_for_cases(2)
        os.killpg(running.process.pid, signal.SIGKILL)
        running.end()
    assert fetusmap("simulate", "-o", tmp_path / "killed", *words).code == 0
    assert fetusmap("simulate", "-o", tmp_path / "calm", *words).code == 0
    killed, calm = (fm.load_dataset(tmp_path / name) for name in ("killed", "calm"))
    for one, other in zip(killed.cases, calm.cases, strict=True):
        assert one.volume_path.read_bytes() == other.volume_path.read_bytes()
        assert one.landmarks_path.read_bytes() == other.landmarks_path.read_bytes()


@pytest.mark.slow
@needs_posix
@needs_proc
def test_a_killed_worker_is_one_line(fetusmap: Callable, tmp_path: Path) -> None:
    with started(tmp_path / "d", "-n", 8, *HALF, "--no-previews", "--workers", 2) as running:
        running.wait_for_cases(3)  # the command has taken the first result by then
        os.kill(running.workers()[0], signal.SIGKILL)
        code, out, err = running.end()
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert "one that was killed" in err
        assert "repeat the command to continue" in err
        running.wait_until(lambda: not running.members(), patience_s=10)
    assert fetusmap("simulate", "-o", tmp_path / "d", "-n", 8, *ALONE, "--no-previews").code == 0


def check_out_of_space(code: int, out: str, err: str, folder: Path) -> None:
    assert (code, out) == (2, "")
    assert err.startswith("fetusmap: ")
    assert err.count("\n") == 1
    assert "free space" in err
    assert temporary_files(folder) == []
    with pytest.raises(UnreadableFile, match="unfinished"):
        fm.load_dataset(folder)
    assert json.loads((folder / "dataset.partial.json").read_text())["format"]
    for landmarks in folder.glob("landmarks/*.json"):  # all that counts as finished is whole
        volume = folder / "volumes" / landmarks.name.replace(".json", ".nii.gz")
        assert fm.load_volume(volume).array.size > 100_000


@needs_posix
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_disk_without_space_for_a_volume(
    fetusmap: Callable, tmp_path: Path, workers: int
) -> None:
    import resource  # where there is POSIX

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    words = ["-n", 2, *HALF, "--workers", workers]
    with started(tmp_path / "d", *words, before=limit) as running:
        check_out_of_space(*running.end(), tmp_path / "d")
    assert list((tmp_path / "d" / "volumes").iterdir()) == []
    assert fetusmap("simulate", "-o", tmp_path / "d", "-n", 2, *ALONE).code == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB, where one may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if sys.platform != "linux" or os.geteuid() != 0 or not mount or not unmount:
        pytest.skip("this user cannot mount a small disk")
    words = [mount, "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    if subprocess.run(words, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run([unmount, str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_disk_that_runs_full(fetusmap: Callable, small_disk: Path, workers: int) -> None:
    folder = small_disk / "d"
    with started(folder, "-n", 30, *HALF, "--workers", workers) as running:
        check_out_of_space(*running.end(), folder)
    assert len(list(folder.glob("landmarks/*.json"))) >= 2
