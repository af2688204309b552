"""SAM2 checkpoints in their original format (``sam2.1_hiera_large.pt`` …) as weights of transformers' `Sam2Model`.

The four published sizes of SAM2 and SAM2.1 share one architecture for images and differ in the numbers of `HieraSize`.
What tracks objects through videos (memory attention, memory encoder, object pointers) is left out. The files are
pickles: they are read as weights only, so that one from a stranger cannot run code.
"""

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor
from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model, Sam2Processor
from transformers.models.sam2.configuration_sam2 import Sam2HieraDetConfig, Sam2VisionConfig

from geoagent.types import GeoAgentError

SUFFIXES = (".pt", ".pth")


@dataclass(frozen=True, kw_only=True)
class HieraSize:
    """What tells the published image encoders apart; each of the four stages doubles width and heads."""

    width: int
    """Channels of the first stage."""
    heads: int
    """Attention heads of the first stage."""
    blocks: tuple[int, int, int, int]
    """Blocks per stage."""
    global_blocks: tuple[int, ...]
    """Blocks that attend to the whole image, counted over all stages."""
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)
    """Side of the attention windows per stage, in cells of that stage."""
    background: tuple[int, int] = (7, 7)
    """Size of the position table that is stretched over the image."""


SIZES = {
    "tiny": HieraSize(width=96, heads=1, blocks=(1, 2, 7, 2), global_blocks=(5, 7, 9)),
    "small": HieraSize(width=96, heads=1, blocks=(1, 2, 11, 2), global_blocks=(7, 10, 13)),
    "base+": HieraSize(width=112, heads=2, blocks=(2, 3, 16, 3), global_blocks=(12, 16, 20), background=(14, 14)),
    "large": HieraSize(width=144, heads=2, blocks=(2, 6, 36, 4), global_blocks=(23, 33, 43), windows=(8, 4, 16, 8)),
}

# Original modules that only videos need.
_VIDEO = re.compile(
    r"^(memory_attention|memory_encoder|mask_downsample|obj_ptr_proj|obj_ptr_tpos_proj)\."
    r"|^(maskmem_tpos_enc|no_mem_pos_enc|no_obj_ptr|no_obj_embed_spatial)$"
)

