"""Nested dataclasses of tensors: moved to a device, or taken apart for a file."""

from collections.abc import Callable
from dataclasses import fields
from typing import TypeVar, cast

import torch
from torch import Tensor

T = TypeVar("T")


def to_device(batch: T, device: torch.device) -> T:
    """The batch with all its tensors on ``device``; from pinned memory the copies do not wait for each other."""
    return cast(T, _changed(batch, lambda tensor: tensor.to(device, non_blocking=True)))


def pinned(batch: T) -> T:
    """The batch with all its tensors in memory that a GPU reads directly."""
    return cast(T, _changed(batch, Tensor.pin_memory))


def tensors_of(value: object, where: str = "batch") -> dict[str, Tensor]:
    """Every tensor in nested dataclasses by its path: a batch in a form that any program can read."""
    if isinstance(value, Tensor):
        return {where: value.detach().cpu()}
    if not hasattr(value, "__dataclass_fields__"):
        return {}
    parts = [tensors_of(getattr(value, f.name), f"{where}.{f.name}") for f in fields(value)]  # type: ignore[arg-type]
    return {path: tensor for part in parts for path, tensor in part.items()}


def _changed(value: object, change: Callable[[Tensor], Tensor]) -> object:
    if isinstance(value, Tensor):
        return change(value)
    if hasattr(value, "__dataclass_fields__") and any(_holds_tensors(getattr(value, f.name)) for f in fields(value)):  # type: ignore[arg-type]
        return type(value)(**{f.name: _changed(getattr(value, f.name), change) for f in fields(value)})  # type: ignore[arg-type]
    return value


def _holds_tensors(value: object) -> bool:
    return isinstance(value, Tensor) or (hasattr(value, "__dataclass_fields__") and not isinstance(value, type))
