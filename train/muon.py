"""AdamW in which the steps of matrices are made orthogonal (Muon, Keller Jordan 2024): fewer steps from scratch.

The momentum of a matrix is replaced by the nearest orthogonal one, found by a few products (Newton-Schulz), and scaled
so that its entries are as large as AdamW's would be (Liu et al. 2025, arXiv:2502.16982): one learning rate serves both.
torch's own Muon works in bfloat16, which processors without it compute very slowly, and takes matrices only; here
the caller says where it pays.
"""

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

_QUINTIC = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5
_RMS = 0.2
"""Of AdamW's steps, in units of the learning rate."""
_MOMENTUM = 0.95


def orthogonal(matrices: Tensor, dtype: torch.dtype = torch.float) -> Tensor:
    """``matrices`` [...,m,n] with all their singular values near 1, found in ``dtype``."""
    a, b, c = _QUINTIC
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x = matrices if wide else matrices.mT
    x = (x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)).to(dtype)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide else x.mT).to(matrices.dtype)


class Muon(AdamW):
    """AdamW, with groups of parameters marked ``orthogonal`` stepped by Muon; convolutions count as matrices."""

    def __init__(self, groups: Any, *, products: torch.dtype = torch.float, **settings: Any) -> None:
        """``products`` is the type in which the matrices are multiplied; the rest is AdamW's."""
        super().__init__(groups, **settings)
        self._products = products

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step."""
        for group in self.param_groups:
            if group.get("orthogonal"):
                for parameters in _alike(group["params"]):
                    self._turn(parameters, group)
        kept = self.param_groups
        self.param_groups = [group for group in kept if not group.get("orthogonal")]
        try:
            return super().step(closure)
        finally:
            self.param_groups = kept

    def _turn(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """Step matrices of one shape together: a GPU takes hardly longer for twenty than for one."""
        for parameter in parameters:
            if "momentum" not in self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
                self.state[parameter]["step"] = torch.zeros(())  # AdamW looks for it when a checkpoint is read
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        momenta = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - _MOMENTUM)
        updates = torch.stack(torch._foreach_lerp(gradients, momenta, _MOMENTUM)).flatten(2)
        updates = orthogonal(updates, self._products) * (_RMS * max(updates.shape[1:]) ** 0.5)
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, list(updates.view(-1, *parameters[0].shape)), alpha=-group["lr"])


def _alike(parameters: list[Tensor]) -> list[list[Tensor]]:
    """Those that have a gradient, by shape.

    What a stage leaves out has a gradient of zero. Its old momentum would be stretched to a full step.
    """
    given = [(parameter, parameter.grad) for parameter in parameters if parameter.grad is not None]
    groups: dict[torch.Size, list[Tensor]] = defaultdict(list)
    if given:
        # One look at the GPU for all of them.
        sizes = torch.stack(torch._foreach_norm([gradient for _, gradient in given], torch.inf)).tolist()
        for (parameter, _), size in zip(given, sizes, strict=True):
            if size:
                groups[parameter.shape].append(parameter)
    return list(groups.values())
