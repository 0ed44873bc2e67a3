"""The tasks of an experiment, what each needs, and whether it is done.

A task is done when its manifest stands and says that it was made from what its needs have made.
Everything else follows: a run that was killed goes on with the first task that is not done, and
what rests on something that was made anew is made anew. What a broken-off task has left is gone on
with only if it was begun from the same inputs.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from fetusmap._version import __version__
from fetusmap.errors import BadInput, FetusmapError
from fetusmap.experiment.resources import measured
from fetusmap.files.documents import Document, Version1, parse_document, read_json
from fetusmap.files.reading import sha256_of, visible_files
from fetusmap.files.writing import write_text

MANIFESTS = "manifests"
STAGES = ("cohort", "train", "predict", "refine", "evaluate", "draw")
State = Literal["done", "begun", "not begun", "outdated"]


class TaskManifest(Document):
    """What made a task's outputs.

    Seconds and peak memory are of the attempt that finished it, but those of a training's steps,
    which are of all attempts.
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
    """One step that is finished or not.

    Attributes:
        name: stage, or stage/part.
        needs: names of the tasks whose outputs it reads, as things stand now.
        given: folders that it reads and no task makes.
        work: does what is not done of it.
        outputs: files or folders that it makes.
        is_small: whether to look at the bytes of the outputs, not only whether they exist.
        workspace: folder that is its own, also of what is not finished; None where it writes only
            what is.
        progress: (done, of all), and a word about it.
    """

    name: str
    needs: Callable[[], tuple[str, ...]]
    given: Callable[[], Iterable[Path]]
    work: Callable[[], object]
    outputs: Callable[[], Iterable[Path]]
    progress: Callable[[], tuple[int, int, str]]
    is_small: bool = True
    workspace: Path | None = None

    @property
    def stage(self) -> str:
        """To which it belongs."""
        return self.name.partition("/")[0]


class TaskList:
    """The tasks of one experiment, in an order in which they can be done."""

    def __init__(
        self, folder: Path, tasks: Iterable[Task], *, profile: str, seed: int, device: str
    ) -> None:
        self.folder = folder
        self.tasks = {task.name: task for task in tasks}
        self._profile, self._seed, self._device = profile, seed, device
        self._seen: dict[str, str] = {}
        self._code = code_sha256()

    def __iter__(self) -> Iterator[Task]:
        """Go through them in order."""
        return iter(self.tasks.values())

    def choose(self, only: Iterable[str]) -> list[Task]:
        """Those of some stages, or some by name; all of them if none are named.

        Raises:
            BadInput: no task of a name.
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
        """Of a task that was finished once; None otherwise, and for a damaged one."""
        path = self._path(name)
        if not path.exists():
            return None
        try:
            return parse_document(TaskManifest, read_json(path), path)
        except FetusmapError:
            return None

    def state(self, task: Task) -> State:
        """Whether a task is done."""
        manifest = self.manifest(task.name)
        if manifest is None:
            return "begun" if task.progress()[0] else "not begun"
        if manifest.inputs != self._inputs(task) or not self._is_whole(task, manifest):
            return "outdated"
        return "done"

    def _is_whole(self, task: Task, manifest: TaskManifest) -> bool:
        """Whether the outputs are there, with the bytes that were written, looked at once."""
        if not all(path.exists() for path in task.outputs()):
            return False
        if not task.is_small:
            return True
        if self._seen.get(task.name) != manifest.output_sha256:
            self._seen[task.name] = hash_of(task.outputs())
        return self._seen[task.name] == manifest.output_sha256

    def check_needs(self, task: Task) -> None:
        """Make sure that everything a task needs is done.

        Raises:
            BadInput: something is not.
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
        """Note what a task is begun from; what it had made from something else goes.

        Raises:
            BadInput: something it needs is not done.
        """
        self.check_needs(task)
        manifest, inputs = self.manifest(task.name), self._inputs(task)
        earlier = self._begun_from(task) if manifest is None else manifest.inputs
        if earlier != inputs and task.workspace is not None:
            shutil.rmtree(task.workspace, ignore_errors=True)
        path = self._path(task.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(_begun(path), json.dumps(inputs) + "\n")
        path.unlink(missing_ok=True)

    def finish(self, task: Task, seconds: float, peak_bytes: int) -> None:
        """Write the manifest of a task whose work is done.

        Raises:
            BadInput: the code is not what it was when this run began.
        """
        if code_sha256() != self._code:
            raise BadInput(
                task.name,
                expected="the code that this run began with",
                found="another: its files have changed",
                remedy="repeat the command, which goes on with what is there",
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
            inputs=self._begun_from(task) or {},
            output_sha256=hash_of(task.outputs()),
            seconds=round(seconds, 1),
            peak_bytes=peak_bytes,
        )
        path = self._path(task.name)
        write_text(path, manifest.model_dump_json(indent=1) + "\n")
        _begun(path).unlink(missing_ok=True)

    def run(self, task: Task) -> None:
        """Do a task in this process, and write its manifest.

        Raises:
            BadInput: something it needs is not done.
        """
        self.begin(task)
        with measured(self._device) as cost:
            task.work()
        self.finish(task, cost.seconds, cost.peak_bytes)

    def states_of_code(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Hash of the code to the stages of some finished tasks, and of their needs."""
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

    def _begun_from(self, task: Task) -> dict[str, str] | None:
        path = _begun(self._path(task.name))
        try:
            return dict(read_json(path))
        except (FetusmapError, TypeError, ValueError):
            return None

    def _path(self, name: str) -> Path:
        return self.folder / MANIFESTS / f"{name}.json"

    def _inputs(self, task: Task) -> dict[str, str]:
        made = {name: self.manifest(name) for name in task.needs()}
        given = {path.name: hash_of([path]) for path in task.given()}
        return given | {name: m.output_sha256 for name, m in made.items() if m is not None}


def _begun(manifest: Path) -> Path:
    return manifest.with_suffix(".begun")


def hash_of(paths: Iterable[Path]) -> str:
    """One hash of files, and of everything in folders, by their names and bytes."""
    digest = hashlib.sha256()
    for path in paths:
        for file in visible_files(path, "**/*") if path.is_dir() else [path]:
            if file.is_file():
                name = file.relative_to(path).as_posix() if path.is_dir() else file.name
                digest.update(f"{name} {sha256_of(file)}\n".encode())
    return digest.hexdigest()


def code_sha256() -> str:
    """Hash of this package's Python files."""
    return hash_of(sorted((Path(__file__).resolve().parents[1]).rglob("*.py")))
