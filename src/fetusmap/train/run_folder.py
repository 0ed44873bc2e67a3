"""The folder of a training run: configuration, hashes of the data, checkpoint, metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from fetusmap.errors import BadInput
from fetusmap.files import (
    MAX_TABLE_BYTES,
    Document,
    Version1,
    atomic_path,
    parse_document,
    read_json,
    write_text,
)
from fetusmap.train.config import TrainingConfig, parse_earlier_config

CONFIG_FILE = "config.json"
DATA_FILE = "data.json"
CHECKPOINT_FILE = "checkpoint.pt"
METRICS_FILE = "metrics.jsonl"


class DataDocument(Document):
    """What `data.json` holds: the cases that a run is trained on.

    Attributes:
        cases: name to the hash of the case's files.
    """

    format: Literal["fetusmap-training-data"] = "fetusmap-training-data"
    version: Version1 = 1
    cases: dict[str, str]


class RunFolder:
    """Reads and writes the files of one run.

    Attributes:
        folder: the folder.
    """

    def __init__(
        self, folder: Path, config: TrainingConfig, data: Mapping[str, str] | None = None
    ) -> None:
        """Begin a run, or continue one of the same configuration and the same data.

        Args:
            folder: the folder; it is made if it does not exist.
            config: the configuration.
            data: name and hash of each case of the dataset that is trained on; None for simulated
                cases. A run of version 0.1 has no such record; the present one is written into it.

        Raises:
            BadInput: the folder holds a run of another configuration or of other data.
        """
        self.folder = Path(folder)
        is_new = not (self.folder / CONFIG_FILE).exists()
        if not is_new:
            self._check_config(config)
            if data is not None:
                self._check_data(data)
        self.folder.mkdir(parents=True, exist_ok=True)
        if data is not None and (is_new or not (self.folder / DATA_FILE).exists()):
            self._write(DATA_FILE, DataDocument(cases=dict(data)))
        if is_new:  # last, so that a folder with a configuration is complete
            self._write(CONFIG_FILE, config)

    def _check_config(self, config: TrainingConfig) -> None:
        path = self.folder / CONFIG_FILE
        there, wanted = (
            parse_earlier_config(read_json(path), path).model_dump(),
            config.model_dump(),
        )
        names = ["stage"] if there["stage"] != config.stage else sorted({*there, *wanted})
        differing = [name for name in names if there[name] != wanted[name]]
        if differing:
            raise BadInput(
                self.folder,
                expected="a run of the same configuration, or a new folder",
                found=f"another {', '.join(differing)}",
                remedy="choose another folder, or repeat the command that began this run",
            )

    def _check_data(self, data: Mapping[str, str]) -> None:
        path = self.folder / DATA_FILE
        if not path.exists():
            return
        document = parse_document(DataDocument, read_json(path, MAX_TABLE_BYTES), path)
        there = document.cases
        changes = {
            "changed": [name for name in data if name in there and there[name] != data[name]],
            "added": [name for name in data if name not in there],
            "removed": [name for name in there if name not in data],
        }
        found = [
            f"{len(names)} {change} (such as {names[0]})"
            for change, names in changes.items()
            if names
        ]
        if found:
            raise BadInput(
                self.folder,
                expected=f"the {len(there)} training cases that this run began with",
                found=f"data that differ from those of the run: {', '.join(found)}",
                remedy="choose a new folder to train on the data as they are now",
            )

    def _write(self, name: str, document: Document) -> None:
        text = document.model_dump_json(indent=1) + "\n"
        write_text(self.folder / name, text, max_bytes=MAX_TABLE_BYTES)

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint."""
        return self.folder / CHECKPOINT_FILE

    @property
    def metrics(self) -> Path:
        """The metrics, one JSON object per line and step."""
        return self.folder / METRICS_FILE

    def save(self, state: dict[str, Any], step: int, steps: int | None) -> None:
        """Write a checkpoint in place of the last one."""
        content = {name: part.state_dict() for name, part in state.items()}
        with atomic_path(self.checkpoint) as temporary:
            torch.save({**content, "step": step, "steps": steps}, temporary)

    def restore(self, state: dict[str, Any]) -> tuple[int, int | None] | None:
        """Load the last checkpoint and drop the metrics after it.

        Returns:
            Steps done and steps planned; None if the run has no checkpoint yet.

        Raises:
            BadInput: the checkpoint cannot be read.
        """
        if not self.checkpoint.exists():
            self.metrics.unlink(missing_ok=True)
            return None
        try:
            content = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            for name, part in state.items():
                part.load_state_dict(content[name])
            done, steps = int(content["step"]), content["steps"]
        except Exception as error:
            raise BadInput(
                self.checkpoint,
                expected="a checkpoint of this run",
                found=f"{type(error).__name__}",
                remedy="remove it to begin anew",
            ) from error
        lines = self.metrics.read_text().splitlines() if self.metrics.exists() else []
        write_text(self.metrics, "".join(f"{line}\n" for line in _lines_until(done, lines)))
        return done, steps

    def steps_done(self) -> int:
        """Return the number of steps of the last checkpoint; 0 without one."""
        if not self.checkpoint.exists():
            return 0
        return int(torch.load(self.checkpoint, map_location="cpu", weights_only=True)["step"])

    def log(self, metrics: dict[str, float]) -> None:
        """Append one line to the metrics."""
        with self.metrics.open("a") as file:
            file.write(json.dumps(metrics) + "\n")


def _lines_until(done: int, lines: list[str]) -> list[str]:
    """Return the metrics up to the last checkpoint; a line cut short ends them."""
    earlier = []
    for line in lines:
        try:
            step = json.loads(line)["step"]
        except (ValueError, KeyError, TypeError):
            break
        if step <= done:
            earlier.append(line)
    return earlier
