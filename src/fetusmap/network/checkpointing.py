"""Gradient checkpointing: which tensors a forward pass keeps, and how others are recomputed.

A policy is the set of the kinds of tensor that are kept. Any other tensor that the backward pass
needs is recomputed from the nearest kept tensors, by the steps that computed it first. The graph
of autograd is the same under every policy, and the steps are the same kernels on the same bits.
Outputs, gradients and buffers are therefore the same, too. Torch's hooks on saved tensors make this
possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef

from fetusmap.errors import BadInput

Kind = Literal["inner", "skip", "up", "merge", "norm", "pool", "concat"]
"""Kind of the tensor that a step of the network computes.

Convolutions: `skip` and `up` feed a concatenation, `merge` reads one, `inner` does neither. Then
`norm` (normalised and rectified), `pool` and `concat`.
"""

CONVOLUTIONS: frozenset[Kind] = frozenset({"inner", "skip", "up", "merge"})

POLICIES: dict[str, frozenset[Kind]] = {
    # Everything is kept, as in torch without checkpointing.
    "none": CONVOLUTIONS | {"norm", "pool", "concat"},
    # No convolution is computed twice. The steps between two convolutions are, at little cost.
    "norms": CONVOLUTIONS,
    # Yang et al. (2019): all convolutions are recomputed "except the Conv layers directly
    # connected with the concatenation layer". Their tool (Salimans and Bulatov) keeps the outputs
    # of the chosen layers and nothing else, and so do we. It convolves 10 % more than "none".
    "paper": frozenset({"skip", "up", "merge"}),
    # This set convolves 1.4 times as much as "none". Of all possible sets only {"pool"} needs less
    # memory, by 1 %, but it convolves 2.3 times as much as "none".
    "lean": frozenset({"merge", "pool"}),
    # The input of each block is kept, as in checkpointing that is written by hand.
    "blocks": frozenset({"pool", "concat"}),
}
"""Kept kinds of tensor by name of the policy, from the fastest policy to the slowest."""

Run = Callable[..., Any]


class Step(nn.Module):
    """One operation of the network."""

    def again(self, parts: Iterator[torch.Tensor], **options: Any) -> Any:
        """Compute the same a second time in one pass, without side effects.

        Args:
            parts: the inputs; each is computed when it is taken.
            options: options of the first computation.
        """
        return self(*parts, **options)


class Tape(saved_tensors_hooks):
    """Records during a forward pass how each of its tensors was computed.

    Args:
        policy: a name from `POLICIES`.
        device: device of the pass, such as "cpu".

    Raises:
        BadInput: no policy has this name.
    """

    def __init__(self, policy: str, device: str) -> None:
        self._kept = kept_kinds(policy)
        self._autocast = autocast_now(device)
        self._slots: dict[StorageWeakRef, _Slot] = {}
        super().__init__(self._pack, _unpack)

    def __exit__(self, *error: object) -> None:
        """Drop the slots that no saved tensor refers to."""
        super().__exit__(*error)
        self._slots.clear()

    def block(self) -> Run:
        """Return a function that runs steps of one block: `run(kind, step, *inputs, **options)`.

        If a convolution is recomputed for its own block, its output is kept until the block no
        longer needs it. If it is recomputed for a later block, its output is not kept, and its own
        block recomputes it again.
        """
        return partial(self._run, object())

    def _run(
        self, block: object, kind: Kind, step: Step, *inputs: torch.Tensor, **options: Any
    ) -> Any:
        if not torch.is_grad_enabled():
            return step(*inputs, **options)
        parts = [self._slot(part) for part in inputs]
        made = step(*inputs, **options)
        if kind not in self._kept:
            for index, tensor in enumerate(_outputs(made)):
                recipe = _Recipe(step, options, parts, index, self._autocast)
                self._slot(tensor).forget(recipe, block, is_costly=kind in CONVOLUTIONS)
        return made

    def _pack(self, tensor: torch.Tensor) -> _Slot | torch.Tensor:
        slot = self._slot(tensor)
        if slot.geometry != _geometry(tensor):
            return tensor
        slot.uses += 1
        return slot

    def _slot(self, tensor: torch.Tensor) -> _Slot:
        # By storage, because autograd saves aliases. The weak reference keeps the address of a
        # freed storage from being given to another one.
        key = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
        if key not in self._slots:
            self._slots[key] = _Slot(tensor.detach())
        return self._slots[key]


def _unpack(saved: _Slot | torch.Tensor) -> torch.Tensor:
    return saved.use() if isinstance(saved, _Slot) else saved


@dataclass(eq=False)
class _Recipe:
    """How a tensor was computed: by which step, from which slots, as which of its outputs."""

    step: Step
    options: dict[str, Any]
    parts: list[_Slot]
    index: int
    autocast: Callable[[], AbstractContextManager[object]]

    def make(self, block: object) -> torch.Tensor:
        with torch.no_grad(), self.autocast():
            inputs = (part.value(block) for part in self.parts)
            made = self.step.again(inputs, **self.options)
        return _outputs(made)[self.index]


class _Slot:
    """One tensor of the pass: kept, or recomputed when the backward pass needs it."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.geometry = _geometry(tensor)
        self.uses = 0  # times that autograd saved it and has not yet asked for it
        self._make: Callable[[object], torch.Tensor] = lambda _: tensor
        self._block: object = None
        self._is_costly = False
        self._made: torch.Tensor | None = None

    def forget(self, recipe: _Recipe, block: object, *, is_costly: bool) -> None:
        """Drop the tensor, and store how to recompute it."""
        self._make, self._block, self._is_costly = recipe.make, block, is_costly

    def use(self) -> torch.Tensor:
        """Return the tensor to a node of autograd that saved it."""
        value = self.value(self._block)
        self.uses -= 1
        if self.uses == 0:
            self._made = None
        return value

    def value(self, block: object) -> torch.Tensor:
        """Return the tensor for a use in `block`."""
        if self._made is not None:
            return self._made
        value = self._make(block)
        if self._is_costly and self._block is block and self.uses > 0:
            self._made = value
        return value


def kept_kinds(policy: str) -> frozenset[Kind]:
    """Return the kinds of tensor that a policy keeps.

    Raises:
        BadInput: no policy has this name.
    """
    if policy not in POLICIES:
        raise BadInput(
            "policy",
            expected=f"one of {', '.join(POLICIES)}",
            found=f"{policy!r}",
            remedy="choose one of these",
        )
    return POLICIES[policy]


def autocast_now(device: str) -> Callable[[], AbstractContextManager[object]]:
    """Return what restores the present state of autocast; backward passes run without it."""
    if not torch.amp.is_autocast_available(device):
        return nullcontext
    return partial(
        torch.autocast,
        device,
        dtype=torch.get_autocast_dtype(device),
        enabled=torch.is_autocast_enabled(device),
    )


def _outputs(made: Any) -> tuple[torch.Tensor, ...]:
    return made if isinstance(made, tuple) else (made,)


def _geometry(tensor: torch.Tensor) -> tuple[object, ...]:
    return tensor.dtype, tensor.size(), tensor.stride(), tensor.storage_offset()
