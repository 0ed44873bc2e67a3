"""Progress of tasks, read from files that are written by hand."""

import json

import pytest

from fetusmap.experiment import NETWORKS, PAPER_ROWS, PROFILES
from fetusmap.experiment.progress import (
    cohort_progress,
    prediction_progress,
    training_progress,
)

MINI = PROFILES["mini"]  # 32 cases, 24 of them for training, 400 steps


def test_of_an_empty_folder_nothing_is_done(tmp_path):
    assert cohort_progress(tmp_path, MINI) == (0, 32, "")
    assert training_progress(tmp_path, MINI, NETWORKS[0]) == (0, 400, "")
    assert prediction_progress(tmp_path, MINI, PAPER_ROWS[0]) == (0, 8, "")


def test_cases_are_counted_by_their_files(tmp_path):
    for place in ("cohort/landmarks", "predictions/Land-R4"):
        (tmp_path / place).mkdir(parents=True)
        for name in ("a.json", "b.json", ".half-written.json", "notes.txt"):
            (tmp_path / place / name).touch()
    assert cohort_progress(tmp_path, MINI).done == 2
    assert prediction_progress(tmp_path, MINI, PAPER_ROWS[0]).done == 2


@pytest.mark.parametrize("tail", ["", '{"step": 360, "lo'])
def test_the_last_whole_line_of_metrics_is_read(tmp_path, tail):
    """100 steps remain at 3 s each; the last line may be half written."""
    path = tmp_path / "networks" / "Land-R4" / "metrics.jsonl"
    path.parent.mkdir(parents=True)
    lines = [{"step": step, "loss": step / 10, "pace": 3.0} for step in range(0, 301, 2)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
    found = training_progress(tmp_path, MINI, NETWORKS[0])
    assert found == (300, 400, "loss 30.0, 5 min left")
