"""Spatial attention supervision (SegEarth-R2): where in its image the <seg> of each target looks.

Fast attention kernels keep no weights, so the rows of the <seg> tokens, and only those, are computed again from what
went into the chosen layers. Heads and layers are averaged, and the row is cut to the image's tokens and made to sum to
1: `geoagent.model.losses.spatial_attention` is about where a token looks, not about how much it looks at words.

Shapes: B sequences, S tokens, N targets, n of them in one sequence, Hv x Wv vision tokens, H heads of width h.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from geoagent.model.pipeline import PackedText


@dataclass(frozen=True)
class LayerInput:
    """What the attention of one layer was computed from."""

    attention: Any
    """The stock module: Qwen3-VL's normalises queries and keys, Qwen2.5-VL's does not."""
    hidden: Tensor
    """[B,S,D]."""
    cos: Tensor
    """[B,S,h], of the rotary positions."""
    sin: Tensor
    """[B,S,h]."""


@contextmanager
def watch_attention(mllm: Any, layers: Sequence[int]) -> Iterator[list[LayerInput]]:
    """Note what enters the attention of some layers of the language model while it reads inside the context."""
    seen: list[LayerInput] = []

    def note(attention: nn.Module, _: tuple[Any, ...], inputs: dict[str, Any]) -> None:
        seen.append(LayerInput(attention, inputs["hidden_states"], *inputs["position_embeddings"]))

    stack = mllm.model.language_model.layers
    hooks = [stack[i].self_attn.register_forward_pre_hook(note, with_kwargs=True) for i in layers]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def seg_attention(
    seen: Sequence[LayerInput], text: "PackedText", grids: Sequence[tuple[int, int]], image_token: int
) -> tuple[Tensor, ...] | None:
    """Where the token of each target looks: a map float32 [Hv,Wv] that sums to 1 for each of the N; None: unwatched."""
    if not seen:
        return None
    maps: list[Tensor | None] = [None] * len(text.image)
    for sequence in text.image.unique().tolist():
        targets = torch.nonzero(text.image == sequence).flatten()
        places = text.query_index[targets]
        visible = text.attention_mask[sequence, 0, places]
        rows = torch.stack([attention_rows(layer, sequence, places, visible) for layer in seen]).mean(dim=0)
        on_image = rows[:, text.input_ids[sequence] == image_token]
        share = on_image / on_image.sum(dim=1, keepdim=True).clamp(min=1e-9)
        for target, row in zip(targets.tolist(), share, strict=True):
            maps[target] = row.view(grids[sequence])
    return tuple(one for one in maps if one is not None)


def attention_rows(layer: LayerInput, sequence: int, places: Tensor, visible: Tensor) -> Tensor:
    """Attention weights float32 [n,S] of the tokens at ``places`` [n], averaged over heads.

    ``visible`` bool [n,S]: which tokens each of them may look at.
    """
    module, hidden, cos, sin = layer.attention, layer.hidden[sequence], layer.cos[sequence], layer.sin[sequence]
    query = module.q_proj(hidden[places]).unflatten(-1, (-1, module.head_dim))
    key = module.k_proj(hidden).unflatten(-1, (-1, module.head_dim))
    if hasattr(module, "q_norm"):
        query, key = module.q_norm(query), module.k_norm(key)
    query, key = _rotate(query, cos[places], sin[places]), _rotate(key, cos, sin)
    key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    scores = torch.einsum("nhd,shd->nhs", query, key).float() * module.scaling
    scores = scores.masked_fill(~visible[:, None], torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1).mean(dim=1)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions of ``x`` [S,H,h]."""
    first, second = x.chunk(2, dim=-1)
    return x * cos[:, None] + torch.cat([-second, first], dim=-1) * sin[:, None]
