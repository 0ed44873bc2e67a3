"""The folder of a training run: configuration, checkpoint, metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from fetusmap.errors import BadInput
from fetusmap.files.documents import parse_document, read_json
from fetusmap.files.writing import atomic_path, write_text
from fetusmap.train.config import TrainingConfig

CONFIG_FILE = "config.json"
CHECKPOINT_FILE = "checkpoint.pt"
METRICS_FILE = "metrics.jsonl"


class RunFolder:
    """Reads and writes the files of one run."""

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        """Begin a run, or go on with one of the same configuration.

        Raises:
            BadInput: the folder holds a run of another configuration.
        """
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / CONFIG_FILE
        if path.exists():
            there = parse_document(TrainingConfig, read_json(path), path)
            differing = [
                name
                for name in TrainingConfig.model_fields
                if getattr(there, name) != getattr(config, name)
            ]
            if differing:
                raise BadInput(
                    self.folder,
                    expected="a run of the same configuration, or a new folder",
                    found=f"another {', '.join(differing)}",
                    remedy="choose another folder, or repeat the command that began this run",
                )
        else:
            write_text(path, config.model_dump_json(indent=1) + "\n")

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint."""
        return self.folder / CHECKPOINT_FILE

    @property
    def metrics(self) -> Path:
        """One JSON object per line and step."""
        return self.folder / METRICS_FILE

    def save(self, state: dict[str, Any], step: int, steps: int | None) -> None:
        """Write a checkpoint in place of the last one."""
        content = {name: part.state_dict() for name, part in state.items()}
        with atomic_path(self.checkpoint) as temporary:
            torch.save({**content, "step": step, "steps": steps}, temporary)

    def restore(self, state: dict[str, Any]) -> tuple[int, int | None] | None:
        """Load the last checkpoint and drop the metrics after it.

        Returns:
            Steps done and planned; None where the run has not got so far.

        Raises:
            BadInput: a checkpoint that cannot be read.
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
        write_text(self.metrics, "".join(f"{line}\n" for line in _until(done, lines)))
        return done, steps

    def steps_done(self) -> int:
        """Of the last checkpoint; 0 without one."""
        if not self.checkpoint.exists():
            return 0
        return int(torch.load(self.checkpoint, map_location="cpu", weights_only=True)["step"])

    def log(self, metrics: dict[str, float]) -> None:
        """Append one line."""
        with self.metrics.open("a") as file:
            file.write(json.dumps(metrics) + "\n")


def _until(done: int, lines: list[str]) -> list[str]:
    """The metrics of the steps that are done; what comes after a torn line is of later ones."""
    kept = []
    for line in lines:
        try:
            step = json.loads(line)["step"]
        except (ValueError, KeyError, TypeError):
            break
        if step <= done:
            kept.append(line)
    return kept
