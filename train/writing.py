"""What a run leaves behind: a model folder that `geoagent.load` opens, or with LoRA an adapter to be merged."""

from pathlib import Path

import torch
from torch import Tensor

from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.processor import GeoAgentProcessor
from train.adapters import save_adapter
from train.config import TrainConfig
from train.starting import Start


def result_name(config: TrainConfig) -> str:
    """Name of the folder of the result."""
    return "adapter" if config.model.lora else "model"


def write_weights(start: Start, config: TrainConfig, folder: Path) -> None:
    """Write what was trained."""
    if start.adapter is not None:
        save_adapter(start.adapter, start.processor, config.model, folder)
    else:
        write_model(start.model, start.processor, folder, shard=config.shard)


def write_model(model: GeoAgentModel, processor: GeoAgentProcessor, folder: Path, *, shard: str = "1GB") -> None:
    """Configuration, weights in half precision where that holds them, tokenizer and image processors."""
    model.config.trained = True
    model.save_pretrained(folder, state_dict=halved(model.state_dict()), max_shard_size=shard)
    processor.save_pretrained(folder)


def halved(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """float16, or the values as they are if one of them is too large for it; what is shared stays shared."""
    halves: dict[int, Tensor] = {}
    for value in values.values():
        if value.data_ptr() not in halves:
            halves[value.data_ptr()] = value.half() if value.is_floating_point() else value
    if not all(bool(torch.isfinite(half).all()) for half in halves.values()):
        return values
    return {name: halves[value.data_ptr()] for name, value in values.items()}
