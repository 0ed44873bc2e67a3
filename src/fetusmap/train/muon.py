"""Muon for convolutions: an optimiser with momentum whose updates are orthogonalised.

After Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the
scale of Liu et al., "Muon is scalable for LLM training" (2025, eq. 4), which lets it share the
learning rate of Adam. torch's own `Muon` takes matrices only; here a kernel of shape
(out, in, 3, 3, 3) is the matrix (out, 27 in). All other parameters are updated by Adam.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Muon for kernels, Adam for biases, norms, and the first layer, with one learning rate.

    Args:
        parameters: parameters of the network.
        learning_rate: learning rate of both.
        weight_decay: decoupled weight decay of the kernels.
        momentum: Nesterov momentum of the kernels' gradients.
        betas: betas of Adam.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        defaults = {
            "lr": learning_rate,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "betas": betas,
        }
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change the parameters by one step."""
        if closure is not None:
            raise NotImplementedError
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if _is_kernel(parameter):
                    self._step_kernel(parameter, group)
                else:
                    self._step_adam(parameter, group)

    def _step_kernel(self, kernel: nn.Parameter, group: dict[str, Any]) -> None:
        state = self.state[kernel]
        if not state:
            state["momentum"] = torch.zeros_like(kernel)
        gradient = kernel.grad
        assert gradient is not None  # noqa: S101 - `step` has checked
        state["momentum"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(state["momentum"], group["momentum"])
        # Channels last, as the memory lies: the reshape copies nothing.
        last = ahead.permute(0, 2, 3, 4, 1)
        matrix = orthogonalize(last.reshape(len(kernel), -1))
        update = matrix.reshape(last.shape).permute(0, 4, 1, 2, 3)
        kernel.mul_(1 - group["lr"] * group["weight_decay"])
        kernel.add_(update, alpha=-group["lr"] * 0.2 * max(matrix.shape) ** 0.5)

    def _step_adam(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["first"] = torch.zeros_like(parameter)
            state["second"] = torch.zeros_like(parameter)
            state["count"] = torch.zeros(())
        gradient = parameter.grad
        assert gradient is not None  # noqa: S101 - `step` has checked
        state["count"] += 1
        count = int(state["count"])
        low, high = group["betas"]
        state["first"].lerp_(gradient, 1 - low)
        state["second"].mul_(high).addcmul_(gradient, gradient, value=1 - high)
        deviation = (state["second"] / (1 - high**count)).sqrt_().add_(1e-8)
        parameter.addcdiv_(state["first"], deviation, value=-group["lr"] / (1 - low**count))


def orthogonalize(matrix: torch.Tensor) -> torch.Tensor:
    """Return a matrix with the same singular vectors and singular values near 1 (0.7 to 1.2).

    Five Newton-Schulz iterations of degree five (Jordan et al. 2024), in bfloat16.

    Args:
        matrix: (M, N).
    """
    a, b, c = COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide.bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    found: torch.Tensor = (x if wide is matrix else x.T).to(matrix.dtype)
    return found


def _is_kernel(parameter: nn.Parameter) -> bool:
    """Return whether a parameter is the kernel of a convolution over several channels."""
    return parameter.ndim == 5 and parameter.shape[1] > 1
