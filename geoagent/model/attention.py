"""Attention of the stages between the two stock models.

`CrossAttention` is the usual multi-head attention; `AttentionMap` also returns its weights, which ASCR compares.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class CrossAttention(nn.Module):
    """Multi-head attention from ``queries`` [N,Q,width] to ``context`` [N,K,context_width]."""

    def __init__(self, width: int, heads: int, context_width: int | None = None) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"a width of {width} does not divide into {heads} heads")
        self.heads = heads
        self.to_query = nn.Linear(width, width)
        self.to_key = nn.Linear(context_width or width, width)
        self.to_value = nn.Linear(context_width or width, width)
        self.to_output = nn.Linear(width, width)

    def forward(self, queries: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """``mask`` bool [N,K]: which of the context is there. Returns [N,Q,width]."""
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.to_query, queries), (self.to_key, context), (self.to_value, context))
        )
        where = None if mask is None else mask[:, None, None, :]
        output = functional.scaled_dot_product_attention(query, key, value, attn_mask=where)
        return self.to_output(output.transpose(1, 2).flatten(2))


class AttentionMap(CrossAttention):
    """The same, returning its weights averaged over heads as well: [N,Q,width] and [N,Q,K]."""

    def forward(self, queries: Tensor, context: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """As `CrossAttention.forward`, with the weights."""
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.to_query, queries), (self.to_key, context), (self.to_value, context))
        )
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=-1)
        output = (weights @ value).transpose(1, 2).flatten(2)
        return self.to_output(output), weights.mean(dim=1)


class ZeroLinear(nn.Linear):
    """A linear layer that starts, and is reset, at zero: it changes nothing in a stock model until it has learned."""

    def reset_parameters(self) -> None:
        """Zeros."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


class ZeroConv(nn.Conv2d):
    """The same for a convolution."""

    def reset_parameters(self) -> None:
        """Zeros."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


class FeedForward(nn.Sequential):
    """The usual two-layer network, ``ratio`` times as wide inside."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__(nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width))


def sine_positions(height: int, width: int, channels: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Sine position code [height*width,channels] of a grid in normalised image coordinates."""
    frequencies = 2.0 ** torch.arange(channels // 4, device=device) * torch.pi / 2
    rows = (torch.arange(height, device=device) + 0.5) / height
    columns = (torch.arange(width, device=device) + 0.5) / width
    y = rows[:, None, None].expand(height, width, 1) * frequencies
    x = columns[None, :, None].expand(height, width, 1) * frequencies
    code = torch.cat([y.sin(), y.cos(), x.sin(), x.cos()], dim=-1).flatten(0, 1)
    return functional.pad(code, (0, channels - code.shape[-1])).to(dtype)
