"""The token compression connector (SegEarth-R1): a sixteenth of the vision tokens for grounding.

3 x 3 convolution of stride 2 and LayerNorm, twice, then 1 x 1. The language model goes on seeing all tokens; what
shrinks is the grid on which words and pixels find each other, and with it the coarse map.

Shapes: Hv x Wv vision tokens, D the language model's width.
"""

from torch import Tensor, nn


class TokenCompression(nn.Module):
    """The connector, ``width`` wide inside."""

    def __init__(self, text_width: int, width: int) -> None:
        super().__init__()
        self.shrink = nn.Conv2d(text_width, width, kernel_size=3, stride=2, padding=1)
        self.norm_shrink = nn.LayerNorm(width)
        self.shrink_again = nn.Conv2d(width, width, kernel_size=3, stride=2, padding=1)
        self.norm_again = nn.LayerNorm(width)
        self.project = nn.Conv2d(width, text_width, kernel_size=1)

    def forward(self, tokens: Tensor) -> Tensor:
        """[Hv,Wv,D] to a quarter of each side, rounded up."""
        x = self.shrink(tokens.permute(2, 0, 1)[None])
        x = self.norm_shrink(x.movedim(1, -1)).movedim(-1, 1)
        x = self.shrink_again(x)
        x = self.norm_again(x.movedim(1, -1)).movedim(-1, 1)
        compressed: Tensor = self.project(x)[0].permute(1, 2, 0)
        return compressed
