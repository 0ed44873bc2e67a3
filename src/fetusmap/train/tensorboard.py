"""Metrics for TensorBoard, in addition to the JSON lines of a run; needs an optional package."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fetusmap.errors import BadInput

FOLDER = "tensorboard"


class TensorBoard:
    """Writes the metrics of networks into event files, one folder for each network.

    Use it as a context manager: all metrics are on the disk when the block ends.

    Args:
        run: folder of the run; give its folder `tensorboard` to `tensorboard --logdir`.

    Raises:
        BadInput: TensorBoard is not installed.
    """

    def __init__(self, run: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise BadInput(
                "TensorBoard",
                expected="the package tensorboard",
                found="none",
                remedy="pip install 'fetusmap[tensorboard]', or leave --tensorboard out",
            ) from error
        self._make: Any = SummaryWriter
        self._folder = run / FOLDER
        self._writers: dict[str, Any] = {}

    def __call__(self, name: str, metrics: dict[str, float]) -> None:
        """Write the metrics of one step of a network."""
        step = int(metrics["step"])
        if name not in self._writers:
            # A continued run repeats the steps after its last checkpoint.
            self._writers[name] = self._make(str(self._folder / name), purge_step=step)
        for key, value in metrics.items():
            if key not in ("step", "steps"):
                self._writers[name].add_scalar(key, value, step)

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write the remaining metrics, and close the files."""
        for writer in self._writers.values():
            writer.close()
