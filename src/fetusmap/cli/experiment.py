"""`fetusmap experiment`: make the paper's tables and figures, stage by stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fetusmap.cli.console import err, out
from fetusmap.errors import BadInput
from fetusmap.experiment import PROFILES, STAGES, Experiment, Task
from fetusmap.network import device_named
from fetusmap.workers import available_processors

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(
    epilog="Examples:\n\n  fetusmap experiment run\n\n  fetusmap experiment run --list\n\n  "
    "fetusmap experiment run --only cohort --only train/Land-R4"
)
def experiment(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN_DIR", help="Folder of the experiment, new or begun.")
    ],
    profile: Annotated[
        str,
        typer.Option(
            metavar="|".join(PROFILES),
            help="paper: the paper's recipe, for a graphics card; cpu: hours on two cores; mini: "
            "some minutes.",
        ),
    ] = "cpu",
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STAGE|TASK",
            help=f"Do only this stage or task; can be repeated. Stages: {', '.join(STAGES)}.",
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List all tasks, and do nothing.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of processes, and on a processor of networks trained side by side; "
            "by default one per core. It affects no result.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda", help="Where to compute.")
    ] = "auto",
) -> int:
    """Run the paper's experiment on 152 simulated fetuses: six networks, its eight rows, and ours.

    Repeat the command to continue an interrupted run; the tables are the same as without the
    interruption. Poses of other tools are evaluated as well: put them into RUN_DIR/peers, in one
    folder for each tool with one CASE.json for each test case.
    """
    if profile not in PROFILES:
        raise BadInput(
            "--profile", expected=" or ".join(PROFILES), found=repr(profile), remedy="choose one"
        )
    work = Experiment(
        folder,
        PROFILES[profile],
        workers=available_processors() if workers is None else workers,
        device=device_named(device).type,
    )
    work.tasks.choose(only or [])  # refuse a wrong name before anything is done
    if show:
        out.print(_table(work))
        return 0
    _run_visibly(work, only or [])
    report = folder / "results" / "report.md"
    if work.tasks.state(work.tasks.tasks["draw"]) == "done":
        out.print(f"finished; see {report}")
    else:
        out.print(f"done; fetusmap experiment {folder} --profile {profile} --list shows the rest")
    return 0


def _run_visibly(work: Experiment, only: list[str]) -> None:
    """Run with a live table on a terminal, and with one line per task elsewhere."""
    if not err.is_terminal:
        work.run(only, after=lambda task: out.print(f"{task.name}: done"))
        return
    live = Live(
        get_renderable=lambda: _table(work), console=err, refresh_per_second=0.5, transient=True
    )
    with live:
        work.run(only)


def _table(work: Experiment) -> Table:
    table = Table(
        title=Text(f"{work.folder}, profile {work.profile.name}", style="bold"),
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for name in ("task", "state", "done", ""):
        table.add_column(name, header_style="dim", justify="right" if name == "done" else "left")
    for task in work.tasks:
        table.add_row(*_row(work, task))
    return table


def _row(work: Experiment, task: Task) -> tuple[Text, ...]:
    state = work.tasks.state(task)
    done, total, remark = task.progress()
    style = {"done": "green", "begun": "yellow", "outdated": "yellow"}.get(state, "dim")
    counted = f"{done}/{total}" if state != "done" and total > 1 else ""
    return (
        Text(task.name),
        Text(state, style=style),
        Text(counted),
        Text("" if state == "done" else remark, style="dim"),
    )
