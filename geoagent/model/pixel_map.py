"""The pixel map: one step from a word to the pixels, at the finest resolution that SAM2 has.

Every pixel of SAM2's maps becomes a vector, once an image; the state of a target becomes a vector as well, and their
product says how well pixel and words go together. It is shown to SAM2 as part of the mask prompt and added to its
masks. Training the vectors on dense class maps (`geoagent.model.auxiliary`) teaches all classes with every image, and
words then only have to find the right one.

Shapes: B images, N targets, He x We SAM2's coarsest map, E the width of the vectors, D the language model's width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoagent.model.attention import ZeroConv, ZeroLinear, sine_positions
from geoagent.model.sam import SamFeatures


class PixelEmbedding(nn.Module):
    """SAM2's three maps as one vector a pixel."""

    def __init__(self, level_widths: tuple[int, int, int], width: int, *, refined: bool = False) -> None:
        super().__init__()
        self.levels = nn.ModuleList([nn.Conv2d(level, width, kernel_size=1) for level in level_widths])
        self.refine = Refinement(width) if refined else None
        self.mix = nn.Conv2d(width, width, kernel_size=3, padding=1)

    def forward(self, features: SamFeatures, image: Tensor | None = None) -> Tensor:
        """[B,E,4He,4We], from the maps of the ``image`` [B,3,S,S], which only the refinement looks at again."""
        fine, middle, coarse = (layer(level) for layer, level in zip(self.levels, features.levels, strict=True))
        pixels: Tensor = fine + _enlarged(middle, fine) + _enlarged(coarse, fine)
        if self.refine is not None:
            if image is None:
                raise ValueError("a refined pixel map needs the image besides SAM2's maps of it")
            pixels = self.refine(pixels, middle + _enlarged(coarse, middle), image)
        return functional.gelu(self.mix(functional.gelu(pixels)))


class Refinement(nn.Module):
    """What SAM2 leaves undone for small things.

    It carries what the coarsest map knows to none of the finer ones, and cuts the image into patches of four pixels.
    This adds what two convolutions make of the sum of the coarser maps, what two more make of all three, and edges
    that a small network of its own sees at half of the image's side. All of it starts at zero.
    """

    def __init__(self, width: int, edges: int = 24) -> None:
        super().__init__()
        self.see_edges = nn.Conv2d(3, edges, kernel_size=3, stride=2, padding=1)
        self.add_edges = ZeroConv(edges, width, kernel_size=3, stride=2, padding=1)
        self.middle = _two_convolutions(width)
        self.fine = _two_convolutions(width)

    def forward(self, pixels: Tensor, middle: Tensor, image: Tensor) -> Tensor:
        """The ``pixels`` [B,E,4He,4We], refined by ``middle`` [B,E,2He,2We] and the ``image`` [B,3,16He,16We]."""
        edges = self.add_edges(functional.gelu(self.see_edges(image.to(pixels.dtype))))
        pixels = pixels + edges + _enlarged(self.middle(middle), pixels)
        refined: Tensor = pixels + self.fine(pixels)
        return refined


def _two_convolutions(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.GELU(),
        nn.Conv2d(width, width, kernel_size=3, padding=1),
        nn.GELU(),
        ZeroConv(width, width, kernel_size=3, padding=1),
    )


def _enlarged(coarse: Tensor, fine: Tensor) -> Tensor:
    return functional.interpolate(coarse, size=fine.shape[-2:], mode="bilinear")


class PixelMap(nn.Module):
    """Products of pixel vectors and target vectors, and of where a pixel is with where the words want it."""

    def __init__(
        self,
        level_widths: tuple[int, int, int],
        width: int,
        text_width: int,
        places: int = 0,
        *,
        refined: bool = False,
    ) -> None:
        super().__init__()
        self.places = places
        self.embed = PixelEmbedding(level_widths, width, refined=refined)
        # A vector and a bias. They start at zero: SAM2 starts as it was.
        self.to_vector = nn.Sequential(
            nn.LayerNorm(text_width), nn.Linear(text_width, text_width), nn.GELU(), ZeroLinear(text_width, width + 1)
        )
        if places:
            # "In the southern half" is a question of where, for whatever is there.
            self.to_place = nn.Sequential(nn.LayerNorm(text_width), ZeroLinear(text_width, places))

    def forward(self, pixels: Tensor, state: Tensor) -> Tensor:
        """Logits [N,4He,4We] from the embedded images [N,E,4He,4We] and the states [N,D] of their targets."""
        vector = self.to_vector(state)
        logits = torch.einsum("nehw,ne->nhw", pixels, vector[:, :-1]) + vector[:, -1, None, None]
        if not self.places:
            return logits
        height, width = (int(side) for side in pixels.shape[-2:])
        code = sine_positions(height, width, self.places, pixels.device, pixels.dtype)
        return logits + (self.to_place(state) @ code.T).unflatten(-1, (height, width))
