"""Tables, verdicts and the report, from errors that are known by hand."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from fetusmap.anatomy import load_skeleton, reference_pose
from fetusmap.evaluate import Interval, Pairs, summarize
from fetusmap.experiment.claims import (
    CLAIMS,
    Claim,
    claims_of_peers,
    compare_claims,
    verdict,
)
from fetusmap.experiment.profile import PROFILES
from fetusmap.experiment.report_page import report_page
from fetusmap.experiment.result_files import render_results, tables_of, write_results
from fetusmap.experiment.results import Results
from fetusmap.experiment.results_file import plain_from_results, results_from_plain
from fetusmap.experiment.rows import PAPER_ROWS, Row
from fetusmap.experiment.tables import (
    claims_table,
    landmark_table,
    order_table,
    overview_table,
    paper_order,
)
from fetusmap.experiment.text_table import Cell, TextTable

SKELETON = load_skeleton()
ROWS = {row.name: row for row in PAPER_ROWS}


def pairs_off_by(errors_mm):
    """(cases, N) errors along one axis."""
    errors = np.asarray(errors_mm, dtype=float)
    true = np.repeat(reference_pose(70.0).positions_mm[None], len(errors), axis=0)
    found = true + errors[..., None] * np.array([0, 0, 1.0])
    names = tuple(f"case-{n}" for n in range(len(errors)))
    return Pairs(SKELETON, names, names, found, true)


@pytest.fixture(scope="module")
def pairs():
    """Land-R4 errs by its landmark's paper number in mm, Land-GCP by a millimetre less."""
    numbers = np.array([SKELETON.paper_index[name] for name in SKELETON.landmarks], dtype=float)
    return {
        "Land-R4": pairs_off_by(np.tile(numbers, (4, 1))),
        "Land-GCP": pairs_off_by(np.tile(numbers - 1, (4, 1))),
        "other": pairs_off_by(np.full((4, 16), 2.0)),
    }


@pytest.fixture(scope="module")
def results(pairs):
    rows = (ROWS["Land-R4"], ROWS["Land-GCP"], Row("other", "peer", about="another"))
    summaries = {name: summarize(pair) for name, pair in pairs.items()}
    return Results(SKELETON, rows, summaries, compare_claims(pairs, CLAIMS), ("SSL-R4",))


def test_columns_are_in_the_papers_order(results):
    table = landmark_table(results, "mean_mm")
    assert table.columns[:3] == ("", "L1", "L2")
    first = [cell.text for cell in table.rows[0]]
    assert first[:-1] == ["Land-R4", *(f"{n:.2f}" for n in range(1, 10)),
                          *(f"{n:.1f}" for n in range(10, 17))]  # fmt: skip
    assert first[-1] == "8.50 (8.50 to 8.50)"
    assert [SKELETON.landmarks[row] for row in paper_order(SKELETON)][:4] == [
        "head", "right_shoulder", "neck", "left_shoulder",
    ]  # fmt: skip


def test_the_papers_numbers_stand_below_its_rows_only(results):
    names = [row[0].text for row in landmark_table(results, "auc_percent").rows]
    assert names == ["Land-R4", "Land-R4, paper", "Land-GCP", "Land-GCP, paper", "other"]
    line = landmark_table(results, "auc_percent").rows[1]
    assert [cell.text for cell in line[1:3]] == ["81.4", "56.5"]
    assert line[-1].text == "53.80"  # the mean as the paper has it, with all its digits
    assert all(cell.faint and not cell.strong for cell in line)


def test_the_best_of_each_column_is_strong(results):
    rows = {
        row[0].text: row
        for row in landmark_table(results, "mean_mm").rows
        if not row[0].text.endswith("paper")
    }
    assert rows["Land-GCP"][1].strong  # 0 mm for L1
    assert rows["Land-GCP"][2].strong  # 1 mm
    assert rows["Land-GCP"][3].strong  # 2 mm, as good as the other
    assert rows["other"][3].strong
    assert rows["other"][16].strong
    assert rows["other"][-1].strong
    assert not any(cell.strong for cell in rows["Land-R4"])


