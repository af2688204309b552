"""What a finished run leaves behind."""

from pathlib import Path

import torch

from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.processor import GeoAgentProcessor
from train.loop import Trainer


def write_result(trainer: Trainer, processor: GeoAgentProcessor, folder: Path) -> Path:
    """The averaged weights as a model folder."""
    if trainer.average is not None:
        trainer.average.swap(trainer.bare)
    target = folder / "model"
    write_model(trainer.bare.model, processor, target)
    if trainer.average is not None:
        trainer.average.swap(trainer.bare)
    return target


def write_model(model: GeoAgentModel, processor: GeoAgentProcessor, folder: Path) -> None:
    """Configuration, half-precision weights, tokenizer and image processors, as any transformers model."""
    model.config.trained = True
    kept = {name: parameter.dtype for name, parameter in model.named_parameters()}
    model.half().save_pretrained(folder)
    for name, parameter in model.named_parameters():
        parameter.data = parameter.data.to(kept[name])
    processor.save_pretrained(folder)


def finite(model: GeoAgentModel) -> bool:
    """Whether half precision holds all weights."""
    return all(bool(torch.isfinite(p.half()).all()) for p in model.parameters())
