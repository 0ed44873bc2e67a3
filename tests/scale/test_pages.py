"""The page of a cohort, from its table: what it holds, and where its links lead."""

import json
import re
from pathlib import Path

from fetusmap.anatomy import Provenance, Quality, load_skeleton, reference_pose
from fetusmap.scale import CaseResult, write_cohort_page, write_summary

HOSTILE = "</script><script>alert(1)</script>"


def data_of(output: Path) -> list[dict]:
    html = (output / "index.html").read_text()
    assert html.count("<script") == 2
    found = re.search(r'<script type="application/json" id="rows-data">(.*?)</script>', html)
    return json.loads(found[1])


def test_the_page_holds_what_the_table_holds(tmp_path):
    pose = reference_pose(60.0, load_skeleton("fetus-22"))
    quality = Quality(score=0.75, reasons=(HOSTILE,))
    poses = {
        "b": type(pose)(
            pose.skeleton, pose.positions_mm, quality=quality,
            provenance=Provenance(warnings=("the orientation was assumed",)),
        ),
        "a": type(pose)(
            pose.skeleton, pose.positions_mm * float("nan"), quality=Quality(score=0.0)
        ),
    }  # fmt: skip
    results = [CaseResult(name, Path(f"{name}.nii"), found) for name, found in poses.items()]
    results.append(CaseResult("c", Path("c.nii"), error="no volume"))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "report.html").touch()
    write_summary(tmp_path, results)
    write_cohort_page(tmp_path)
    a, b, c = data_of(tmp_path)
    assert (a["case"], a["quality"], a["crown_rump_length_mm"], a["age"]) == ("a", 0.0, None, "")
    assert (b["crown_rump_length_mm"], b["age"], b["remarks"]) == (60.0, "12+2", HOSTILE)
    assert b["warnings"] == "the orientation was assumed"
    assert (c["is_done"], c["quality"], c["remarks"]) == (False, None, "no volume")
    assert [row["has_page"] for row in (a, b, c)] == [False, True, False]
    assert "1</strong> failed" in (tmp_path / "index.html").read_text()


def test_a_page_that_is_written_again_replaces_the_old_one(tmp_path):
    write_summary(tmp_path, [CaseResult("a", Path("a.nii"), error="first")])
    write_cohort_page(tmp_path)
    write_summary(tmp_path, [CaseResult("a", Path("a.nii"), error="second")])
    write_cohort_page(tmp_path)
    assert [row["remarks"] for row in data_of(tmp_path)] == ["second"]
    assert {path.name for path in tmp_path.iterdir()} == {"summary.csv", "index.html"}
