"""The tasks of an experiment, the inputs of each, and whether it is done.

A task is done if its manifest exists and names the present inputs. Two properties follow. A run
that was killed continues with the first task that is not done. And if an input was made anew, every
task that uses it is made anew. The files of an interrupted task are used only if that task began
with the same inputs.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from fetusmap._version import __version__
from fetusmap.errors import BadInput, FetusmapError
from fetusmap.experiment.hashes import code_sha256, hash_of
from fetusmap.experiment.progress import Progress
from fetusmap.experiment.resources import measured
from fetusmap.files import Document, Version1, parse_document, read_json, write_text

MANIFESTS = "manifests"
STAGES = ("cohort", "train", "tune", "predict", "refine", "evaluate", "draw")
State = Literal["done", "begun", "not begun", "outdated"]


class TaskManifest(Document):
    """What made the outputs of a task.

    Seconds and peak memory are those of the attempt that finished the task; for a training, the
    seconds are those of all steps.
    """

    format: Literal["fetusmap-task"] = "fetusmap-task"
    version: Version1 = 1
    task: str
    profile: str
    seed: int
    fetusmap: str
    code_sha256: str
    torch: str
    numpy: str
    processor: str
    device: str
    inputs: dict[str, str]
    output_sha256: str
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Task:
    """One task of an experiment.

    Attributes:
        name: stage, or stage/part.
        needs: returns the names of the tasks whose outputs this one reads.
        given: returns the hashes, by name, of inputs that no task makes.
        work: does the part of the task that is not done.
        outputs: returns the files or folders that the task makes.
        progress: returns how far the task is.
        is_small: whether to check the bytes of the outputs, and not only whether they exist.
        workspace: folder for unfinished outputs, used by this task alone; None if it writes
            finished files only.
    """

    name: str
    needs: Callable[[], tuple[str, ...]]
    given: Callable[[], Mapping[str, str]]
    work: Callable[[], object]
    outputs: Callable[[], Iterable[Path]]
    progress: Callable[[], Progress]
    is_small: bool = True
    workspace: Path | None = None

    @property
    def stage(self) -> str:
        """Stage to which the task belongs."""
        return self.name.partition("/")[0]


class TaskList:
    """The tasks of one experiment, in an order in which they can be done."""

    def __init__(
        self, folder: Path, tasks: Iterable[Task], *, profile: str, seed: int, device: str
    ) -> None:
        self.folder = folder
        self.tasks = {task.name: task for task in tasks}
        self._profile, self._seed, self._device = profile, seed, device
        self._hash_of_outputs: dict[str, str] = {}
        self._code = code_sha256()

    def __iter__(self) -> Iterator[Task]:
        """Iterate over the tasks in order."""
        return iter(self.tasks.values())

    def choose(self, only: Iterable[str]) -> list[Task]:
        """Return the tasks of some stages or names, in order; all tasks if none is named.

        Raises:
            BadInput: there is no task or stage of a name.
        """
        chosen = []
        for word in only:
            found = [task for task in self if word in (task.name, task.stage)]
            if not found:
                raise BadInput(
                    "--only",
                    expected=f"a stage ({', '.join(STAGES)}) or a task that --list shows",
                    found=repr(word),
                    remedy="try --only train/Land-R4",
                )
            chosen += found
        return [task for task in self if task in chosen] if chosen else list(self)

    def manifest(self, name: str) -> TaskManifest | None:
        """Return the manifest of a task; None if there is none, or a damaged one."""
        path = self._path(name)
        if not path.exists():
            return None
        try:
            return parse_document(TaskManifest, read_json(path), path)
        except FetusmapError:
            return None

    def state(self, task: Task) -> State:
        """Return whether a task is done."""
        manifest = self.manifest(task.name)
        if manifest is None:
            return "begun" if task.progress().done else "not begun"
        if manifest.inputs != self._inputs(task) or not self._is_whole(task, manifest):
            return "outdated"
        return "done"

    def _is_whole(self, task: Task, manifest: TaskManifest) -> bool:
        """Check that the outputs exist and have the bytes that were written; read once."""
        if not all(path.exists() for path in task.outputs()):
            return False
        if not task.is_small:
            return True
        if self._hash_of_outputs.get(task.name) != manifest.output_sha256:
            self._hash_of_outputs[task.name] = hash_of(task.outputs())
        return self._hash_of_outputs[task.name] == manifest.output_sha256

    def check_needs(self, task: Task) -> None:
        """Check that every task that this one needs is done.

        Raises:
            BadInput: one of them is not done.
        """
        for name in task.needs():
            if self.state(self.tasks[name]) != "done":
                raise BadInput(
                    task.name,
                    expected=f"the task {name} to be done before",
                    found=self.state(self.tasks[name]),
                    remedy=f"run it with --only {name}, or leave --only out",
                )

    def begin(self, task: Task) -> None:
        """Record the inputs with which a task begins, and delete what it made from other inputs.

        Raises:
            BadInput: a task that it needs is not done.
        """
        self.check_needs(task)
        manifest, inputs = self.manifest(task.name), self._inputs(task)
        earlier = self._inputs_at_begin(task) if manifest is None else manifest.inputs
        if earlier != inputs and task.workspace is not None:
            shutil.rmtree(task.workspace, ignore_errors=True)
        path = self._path(task.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(_begin_file(path), json.dumps(inputs) + "\n")
        path.unlink(missing_ok=True)

    def finish(self, task: Task, seconds: float, peak_bytes: int) -> None:
        """Write the manifest of a task whose work is done.

        Raises:
            BadInput: the code has changed since this run began.
        """
        if code_sha256() != self._code:
            raise BadInput(
                task.name,
                expected="the code that this run began with",
                found="changed files",
                remedy="repeat the command, which continues the run",
            )
        manifest = TaskManifest(
            task=task.name,
            profile=self._profile,
            seed=self._seed,
            fetusmap=__version__,
            code_sha256=self._code,
            torch=version("torch").split("+")[0],
            numpy=version("numpy"),
            processor=platform.machine(),
            device=self._device,
            inputs=self._inputs_at_begin(task) or {},
            output_sha256=hash_of(task.outputs()),
            seconds=round(seconds, 1),
            peak_bytes=peak_bytes,
        )
        path = self._path(task.name)
        write_text(path, manifest.model_dump_json(indent=1) + "\n")
        _begin_file(path).unlink(missing_ok=True)

    def run(self, task: Task) -> None:
        """Do a task in this process, and write its manifest.

        Raises:
            BadInput: a task that it needs is not done.
        """
        self.begin(task)
        with measured(self._device) as cost:
            task.work()
        self.finish(task, cost.seconds, cost.peak_bytes)

    def stages_of_code(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return, for each state of the code by its hash, the stages that were run with it.

        Args:
            names: finished tasks; the tasks that they need are included.
        """
        open_names, seen = list(names), set[str]()
        stages: dict[str, set[str]] = {}
        while open_names:
            name = open_names.pop()
            manifest = self.manifest(name)
            if manifest is None or name in seen:
                continue
            seen.add(name)
            stages.setdefault(manifest.code_sha256, set()).add(self.tasks[name].stage)
            open_names += self.tasks[name].needs()
        return {
            code: tuple(sorted(found, key=STAGES.index)) for code, found in sorted(stages.items())
        }

    def _inputs_at_begin(self, task: Task) -> dict[str, str] | None:
        path = _begin_file(self._path(task.name))
        try:
            return dict(read_json(path))
        except (FetusmapError, TypeError, ValueError):
            return None

    def _path(self, name: str) -> Path:
        return self.folder / MANIFESTS / f"{name}.json"

    def _inputs(self, task: Task) -> dict[str, str]:
        made = {name: self.manifest(name) for name in task.needs()}
        return dict(task.given()) | {
            name: m.output_sha256 for name, m in made.items() if m is not None
        }


def _begin_file(manifest: Path) -> Path:
    return manifest.with_suffix(".begun")
