"""The command line as a user meets it: help, exit codes, one-line errors."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fetusmap._version import __version__
from fetusmap.cli.main import COMMANDS

PROGRAM = Path(sys.executable).with_name("fetusmap")


def process(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), *words], capture_output=True, text=True, check=False)


def test_help_lists_every_command_with_its_line() -> None:
    done = process("--help")
    assert done.returncode == 0
    for name, (_, line) in COMMANDS.items():
        assert name in done.stdout
        assert line[:40] in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    done = process(name, "--help")
    assert done.returncode == 0
    assert "Example" in done.stdout
    assert f"fetusmap {name}" in done.stdout
    assert COMMANDS[name][1].split()[0] in done.stdout


def test_help_and_package_import_without_heavy_libraries() -> None:
    code = (
        "import sys, fetusmap\n"
        "from fetusmap.cli.main import run\n"
        "run(['--help'])\n"
        "heavy = {'torch', 'numpy', 'scipy', 'matplotlib', 'SimpleITK', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_reading_and_measuring_never_import_torch() -> None:
    code = (
        "import sys, fetusmap as fm\n"
        "heavy = ('PoseEstimator', 'Prediction', 'Session')\n"
        "[getattr(fm, n) for n in fm.__all__ if n not in heavy]\n"
        "fm.joint_angles_deg(fm.reference_pose())\n"
        "from fetusmap.cli import convert, info, library, simulate\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version() -> None:
    assert process("--version").stdout == f"fetusmap {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [("frobnicate",), ("info",), ("info", "a", "b"), ("info", "x.nii", "--spacing", "1")],
)
def test_bad_usage_is_one_line_and_2(fetusmap: Callable, words: tuple[str, ...]) -> None:
    outcome = fetusmap(*words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("fetusmap: ")
    assert outcome.err.count("\n") == 1
    assert "--help" in outcome.err


def test_debug_adds_the_traceback_anywhere_on_the_line() -> None:
    plain, debug = process("info", "none.nii"), process("info", "none.nii", "--debug")
    assert plain.returncode == debug.returncode == 2
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr
    assert debug.stderr.splitlines()[-1] == plain.stderr.strip()


def test_an_internal_error_is_one_line(
    fetusmap: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from fetusmap.cli import info

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr(info, "kind_of", broken)
    (tmp_path / "x.nii").write_bytes(b"not read")
    outcome = fetusmap("info", tmp_path / "x.nii")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "RuntimeError: first second" in outcome.err


def test_a_reader_that_leaves_is_no_error(pose: Path) -> None:
    words = [str(PROGRAM), "info", str(pose)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 0


def test_no_words_at_all_show_the_help_and_no_error(fetusmap: Callable) -> None:
    outcome = fetusmap()
    assert outcome.code == 2
    assert "Commands" in outcome.out
    assert outcome.err == ""
