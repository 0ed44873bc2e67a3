"""Memory in use at each moment of a training step, computed without running the step on data.

Tensors on torch's meta device have shapes and lifetimes, but no data. A ledger observes each
operation on them, and records for each storage how many bytes it takes per voxel of its level.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fetusmap.network.land import LandWidths, build_land
from fetusmap.types import IntArray, Shape3

UNFOLDED_BELOW = 20480
"""Channels x I x J up to which torch convolves one volume on a processor by unfolding it.

`ConvParams::use_mkldnn` in aten/src/ATen/native/Convolution.cpp. Unfolding takes a workspace of
27 values per channel and voxel; the kernels of oneDNN take none that could be measured."""


class TrainingStep:
    """One step of Adam under the L2 loss, and the tensors that exist before it."""

    def __init__(self, widths: LandWidths, policy: str, shape: Shape3) -> None:
        self.network = build_land(widths, policy)
        # One parameter at a time: torch's default copies all of them.
        self.optimizer = torch.optim.Adam(self.network.parameters(), foreach=False)
        self.volume = torch.rand(1, 1, *shape)
        self.target = torch.rand(1, widths.outputs, *shape)

    @classmethod
    def without_data(cls, widths: LandWidths, policy: str, shape: Shape3) -> TrainingStep:
        """Make the step on the meta device, which is fast at any size."""
        with torch.device("meta"):
            return cls(widths, policy, shape)

    def run(self) -> None:
        """Run forward pass, backward pass, and Adam."""
        # With a reduction in mse_loss, torch would keep a buffer as large as the heatmaps for as
        # long as the loss exists.
        heatmaps = self.network(self.volume)
        loss = F.mse_loss(heatmaps, self.target, reduction="none").mean()
        del heatmaps
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def forget_gradients(self) -> None:
        """Release the gradients, as between two steps."""
        self.optimizer.zero_grad(set_to_none=True)

    def given(self) -> Iterator[torch.Tensor]:
        """Yield parameters, buffers, the volume, its target, and the state of Adam."""
        yield from (*self.network.parameters(), *self.network.buffers(), self.volume, self.target)
        for state in self.optimizer.state.values():
            yield from state.values()

    def given_bytes(self) -> int:
        """Return the bytes of these tensors."""
        return sum(tensor.untyped_storage().nbytes() for tensor in self.given())


@dataclass(frozen=True)
class Timeline:
    """Bytes in use after each of T operations, as sums over the L levels of a U-Net."""

    alive: IntArray
    """(T, L + 1), bytes in use per voxel of each level, and bytes that depend on no level."""
    unfolded: IntArray
    """(T, L), further bytes per voxel that an operation takes while it runs, if it unfolds."""
    channels: IntArray
    """(T,), channels of the input of each operation that is a convolution."""

    def peak_bytes(self, shape: Shape3, *, on_cpu: bool) -> int:
        """Return the peak for a volume of `shape`; on a CPU, convolutions may unfold."""
        levels = np.array(levels_of(shape, self.unfolded.shape[1]))  # (L, 3)
        voxels = levels.prod(axis=1)
        bytes_alive = self.alive @ [*voxels, 1]
        if on_cpu:
            small = self.channels[:, None] * levels[:, 0] * levels[:, 1] <= UNFOLDED_BELOW
            bytes_alive = bytes_alive + (self.unfolded * small) @ voxels
        return int(bytes_alive.max())


class Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the storages that exist while the block runs.

    Args:
        given: tensors that exist already.
        levels: (I, J, K) of each level of the U-Net.
    """

    def __init__(self, given: Iterable[torch.Tensor], levels: list[Shape3]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._levels = levels
        self._alive: dict[StorageWeakRef, IntArray] = {}
        self._rows: list[tuple[IntArray, IntArray, int]] = []
        self._given = list(given)
        for tensor in self._given:
            self._note(tensor)
        self._given_keys = set(self._alive)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operation and record what exists after it."""
        self._forget_the_dead()
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._note(tensor)
        alive = np.sum(list(self._alive.values()), axis=0)
        self._rows.append((alive, *self._workspace(func, args)))
        return out

    def timeline(self) -> Timeline:
        """Return the record."""
        alive, unfolded, channels = zip(*self._rows, strict=True)
        return Timeline(np.array(alive), np.array(unfolded), np.array(channels))

    def alive_bytes(self) -> int:
        """Return the bytes that exist now and were not given."""
        self._forget_the_dead()
        new = [row for key, row in self._alive.items() if key not in self._given_keys]
        voxels = [math.prod(level) for level in self._levels]
        return int(sum(row @ [*voxels, 1] for row in new))

    def _note(self, tensor: torch.Tensor) -> None:
        key = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
        if key not in self._alive:
            self._alive[key] = self._per_voxel(tensor.shape, tensor.untyped_storage().nbytes())

    def _forget_the_dead(self) -> None:
        dead = [key for key in self._alive if key.expired()]  # type: ignore[no-untyped-call]
        for key in dead:
            del self._alive[key]

    def _per_voxel(self, shape: torch.Size, size_bytes: int) -> IntArray:
        row = np.zeros(len(self._levels) + 1, np.int64)
        level = self._level(shape)
        row[level] = size_bytes if level < 0 else size_bytes // math.prod(self._levels[level])
        return row

    def _level(self, shape: torch.Size) -> int:
        """Return the level that has the voxels of a shape, in three axes or in one; -1 for none."""
        for n, level in enumerate(self._levels):
            axes = [tuple(shape[a : a + 3]) for a in range(len(shape))]
            if level in axes or math.prod(level) in shape:
                return n
        return -1

    def _workspace(self, func: Any, args: tuple[Any, ...]) -> tuple[IntArray, int]:
        row = np.zeros(len(self._levels), np.int64)
        if func is torch.ops.aten.convolution.default:
            x, weight = args[:2]
        elif func is torch.ops.aten.convolution_backward.default:
            x, weight = args[1:3]
        else:
            return row, 0
        # A deconvolution unfolds its output, which it makes channels first beside the inputs.
        unfolded = weight[0].numel() + sum(weight.shape[:2])
        row[self._level(x.shape)] = unfolded * x.element_size()
        return row, x.shape[1]


def levels_of(shape: Shape3, count: int) -> list[Shape3]:
    """Return the sizes at each level: every pooling halves them and rounds up."""
    levels = [shape]
    while len(levels) < count:
        i, j, k = (-(-n // 2) for n in levels[-1])
        levels.append((i, j, k))
    return levels
