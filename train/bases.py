"""The networks that a run begins with, before any of it is trained."""

import os
from pathlib import Path

import torch

from geoagent.model import checkpoint
from geoagent.model.catalogue import NANO_FOLDER
from geoagent.model.configuration import GeoAgentConfig
from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.processor import GeoAgentProcessor
from geoagent.types import GeoAgentError
from train.config import ModelConfig


def load_base(
    base: ModelConfig, *, dtype: torch.dtype | None, quantize: str | None
) -> tuple[GeoAgentModel, GeoAgentProcessor]:
    """The networks that a configuration names, as they are before any training."""
    if base.mllm and base.sam:
        mllm, sam = os.path.expandvars(base.mllm), os.path.expandvars(base.sam)
        return checkpoint.from_stock(mllm, sam, dtype=dtype, quantize=quantize, **base.parts)
    folder = str(NANO_FOLDER) if base.start == "nano" else os.path.expandvars(base.start)
    if base.scratch:
        settings = GeoAgentConfig.from_pretrained(folder).with_parts(**base.parts)
        return GeoAgentModel(settings), GeoAgentProcessor.from_pretrained(folder, settings)
    if Path(folder).is_dir() and not any(Path(folder).glob("*.safetensors")):
        raise GeoAgentError(f"{folder} holds no weights: train them first, or set model.scratch")
    if base.parts:
        raise GeoAgentError(
            f"model.parts ({', '.join(base.parts)}) are settings of new stages; {base.start} has its own"
        )
    return checkpoint.from_folder(folder, dtype=dtype, quantize=quantize)
