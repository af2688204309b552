"""SAM2 of transformers, by parts: features once an image, then prompts and masks for many targets.

The stock `Sam2Model` takes one dense prompt an image and runs its prompt encoder without gradients; here the targets
are the batch and gradients flow. Sizes are read off the feature maps, so any square with a side that is a multiple of
32 works. Coordinates are normalised to the image: SAM2 sees a stretched square, and (0.5, 0.5) is its middle too.

Shapes: B images, N targets, S side of the square, He = We = S/16, P prompt width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import Sam2Config, Sam2Model

from geoagent.types import Prompts

NOT_A_POINT = -1
NO_MARK = -2
SCRIBBLE_POINTS = 8


@dataclass(frozen=True)
class SamFeatures:
    """SAM2's feature maps, finest first, after ``conv_s0`` and ``conv_s1``."""

    fine: Tensor
    """[B,P/8,4He,4We]."""
    middle: Tensor
    """[B,P/4,2He,2We]."""
    coarse: Tensor
    """[B,P,He,We], with ``no_memory_embedding`` added."""

    @property
    def levels(self) -> tuple[Tensor, Tensor, Tensor]:
        """``(fine, middle, coarse)``."""
        return self.fine, self.middle, self.coarse

    @property
    def size(self) -> tuple[int, int]:
        """``(He, We)``."""
        return int(self.coarse.shape[-2]), int(self.coarse.shape[-1])

    def pick(self, images: Tensor) -> "SamFeatures":
        """The features of the images [N] that targets belong to."""
        return SamFeatures(self.fine[images], self.middle[images], self.coarse[images])


@dataclass(frozen=True)
class PersonPrompts:
    """What people pointed at, in normalised coordinates, a row a target."""

    points: Tensor
    """float [N,K,2]: x, y in 0…1."""
    labels: Tensor
    """int [N,K]: 1 on it, 0 not on it, 2 and 3 corners of a box, -1 SAM2's closing mark, -2 padding at the end."""
    masks: Tensor | None
    """float [N,1,m,m]: 1 on it, 0 elsewhere; rows without a mask are all NaN."""

    @property
    def counts(self) -> list[int]:
        """Marks of each target. SAM2's decoder has no mask for padding: only targets with as many go together."""
        counts: list[int] = (self.labels != NO_MARK).sum(dim=1).tolist()
        return counts

    def pick(self, targets: Tensor) -> "PersonPrompts":
        """The prompts of some targets with equally many marks."""
        count = int((self.labels[targets[0]] != NO_MARK).sum())
        masks = None if self.masks is None else self.masks[targets]
        return PersonPrompts(self.points[targets, :count], self.labels[targets, :count], masks)


@dataclass(frozen=True)
class DecodedMasks:
    """SAM2's answer for N targets."""

    logits: Tensor
    """[N,4He,4We]."""
    iou: Tensor
    """[N], SAM2's own guess of the IoU, 0…1."""
    objectness: Tensor
    """[N] logits that the target is there at all."""


def level_widths(config: Sam2Config) -> tuple[int, int, int]:
    """Channels of the three feature maps that the mask decoder sees."""
    width = int(config.mask_decoder_config.hidden_size)
    return width // 8, width // 4, width


def prepare_sam(config: Sam2Config) -> Sam2Config:
    """Switch off what would return untrained mask tokens in evaluation."""
    config.mask_decoder_config.dynamic_multimask_via_stability = False
    return config


def encode_images(sam: Sam2Model, pixels: Tensor) -> SamFeatures:
    """Features of ``pixels`` [B,3,S,S]; gradients flow."""
    fine, middle, coarse = sam.vision_encoder(pixels).fpn_hidden_states
    fine, middle = sam.mask_decoder.conv_s0(fine), sam.mask_decoder.conv_s1(middle)
    return SamFeatures(fine, middle, coarse + sam.no_memory_embedding.view(1, -1, 1, 1))


def stack_prompts(prompts: Sequence[Prompts], sizes: Sequence[tuple[int, int]]) -> PersonPrompts | None:
    """Normalise the prompts of N targets; ``sizes`` are the ``(H, W)`` of their images. None where nobody pointed."""
    if not any(prompts):
        return None
    rows = [_marks(p, size) for p, size in zip(prompts, sizes, strict=True)]
    longest = max(len(row) for row in rows)
    padded = torch.zeros(len(rows), longest, 3)
    padded[..., 2] = NO_MARK
    for i, row in enumerate(rows):
        if row:
            padded[i, : len(row)] = torch.tensor(row)
    masks = None
    if any(p.masks for p in prompts):
        masks = torch.full((len(rows), 1, 256, 256), torch.nan)
        for i, p in enumerate(prompts):
            if p.masks:
                union = torch.stack([torch.from_numpy(m) for m in p.masks]).any(dim=0).float()
                masks[i] = functional.interpolate(union[None, None], size=(256, 256), mode="area")[0]
    return PersonPrompts(padded[..., :2], padded[..., 2].int(), masks)


