"""Steps of a network whose backward passes release each tensor as early as possible.

The steps call the kernels of torch's own operations and give the same numbers. They differ only in
the order in which a backward pass takes stored tensors and releases them. At full resolution this
order decides the peak of memory. All tensors are laid out channels last, for which large
convolutions on a processor need no workspace.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd import Function
from torch.autograd.function import once_differentiable

CHANNELS_LAST = torch.channels_last_3d
_SAME = ([1] * 3, [1] * 3, [1] * 3, False, [0] * 3, 1)
"""Stride, padding, dilation, transposed, output padding and groups of a 3 x 3 x 3 convolution."""


def convolve(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Convolve (B, C, I, J, K) with (D, C, 3, 3, 3), zeros beyond the border."""
    return _Convolution.apply(_cast(x), _cast(weight))  # type: ignore[no-any-return, no-untyped-call]


def combine_channels(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Convolve (B, C, I, J, K) with 1 x 1 x 1 kernels (D, C), which is a matrix product."""
    return _Combination.apply(_cast(x), _cast(weight), _cast(bias))  # type: ignore[no-any-return, no-untyped-call]


def rectify(x: torch.Tensor) -> torch.Tensor:
    """Apply ReLU in place."""
    return _Rectification.apply(x)  # type: ignore[no-any-return, no-untyped-call]


def concatenate(parts: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Concatenate tensors along the channels."""
    return _Concatenation.apply(*parts)  # type: ignore[no-any-return, no-untyped-call]


def pool(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return maxima of 2 x 2 x 2 voxels and their positions.

    The first window along an odd axis holds one voxel.

    Args:
        x: (B, C, I, J, K).

    Returns:
        Two tensors (B, C, ceil(I/2), ceil(J/2), ceil(K/2)), float and int64.
    """
    return _Pooling.apply(x)  # type: ignore[no-any-return, no-untyped-call]


class _Convolution(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return _channels_last(F.conv3d(x, weight, padding=1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        # The weights' gradient first: it alone needs the input, which is released before the
        # input's gradient is computed.
        x, weight = ctx.saved_tensors
        grad_x = grad_weight = None
        if ctx.needs_input_grad[1]:
            padded = (_lengthen(grad), _lengthen(x))
            grad_weight = _convolution_backward(*padded, weight, [False, True, False])[1]
            del padded
        x = x.new_empty(1).expand(x.shape)
        if ctx.needs_input_grad[0]:
            grad_x = _convolution_backward(grad, x, weight, [True, False, False])[0]
            grad_x = _channels_last(grad_x)
        return grad_x, grad_weight


class _Combination(Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return F.linear(x.movedim(1, -1), weight, bias).movedim(-1, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad = grad.movedim(1, -1)
        flat = grad.reshape(-1, weight.shape[0])
        grad_weight = flat.T @ x.movedim(1, -1).reshape(-1, weight.shape[1])
        del x
        return (grad @ weight).movedim(-1, 1), grad_weight, flat.sum(0)


class _Rectification(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        x.relu_()
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        off = x <= 0
        del x
        return grad.masked_fill(off, 0)


class _Concatenation(Function):
    @staticmethod
    def forward(ctx: Any, *parts: torch.Tensor) -> torch.Tensor:
        ctx.channels = [part.shape[1] for part in parts]
        return torch.cat(parts, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, ...]:
        # Copies, not views: a view for the skip connection would keep the whole tensor in memory
        # through all lower levels.
        parts = torch.split(grad, ctx.channels, 1)
        return tuple(_channels_last(part) for part in parts)


class _Pooling(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # Of an odd axis the window that lacks a voxel is the first, as padding is symmetric.
        ctx.odd = [n % 2 for n in x.shape[2:]]
        ctx.shape = x.shape
        pooled, where = F.max_pool3d(x, 2, padding=ctx.odd, return_indices=True)
        ctx.save_for_backward(where)
        ctx.mark_non_differentiable(where)
        return pooled, where

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        # Of the input only the shape is needed, though torch's own node stores all of it.
        (where,) = ctx.saved_tensors
        x = grad.new_empty(1).expand(ctx.shape)
        return torch.ops.aten.max_pool3d_with_indices_backward(  # type: ignore[no-any-return]
            grad, x, [2] * 3, [2] * 3, ctx.odd, [1] * 3, False, where
        )


def _convolution_backward(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, wanted: list[bool]
) -> Any:
    return torch.ops.aten.convolution_backward(grad, x, weight, None, *_SAME, wanted)


def _lengthen(x: torch.Tensor) -> torch.Tensor:
    """Add a third plane of zeros if the first axis has two.

    In bfloat16 torch 2.13 on processors computes such weight gradients wrongly, up to infinity.
    The convolution assumes zeros beyond the border anyway, so the gradient is the same.
    """
    if x.dtype is not torch.bfloat16 or x.shape[2] != 2:
        return x
    return _channels_last(F.pad(x, (0, 0, 0, 0, 0, 1)))


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    # Small convolutions on a processor come out channels first.
    return x.contiguous(memory_format=CHANNELS_LAST)


def _cast(x: torch.Tensor) -> torch.Tensor:
    """Cast as autocast would, which does not act inside custom functions."""
    device = x.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return x.to(torch.get_autocast_dtype(device))
    return x
