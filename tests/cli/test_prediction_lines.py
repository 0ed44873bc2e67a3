"""What reaches the terminal of a cohort's doubts, however many cases there are."""

from pathlib import Path

import numpy as np

from fetusmap.anatomy import Pose, Provenance, Quality, load_skeleton
from fetusmap.cli.prediction_lines import print_results, print_warnings
from fetusmap.scale import CaseResult


def result(case: str, reasons=(), warnings=(), score=0.9) -> CaseResult:
    skeleton = load_skeleton()
    quality, provenance = Quality(score=score, reasons=reasons), Provenance(warnings=warnings)
    pose = Pose(skeleton, np.zeros((len(skeleton), 3)), quality=quality, provenance=provenance)
    return CaseResult(case, Path(case), pose, seconds=1.0)


def test_of_many_cases_those_with_remarks_are_printed_first(capsys):
    cases = [result(f"case{n:03d}") for n in range(50)]
    cases[37] = result("case037", reasons=("the body is 121 mm long",), score=0.2)
    cases[44] = CaseResult("case044", Path("case044"), error="damaged")
    print_results(cases)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "case0" in line]
    assert len(lines) == 20
    assert lines[0][:3] == ["case037", "0.20", "1.0"]
    assert " ".join(lines[0]).endswith("the body is 121 mm long")
    assert lines[1] == ["case044", "failed"]
    assert lines[2][0] == "case000"


def test_cases_with_remarks_beyond_the_table_are_counted(capsys):
    print_results([result(f"case{n:03d}", reasons=("doubtful",)) for n in range(25)])
    assert "... and 5 more, 5 of them with remarks, see summary.csv" in capsys.readouterr().out


def test_few_cases_keep_their_order(capsys):
    print_results([result("b"), result("a", reasons=("doubtful",))])
    printed = capsys.readouterr().out
    assert printed.index("b ") < printed.index("a ")
    assert "more" not in printed


def test_a_warning_that_many_cases_share_hides_no_other_one(capsys):
    shared = "no unit in the file: taken as millimetres"
    cases = [result(f"case{n:03d}", warnings=(shared,)) for n in range(60)]
    cases[55] = result("case055", warnings=(shared, "3 of 90 frames are left out"))
    print_warnings(cases)
    assert capsys.readouterr().err.splitlines() == [
        f"warning: case000, case001, case002 and 57 more: {shared}",
        "warning: case055: 3 of 90 frames are left out",
    ]
