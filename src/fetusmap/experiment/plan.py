"""The paper's experiment in one folder: all of its tasks, and the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from fetusmap.atlas import SHIPPED_LIBRARY
from fetusmap.errors import BadInput
from fetusmap.estimate import MODELS
from fetusmap.experiment.cohort import load_test_cases, make_cohort
from fetusmap.experiment.costs import costs_table
from fetusmap.experiment.dose import TUNING, dose_path, load_dose, tried_cases, try_doses
from fetusmap.experiment.figures import draw_figures
from fetusmap.experiment.hashes import hash_of
from fetusmap.experiment.predicting import PREDICTIONS, predict_row
from fetusmap.experiment.profile import COHORT, NETWORKS, TUNING_NETWORK, Network, Profile
from fetusmap.experiment.progress import (
    Progress,
    cohort_progress,
    prediction_progress,
    training_progress,
)
from fetusmap.experiment.report_page import FIGURES
from fetusmap.experiment.result_files import RESULTS, write_results
from fetusmap.experiment.results import compute_results, pair_rows
from fetusmap.experiment.rows import (
    OUR_ROWS,
    PAPER_ROWS,
    PEERS,
    SHIPPED_MODEL,
    Row,
    peer_rows,
)
from fetusmap.experiment.tasks import Task, TaskList
from fetusmap.experiment.training import NETWORKS_FOLDER, train_network, weights_path
from fetusmap.files import parse_document, read_json, sha256_of, visible_files, write_text
from fetusmap.model import model_sha256
from fetusmap.workers import map_in_processes

COHORT_PARTS = ("dataset.json", "cases.csv", "splits.json", "landmarks", "volumes")
COSTS_FILES = ("costs.md", "costs.csv")
PROFILE_FILE = "experiment.json"
TUNE_DOSE = "tune/dose"


class Experiment:
    """The paper's experiment in a folder.

    Attributes:
        folder: folder of the experiment.
        profile: size of the experiment.
        tasks: all tasks, in order.
    """

    def __init__(
        self, folder: Path, profile: Profile, *, workers: int, device: str = "cpu"
    ) -> None:
        """Begin an experiment, or continue one of the same profile.

        Args:
            folder: folder of the experiment.
            profile: size of the experiment.
            workers: number of processes; on a processor as many networks are trained side by side.
            device: "cpu" or "cuda".

        Raises:
            BadInput: the folder belongs to an experiment of another profile.
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
        """Do the tasks that are not done yet, in order; networks are trained side by side.

        Args:
            only: stages or tasks to do; all of them if empty.
            after: called with each task when it is done.
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
        for task, cost in zip(
            open_tasks, map_in_processes(work, networks, side_by_side), strict=True
        ):
            self.tasks.finish(task, cost.seconds, cost.peak_bytes)
            after(task)

    def _train_one(self, network: Network) -> None:
        train_network(self.folder, self.profile, network, device=self._device)

    def _all_tasks(self) -> Iterator[Task]:
        folder = self.folder
        yield Task(
            COHORT,
            needs=tuple,
            given=dict,
            work=lambda: list(make_cohort(folder, self.profile, self._workers)),
            outputs=lambda: [folder / COHORT / name for name in COHORT_PARTS],
            progress=partial(cohort_progress, folder, self.profile),
            is_small=False,
        )
        for network in NETWORKS:
            yield Task(
                f"train/{network.name}",
                needs=lambda: (COHORT,),
                given=dict,
                work=partial(self._train_one, network),
                outputs=partial(_listed, weights_path(folder, network)),
                progress=partial(training_progress, folder, self.profile, network),
                workspace=folder / NETWORKS_FOLDER / network.name,
            )
        yield Task(
            TUNE_DOSE,
            needs=lambda: (COHORT, f"train/{TUNING_NETWORK.name}"),
            given=dict,
            work=lambda: try_doses(
                folder, self.profile, workers=self._workers, device=self._device
            ),
            outputs=partial(_listed, dose_path(folder)),
            progress=lambda: Progress(tried_cases(folder), self.profile.tuning_cases),
            workspace=folder / TUNING,
        )
        for row in sorted((*PAPER_ROWS, *OUR_ROWS), key=lambda row: row.stage):
            yield Task(
                f"{row.stage}/{row.name}",
                needs=partial(_needs_of, row),
                given=partial(_shipped_files_of, row),
                work=partial(self._predict, row),
                outputs=partial(_listed, folder / PREDICTIONS / row.name),
                progress=partial(prediction_progress, folder, self.profile, row),
                workspace=folder / PREDICTIONS / row.name,
            )
        yield Task(
            "evaluate",
            needs=self._finished_predictions,
            given=lambda: {p.name: hash_of([p]) for p in (folder / PEERS,) if p.is_dir()},
            work=self._evaluate,
            outputs=lambda: _written(folder / RESULTS),
            progress=lambda: Progress(0, 1),
        )
        yield Task(
            "draw",
            needs=lambda: ("evaluate",),
            given=dict,
            work=self._draw,
            outputs=lambda: [folder / RESULTS / name for name in (*FIGURES, *COSTS_FILES)],
            progress=lambda: Progress(0, 1),
        )

    def finished_rows(self) -> tuple[Row, ...]:
        """Return the rows whose predictions are finished, and the peers.

        Raises:
            BadInput: no row is finished.
        """
        rows = (*PAPER_ROWS, *OUR_ROWS)
        done = {row.name for row in rows if self._is_done(f"{row.stage}/{row.name}")}
        finished = [row for row in rows if row.name in done]
        if not finished:
            raise BadInput(
                "evaluate",
                expected="the predictions of at least one row",
                found="none",
                remedy="run the stage predict first, or leave --only out",
            )
        cases = [case.name for case in load_test_cases(self.folder)]
        return (*finished, *peer_rows(self.folder, cases))

    def _evaluate(self) -> None:
        rows = self.finished_rows()
        pairs = pair_rows(self.folder, rows)
        unfinished = [row.name for row in (*PAPER_ROWS, *OUR_ROWS) if row not in rows]
        results = compute_results(rows, pairs, unfinished)
        stages = self.tasks.stages_of_code(self._finished_predictions())
        dose = load_dose(self.folder) if self._is_done(TUNE_DOSE) else None
        write_results(results, pairs, self.profile, self.folder / RESULTS, stages, dose)

    def _draw(self) -> None:
        rows = self.finished_rows()
        draw_figures(rows, pair_rows(self.folder, rows), self.folder / RESULTS)
        costs = costs_table(self.folder, rows)
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


def _claim_folder(folder: Path, profile: Profile) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / PROFILE_FILE).exists():
        write_text(folder / PROFILE_FILE, profile.model_dump_json(indent=1) + "\n")


def _check_folder(folder: Path, profile: Profile) -> None:
    path = folder / PROFILE_FILE
    if not path.exists():
        return
    earlier = parse_document(Profile, read_json(path), path)
    differing = [n for n in Profile.model_fields if getattr(earlier, n) != getattr(profile, n)]
    if differing:
        raise BadInput(
            folder,
            expected=f"a new folder, or an experiment of the profile {profile.name}",
            found=f"one of the profile {earlier.name} that differs in {', '.join(differing)}",
            remedy="choose another folder, or the profile that began this one",
        )


def _network_of(task: Task) -> Network:
    return next(n for n in NETWORKS if task.name == f"train/{n.name}")


def _needs_of(row: Row) -> tuple[str, ...]:
    if row.network is None:
        return (COHORT,)
    return (COHORT, f"train/{row.network.name}", *[TUNE_DOSE] * (row.dose == "tuned"))


def _shipped_files_of(row: Row) -> dict[str, str]:
    """Return the hashes of the files of the package that a row uses: an upgrade changes them."""
    files = {}
    if row.network is None:
        files[f"model {SHIPPED_MODEL}"] = model_sha256(MODELS[SHIPPED_MODEL])
    if row.atlases == "shipped":
        files["atlases"] = sha256_of(SHIPPED_LIBRARY)
    return files


def _written(results: Path) -> list[Path]:
    """Return the files of the evaluation, which depend on the rows that are finished."""
    drawn = {*FIGURES, *COSTS_FILES}
    return [path for path in visible_files(results, "*") if path.name not in drawn]


def _listed(path: Path) -> list[Path]:
    return [path]
