"""The page of an experiment in Markdown: differences from the paper, tables, figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fetusmap.anatomy import Skeleton
from fetusmap.experiment.profile import Profile
from fetusmap.experiment.results import Results
from fetusmap.experiment.tables import paper_order
from fetusmap.experiment.text_table import TextTable

StagesOfCode = Mapping[str, Sequence[str]]
"""Hash of a state of the code to the stages of the experiment that were run with it."""

VERDICTS = (
    "*Reproduced* means that the interval lies on the same side of zero as the difference in the "
    "paper's own table, *not reproduced* that it lies on the other side, and *undecided* that it "
    "contains zero. The p value does not enter the verdict: it is about another question, whether "
    "the median of the differences is zero. Each claim is tested by itself, without a correction "
    "for the number of claims. The intervals are over test subjects; another training seed would "
    "change the rows as well. The mean error is over the landmarks that were found: read it "
    "together with the number of missed landmarks."
)
FIGURES = {
    "figure-1c.png": "All test poses in the body's own frame (as figure 1c of the paper).",
    "figure-5.png": "PCK curves with 95 % bands (as figure 5).",
    "figure-6.png": "Three cases at the quartiles of the first row's error (as figure 6). Numbers "
    "on the segments are lengths in mm; red numbers are errors above 5 mm.",
}


def report_page(
    results: Results, profile: Profile, tables: Mapping[str, TextTable], stages: StagesOfCode
) -> str:
    """Return the page: first what differs from the paper, then all tables and figures.

    Args:
        results: numbers of the finished rows.
        profile: profile of the experiment.
        tables: tables by name, in the order of the page.
        stages: states of the code with which the predictions were made; the page lists them if
            there are several.
    """
    parts = [
        f"# The paper's experiment, profile {profile.name}",
        f"Simulated data: {profile.cases - profile.training_cases} test fetuses of "
        f"{profile.cases}, seed {profile.seed}. Numbers in italics are the paper's own and come "
        "from recorded volumes: compare orders and relative gains, never millimetres.",
        f"Landmarks: {_numbered_landmarks(results.skeleton)}.",
        "Differences from the paper:",
        "\n".join(f"- {line}" for line in profile.differences),
    ]
    if results.unfinished:
        parts.append(f"Unfinished rows: {', '.join(results.unfinished)}.")
    if len(stages) > 1:
        made = [f"{', '.join(names)} ({code[:8]})" for code, names in stages.items()]
        parts.append(f"The code changed between the stages of this run: {'; '.join(made)}.")
    for name, table in tables.items():
        parts += [table.markdown().rstrip(), *([VERDICTS] if name == "claims" else [])]
    abouts = [f"- {row.name}: {row.about}" for row in results.rows if row.about]
    if abouts:
        parts += ["Rows that the paper does not have:", "\n".join(abouts)]
    parts += [f"![{words}]({name})\n\n{words}" for name, words in FIGURES.items()]
    return "\n\n".join(parts) + "\n"


def _numbered_landmarks(skeleton: Skeleton) -> str:
    names = (skeleton.landmarks[row].replace("_", " ") for row in paper_order(skeleton))
    return ", ".join(f"L{number} {name}" for number, name in enumerate(names, start=1))
