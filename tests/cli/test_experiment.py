"""`fetusmap experiment`: the list of tasks and refused input, without doing any task."""

from pathlib import Path

from fetusmap.experiment import PROFILES


def test_all_tasks_are_listed_and_nothing_is_done(fetusmap, tmp_path):
    outcome = fetusmap("experiment", str(tmp_path / "run"), "--list")
    assert outcome.code == 0
    lines = [line.split() for line in outcome.out.splitlines()[2:]]
    assert lines[0][0] == "cohort"
    assert [line[0] for line in lines].count("train/RNN-GCP") == 1
    assert {"refine/SSL-GCP", "refine/Fast-R4", "predict/Product", "evaluate", "draw"} <= {
        line[0] for line in lines
    }
    assert all(line[1:3] == ["not", "begun"] for line in lines)
    assert not (tmp_path / "run").exists()


def test_bad_usage_is_one_line(fetusmap, tmp_path):
    run = str(tmp_path / "run")
    stages = "cohort, train, tune, predict, refine, evaluate, draw)"
    Path(run).mkdir()
    Path(run, "experiment.json").write_text(PROFILES["cpu"].model_dump_json())
    for words, said in (
        (("--profile", "huge"), "expected paper or cpu or mini, found 'huge'"),
        (("--only", "train/Land"), f"expected a stage ({stages}"),
        (("--only", "evaluate"), "expected the predictions of at least one row, found none"),
        (("--only", "train/Land-R4"), "expected the task cohort to be done before"),
        (("--profile", "mini"), "found one of the profile cpu that differs in name, cases"),
    ):
        outcome = fetusmap("experiment", run, *words)
        assert outcome.code == 2, words
        (line,) = outcome.err.splitlines()
        assert said in line
