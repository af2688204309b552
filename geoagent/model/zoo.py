"""The models one can name, and how a name becomes a way of grounding."""

import re
from dataclasses import dataclass
from pathlib import Path

import torch

from geoagent.model import checkpoint
from geoagent.model.boxes import BoxGrounder
from geoagent.model.configuration import GeoAgentConfig
from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.processor import GeoAgentProcessor
from geoagent.model.querying import QueryGrounder
from geoagent.types import GeoAgentError

NANO_FOLDER = Path(__file__).parent.parent / "weights" / "nano"

MLLM_HUB = {
    "qwen3vl-2b": "Qwen/Qwen3-VL-2B-Instruct",
    "qwen3vl-4b": "Qwen/Qwen3-VL-4B-Instruct",
    "qwen3vl-8b": "Qwen/Qwen3-VL-8B-Instruct",
    "qwen2.5vl-3b": "Qwen/Qwen2.5-VL-3B-Instruct",
    "qwen2.5vl-7b": "Qwen/Qwen2.5-VL-7B-Instruct",
}
SAM_HUB = {
    "sam2.1-t": "facebook/sam2.1-hiera-tiny",
    "sam2.1-s": "facebook/sam2.1-hiera-small",
    "sam2.1-b+": "facebook/sam2.1-hiera-base-plus",
    "sam2.1-l": "facebook/sam2.1-hiera-large",
}


@dataclass(frozen=True)
class NamedModel:
    """A line of ``geoagent models``."""

    name: str
    what: str
    runs_on: str


def named_models() -> list[NamedModel]:
    """Every name that `geoagent.load` knows, folders and hub ids besides."""
    return [
        NamedModel("nano", "embedded: Qwen3-VL + SAM2 architecture, 20 M parameters", "any CPU, offline"),
        *(
            NamedModel(f"{mllm}+{sam}", "stock public weights, boxes grounding", "GPU (4bit or 8bit for less memory)")
            for mllm in MLLM_HUB
            for sam in SAM_HUB
        ),
    ]


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
    stock = (mllm, sam) if mllm and sam else _stock_pair(name)
    try:
        if stock:
            label = name if not mllm else f"{Path(stock[0]).name}+{Path(stock[1]).name}"
            model, processor = checkpoint.from_stock(*stock, dtype=kind, quantize=quantize)
        else:
            label = name if name in ("nano",) else Path(name).name
            model, processor = _saved(name, kind, quantize)
    except OSError as error:
        raise GeoAgentError(f"cannot load {name!r}: {str(error).splitlines()[0]}") from error
    if quantize is None:
        model.to(where)
    way = grounding or ("boxes" if stock else "query")
    return (BoxGrounder if way == "boxes" else QueryGrounder)(model, processor), label


def _saved(name: str, dtype: torch.dtype, quantize: str | None) -> tuple[GeoAgentModel, GeoAgentProcessor]:
    folder = NANO_FOLDER if name == "nano" else Path(name)
    if name != "nano" and not folder.is_dir() and not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        known = ", ".join(["nano", *(f"{m}+sam2.1-{{t,s,b+,l}}" for m in MLLM_HUB)])
        raise GeoAgentError(f"there is no model {name!r}; known are {known}, a folder, or a hub id such as owner/model")
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise GeoAgentError(f"{folder} is not a model: it has no config.json")
    source = str(folder) if folder.is_dir() else name
    if name == "nano" and not (folder / "model.safetensors").is_file():
        config = GeoAgentConfig.from_pretrained(source)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = GeoAgentModel(config)
        return model.to(dtype), GeoAgentProcessor.from_pretrained(source, config)
    return checkpoint.from_folder(source, dtype=dtype, quantize=quantize)


def _stock_pair(name: str) -> tuple[str, str] | None:
    """Hub ids of ``qwen3vl-4b+sam2.1-b+``."""
    mllm, _, sam = name.partition("+")
    if mllm in MLLM_HUB and sam in SAM_HUB:
        return MLLM_HUB[mllm], SAM_HUB[sam]
    return None


def _dtype(dtype: torch.dtype | str | None, device: str) -> torch.dtype:
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype is None:
        return torch.float32 if device == "cpu" else torch.bfloat16
    found = getattr(torch, dtype, None)
    if not isinstance(found, torch.dtype):
        raise GeoAgentError(f"there is no dtype {dtype!r}; try float32 or bfloat16")
    return found
