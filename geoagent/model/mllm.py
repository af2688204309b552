"""The language model: Qwen3-VL or Qwen2.5-VL of transformers, driven by parts.

Images are encoded once (`encode_images`), the conversation up to the end of the image is read once (`read_prefix`) and
kept as keys and values; questions are read and answered behind it (`write_answers`). Training reads packed sequences
(`read_text`). Positions are always explicit, so nothing depends on what the stock classes remember of earlier calls.

Shapes: B sequences, S tokens, D the width of the language model, Hv x Wv the grid of vision tokens of an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    DynamicCache,
    PreTrainedConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLForConditionalGeneration,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from geoagent.model.tokens import AnswerGrammar, TokenIds

Mllm = Any
"""One of the stock classes below; transformers does not type them."""

_CLASSES = {"qwen3_vl": Qwen3VLForConditionalGeneration, "qwen2_5_vl": Qwen2_5_VLForConditionalGeneration}


def mllm_class(model_type: str) -> Any:
    """The stock class for a configuration's ``model_type``."""
    return _CLASSES[model_type]


def build_mllm(config: PreTrainedConfig) -> Mllm:
    """The stock model with random weights."""
    return with_patch_products(mllm_class(config.model_type)(config))


class PatchProduct(nn.Conv3d):
    """The convolution over patches as large as its kernel, as the product that it is.

    As a convolution its backward pass took a tenth of nano's training on a CPU.
    """

    def forward(self, patches: Tensor) -> Tensor:
        """[P,D,1,1,1] from [P,C,T,H,W]."""
        output = nn.functional.linear(patches.flatten(1), self.weight.flatten(1), self.bias)
        return output[:, :, None, None, None]


def with_patch_products(mllm: Mllm) -> Mllm:
    """The stock model, its patches embedded by `PatchProduct`."""
    mllm.model.visual.patch_embed.proj.__class__ = PatchProduct
    return mllm


@dataclass(frozen=True)
class VisionTokens:
    """What the vision tower says of each image of a batch.

    ``merged[i]`` is [Hv,Wv,D], in the language model's width; ``deepstack[level][i]`` is [Hv*Wv,D] (none in
    Qwen2.5-VL).
    """

    merged: tuple[Tensor, ...]
    deepstack: tuple[tuple[Tensor, ...], ...]

    @property
    def grids(self) -> list[tuple[int, int]]:
        """``(Hv, Wv)`` of each image."""
        return [(int(t.shape[0]), int(t.shape[1])) for t in self.merged]

    def pick(self, images: Sequence[int]) -> "VisionTokens":
        """The tokens of some images."""
        return VisionTokens(
            tuple(self.merged[i] for i in images),
            tuple(tuple(level[i] for i in images) for level in self.deepstack),
        )


@dataclass(frozen=True)
class Prefix:
    """An image that the language model has read: keys and values per layer, each [1,heads,P,head_dim]."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    next_position: int
    """Position of the first token behind the prefix (rotary positions of an image are not its token count)."""

    @property
    def length(self) -> int:
        """P, the number of tokens."""
        return int(self.keys[0].shape[2])


@dataclass(frozen=True)
class WrittenAnswer:
    """One answer, with the state at every token of the question and of the answer."""

    tokens: Tensor
    """int64 [T], without the token that ended it."""
    states: Tensor
    """[T,D], the state AT each of ``tokens``."""
    question_states: Tensor
    """[Q,D], the state at each token of the question."""
    decision_logits: Tensor
    """[n], logit of <seg> against <rej> at each decision, in order."""
    complete: bool
    """False when it ran into the limit of tokens."""


def encode_images(mllm: Mllm, pixel_values: Tensor, grid_thw: Tensor) -> VisionTokens:
    """Run the vision tower on the patches of a batch of images, as the stock image processor cuts them."""
    vision = mllm.model.visual
    merge = int(vision.spatial_merge_size)
    cells = [(int(h), int(w)) for _, h, w in grid_thw.tolist()]
    extra: dict[str, Any] = {}
    if mllm.config.model_type == "qwen3_vl" and len(set(cells)) == 1 and _takes_frames(vision):
        grid_thw, extra = _as_frames(len(cells), cells[0], grid_thw.device)
    output = vision(pixel_values.to(vision.dtype), grid_thw=grid_thw, **extra)
    grids = [(h // merge, w // merge) for h, w in cells]
    sizes = [h * w for h, w in grids]
    merged = output.pooler_output.split(sizes)
    levels = getattr(output, "deepstack_features", None) or ()
    return VisionTokens(
        tuple(tokens.unflatten(0, grid) for tokens, grid in zip(merged, grids, strict=True)),
        tuple(tuple(level.split(sizes)) for level in levels),
    )


def _as_frames(count: int, cells: tuple[int, int], device: torch.device) -> tuple[Tensor, dict[str, Any]]:
    """Images of one size as the frames of one clip, which Qwen3-VL's tower sees one by one: its grid and settings.

    The stock tower works out the positions of each image, and attends in it, by itself: thousands of small steps, in
    which a GPU mostly waits.
    """
    height, width = cells
    grid_thw = torch.tensor([[count, height, width]], device=device)
    # On the CPU, where the stock layers read it.
    return grid_thw, {"cu_seqlens": torch.tensor([0, count * height * width]), "frames": count}


def _takes_frames(vision: Any) -> bool:
    if vision.config._attn_implementation == "sdpa":
        vision.config._attn_implementation = _FRAMES
    return bool(vision.config._attn_implementation == _FRAMES)


def _attend_in_frames(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    frames: int = 1,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Attention of queries, keys and values [1,heads,frames*L,h], each frame by itself: [1,frames*L,heads,h]."""
    query, key, value = (x[0].unflatten(1, (frames, -1)).transpose(0, 1) for x in (query, key, value))
    output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
    return output.flatten(0, 1)[None], None


