"""Work the adapter of a training run into its base: a folder that `geoagent.load` opens.

    python -m tools.merge_lora runs/qwen3vl-4b-earthreason/adapter --out models/earthreason

The base is read from where the run found it. A base that was quantised for training is read in full: adapters are
merged into exact weights.
"""

import argparse
from pathlib import Path

import torch

from geoagent.types import GeoAgentError
from train.adapters import merge_adapter

DTYPES = {"saved": None, "bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def main(arguments: list[str] | None = None) -> None:
    """Parse, merge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", type=Path, help="folder that training wrote")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--dtype", choices=DTYPES, default="saved", help="of the weights (default: as the base has it)")
    parsed = parser.parse_args(arguments)
    if parsed.out.exists() and any(parsed.out.iterdir()):
        raise SystemExit(f"error: {parsed.out} is not empty: choose another folder")
    try:
        model, processor = merge_adapter(parsed.adapter, dtype=DTYPES[parsed.dtype])
    except GeoAgentError as error:
        raise SystemExit(f"error: {error}") from None
    model.save_pretrained(parsed.out)
    processor.save_pretrained(parsed.out)
    print(f"{parsed.out}: open it with geoagent.load({str(parsed.out)!r})")


if __name__ == "__main__":
    main()
