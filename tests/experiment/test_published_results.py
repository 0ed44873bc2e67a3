"""The results that the pages show are those of the files beside them."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from fetusmap.experiment import OUR_ROWS, PAPER_ROWS, PROFILES, Profile

DOCS = Path(__file__).parents[2] / "docs"
CPU = DOCS / "experiment" / "cpu"


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location(
        "experiment_tables", DOCS / "experiment_tables.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def results():
    return json.loads((CPU / "results.json").read_text())


def test_the_readme_says_what_the_results_say(tables):
    assert tables.readme_part() in tables.README.read_text()


def test_they_are_of_the_profile_that_ships(results):
    assert Profile.model_validate(results["profile"]) == PROFILES["cpu"]
    report = (CPU / "report.md").read_text()
    assert results["differences"]
    assert all(f"- {line}\n" in report for line in results["differences"])


def test_every_row_is_finished_or_said_to_be_unfinished(results):
    ours = [row.name for row in (*PAPER_ROWS, *OUR_ROWS)]
    told = [name for name, row in results["rows"].items() if row["group"] != "peer"]
    assert sorted(told + results["unfinished"]) == sorted(ours)
    report = (CPU / "report.md").read_text()
    assert all(name in report for name in results["unfinished"])


def test_every_row_has_the_manifest_of_what_made_it(results):
    hashes = json.loads((CPU / "manifests" / "evaluate.json").read_text())["inputs"]
    names = [n.rpartition("/")[2] for n in hashes if re.match("(predict|refine)/", n)]
    told = [name for name, row in results["rows"].items() if row["group"] != "peer"]
    assert sorted(names) == sorted(told)
    for name, digest in hashes.items():
        path = CPU / "manifests" / f"{name}.json"
        if path.exists():
            assert json.loads(path.read_text())["output_sha256"] == digest


def test_the_table_of_means_is_that_of_the_errors(results):
    """By a second path: the plain mean of the published errors."""
    lines = (CPU / "errors.csv").read_text().splitlines()
    for name, row in results["rows"].items():
        cells = [line.split(",") for line in lines[1:] if line.startswith(f"{name},")]
        errors = [float(cell) for line in cells for cell in line[2:] if cell not in ("", "inf")]
        assert sum(errors) / len(errors) == pytest.approx(row["mean_mm"][0], abs=0.001)
