"""Where weights come from and which of them are trained.

Stock Qwen-VL and SAM2 checkpoints go into their places (`from_stock`), saved geoagent checkpoints come back whole
(`from_folder`), adapters are laid over the right modules only (`adapter_targets`, `mask_value_rows`).
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from transformers import AutoConfig, BitsAndBytesConfig, Sam2Config, Sam2ImageProcessor, Sam2Model

from geoagent.model import mllm as language
from geoagent.model.configuration import GeoAgentConfig
from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.processor import GeoAgentProcessor
from geoagent.model.sam_checkpoint import image_processor_for, is_original, load_original
from geoagent.types import GeoAgentError

STAGES = (
    "grounding",
    "prompting",
    "modulation",
    "pixel_map",
    "marks",
    "sight",
    "meaning",
    "cores",
    "recognition",
    "query_parts",
    "interaction",
    "compression",
)
"""The modules between the two stock models, as far as they are switched on: always trained whole."""


def from_stock(
    mllm: str, sam: str, *, dtype: torch.dtype | None = None, quantize: str | None = None, **parts: Any
) -> tuple[GeoAgentModel, GeoAgentProcessor]:
    """A model of stock checkpoints (folders or hub ids) with untrained stages between them.

    Args:
        mllm: A Qwen3-VL or Qwen2.5-VL checkpoint.
        sam: A SAM2 or SAM2.1 checkpoint; a file in the original format (``.pt``) too.
        dtype: Of the weights; None: as saved.
        quantize: Of the language model only; the decoder and our stages never are.
        parts: Settings of our stages, see `GeoAgentConfig`.
    """
    mllm_config = AutoConfig.from_pretrained(mllm)
    original = load_original(sam, dtype=dtype) if is_original(sam) else None
    config = GeoAgentConfig(mllm_config, original.config if original else Sam2Config.from_pretrained(sam), **parts)
    images = image_processor_for(config.sam_config) if original else Sam2ImageProcessor.from_pretrained(sam)
    processor = GeoAgentProcessor.from_stock(mllm, images, config)
    with torch.device("meta"):
        model = GeoAgentModel(config)
    extra: dict[str, Any] = {} if quantize is None else {"quantization_config": quantization(quantize)}
    stock = language.mllm_class(mllm_config.model_type)
    model.mllm = language.with_patch_products(stock.from_pretrained(mllm, dtype=dtype or "auto", **extra))
    model.sam = original or Sam2Model.from_pretrained(sam, dtype=dtype or "auto")
    model.sam.mask_decoder.dynamic_multimask_via_stability = False  # see `segmenter.prepare_sam`
    for stage in STAGES:
        module = getattr(model, stage)
        if module is not None:
            module.to_empty(device="cpu").apply(model._init_weights).to(dtype or torch.float32)
    grow_embeddings(model, processor)
    return model, processor


def from_folder(
    folder: str | Path, *, dtype: torch.dtype | None = None, quantize: str | None = None
) -> tuple[GeoAgentModel, GeoAgentProcessor]:
    """What ``save_pretrained`` of model and processor wrote (a folder or a hub id)."""
    config = GeoAgentConfig.from_pretrained(folder)
    extra: dict[str, Any] = {} if quantize is None else {"quantization_config": quantization(quantize)}
    model = GeoAgentModel.from_pretrained(folder, config=config, dtype=dtype or "auto", **extra)
    return model, GeoAgentProcessor.from_pretrained(folder, config)


def quantization(bits: str) -> BitsAndBytesConfig:
    """4- or 8-bit weights for the language model; everything that draws masks stays as it is."""
    # Patterns match from the start of a full name, which is longer by a prefix in our checkpoints than in stock ones.
    untouched = [*STAGES, "sam", "lm_head", r"(.*\.)?visual"]
    if bits == "4bit":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch.bfloat16,
            llm_int8_skip_modules=untouched,
        )
    if bits == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=untouched)
    raise GeoAgentError(f"quantize is '4bit', '8bit' or None, not {bits!r}")


def grow_embeddings(model: GeoAgentModel, processor: GeoAgentProcessor) -> None:
    """Make room for the marks; Qwen's matrices are padded, so they are never made smaller."""
    needed = len(processor.tokenizer)
    if needed > model.mllm.get_input_embeddings().num_embeddings:
        model.mllm.resize_token_embeddings(needed)
        model.config.mllm_config = model.mllm.config


# ------------------------------------------------------------------------------------------------------------ freezing


def freeze(model: nn.Module, trained: Iterable[str]) -> None:
    """Train exactly the parameters whose names match one of the regular expressions ``trained``."""
    patterns = [re.compile(pattern) for pattern in trained]
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(pattern.search(name) for pattern in patterns))


def trained_parts(*, sam_decoder: bool = True) -> list[str]:
    """The paper's choice besides adapters: our stages whole, SAM2's prompt encoder and mask decoder whole."""
    parts = [rf"(^|\.){stage}\." for stage in STAGES]
    return [*parts, r"(^|\.)sam\.(prompt_encoder|mask_decoder)\."] if sam_decoder else parts


def adapter_targets(model: GeoAgentModel, scope: Literal["text", "vision", "sam"]) -> list[str]:
    """Full names of the linear layers that hold the queries and keys of one part.

    Separate ``q_proj`` and ``k_proj`` in the language model; a fused ``qkv`` in Qwen's vision tower and in Hiera, of
    which `mask_value_rows` keeps the values out.
    """
    where = {"text": r"^mllm\..*language_model\..*\.(q_proj|k_proj)$", "vision": r"^mllm\..*visual\..*\.qkv$"}
    pattern = re.compile(where.get(scope, r"^sam\.vision_encoder\..*\.qkv$"))
    return [name for name, module in model.named_modules() if pattern.search(name) and isinstance(module, nn.Linear)]


def mask_value_rows(adapted: nn.Module) -> int:
    """Keep adapters of fused ``qkv`` layers off the values: zero those rows and block their gradients.

    The lower third of LoRA's B produces the values' change. It starts at zero; with its gradient masked it stays there,
    so that a merge leaves the values as they were, exactly. Returns the number of layers treated.
    """
    count = 0
    for name, parameter in adapted.named_parameters():
        if ".qkv.lora_B." in name:
            rows = parameter.shape[0] // 3 * 2
            parameter.register_hook(lambda grad, rows=rows: _without_values(grad, rows))
            count += 1
    return count


def _without_values(grad: torch.Tensor, rows: int) -> torch.Tensor:
    masked = grad.clone()
    masked[rows:] = 0
    return masked
