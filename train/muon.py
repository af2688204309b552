"""AdamW in which the steps of matrices are made orthogonal (Muon, Keller Jordan 2024): fewer steps from scratch.

The momentum of a matrix is replaced by the nearest orthogonal one, found by a few products (Newton-Schulz), and scaled
so that its entries are as large as AdamW's would be (Liu et al. 2025, arXiv:2502.16982): one learning rate serves both.
torch's own Muon works in bfloat16, which processors without it compute very slowly, and takes matrices only.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

_QUINTIC = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5
_RMS = 0.2
"""Of AdamW's steps, in units of the learning rate."""
_MOMENTUM = 0.95


def orthogonal(matrix: Tensor) -> Tensor:
    """``matrix`` [m,n] with all its singular values near 1."""
    a, b, c = _QUINTIC
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(_ROUNDS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.T


class Muon(AdamW):
    """AdamW, with groups of parameters marked ``orthogonal`` stepped by Muon; convolutions count as matrices."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step."""
        matrices = [group for group in self.param_groups if group.get("orthogonal")]
        for group in matrices:
            for parameter in group["params"]:
                # What a stage leaves out has a gradient of zero. Its old momentum would be stretched to a full step.
                if parameter.grad is not None and parameter.grad.any():
                    self._turn(parameter, parameter.grad, group)
        kept = self.param_groups
        self.param_groups = [group for group in kept if not group.get("orthogonal")]
        try:
            return super().step(closure)
        finally:
            self.param_groups = kept

    def _turn(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
            state["step"] = torch.zeros(())  # AdamW looks for it when a checkpoint is read
        momentum = state["momentum"].lerp_(gradient, 1 - _MOMENTUM)
        update = gradient.lerp(momentum, _MOMENTUM).flatten(1)
        update = orthogonal(update) * _RMS * max(update.shape) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update.view_as(parameter), alpha=-group["lr"])
