"""What a run starts from: weights, adapters, and which parameters are trained."""

import torch

from geoagent.model import checkpoint
from geoagent.model.configuration import GeoAgentConfig
from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.processor import GeoAgentProcessor
from geoagent.model.zoo import NANO_FOLDER
from train.config import TrainConfig


def build_model(config: TrainConfig) -> tuple[GeoAgentModel, GeoAgentProcessor]:
    """The model of a run with the right parameters trainable."""
    model, processor = _load(config)
    checkpoint.freeze(model, config.model.trained)
    if config.gradient_checkpointing:
        model.mllm.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model, processor


def _load(config: TrainConfig) -> tuple[GeoAgentModel, GeoAgentProcessor]:
    start = config.model
    if start.mllm and start.sam:
        return checkpoint.from_stock(start.mllm, start.sam, quantize=start.quantize, **start.parts)
    if start.start == "nano":
        known = GeoAgentConfig.from_pretrained(NANO_FOLDER)
        settings = known.with_parts(**start.parts)
        torch.manual_seed(config.seed)
        return GeoAgentModel(settings), GeoAgentProcessor.from_pretrained(NANO_FOLDER, settings)
    return checkpoint.from_folder(start.start, quantize=start.quantize)
