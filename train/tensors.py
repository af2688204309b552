"""Nested dataclasses of tensors: moved to a device, or taken apart for a file."""

from dataclasses import fields
from typing import cast

import torch
from torch import Tensor

from train.batches import TrainBatch


def to_device(batch: TrainBatch, device: torch.device) -> TrainBatch:
    """The batch with all its tensors on ``device``."""
    return cast(TrainBatch, _moved(batch, device))


def tensors_of(value: object, where: str = "batch") -> dict[str, Tensor]:
    """Every tensor in nested dataclasses by its path: a batch in a form that any program can read."""
    if isinstance(value, Tensor):
        return {where: value.detach().cpu()}
    if not hasattr(value, "__dataclass_fields__"):
        return {}
    parts = [tensors_of(getattr(value, f.name), f"{where}.{f.name}") for f in fields(value)]  # type: ignore[arg-type]
    return {path: tensor for part in parts for path, tensor in part.items()}


def _moved(value: object, device: torch.device) -> object:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if hasattr(value, "__dataclass_fields__") and any(_holds_tensors(getattr(value, f.name)) for f in fields(value)):  # type: ignore[arg-type]
        return type(value)(**{f.name: _moved(getattr(value, f.name), device) for f in fields(value)})  # type: ignore[arg-type]
    return value


def _holds_tensors(value: object) -> bool:
    return isinstance(value, Tensor) or (hasattr(value, "__dataclass_fields__") and not isinstance(value, type))