# Original name → name in transformers, applied in this order.
_RENAMES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^no_mem_embed$", "no_memory_embedding"),
        (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
        (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
        (r"^sam_prompt_encoder\.", "prompt_encoder."),
        (r"^sam_mask_decoder\.", "mask_decoder."),
        (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
        (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
        (r"\.norm(\d)\.", r".layer_norm\1."),
        (r"\.out_proj\.", ".o_proj."),
        (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
        (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
        (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
        (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
        (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
        (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
        (r"\.output_upscaling\.0\.", ".upscale_conv1."),
        (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
        (r"\.output_upscaling\.3\.", ".upscale_conv2."),
        # Perceptrons: two layers inside blocks, three in the heads of the mask decoder.
        (r"\.mlp\.layers\.0\.", ".mlp.proj_in."),
        (r"\.mlp\.layers\.1\.", ".mlp.proj_out."),
        (r"(_head|_mlps\.\d+)\.layers\.0\.", r"\1.proj_in."),
        (r"(_head|_mlps\.\d+)\.layers\.1\.", r"\1.layers.0."),
        (r"(_head|_mlps\.\d+)\.layers\.2\.", r"\1.proj_out."),
    )
)

_POINT = re.compile(r"^prompt_encoder\.point_embeddings\.(\d+)\.weight$")


def is_original(path: str | Path) -> bool:
    """Whether ``path`` names a checkpoint in the original format rather than a folder or a hub id."""
    return Path(path).suffix in SUFFIXES


def sam2_config(size: HieraSize) -> Sam2Config:
    """The configuration of transformers for one of the published sizes."""
    widths = [size.width * 2**stage for stage in range(4)]
    backbone = Sam2HieraDetConfig(
        hidden_size=size.width,
        num_attention_heads=size.heads,
        blocks_per_stage=list(size.blocks),
        embed_dim_per_stage=widths,
        num_attention_heads_per_stage=[size.heads * 2**stage for stage in range(4)],
        window_size_per_stage=list(size.windows),
        global_attention_blocks=list(size.global_blocks),
        window_positional_embedding_background_size=list(size.background),
    )
    return Sam2Config(vision_config=Sam2VisionConfig(backbone_config=backbone, backbone_channel_list=widths[::-1]))


def read_original(path: str | Path) -> dict[str, Tensor]:
    """The tensors of an original checkpoint under their original names."""
    path = Path(path)
    if not path.is_file():
        raise GeoAgentError(f"{path} does not exist: give a SAM2 checkpoint such as sam2.1_hiera_tiny.pt")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise GeoAgentError(f"{path} is not a file of weights, or is cut off: download it again") from error
    weights = content.get("model") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise GeoAgentError(f"{path} is no SAM2 checkpoint: it has no weights under 'model'")
    return weights


def recognise(weights: Mapping[str, Tensor]) -> str:
    """Which of `SIZES` the original ``weights`` are of."""
    width, blocks = _width(weights), _blocks(weights)
    for name, size in SIZES.items():
        if (size.width, size.blocks) == (width, blocks):
            return name
    known = ", ".join(SIZES)
    raise GeoAgentError(f"no published SAM2 size ({known}) has {width} channels and {blocks} blocks: give a config")


def _width(weights: Mapping[str, Tensor]) -> int:
    patch = weights.get("image_encoder.trunk.patch_embed.proj.weight")
    if patch is None:
        raise GeoAgentError("the checkpoint has no image_encoder.trunk: it is not one of SAM2 or SAM2.1")
    return int(patch.shape[0])


def _blocks(weights: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Blocks per stage; the first block of every stage but the first carries a projection to the new width."""
    name = re.compile(r"^image_encoder\.trunk\.blocks\.(\d+)\.(.+)$")
    found = [match.groups() for match in map(name.match, weights) if match]
    depth = 1 + max(int(block) for block, _ in found)
    starts = [0, *sorted(int(block) for block, part in found if part == "proj.weight"), depth]
    return tuple(end - start for start, end in pairwise(starts))


def convert_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Original names to those of `Sam2Model`; the tensors are the same ones, except the stacked point embeddings."""
    renamed: dict[str, Tensor] = {}
    points: dict[int, Tensor] = {}
    for original, value in weights.items():
        if _VIDEO.search(original):
            continue
        name = original
        for pattern, replacement in _RENAMES:
            name = pattern.sub(replacement, name)
        if match := _POINT.match(name):
            points[int(match[1])] = value
        else:
            renamed[name] = value
    renamed["prompt_encoder.point_embed.weight"] = torch.cat([points[kind] for kind in sorted(points)])
    # One table of frequencies serves prompts and image; transformers keeps it twice.
    renamed["shared_image_embedding.positional_embedding"] = renamed[
        "prompt_encoder.shared_embedding.positional_embedding"
    ].clone()
    return renamed


def load_original(path: str | Path, config: Sam2Config | None = None, *, dtype: torch.dtype | None = None) -> Sam2Model:
    """The image model of an original checkpoint, in evaluation mode.

    Args:
        path: A ``.pt`` file of SAM2 or SAM2.1.
        config: Of a size that is not among `SIZES`; None: recognised from the weights.
        dtype: Of the weights; None: as saved.
    """
    weights = read_original(path)
    if config is None:
        config = sam2_config(SIZES[recognise(weights)])
    with torch.device("meta"):
        model = Sam2Model(config)
    converted = convert_weights(weights)
    _check_fit(path, model, converted)
    model.load_state_dict(converted, assign=True)
    return model.to(dtype).eval() if dtype else model.eval()


def _check_fit(path: str | Path, model: Sam2Model, converted: Mapping[str, Tensor]) -> None:
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in converted.items()}
    if wanted != given:
        wrong = sorted(name for name, _ in wanted.items() ^ given.items())
        raise GeoAgentError(f"{path} does not fit the SAM2 architecture: {len(wrong)} tensors differ, first {wrong[0]}")


def convert_checkpoint(path: str | Path, folder: str | Path, config: Sam2Config | None = None) -> Sam2Model:
    """Write an original checkpoint as a folder that ``from_pretrained`` reads (config, processor, safetensors)."""
    model = load_original(path, config)
    images = image_processor_for(model.config)
    model.save_pretrained(folder)
    Sam2Processor(image_processor=images, target_size=images.size["height"]).save_pretrained(folder)
    return model


def image_processor_for(config: Sam2Config) -> Sam2ImageProcessor:
    """The stock image processor at the size of a configuration."""
    side = int(config.prompt_encoder_config.image_size)
    quarter = side // 4
    return Sam2ImageProcessor(size={"height": side, "width": side}, mask_size={"height": quarter, "width": quarter})
