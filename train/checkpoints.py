"""Checkpoints of a run: folders that appear whole (written beside, then renamed), with what is trained and no more.

A frozen base model is not written again and again. What each step sees follows from its number, so a checkpoint holds
no state of random generators.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from safetensors.torch import load_file, save_file
from torch import nn

from geoagent.types import GeoAgentError
from train.averaging import WeightAverage

KEPT_CHECKPOINTS = 2


def checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    return sorted(p for p in (folder / "checkpoints").glob("step-*") if (p / "run.json").exists())


class Checkpoints:
    """Writes and reads the checkpoints of one run.

    Args:
        folder: Of the run.
        accelerator: How it is run.
        module: As prepared by the accelerator.
        optimizer: As prepared.
        average: Of the weights, if there is one.
    """

    def __init__(
        self, folder: Path, accelerator: Accelerator, module: Any, optimizer: Any, average: WeightAverage | None
    ) -> None:
        self.folder = folder
        self.accelerator = accelerator
        self.module, self.optimizer, self.average = module, optimizer, average

    def save(self, step: int, about: dict[str, Any]) -> None:
        """Write the checkpoint after ``step`` and drop old ones; every process calls this."""
        target = self.folder / "checkpoints" / f"step-{step:07d}"
        if target.exists():
            return
        partial = target.with_name(f".{target.name}.partial")
        main = self.accelerator.is_main_process
        if main:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        self.accelerator.wait_for_everyone()
        if self.accelerator.distributed_type == DistributedType.DEEPSPEED:
            self.module.save_checkpoint(str(partial), tag="deepspeed", exclude_frozen_parameters=True)
        elif main:
            save_file(_trained(self.bare), partial / "trained.safetensors")
            torch.save(self._optimizer_state(), partial / "optimizer.pt")
        if main and self.average is not None:
            save_file(self.average.average, partial / "average.safetensors")
        self.accelerator.wait_for_everyone()
        if main:
            (partial / "run.json").write_text(json.dumps({"step": step, **about}, indent=1))
            partial.rename(target)
            for old in checkpoints(self.folder)[:-KEPT_CHECKPOINTS]:
                shutil.rmtree(old)
        self.accelerator.wait_for_everyone()

    def load_newest(self) -> int | None:
        """Bring everything back to the newest checkpoint; its step, None where there is none."""
        found = checkpoints(self.folder)
        if not found:
            return None
        newest = found[-1]
        try:
            self._load(newest)
        except (FileNotFoundError, KeyError, ValueError, RuntimeError) as error:
            raise GeoAgentError(
                f"{newest} does not fit this run ({str(error).splitlines()[0]}): choose another name, or delete it"
            ) from error
        return int(json.loads((newest / "run.json").read_text())["step"])

    @property
    def bare(self) -> nn.Module:
        """The module without what Accelerate wraps around it."""
        module: nn.Module = self.accelerator.unwrap_model(self.module)
        return module

    def _load(self, folder: Path) -> None:
        if self.accelerator.distributed_type == DistributedType.DEEPSPEED:
            self.module.load_checkpoint(str(folder), tag="deepspeed", load_module_strict=False)
        else:
            saved = load_file(folder / "trained.safetensors")
            with torch.no_grad():
                for name, parameter in self.bare.named_parameters():
                    if parameter.requires_grad:
                        parameter.copy_(saved[name])
            state = torch.load(folder / "optimizer.pt", map_location="cpu", weights_only=True)
            self.optimizer.load_state_dict(state["optimizer"])
            if self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load(load_file(folder / "average.safetensors"))

    def _optimizer_state(self) -> dict[str, Any]:
        scaler = self.accelerator.scaler
        return {
            "optimizer": self.optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else {},
        }


def _trained(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().contiguous() for name, p in module.named_parameters() if p.requires_grad}
