"""LKM (UniGeoSeg): a few latent vectors remember what the training questions had in common.

w = softmax(M·h/√D), h ← (1 − λ) h + λ Σ w M. A person who points needs no such knowledge: λ is 0 there. The paper
prints no √D; without it the states of a large language model, whose norms grow with the root of their width, would
always pick a single vector.

Shapes: N targets, D the language model's width.
"""

import torch
from torch import Tensor, nn

from geoagent.model.grounding import TargetQueries
from geoagent.model.sam import PersonPrompts
from geoagent.model.tasks import Task

SHARES = {Task.REFERRING: 0.2, Task.REASONING: 0.2, Task.INTERACTIVE: 0.0}
"""λ of each task."""


class LatentMemory(nn.Module):
    """The latent knowledge memory."""

    def __init__(self, count: int, text_width: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(count, text_width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The vectors."""
        nn.init.normal_(self.vectors, std=0.02)

    def forward(self, queries: TargetQueries, vision: Tensor, person: PersonPrompts | None) -> TargetQueries:
        """``queries`` whose state is mixed with what is remembered."""
        state = queries.state
        weights = (state @ self.vectors.T * state.shape[-1] ** -0.5).softmax(dim=-1)
        share = state.new_tensor([SHARES[task] for task in Task])[queries.tasks][:, None]
        return queries.with_state((1 - share) * state + share * (weights @ self.vectors))