_FRAMES = "geoagent_frames"
ALL_ATTENTION_FUNCTIONS.register(_FRAMES, _attend_in_frames)


def token_positions(input_ids: Tensor, image_token: int, grid: tuple[int, int]) -> tuple[Tensor, int]:
    """Rotary positions [3,S] of a sequence [S] with at most one image, and the position that follows it.

    Words count on; the tokens of an image share one time and carry their row and column; what follows goes on behind
    the larger side of the image.
    """
    positions = torch.arange(len(input_ids), device=input_ids.device).expand(3, -1).clone()
    where = torch.nonzero(input_ids == image_token).flatten()
    if not len(where):
        return positions, len(input_ids)
    start, count = int(where[0]), len(where)
    height, width = grid
    if count != height * width:
        raise ValueError(f"{count} image tokens for a grid of {height} x {width}")
    index = torch.arange(count, device=input_ids.device)
    positions[0, start : start + count] = start
    positions[1, start : start + count] = start + index // width
    positions[2, start : start + count] = start + index % width
    after = len(input_ids) - start - count
    follow = start + max(height, width)
    positions[:, start + count :] = torch.arange(follow, follow + after, device=input_ids.device)
    return positions, follow + after


def read_text(
    mllm: Mllm,
    input_ids: Tensor,
    position_ids: Tensor,
    attention_mask: Tensor | None,
    *,
    vision: VisionTokens | None = None,
    cache: DynamicCache | None = None,
) -> Tensor:
    """Last-layer states [B,S,D] of ``input_ids`` [B,S] at ``position_ids`` [3,B,S].

    ``attention_mask`` is [B,past+S] (1 = there) or, for packed questions, additive [B,1,S,S]. ``vision`` fills the
    image tokens, image after image in the order of the sequences.
    """
    inner = mllm.model
    embeddings = inner.get_input_embeddings()(input_ids)
    extra: dict[str, Any] = {}
    if vision is not None:
        slots = input_ids == int(mllm.config.image_token_id)
        flat = torch.cat([tokens.flatten(0, 1) for tokens in vision.merged]).to(embeddings)
        embeddings = embeddings.masked_scatter(slots[..., None], flat)
        if vision.deepstack:
            extra["visual_pos_masks"] = slots
            extra["deepstack_visual_embeds"] = [torch.cat(level) for level in vision.deepstack]
    output = inner.language_model(
        input_ids=None,
        inputs_embeds=embeddings,
        position_ids=position_ids,
        attention_mask=attention_mask,
        past_key_values=cache,
        use_cache=cache is not None,
        **extra,
    )
    states: Tensor = output.last_hidden_state
    return states


def read_prefix(mllm: Mllm, input_ids: Tensor, vision: VisionTokens) -> Prefix:
    """Read one conversation [S] up to the end of its image and keep the keys and values."""
    positions, follow = token_positions(input_ids, int(mllm.config.image_token_id), vision.grids[0])
    cache = DynamicCache()
    read_text(mllm, input_ids[None], positions[:, None], None, vision=vision, cache=cache)
    return Prefix(tuple(layer.keys for layer in cache.layers), tuple(layer.values for layer in cache.layers), follow)


def join_prefixes(prefixes: Sequence[Prefix]) -> tuple[DynamicCache, Tensor]:
    """One cache for a batch of prefixes of any lengths, padded on the left, and its mask int64 [B,P]."""
    longest = max(p.length for p in prefixes)
    cache = DynamicCache()
    for layer in range(len(prefixes[0].keys)):
        keys = [nn.functional.pad(p.keys[layer], (0, 0, longest - p.length, 0)) for p in prefixes]
        values = [nn.functional.pad(p.values[layer], (0, 0, longest - p.length, 0)) for p in prefixes]
        cache.update(torch.cat(keys), torch.cat(values), layer)
    lengths = torch.tensor([p.length for p in prefixes], device=prefixes[0].keys[0].device)
    mask = (torch.arange(longest, device=lengths.device) >= longest - lengths[:, None]).long()
    return cache, mask


