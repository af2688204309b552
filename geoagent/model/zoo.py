"""How the name of a model becomes a way of grounding."""

from pathlib import Path

import torch

from geoagent.model import checkpoint
from geoagent.model.boxes import BoxGrounder
from geoagent.model.catalogue import saved_source, stock_pair
from geoagent.model.querying import QueryGrounder
from geoagent.types import GeoAgentError


def load_grounder(
    name: str,
    *,
    device: str | None = None,
    dtype: torch.dtype | str | None = None,
    quantize: str | None = None,
    grounding: str | None = None,
    mllm: str | None = None,
    sam: str | None = None,
) -> tuple[QueryGrounder | BoxGrounder, str]:
    """The way of grounding that a name stands for, and what to call it. See `geoagent.load`."""
    if grounding not in (None, "query", "boxes"):
        raise GeoAgentError(f"grounding is 'query' or 'boxes', not {grounding!r}")
    if (mllm is None) != (sam is None):
        raise GeoAgentError("a stock model needs both: mllm=… (Qwen-VL) and sam=… (SAM2)")
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    kind = _dtype(dtype, where)
    stock = (mllm, sam) if mllm and sam else stock_pair(name)
    try:
        if stock:
            label = name if not mllm else f"{Path(stock[0]).name}+{Path(stock[1]).name}"
            model, processor = checkpoint.from_stock(*stock, dtype=kind, quantize=quantize)
        else:
            label = name if name in ("nano",) else Path(name).name
            model, processor = checkpoint.from_folder(saved_source(name), dtype=kind, quantize=quantize)
    except OSError as error:
        raise GeoAgentError(f"cannot load {name!r}: {str(error).splitlines()[0]}") from error
    if quantize is None:
        model.to(where)
    way = grounding or ("boxes" if stock else "query")
    return (BoxGrounder if way == "boxes" else QueryGrounder)(model, processor), label


def _dtype(dtype: torch.dtype | str | None, device: str) -> torch.dtype:
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype is None:
        return torch.float32 if device == "cpu" else torch.bfloat16
    found = getattr(torch, dtype, None)
    if not isinstance(found, torch.dtype):
        raise GeoAgentError(f"there is no dtype {dtype!r}; try float32 or bfloat16")
    return found
