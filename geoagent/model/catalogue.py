"""The models one can name. Imports nothing heavy, so that a wrong name is told at once."""

import re
from dataclasses import dataclass
from pathlib import Path

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


def stock_pair(name: str) -> tuple[str, str] | None:
    """Hub ids of a stock pair such as ``qwen3vl-4b+sam2.1-b+``, None for any other name."""
    mllm, _, sam = name.partition("+")
    if mllm in MLLM_HUB and sam in SAM_HUB:
        return MLLM_HUB[mllm], SAM_HUB[sam]
    return None


def saved_source(name: str) -> str:
    """The folder or hub id that a name stands for.

    Raises:
        GeoAgentError: for a name that is neither known nor a folder with a model nor of the form of a hub id.
    """
    folder = NANO_FOLDER if name == "nano" else Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise GeoAgentError(f"{folder} is not a model: it has no config.json")
        return str(folder)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return name
    known = ", ".join(["nano", *(f"{m}+sam2.1-{{t,s,b+,l}}" for m in MLLM_HUB)])
    raise GeoAgentError(f"there is no model {name!r}; known are {known}, a folder, or a hub id such as owner/model")


def check_name(name: str) -> None:
    """Raise `GeoAgentError` unless `geoagent.load` may know what ``name`` is."""
    if stock_pair(name) is None:
        saved_source(name)
