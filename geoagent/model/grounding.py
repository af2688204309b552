"""ASCR: words and pixels find each other, and the structure of the one is held against that of the other.

SGSRF's Cross-modal Consistency Refinement (Remote Sens. 2026, 18(7), 1015), for N targets at once:

    CLSM   context tokens C from the pooled words; U = [L ; C]; self-attention gives A_uu and H1
    BCMI   words look at the image (H_u), then the image looks at the words (A_fu, H_f)
    VTRSC  C_uu: which words look at the same places, cosines between the columns of A_fu
    SCR    compares A_uu with C_uu: `geoagent.model.losses.structural_consistency`

Shapes: N targets, Nt words, Ng context tokens, Hv x Wv vision tokens, D the language model's width, d ours.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoagent.model.attention import AttentionMap, CrossAttention, FeedForward, sine_positions
from geoagent.model.configuration import GroundingConfig


@dataclass(frozen=True)
class TargetQueries:
    """What the language model says of each target."""

    words: Tensor
    """[N,Nt,D] states of the user's words, the phrase and its token, padded at the end."""
    mask: Tensor
    """bool [N,Nt], which of ``words`` are there."""
    state: Tensor
    """[N,D] the state at <seg> or <rej>."""
    image: Tensor
    """int64 [N], the image that each target belongs to."""
    task: Tensor | None = None
    """int64 [N], see `geoagent.model.tasks.Task`; None: all referring."""

    def __post_init__(self) -> None:
        if self.words.ndim != 3 or self.mask.shape != self.words.shape[:2] or self.state.shape[0] != len(self.image):
            raise ValueError(
                f"queries do not fit together: words {list(self.words.shape)}, mask {list(self.mask.shape)}, "
                f"state {list(self.state.shape)}, image {list(self.image.shape)}"
            )

    def __len__(self) -> int:
        return int(self.image.shape[0])

    def pick(self, targets: Tensor) -> "TargetQueries":
        """Some of the targets, by index [n]."""
        words, mask, state = self.words[targets], self.mask[targets], self.state[targets]
        return TargetQueries(words, mask, state, self.image[targets], self.tasks[targets])

    @property
    def tasks(self) -> Tensor:
        """int64 [N], ``task`` or its default."""
        return torch.zeros_like(self.image) if self.task is None else self.task

    @property
    def last(self) -> Tensor:
        """int64 [N], the place of each target's own state among its words."""
        return self.mask.sum(dim=1) - 1

    def with_state(self, state: Tensor) -> "TargetQueries":
        """The same with another state [N,D], among the words as well."""
        places = torch.arange(self.words.shape[1], device=self.words.device)
        words = torch.where((places == self.last[:, None])[..., None], state[:, None], self.words)
        return replace(self, words=words, state=state)


@dataclass(frozen=True)
class Grounding:
    """What ASCR found for N targets."""

    vision: Tensor
    """F [N,Hv,Wv,d], the image's tokens as projected, before any words."""
    visual: Tensor
    """H_f [N,Hv,Wv,d], the image as the words see it."""
    words: Tensor
    """H_l [N,Nt,d]."""
    mask: Tensor
    """bool [N,Nt]."""
    cues: Tensor | None
    """G [N,Ng,d], None without CLSM."""
    word_attention: Tensor | None
    """A_uu [N,Nt,Nt] averaged over heads, the words' block; None unless SCR is on."""
    word_overlap: Tensor | None
    """C_uu [N,Nt,Nt]; None unless SCR is on."""
    image_attention: Tensor | None
    """A_fu [N,Hv,Wv,Nt], where the image looks at each word; None without BCMI."""


class Ascr(nn.Module):
    """The grounding stage."""

    def __init__(self, config: GroundingConfig, text_width: int) -> None:
        super().__init__()
        self.config = config
        d = config.width
        self.project_vision = nn.Sequential(nn.Linear(text_width, d), nn.LayerNorm(d))
        self.project_words = nn.Sequential(nn.Linear(text_width, d), nn.LayerNorm(d))
        if config.clsm:
            self.context = nn.Parameter(torch.empty(config.context_tokens, d))
            self.pool = nn.Linear(d, d)
            self.norm_words = nn.LayerNorm(d)
            self.self_attention = AttentionMap(d, config.heads)
        self.norm_answer = nn.LayerNorm(d)
        if config.bcmi:
            self.norm_query = nn.LayerNorm(d)
            self.words_to_image = CrossAttention(d, config.heads)
            self.norm_words_feed = nn.LayerNorm(d)
            self.feed_words = FeedForward(d, config.feed_ratio)
        self.image_to_words = AttentionMap(d, config.heads)
        self.norm_image = nn.LayerNorm(d)
        self.norm_image_feed = nn.LayerNorm(d)
        self.feed_image = FeedForward(d, config.feed_ratio)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The context tokens; layers reset themselves."""
        if self.config.clsm:
            nn.init.normal_(self.context, std=0.02)

    def forward(self, queries: TargetQueries, vision: Tensor) -> Grounding:
        """Ground ``queries`` in ``vision`` [N,Hv,Wv,D], the tokens of each target's image."""
        _, height, width, _ = vision.shape
        F = self.project_vision(vision).flatten(1, 2)
        F = F + sine_positions(height, width, F.shape[-1], F.device, F.dtype)
        L = self.project_words(queries.words)
        words, mask, word_attention = self._structure(L, queries.mask)
        if self.config.bcmi:
            words = words + self.words_to_image(self.norm_query(words), F)
            words = words + self.feed_words(self.norm_words_feed(words))
        attended, image_attention = self.image_to_words(self.norm_image(F), self.norm_answer(words), mask)
        H_f = F + attended  # pre-norm residuals: without them H_f is a mixture of words alone (docs/decisions.md)
        H_f = H_f + self.feed_image(self.norm_image_feed(H_f))
        nt = L.shape[1]
        word_columns = image_attention[..., :nt]
        return Grounding(
            vision=F.unflatten(1, (height, width)),
            visual=H_f.unflatten(1, (height, width)),
            words=words[:, :nt],
            mask=queries.mask,
            cues=words[:, nt:] if self.config.clsm else None,
            word_attention=word_attention[:, :nt, :nt] if self.config.scr and word_attention is not None else None,
            word_overlap=word_overlap(word_columns) if self.config.scr else None,
            image_attention=word_columns.unflatten(1, (height, width)) if self.config.bcmi else None,
        )

    def _structure(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """CLSM: [L ; C] after self-attention, its mask, and A_uu."""
        if not self.config.clsm:
            return words, mask, None
        weights = mask[..., None].to(words.dtype)
        pooled = (words * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
        C = self.pool(pooled)[:, None] + self.context
        U = torch.cat([words, C], dim=1)
        mask = functional.pad(mask, (0, C.shape[1]), value=True)
        normed = self.norm_words(U)
        attended, weights_uu = self.self_attention(normed, normed, mask)
        return U + attended, mask, weights_uu


def word_overlap(attention: Tensor) -> Tensor:
    """VTRSC: C_uu [N,Nt,Nt] from A_fu [N,Ni,Nt], the cosine between the places that two words are seen at."""
    columns = functional.normalize(attention, dim=1, eps=1e-6)
    return columns.transpose(1, 2) @ columns