@torch.no_grad()
def write_answers(
    mllm: Mllm,
    prefixes: Sequence[Prefix],
    questions: Sequence[Tensor],
    grammars: Sequence[AnswerGrammar | None],
    ids: TokenIds,
    *,
    max_new_tokens: int,
) -> list[WrittenAnswer]:
    """Answer ``questions[i]`` (int64 [Qi]) behind ``prefixes[i]``, greedily, all at once.

    Without a grammar the answer is free text (the stock model's own). Each token is fed before the loop ends, so that
    its state exists. At a decision <seg> is fed whichever was chosen, see `query_input`.
    """
    device = prefixes[0].keys[0].device
    cache, prefix_mask = join_prefixes(prefixes)
    count, longest = len(questions), max(len(q) for q in questions)
    tokens = torch.full((count, longest), ids.stops[0], device=device)
    mask = torch.zeros_like(tokens)
    positions = torch.zeros_like(tokens)
    for row, question in enumerate(questions):
        tokens[row, longest - len(question) :] = question
        mask[row, longest - len(question) :] = 1
        positions[row, longest - len(question) :] = prefixes[row].next_position + torch.arange(
            len(question), device=device
        )
    mask = torch.cat([prefix_mask, mask], dim=1)
    drafts = [_Draft(grammar) for grammar in grammars]
    states = read_text(mllm, tokens, positions.expand(3, -1, -1), mask, cache=cache)
    question_states = states
    position = positions[:, -1]
    for _ in range(max_new_tokens):
        logits = mllm.lm_head(states[:, -1]).float()
        chosen = [draft.choose(row, ids) for draft, row in zip(drafts, logits, strict=True)]
        if all(draft.done for draft in drafts):
            break
        step = torch.tensor([[query_input(token, ids)] for token in chosen], device=device)
        mask = torch.cat([mask, torch.ones_like(step)], dim=1)
        position = position + 1
        states = read_text(mllm, step, position[None, :, None].expand(3, -1, -1), mask, cache=cache)
        for draft, state in zip(drafts, states[:, -1], strict=True):
            draft.keep(state)
    return [
        draft.finish(question_states[row, longest - len(question) :])
        for row, (draft, question) in enumerate(zip(drafts, questions, strict=True))
    ]


def query_input(token: int, ids: TokenIds) -> int:
    """What is fed back for a written token: <seg> for both decisions.

    Otherwise the state of a rejected target would carry the decision itself, and SAM2's object score would only repeat
    what the language model has said instead of looking at the image.
    """
    return ids.seg if token == ids.rej else token


class _Draft:
    """One answer while it is being written."""

    def __init__(self, grammar: AnswerGrammar | None) -> None:
        self.grammar = grammar
        self.tokens: list[int] = []
        self.states: list[Tensor] = []
        self.decisions: list[Tensor] = []
        self.done = False

    def choose(self, logits: Tensor, ids: TokenIds) -> int:
        """The next token from ``logits`` [V]; a finished answer repeats its end."""
        if self.done:
            return ids.stops[0]
        token = int(logits.argmax()) if self.grammar is None else self._choose_by_grammar(logits, self.grammar, ids)
        if token in ids.stops:
            self.done = True
        else:
            self.tokens.append(token)
        return token

    def _choose_by_grammar(self, logits: Tensor, grammar: AnswerGrammar, ids: TokenIds) -> int:
        if grammar.deciding:
            self.decisions.append(logits[ids.seg] - logits[ids.rej])
        allowed = grammar.allowed()
        if allowed is None:
            logits = logits.clone()
            logits[list(grammar.banned())] = -torch.inf
            token = int(logits.argmax())
        elif not allowed:
            token = ids.stops[0]
        else:
            token = allowed[int(logits[list(allowed)].argmax())]
        if grammar.must_open(token):
            token = ids.open
        grammar.advance(token)
        return token

    def keep(self, state: Tensor) -> None:
        """Take the state at the token just fed."""
        if len(self.states) < len(self.tokens):
            self.states.append(state)

    def finish(self, question_states: Tensor) -> WrittenAnswer:
        """The answer as it stands."""
        device, width = question_states.device, question_states.shape[-1]
        return WrittenAnswer(
            tokens=torch.tensor(self.tokens, dtype=torch.long, device=device),
            states=torch.stack(self.states) if self.states else question_states.new_zeros(0, width),
            question_states=question_states,
            decision_logits=torch.stack(self.decisions) if self.decisions else question_states.new_zeros(0),
            complete=self.done,
        )