def _marks(prompts: Prompts, size: tuple[int, int]) -> list[tuple[float, float, float]]:
    """``(x, y, label)`` of each point, box corner and sampled scribble point, normalised, and SAM2's closing mark."""
    height, width = size
    marks = [(x / width, y / height, float(positive)) for x, y, positive in prompts.points]
    for line in prompts.scribbles:
        places = np.linspace(0, len(line) - 1, min(len(line), SCRIBBLE_POINTS)).round().astype(int)
        marks += [(line[i][0] / width, line[i][1] / height, 1.0) for i in places]
    for x0, y0, x1, y1 in prompts.boxes:
        marks += [(x0 / width, y0 / height, 2.0), (x1 / width, y1 / height, 3.0)]
    return [*marks, (0.0, 0.0, float(NOT_A_POINT))] if marks else []


def embed_prompts(sam: Sam2Model, prompts: PersonPrompts, size: tuple[int, int]) -> tuple[Tensor, Tensor | None]:
    """SAM2's own prompt encoder: sparse [N,K,P] and, where masks were given, a change of the dense prompt."""
    encoder = sam.prompt_encoder
    side = encoder.input_image_size
    device, dtype = encoder.point_embed.weight.device, encoder.point_embed.weight.dtype
    labels = prompts.labels.to(device)[..., None]
    code = encoder.shared_embedding(prompts.points.to(device, dtype)[:, None] * side + 0.5, (side, side))[:, 0]
    nothing = encoder.not_a_point_embed.weight.to(code)
    kinds = encoder.point_embed(labels[..., 0].clamp(min=0))
    sparse = torch.where(labels == NOT_A_POINT, nothing, code + kinds)
    if prompts.masks is None:
        return sparse, None
    masks = prompts.masks.to(device, dtype)
    given = ~masks.isnan().flatten(1).any(dim=1)
    canvas = (4 * size[0], 4 * size[1])
    # SAM2's mask prompts are logits; a drawn outline says "surely" and "surely not".
    logits = functional.interpolate(masks.nan_to_num(), size=canvas, mode="bilinear", align_corners=False) * 20 - 10
    change = encoder.mask_embed(logits) - encoder.no_mask_embed.weight.view(1, -1, 1, 1)
    return sparse, change * given.to(dtype).view(-1, 1, 1, 1)


def image_positions(sam: Sam2Model, size: tuple[int, int]) -> Tensor:
    """SAM2's position code of the coarsest map, [1,P,He,We]."""
    code = sam.shared_image_embedding
    height, width = size
    device, dtype = code.positional_embedding.device, code.positional_embedding.dtype
    y = (torch.arange(height, device=device, dtype=dtype) + 0.5) / height
    x = (torch.arange(width, device=device, dtype=dtype) + 0.5) / width
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    positions: Tensor = code(grid).permute(2, 0, 1)[None]
    return positions


def decode_masks(sam: Sam2Model, features: SamFeatures, sparse: Tensor, dense: Tensor | None) -> DecodedMasks:
    """Masks of N targets from the features of their images, sparse prompts [N,K,P] and a dense change [N,P,He,We]."""
    n, (height, width) = features.coarse.shape[0], features.size
    if n == 0:
        empty = features.coarse.new_zeros(0)
        return DecodedMasks(features.coarse.new_zeros(0, 4 * height, 4 * width), empty, empty)
    base = sam.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1).expand(n, -1, height, width)
    masks, iou, _, objectness = sam.mask_decoder(
        image_embeddings=features.coarse,
        image_positional_embeddings=image_positions(sam, features.size).expand(n, -1, -1, -1),
        sparse_prompt_embeddings=sparse[:, None],
        dense_prompt_embeddings=base if dense is None else base + dense,
        multimask_output=False,
        high_resolution_features=[features.fine, features.middle],
    )
    return DecodedMasks(masks[:, 0, 0], iou[:, 0, 0], objectness[:, 0, 0])