def test_a_claim_is_decided_by_its_interval(results):
    (one,) = results.claims
    assert (one.claim.better, one.claim.worse) == ("Land-GCP", "Land-R4")
    assert one.mean_mm.difference == pytest.approx((-1, -1, -1))
    assert one.verdict_mm == "reproduced"
    # L1 to L10 gain 10 points each, the others are beyond 10 mm, but for L11 at 10
    assert one.auc_percent.difference.value == pytest.approx(100 / 16)
    assert one.verdict_auc == "reproduced"
    assert (one.published_mm, one.published_auc) == (-1.24, 6.9)
    (line,) = claims_table(results.claims, of_paper=True).rows
    words = [cell.text for cell in line]
    assert words[1:6] == [
        "Land-GCP minus Land-R4", "-1.24", "-1.00 (-1.00 to -1.00)", "0.125", "reproduced",
    ]  # fmt: skip
    assert claims_table(results.claims, of_paper=False).rows == ()


@pytest.mark.parametrize(
    ("ends", "expected", "said"),
    [((-2, -0.1), -1.2, "reproduced"), ((0.1, 2), -1.2, "not reproduced"),
     ((-0.1, 2), -1.2, "undecided"), ((-2, 0), -1.2, "undecided"),
     ((0.1, 2), 3.8, "reproduced"), ((-2, -0.1), 3.8, "not reproduced"),
     ((np.nan, np.nan), 1, "undecided")],
)  # fmt: skip
def test_a_verdict_is_about_the_sign_that_the_paper_has(ends, expected, said):
    assert verdict(Interval(np.mean(ends), *ends), expected) == said


def test_a_direction_that_the_papers_table_has_against_its_text_is_reproduced():
    """Its table has RNN 3.76 mm worse than Land with GCP."""
    rng = np.random.default_rng(0)
    land, rnn = (pairs_off_by(rng.uniform(low, low + 1, (20, 16))) for low in (1, 4))
    (one,) = compare_claims({"Land-GCP": land, "RNN-GCP": rnn}, CLAIMS)
    assert (one.claim.better, one.published_mm) == ("RNN-GCP", 3.76)
    assert one.verdict_mm == "reproduced"
    assert one.verdict_auc == "reproduced"  # 52.8 against 60.7


def test_a_worse_row_is_not_reproduced():
    rng = np.random.default_rng(0)
    good, bad = (pairs_off_by(rng.uniform(low, low + 1, (20, 16))) for low in (1, 4))
    (one,) = compare_claims({"a": bad, "b": good}, [Claim("a is better", "a", "b")])
    assert (one.verdict_mm, one.verdict_auc) == ("not reproduced", "not reproduced")
    assert one.mean_mm.p_value < 0.001
    assert one.published_mm is None


