"""TATE (UniGeoSeg): the words of a target are enhanced in the way that its task needs.

With E the words and q learned queries, all in our width:

    referring     c = softmax(q·Eᵀ/√d) E            one query picks the words that count
    reasoning     c = the mean of this over several queries
    interactive   c = Fusion(E, Proj(coordinates))  the words learn where the person pointed
    words ← words + W_0 LayerNorm(Dropout(c + E W_G))

The paper replaces the words; here they are added to, and W_0 starts at zero, so that a trained model starts as it was.

Shapes: N targets, Nt words, K marks, D the language model's width, d ours.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoagent.model.attention import ZeroLinear
from geoagent.model.grounding import TargetQueries
from geoagent.model.sam import PersonPrompts
from geoagent.model.tasks import Task

_REASONING_QUERIES = 4
_KINDS_OF_MARKS = 4  # not on it, on it, two corners of a box: see `PersonPrompts.labels`


class TextEnhancement(nn.Module):
    """Text enhancement by task."""

    def __init__(self, text_width: int, width: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.read = nn.Linear(text_width, width)
        self.queries = nn.Parameter(torch.empty(1 + _REASONING_QUERIES, width))
        self.coordinates = nn.Sequential(nn.Linear(2 + _KINDS_OF_MARKS, width), nn.GELU(), nn.Linear(width, width))
        self.fuse = nn.Linear(2 * width, width)
        self.mix = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)
        self.write = ZeroLinear(width, text_width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The learned queries; layers reset themselves."""
        nn.init.normal_(self.queries, std=0.02)

    def forward(self, queries: TargetQueries, vision: Tensor, person: PersonPrompts | None) -> TargetQueries:
        """``queries`` with enhanced words, their state among them."""
        E = self.read(queries.words)
        picked = pick_words(self.queries, E, queries.mask)
        task = queries.tasks[:, None, None]
        context = torch.where(task == Task.REASONING, picked[:, 1:].mean(dim=1, keepdim=True), picked[:, :1])
        context = torch.where(task == Task.INTERACTIVE, self._fused(E, person), context)
        words = queries.words + self.write(self.norm(self.dropout(context + self.mix(E))))
        words = words * queries.mask[..., None]
        own = torch.arange(len(queries), device=words.device), queries.last
        return replace(queries, words=words, state=words[own])

    def _fused(self, words: Tensor, person: PersonPrompts | None) -> Tensor:
        """[N,Nt,d] of the words [N,Nt,d] and the mean of the marks; an outline alone has none."""
        if person is None:
            place = torch.zeros_like(words[:, 0])
        else:
            labels = person.labels.to(words.device)
            kinds = functional.one_hot(labels.long().clamp(min=0), _KINDS_OF_MARKS)
            marks = self.coordinates(torch.cat([person.points.to(words), kinds.to(words)], dim=-1))
            there = (labels >= 0)[..., None].to(words)
            place = (marks * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)
        return self.fuse(torch.cat([words, place[:, None].expand_as(words)], dim=-1))


def pick_words(queries: Tensor, words: Tensor, mask: Tensor) -> Tensor:
    """softmax(q·Eᵀ/√d) E over the words that are there: [N,q,d] from [q,d], [N,Nt,d] and bool [N,Nt]."""
    scores = queries @ words.transpose(1, 2) * words.shape[-1] ** -0.5
    scores = scores.masked_fill(~mask[:, None], torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1) @ words
