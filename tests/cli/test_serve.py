"""`fetusmap serve`: what is served, to whom, and under which address."""

import numpy as np
import pytest

from fetusmap.anatomy import reference_pose
from fetusmap.cli import serve
from fetusmap.cli.main import run
from fetusmap.geometry import Grid
from fetusmap.io import save_pose, save_volume
from fetusmap.volume import Volume

TOKEN = "a-token-for-the-tests-only"  # noqa: S105


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results" / "case"
    folder.mkdir(parents=True)
    save_pose(reference_pose(), folder / "pose.json")
    (folder / "failed.json").write_text(
        '{"format": "fetusmap-failed", "version": 1, "source": "x", "error": "no volume"}'
    )
    return tmp_path / "results"


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    volume = Volume(np.zeros((16, 16, 16), np.uint8), Grid.from_spacing((16, 16, 16), 2.0))
    save_volume(volume, folder / "a.nii.gz")
    return folder


@pytest.fixture
def started(monkeypatch):
    """What would have been served: the guard and the socket of each start."""
    starts = []

    def run_server(app, listening, *, when_ready):
        when_ready()
        starts.append((app, listening.getsockname()))
        listening.close()

    monkeypatch.setattr(serve, "run_server", run_server)
    monkeypatch.setattr(serve.webbrowser, "open", lambda address: starts.append(address))
    monkeypatch.delenv(serve.TOKEN_VARIABLE, raising=False)
    return starts


def test_results_are_served_on_this_computer_with_a_random_token(results, started, capsys):
    assert run(["serve", str(results)]) == 0
    assert run(["serve", str(results), "--no-browser"]) == 0
    address, (_, (host, port)), (_, (_, other_port)) = started
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"1 cases of {results}"
    assert host == "127.0.0.1"
    assert lines[1] == f"open {address}"
    token = address.removeprefix(f"http://127.0.0.1:{port}/?token=")
    assert len(token) >= 40
    assert lines[4].startswith(f"open http://127.0.0.1:{other_port}/?token=")
    assert token not in lines[4]


def test_volumes_need_a_folder_for_their_results(scans, tmp_path, started, capsys):
    assert run(["serve", str(scans)]) == 2
    assert "give -o FOLDER" in capsys.readouterr().err
    assert run(["serve", str(scans), "-o", str(tmp_path / "out"), "--no-browser"]) == 0
    assert capsys.readouterr().out.startswith("1 cases of")
    assert run(["serve"]) == 2
    assert run(["serve", "-o", str(tmp_path / "empty"), "--no-browser"]) == 0
    assert (tmp_path / "empty").is_dir()


def test_results_take_no_other_folder(results, tmp_path, started, capsys):
    assert run(["serve", str(results), "-o", str(tmp_path / "out")]) == 2
    assert "leave --output out" in capsys.readouterr().err


def test_other_computers_are_let_in_only_with_a_name_a_long_token_and_a_warning(
    results, started, capsys, monkeypatch
):
    words = ["serve", str(results), "--no-browser", "--public", "lab.example"]
    assert run(words) == 2
    assert "a token of your own" in capsys.readouterr().err
    assert run([*words, "--token", "short"]) == 2
    assert "at least 20 characters" in capsys.readouterr().err
    assert started == []
    monkeypatch.setenv(serve.TOKEN_VARIABLE, TOKEN)
    assert run(words) == 0
    printed = capsys.readouterr()
    assert "nothing is encrypted" in printed.err
    assert "open http://lab.example:" in printed.out
    ((_, (host, _)),) = started
    assert host == "0.0.0.0"  # noqa: S104


def test_a_list_that_has_no_column_of_cases_is_refused(results, tmp_path, started, capsys):
    (tmp_path / "list.csv").write_text("name\ncase\n")
    assert run(["serve", str(results), "--list", str(tmp_path / "list.csv")]) == 2
    assert "no case" in capsys.readouterr().err
