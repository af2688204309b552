"""The description query (SegEarth-R1): no special token asks for the mask, the instruction itself does.

The D-Projector reads the mean state t of the instruction and the image:

    L = W_t t;  L ← L + Attention(Q = L, K = V = [V ; L]);  L ← L + FeedForward(L);  query = W_s [W_o t ; LayerNorm(L)]

The published code also sends the single words H through this layer, but reads off the place of t only, and its keys
hold t only besides the image: with one layer the words cannot change the result, so they are left out.

The query takes the place of the <seg> state behind the words, so that grounding and prompting stay as they are. One
question has one mask here: all that it asks for. Whether it is there is for SAM2's object score to say.

Shapes: N targets, Nt words, D the language model's width, d ours, Hv x Wv vision tokens.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from geoagent.model.attention import CrossAttention, FeedForward
from geoagent.model.grounding import TargetQueries
from geoagent.model.sam import PersonPrompts
from geoagent.model.tokens import plain_answer
from geoagent.types import LabelledTarget, Sample


class DescriptionProjector(nn.Module):
    """The D-Projector."""

    def __init__(self, text_width: int, width: int, heads: int, feed_ratio: int) -> None:
        super().__init__()
        self.read_mean = nn.Linear(text_width, width)
        self.read_image = nn.Linear(text_width, width)
        self.norm_mean = nn.LayerNorm(width)
        self.norm_image = nn.LayerNorm(width)
        self.attention = CrossAttention(width, heads)
        self.norm_feed = nn.LayerNorm(width)
        self.feed = FeedForward(width, feed_ratio)
        self.norm = nn.LayerNorm(width)
        self.keep_mean = nn.Linear(text_width, width)
        self.join = nn.Linear(2 * width, text_width)

    def forward(self, queries: TargetQueries, vision: Tensor, person: PersonPrompts | None) -> TargetQueries:
        """``queries`` whose state is the mean of their words, with the query from ``vision`` [N,Hv,Wv,D] behind."""
        latent = self.read_mean(queries.state)[:, None]
        normed = self.norm_mean(latent)
        seen = torch.cat([self.norm_image(self.read_image(vision).flatten(1, 2)), normed], dim=1)
        latent = latent + self.attention(normed, seen)
        latent = latent + self.feed(self.norm_feed(latent))
        query = self.join(torch.cat([self.keep_mean(queries.state), self.norm(latent)[:, 0]], dim=-1))
        words = functional.pad(queries.words, (0, 0, 0, 1))
        count = queries.mask.sum(dim=1, keepdim=True)
        mask = torch.arange(words.shape[1], device=count.device) <= count
        return replace(queries, words=words, mask=mask).with_state(query)


def mean_state(words: Tensor, mask: Tensor) -> Tensor:
    """t [N,D], the mean of the words [N,Nt,D] that are there."""
    weight = mask[..., None].to(words.dtype)
    return (words * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


def as_description(sample: Sample) -> Sample:
    """The sample as one question with one mask and an answer without marks; nothing to segment is an empty mask."""
    targets = sample.targets
    size = sample.image.shape[:2]
    mask = np.any([t.mask for t in targets], axis=0) if targets else np.zeros(size, dtype=np.bool_)
    unknown = [t.ignore for t in targets if t.ignore is not None]
    objects = [thing for t in targets for thing in t.instances or ()]
    classes = {t.class_name for t in targets}
    united = LabelledTarget(
        phrase=", ".join(t.phrase for t in targets),
        mask=mask,
        ignore=np.any(unknown, axis=0) & ~mask if unknown else None,
        instances=tuple(replace(thing, id=i) for i, thing in enumerate(objects, start=1))
        if all(t.instances for t in targets if t.present)
        else None,
        class_name=classes.pop() if len(classes) == 1 else None,
        scorable=all(t.scorable for t in targets),
    )
    answer = united.phrase if sample.answer is None else plain_answer(sample.answer)
    return replace(sample, targets=(united,), answer=answer)
