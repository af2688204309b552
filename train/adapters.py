"""LoRA as SGSRF uses it: adapters on queries and keys, our stages and SAM2's decoder whole, the marks as single rows.

`lay_adapters` changes a model in place, `save_adapter` writes peft's own format, `merge_adapter` gives the model back
as if it had been trained whole.
"""

import json
from pathlib import Path

import peft
import torch
from torch import nn

from geoagent.config import from_mapping, to_mapping
from geoagent.model import checkpoint
from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.processor import GeoAgentProcessor
from geoagent.model.tokens import QUERY_TOKENS
from geoagent.types import GeoAgentError
from train.bases import load_base
from train.config import LoraConfig, ModelConfig

BASE = "base.json"
"""Beside peft's files: what the adapters were laid over."""


def lay_adapters(model: GeoAgentModel, processor: GeoAgentProcessor, lora: LoraConfig) -> peft.PeftModel:
    """Put adapters into ``model``, freeze the rest; the same networks are behind the result and behind ``model``."""
    targets: list[str] = []
    for scope in ("text", "vision", "sam"):
        if getattr(lora, scope):
            targets += checkpoint.adapter_targets(model, scope)
    marks = processor.tokenizer.convert_tokens_to_ids(list(QUERY_TOKENS))
    tied = model.mllm.get_output_embeddings().weight is model.mllm.get_input_embeddings().weight
    adapter = peft.get_peft_model(
        model,
        peft.LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=targets,
            modules_to_save=_trained_whole(model, lora),
            trainable_token_indices={"embed_tokens": marks} if tied else {"embed_tokens": marks, "lm_head": marks},
        ),
    )
    checkpoint.mask_value_rows(adapter)
    for parameter in adapter.parameters():
        if parameter.requires_grad:
            # Small steps vanish in half precision; the frozen base may stay in it.
            parameter.data = parameter.data.float()
    return adapter


def _trained_whole(model: GeoAgentModel, lora: LoraConfig) -> list[str]:
    """Names of the modules besides the adapters: our stages, SAM2's prompt encoder and mask decoder."""
    names: list[str] = []
    for name in checkpoint.STAGES:
        stage = getattr(model, name)  # None: switched off
        # peft wraps what is called, and a dictionary is not.
        parts = [f"{name}.{part}" for part in stage] if isinstance(stage, nn.ModuleDict) else [name]
        names += parts if stage is not None else []
    names = [name for name in names if any(True for _ in model.get_submodule(name).parameters())]
    return [*names, "sam.prompt_encoder", "sam.mask_decoder"] if lora.sam_decoder else names


def save_adapter(adapter: peft.PeftModel, processor: GeoAgentProcessor, base: ModelConfig, folder: Path) -> None:
    """Write adapters, trained modules, tokenizer and the name of the base."""
    adapter.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's form, not filled in
    processor.save_pretrained(folder)
    (folder / BASE).write_text(json.dumps(to_mapping(base), indent=1))


def merge_adapter(
    folder: Path, *, dtype: torch.dtype | None = None, base: ModelConfig | None = None
) -> tuple[GeoAgentModel, GeoAgentProcessor]:
    """The base with its adapters worked in; a base that was quantised for training is read in full.

    Args:
        folder: What `save_adapter` wrote.
        dtype: Of the weights; None: as the base was saved.
        base: Another place of the base than the one written down.
    """
    if not (folder / BASE).is_file():
        raise GeoAgentError(f"{folder} is not an adapter of geoagent: it has no {BASE}")
    known = base or from_mapping(ModelConfig, json.loads((folder / BASE).read_text()), f"{folder / BASE}: ")
    model, processor = load_base(known, dtype=dtype, quantize=None)
    merged: GeoAgentModel = peft.PeftModel.from_pretrained(model, folder).merge_and_unload()
    merged.config.trained = True
    return merged, processor
