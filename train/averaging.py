"""An average of the weights over the last steps: steadier than the weights themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of the trained parameters, float32. What is evaluated and shipped."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.average = {n: p.detach().float().clone() for n, p in module.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the weights after ``step``; early on the average follows faster."""
        decay = min(self.decay, (1 + step) / (10 + step))
        weights = {name: p.detach().float() for name, p in module.named_parameters() if name in self.average}
        torch._foreach_lerp_([self.average[name] for name in weights], list(weights.values()), 1 - decay)

    @contextmanager
    def instead(self, module: nn.Module) -> Iterator[None]:
        """The average in place of the weights while the block runs."""
        kept = self._put(module, self.average)
        try:
            yield
        finally:
            self._put(module, kept)

    @torch.no_grad()
    def _put(self, module: nn.Module, values: dict[str, Tensor]) -> dict[str, Tensor]:
        before = {}
        for name, parameter in module.named_parameters():
            if name in values:
                before[name] = parameter.detach().clone()
                parameter.copy_(values[name].to(parameter.dtype))
        return before

    def load(self, average: dict[str, Tensor]) -> None:
        """Take over what a checkpoint holds."""
        self.average = {name: average[name].to(value) for name, value in self.average.items()}
