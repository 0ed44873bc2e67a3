"""All tasks of one experiment in one folder, and the order in which they are done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from fetusmap.errors import BadInput
from fetusmap.experiment.cohort import load_test_cases, make_cohort
from fetusmap.experiment.costs import costs_table
from fetusmap.experiment.drawing import draw_figures
from fetusmap.experiment.predicting import PREDICTIONS, predict_row
from fetusmap.experiment.profile import COHORT, NETWORKS, Network, Profile
from fetusmap.experiment.results import Results, collect_results
from fetusmap.experiment.rows import OUR_ROWS, PAPER_ROWS, PEERS, Row, peer_rows
from fetusmap.experiment.tasks import Task, TaskList
from fetusmap.experiment.training import NETWORKS_FOLDER, train_network, weights_path
from fetusmap.experiment.writing import FIGURES, RESULTS, write_results
from fetusmap.files.documents import parse_document, read_json
from fetusmap.files.reading import visible_files
from fetusmap.files.writing import write_text
from fetusmap.train import METRICS_FILE
from fetusmap.workers import map_in_order

COHORT_PARTS = ("dataset.json", "cases.csv", "splits.json", "landmarks", "volumes")
COSTS_FILES = ("costs.md", "costs.csv")
PROFILE_FILE = "experiment.json"


class Experiment:
    """The paper's experiment in a folder.

    Attributes:
        folder: of the experiment.
        profile: what it is.
        tasks: everything there is to do.
    """

    def __init__(
        self, folder: Path, profile: Profile, *, workers: int, device: str = "cpu"
    ) -> None:
        """Begin an experiment, or go on with one of the same profile.

        Args:
            folder: of the experiment.
            profile: what it is.
            workers: processes; on a processor that many networks are trained side by side.
            device: "cpu" or "cuda".

        Raises:
            BadInput: the folder holds an experiment of another profile.
        """
        self.folder = folder
        self.profile = profile
        self._workers = workers
        self._device = device
        _check_folder(folder, profile)
        self.tasks = TaskList(
            folder, self._all_tasks(), profile=profile.name, seed=profile.seed, device=device
        )

    def run(self, only: Sequence[str] = (), after: Callable[[Task], None] = lambda _: None) -> None:
        """Do what is not done yet, in order; networks are trained side by side.

        Args:
            only: stages or tasks; everything if empty.
            after: called with each task when it has been done.
        """
        chosen = self.tasks.choose(only)
        _claim_folder(self.folder, self.profile)
        training: list[Task] = []
        for task in chosen:
            if task.stage == "train":
                training.append(task)
                continue
            self._train(training, after)
            training = []
            if self.tasks.state(task) != "done":
                self.tasks.run(task)
                after(task)
        self._train(training, after)

    def _train(self, tasks: Sequence[Task], after: Callable[[Task], None]) -> None:
        open_tasks = [task for task in tasks if self.tasks.state(task) != "done"]
        for task in open_tasks:
            self.tasks.begin(task)
        work = partial(train_network, self.folder, self.profile, device=self._device)
        networks = [_network_of(task) for task in open_tasks]
        side_by_side = self._workers if self._device == "cpu" else 1
        for task, cost in zip(open_tasks, map_in_order(work, networks, side_by_side), strict=True):
            self.tasks.finish(task, cost.seconds, cost.peak_bytes)
            after(task)

    def _train_one(self, network: Network) -> None:
        train_network(self.folder, self.profile, network, device=self._device)

    def _all_tasks(self) -> Iterator[Task]:
        folder = self.folder
        yield Task(
            COHORT,
            needs=tuple,
            given=tuple,
            work=lambda: list(make_cohort(folder, self.profile, self._workers)),
            outputs=lambda: [folder / COHORT / name for name in COHORT_PARTS],
            progress=self._cohort_progress,
            is_small=False,
        )
        for network in NETWORKS:
            yield Task(
                f"train/{network.name}",
                needs=lambda: (COHORT,),
                given=tuple,
                work=partial(self._train_one, network),
                outputs=partial(_listed, weights_path(folder, network)),
                progress=partial(self._training_progress, network),
                workspace=folder / NETWORKS_FOLDER / network.name,
            )
        for row in sorted((*PAPER_ROWS, *OUR_ROWS), key=lambda row: row.stage):
            yield Task(
                f"{row.stage}/{row.name}",
                needs=partial(_needs_of, row),
                given=tuple,
                work=partial(self._predict, row),
                outputs=partial(_listed, folder / PREDICTIONS / row.name),
                progress=partial(self._prediction_progress, row),
                workspace=folder / PREDICTIONS / row.name,
            )
        yield Task(
            "evaluate",
            needs=self._finished_predictions,
            given=lambda: [path for path in (folder / PEERS,) if path.is_dir()],
            work=self._evaluate,
            outputs=lambda: _written(folder / RESULTS),
            progress=lambda: (0, 1, ""),
        )
        yield Task(
            "draw",
            needs=lambda: ("evaluate",),
            given=tuple,
            work=self._draw,
            outputs=lambda: [folder / RESULTS / name for name in (*FIGURES, *COSTS_FILES)],
            progress=lambda: (0, 1, ""),
        )

    def results(self) -> Results:
        """Of all rows that are finished.

        Raises:
            BadInput: none is.
        """
        rows = (*PAPER_ROWS, *OUR_ROWS)
        done = {row.name for row in rows if self._is_done(f"{row.stage}/{row.name}")}
        finished = [row for row in rows if row.name in done]
        if not finished:
            raise BadInput(
                "evaluate",
                expected="the predictions of one row at least",
                found="none",
                remedy="run predict before, or leave --only out",
            )
        unfinished = [row.name for row in rows if row.name not in done]
        cases = [case.name for case in load_test_cases(self.folder)]
        peers = peer_rows(self.folder, cases)
        return collect_results(self.folder, [*finished, *peers], unfinished)

    def _evaluate(self) -> None:
        states = self.tasks.states_of_code(self._finished_predictions())
        write_results(self.results(), self.profile, self.folder / RESULTS, states)

    def _draw(self) -> None:
        results = self.results()
        draw_figures(results, self.folder / RESULTS)
        costs = costs_table(self.folder, results.rows)
        for name, text in zip(COSTS_FILES, (costs.markdown(), costs.csv()), strict=True):
            write_text(self.folder / RESULTS / name, text)

    def _predict(self, row: Row) -> None:
        for _ in predict_row(
            self.folder, self.profile, row, workers=self._workers, device=self._device
        ):
            pass

    def _is_done(self, name: str) -> bool:
        return self.tasks.state(self.tasks.tasks[name]) == "done"

    def _finished_predictions(self) -> tuple[str, ...]:
        rows = (f"{row.stage}/{row.name}" for row in (*PAPER_ROWS, *OUR_ROWS))
        return tuple(name for name in rows if self._is_done(name))

    def _cohort_progress(self) -> tuple[int, int, str]:
        there = len(visible_files(self.folder / COHORT / "landmarks", "*.json"))
        return there, self.profile.cases, ""

    def _training_progress(self, network: Network) -> tuple[int, int, str]:
        path = self.folder / NETWORKS_FOLDER / network.name / METRICS_FILE
        told = _last_line(path)
        if not told:
            return 0, self.profile.steps, ""
        minutes = (self.profile.steps - told["step"]) * told["pace"] / 60
        word = f"loss {told['loss']:.1f}, {minutes:.0f} min left"
        return int(told["step"]), self.profile.steps, word

    def _prediction_progress(self, row: Row) -> tuple[int, int, str]:
        there = len(visible_files(self.folder / PREDICTIONS / row.name, "*.json"))
        return there, self.profile.cases - self.profile.training_cases, ""


def _claim_folder(folder: Path, profile: Profile) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / PROFILE_FILE).exists():
        write_text(folder / PROFILE_FILE, profile.model_dump_json(indent=1) + "\n")


def _check_folder(folder: Path, profile: Profile) -> None:
    path = folder / PROFILE_FILE
    if not path.exists():
        return
    there = parse_document(Profile, read_json(path), path)
    differing = [n for n in Profile.model_fields if getattr(there, n) != getattr(profile, n)]
    if differing:
        raise BadInput(
            folder,
            expected=f"a new folder, or an experiment of the profile {profile.name}",
            found=f"one of the profile {there.name}, with another {', '.join(differing)}",
            remedy="choose another folder, or the profile that began this one",
        )


def _network_of(task: Task) -> Network:
    return next(n for n in NETWORKS if task.name == f"train/{n.name}")


def _needs_of(row: Row) -> tuple[str, ...]:
    return (COHORT,) if row.network is None else (COHORT, f"train/{row.network.name}")


def _written(results: Path) -> list[Path]:
    """What evaluation leaves, which depends on the rows that are finished."""
    drawn = {*FIGURES, *COSTS_FILES}
    return [path for path in visible_files(results, "*") if path.name not in drawn]


def _listed(path: Path) -> list[Path]:
    return [path]


def _last_line(path: Path) -> dict[str, float]:
    """The last metrics of a run; nothing before the first ones, or while they are written."""
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").splitlines()
    for line in reversed(lines):
        try:
            return dict(json.loads(line))
        except ValueError:
            continue
    return {}