def test_places_and_gains_are_given_here_and_in_the_paper(results):
    table = order_table(results)
    rows = {row[0].text: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    texts = {name: {k: cell.text for k, cell in row.items()} for name, row in rows.items()}
    assert list(texts) == ["Land-R4", "Land-GCP"]  # not what is no row of the paper
    assert texts["Land-GCP"]["mm here: place"] == "1"
    assert texts["Land-GCP"]["mm here: gain %"] == "+12"  # from 8.5 to 7.5 mm
    assert texts["Land-GCP"]["mm paper: gain %"] == "+19"  # from 6.59 to 5.35 mm
    assert texts["Land-GCP"]["AUC paper: gain %"] == "+13"  # from 53.8 to 60.7
    assert texts["Land-R4"]["mm here: place"] == texts["Land-R4"]["AUC here: place"] == "2"
    assert texts["Land-R4"]["AUC here: gain %"] == "+0"


def test_without_the_baseline_there_are_no_gains(results):
    rows = tuple(row for row in results.rows if row.name != "Land-R4")
    assert order_table(replace(results, rows=rows)).rows == ()


def test_a_claim_against_the_papers_table_says_what_was_reproduced():
    rng = np.random.default_rng(0)
    good, bad = (pairs_off_by(rng.uniform(low, low + 1, (20, 16))) for low in (1, 4))
    pairs = {"RNN-R4": bad, "Land-R4": good}
    claims = [c for c in CLAIMS if c.better == "RNN-R4" and c.worse == "Land-R4"]
    (line,) = claims_table(compare_claims(pairs, claims), of_paper=True).rows
    assert line[5].text == line[9].text == "reproduced (the paper's table says worse)"


def test_each_peer_is_compared_with_the_row_of_its_input(results):
    assert claims_of_peers(results.rows) == (
        Claim("other is better than Land", "other", "Land-R4"),
    )


def test_the_report_names_landmarks_verdicts_and_what_is_unfinished(results):
    page = report_page(results, PROFILES["cpu"], tables_of(results), {})
    assert "L1 head, L2 right shoulder, L3 neck" in page
    assert "Unfinished rows: SSL-R4." in page
    assert page.index("Land-GCP minus Land-R4") < page.index("*Reproduced* means")
    assert "- other: another" in page
    assert "The code changed" not in page
    assert page.index("bfloat16 instead of float32") < page.index("Table 1.")  # printed above


def test_a_table_without_rows_leaves_no_file_of_an_earlier_one(results, pairs, tmp_path):
    write_results(results, pairs, PROFILES["cpu"], tmp_path)
    assert (tmp_path / "order.tex").exists()
    (tmp_path / "notes.txt").write_text("mine")
    rows = tuple(row for row in results.rows if row.name != "Land-R4")
    write_results(replace(results, rows=rows, claims=()), pairs, PROFILES["cpu"], tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert not any(name.startswith(("order", "claims", "our-claims")) for name in names)
    assert {"notes.txt", "table1.md", "report.md"} <= names


def test_the_report_says_where_the_code_changed_between_stages(results):
    stages = {"a" * 64: ("cohort",), "b" * 64: ("train", "predict")}
    page = report_page(results, PROFILES["cpu"], tables_of(results), stages)
    assert "changed between the stages of this run: cohort (aaaaaaaa); train, predict (bbb" in page


def test_results_survive_their_file(results):
    """Also where something is not a number, which the file holds as null."""
    summary = replace(
        results.summaries["other"],
        mean_mm=Interval(np.nan, np.nan, np.nan),
        median_mm=Interval(np.inf, 1.23456, np.inf),
        worst_case_mm=np.nan,
        landmark_mean_mm=(np.nan,) * 16,
    )
    results = replace(results, summaries={**results.summaries, "other": summary})
    plain = json.loads(json.dumps(plain_from_results(results, PROFILES["cpu"])))
    assert plain["rows"]["other"]["median_mm"] == [None, 1.2346, None]
    read = results_from_plain(plain, SKELETON)
    assert plain_from_results(read, PROFILES["cpu"]) == plain
    before, after = (render_results(each, PROFILES["cpu"]) for each in (results, read))
    assert before.keys() == after.keys()
    for name in ("overview.md", "order.md", "claims.md", "results.json", "table1.csv"):
        assert after[name] == before[name]


def test_the_overview_counts(results):
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in overview_table(results).rows}
    assert rows["other"][0] == "2.00 (2.00 to 2.00)"
    assert rows["other"][2] == "80.00 (80.00 to 80.00)"
    assert rows["Land-R4"][3] == "62.50 (62.50 to 62.50)"  # L1 to L10 of 16
    assert rows["other"][-2:] == ["0", "0"]


def test_a_table_in_its_three_forms():
    table = TextTable("100 % of a_b", ("", "x|y"), ((Cell("r & s"), Cell("1.5", strong=True)),
                                               (Cell("t"), Cell("2", faint=True))))  # fmt: skip
    assert table.markdown() == (
        "**100 % of a_b**\n\n|  | x\\|y |\n| --- | --: |\n| r & s | **1.5** |\n| t | *2* |\n"
    )
    assert list(csv.reader(io.StringIO(table.csv()))) == [["", "x|y"], ["r & s", "1.5"], ["t", "2"]]
    latex = table.latex()
    assert r"\caption{100 \% of a\_b}" in latex
    assert r"r \& s & \textbf{1.5} \\" in latex
    assert r"t & \textit{2} \\" in latex
    assert latex.count("{") == latex.count("}")
