"""Train or fine-tune a model.

    python -m train.finetune --config train/configs/nano.yaml [key=value …]
    torchrun --nproc-per-node 2 -m train.finetune --config …
    accelerate launch --config_file train/accelerate/zero2.yaml -m train.finetune --config …

Resumes by itself where a checkpoint of the run is found. Writes ``<out>/<name>/``: log, checkpoints, and at the end
``model`` (a folder that `geoagent.load` opens), or ``adapter`` for a run with LoRA.
"""

import argparse
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration

from geoagent.config import load_yaml, to_mapping
from geoagent.types import GeoAgentError
from train.batches import StepBatches
from train.config import TrainConfig
from train.loop import Trainer
from train.objective import TrainedModule
from train.starting import build_model
from train.writing import write_result


def main(arguments: list[str] | None = None) -> None:
    """Parse, build, train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parsed = parser.parse_args(arguments)
    try:
        finetune(load_yaml(TrainConfig, parsed.config, parsed.overrides))
    except GeoAgentError as error:
        raise SystemExit(f"error: {error}") from None


def finetune(config: TrainConfig) -> Path | None:
    """Run (or go on with) what ``config`` describes; the folder of the result, None when time ran out first."""
    folder = Path(config.out) / config.name
    accelerator = Accelerator(
        mixed_precision=config.precision,
        gradient_accumulation_steps=config.accumulate,
        log_with=list(config.trackers) or None,
        project_config=ProjectConfiguration(str(folder), logging_dir=str(folder)),
    )
    if config.trackers:
        accelerator.init_trackers("log", config={"config": str(to_mapping(config))})
    model, processor = build_model(config)
    module = TrainedModule(model, auxiliary=config.loss.class_maps > 0 or config.loss.classes > 0)
    batches = StepBatches(config, processor, accelerator.process_index, accelerator.num_processes)
    trainer = Trainer(config, module, batches, accelerator)
    if trainer.resume() and accelerator.is_main_process:
        print(f"{folder}: goes on at step {trainer.step}")
    complete = trainer.train()
    accelerator.end_training()
    if not complete:
        return None
    if accelerator.is_main_process:
        return write_result(trainer, processor, folder)
    torch.distributed.barrier()
    return None


if __name__ == "__main__":
    main()
