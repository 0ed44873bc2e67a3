"""The published results agree with each other, with the README, and with the code that renders."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from fetusmap.anatomy import load_skeleton
from fetusmap.experiment import OUR_ROWS, PAPER_ROWS, PROFILES, Profile
from fetusmap.experiment.result_files import render_results
from fetusmap.experiment.results_file import results_from_plain

REPOSITORY = Path(__file__).parents[2]
CPU = REPOSITORY / "docs" / "experiment" / "cpu"
OUR_NAMES = [row.name for row in (*PAPER_ROWS, *OUR_ROWS)]


@pytest.fixture(scope="module")
def results():
    return json.loads((CPU / "results.json").read_text())


def test_all_tables_and_the_page_are_those_of_the_numbers(results):
    """Rendered again from the published numbers, which are rounded to four digits.

    Rounded twice, a number may differ in its last digit; every other letter is the same.
    """
    texts = render_results(results_from_plain(results, load_skeleton()), PROFILES["cpu"])
    assert len(texts) == 6 * 3 + 2
    number = re.compile(r"\d+\.\d+")
    for name, text in texts.items():
        published = (CPU / name).read_text()
        assert number.sub("#", text) == number.sub("#", published), name
        numbers = (list(map(float, number.findall(each))) for each in (text, published))
        np.testing.assert_allclose(*numbers, rtol=0, atol=0.0101, err_msg=name)


def test_the_readme_has_the_numbers_of_the_results(results):
    text = (REPOSITORY / "README.md").read_text()
    part = text[text.index("<!-- experiment: begin -->") : text.index("<!-- experiment: end -->")]
    lines = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    numbers = {line[0]: re.findall(r"-?\d+\.\d+", " ".join(line[2:5])) for line in lines[1:]}
    assert list(numbers) == list(results["rows"])
    for name, row in results["rows"].items():
        metrics = [*row["mean_mm"], *row["auc_percent"], *row["swap_percent"]]
        assert numbers[name] == [f"{value:.1f}" for value in metrics], name
    cases = results["profile"]["cases"] - results["profile"]["training_cases"]
    assert f"{cases} simulated test fetuses, seed {results['profile']['seed']}" in part


def test_they_are_of_the_profile_that_ships(results):
    assert Profile.model_validate(results["profile"]) == PROFILES["cpu"]


def test_every_row_is_finished_or_named_as_unfinished(results):
    finished = [name for name, row in results["rows"].items() if row["group"] != "peer"]
    assert sorted(finished + results["unfinished"]) == sorted(OUR_NAMES)


def test_every_row_has_the_manifest_of_what_made_it(results):
    """Each manifest names the hash of what its needs have made."""
    manifests = {
        path.relative_to(CPU / "manifests").with_suffix("").as_posix(): json.loads(path.read_text())
        for path in (CPU / "manifests").rglob("*.json")
    }
    inputs = manifests["evaluate"]["inputs"]
    rows = {name.partition("/")[2] for name in inputs if re.match("(predict|refine)/", name)}
    assert rows == {name for name, row in results["rows"].items() if row["group"] != "peer"}
    without_manifest = {
        name
        for manifest in manifests.values()
        for name, digest in manifest["inputs"].items()
        if manifests.get(name, {}).get("output_sha256") != digest
    }
    assert without_manifest == {"peers"}  # made by other programs


def test_the_numbers_are_those_of_the_published_errors(results):
    """By a second path: plain means of the errors of every case."""
    with (CPU / "errors.csv").open() as file:
        lines = list(csv.DictReader(file))
    landmarks = list(load_skeleton().landmarks)
    for name, row in results["rows"].items():
        own = [line for line in lines if line["row"] == name]
        assert len(own) == row["cases"] == 52
        errors = np.array([[float(line[n] or "nan") for n in landmarks] for line in own])
        found = np.where(np.isfinite(errors), errors, np.nan)
        assert np.nanmean(found) == pytest.approx(row["mean_mm"][0], abs=0.001)
        assert np.nanmean(found, axis=0) == pytest.approx(row["landmark_mean_mm"], abs=0.001)
        areas = 100 * np.maximum(0, 1 - errors / 10)
        assert np.nanmean(areas) == pytest.approx(row["auc_percent"][0], abs=0.01)
        assert np.isinf(errors).sum() == row["missed"]
