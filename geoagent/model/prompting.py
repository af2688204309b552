"""GPG: learned tokens read the grounding and become prompts for SAM2.

One dense and Np sparse tokens attend to themselves, to H_f and to H_l. The sparse ones become point-like prompts; the
dense one, multiplied with H_f, becomes a coarse map of where the target is, supervised by the mask, that SAM2 receives
as a mask prompt.

Shapes: N targets, Np sparse tokens, Hv x Wv vision tokens, He x We SAM2's coarsest map, d grounding, P prompt width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoagent.model.attention import CrossAttention, FeedForward, ZeroConv
from geoagent.model.configuration import PromptingConfig
from geoagent.model.grounding import Grounding


@dataclass(frozen=True)
class GroundedPrompts:
    """What SAM2 is asked with."""

    sparse: Tensor
    """[N,Np,P]."""
    dense: Tensor | None
    """[N,P,He,We], to be added to SAM2's ``no_mask_embed``; None: nothing."""
    coarse: Tensor | None
    """[N,Hv,Wv] logits of where the target is, on the grid of the vision tokens."""


class PromptBlock(nn.Module):
    """Self-attention, attention to H_f, attention to H_l, feed-forward; pre-norm."""

    def __init__(self, config: PromptingConfig, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(4)])
        self.among_tokens = CrossAttention(width, config.heads)
        self.to_visual = CrossAttention(width, config.heads)
        self.to_words = CrossAttention(width, config.heads)
        self.feed = FeedForward(width, config.feed_ratio)

    def forward(self, tokens: Tensor, grounding: Grounding) -> Tensor:
        """``tokens`` [N,1+Np,d] after one round of reading."""
        normed = self.norms[0](tokens)
        tokens = tokens + self.among_tokens(normed, normed)
        tokens = tokens + self.to_visual(self.norms[1](tokens), grounding.visual.flatten(1, 2))
        tokens = tokens + self.to_words(self.norms[2](tokens), grounding.words, grounding.mask)
        return tokens + self.feed(self.norms[3](tokens))


class MaskPrompt(nn.Module):
    """A map at four times He x We becomes a dense prompt, as in SAM2's own mask prompt encoder."""

    def __init__(self, prompt_width: int, channels: int = 16) -> None:
        super().__init__()
        self.shrink = nn.Conv2d(1, channels // 4, kernel_size=2, stride=2)
        self.norm_shrink = nn.GroupNorm(1, channels // 4)
        self.shrink_again = nn.Conv2d(channels // 4, channels, kernel_size=2, stride=2)
        self.norm_again = nn.GroupNorm(1, channels)
        # SAM2 starts from its own behaviour: the coarse map adds nothing until this layer has learned.
        self.project = ZeroConv(channels, prompt_width, kernel_size=1)

    def forward(self, logits: Tensor, size: tuple[int, int], fine: Tensor | None = None) -> Tensor:
        """[N,Hv,Wv] logits, and finer ones of four times ``size``, to [N,P,*size]."""
        canvas = (4 * size[0], 4 * size[1])
        x = functional.interpolate(logits[:, None], size=canvas, mode="bilinear", align_corners=False)
        if fine is not None:
            x = x + fine[:, None]
        x = functional.gelu(self.norm_shrink(self.shrink(x)))
        x = functional.gelu(self.norm_again(self.shrink_again(x)))
        return self.project(x)


class Gpg(nn.Module):
    """The prompting stage."""

    def __init__(self, config: PromptingConfig, width: int, text_width: int, prompt_width: int) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Parameter(torch.empty(1 + config.sparse_tokens, width))
        self.blocks = nn.ModuleList([PromptBlock(config, width) for _ in range(config.blocks)])
        self.norm = nn.LayerNorm(width)
        self.to_sparse = _mlp(width, width, prompt_width)
        if config.dense:
            self.to_map = _mlp(width, width, width)
            self.map_bias = nn.Parameter(torch.empty(1))
            self.mask_prompt = MaskPrompt(prompt_width)
        if config.query_map:
            self.query_to_map = _mlp(text_width, width, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The learned tokens; layers reset themselves."""
        nn.init.normal_(self.tokens, std=0.02)
        if self.config.dense:
            nn.init.constant_(self.map_bias, -2.0)  # most of an image is not the target

    def forward(
        self, grounding: Grounding, state: Tensor, size: tuple[int, int], fine: Tensor | None = None
    ) -> GroundedPrompts:
        """Prompts from the grounding, the state [N,D] at <seg> and the pixel map; ``size`` is SAM2's ``(He, We)``."""
        tokens = self._read(grounding)
        sparse = self.to_sparse(tokens[:, 1:])
        coarse = self._coarse_map(tokens[:, 0], grounding, state)
        dense = self.mask_prompt(coarse, size, fine) if coarse is not None and self.config.dense else None
        return GroundedPrompts(sparse, dense, coarse)

    def locate(self, grounding: Grounding, state: Tensor) -> Tensor | None:
        """Only the coarse map [N,Hv,Wv], for which nothing of SAM2 is needed; None: switched off."""
        return self._coarse_map(self._read(grounding)[:, 0], grounding, state)

    def _read(self, grounding: Grounding) -> Tensor:
        """The tokens [N,1+Np,d], once they have read the grounding."""
        tokens = self.tokens.expand(grounding.visual.shape[0], -1, -1)
        for block in self.blocks:
            tokens = block(tokens, grounding)
        normed: Tensor = self.norm(tokens)
        return normed

    def _coarse_map(self, dense_token: Tensor, grounding: Grounding, state: Tensor) -> Tensor | None:
        scale = grounding.visual.shape[-1] ** -0.5
        coarse: Tensor | None = None
        if self.config.dense:
            coarse = torch.einsum("nhwd,nd->nhw", grounding.visual, self.to_map(dense_token)) * scale + self.map_bias
        if self.config.query_map:
            from_state = torch.einsum("nhwd,nd->nhw", grounding.vision, self.query_to_map(state)) * scale
            coarse = from_state if coarse is None else coarse + from_state
        return coarse


def _mlp(width_in: int, width: int, width_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width_in, width), nn.GELU(), nn.Linear(width, width_out))
