"""Train or fine-tune a model.

    python -m train.finetune --config train/configs/nano.yaml [key=value …]
    torchrun --nproc-per-node 2 -m train.finetune --config …
    accelerate launch --config_file train/accelerate/zero2.yaml -m train.finetune --config …

Resumes by itself where a checkpoint of the run is found. Writes ``<out>/<name>/``: log, checkpoints, evaluations, and
at the end, or when its time is up, ``model`` (a folder that `geoagent.load` opens), or ``adapter`` with LoRA.
"""

import argparse
from pathlib import Path

from geoagent.config import load_yaml
from geoagent.types import GeoAgentError
from train.batches import StepBatches
from train.config import TrainConfig
from train.evaluation import Evaluator
from train.launching import make_accelerator, resolve_precision
from train.loop import NonFiniteLossError, Trainer
from train.objective import TrainedModule
from train.recalling import class_vectors
from train.starting import Start, build_start
from train.writing import result_name, write_weights


def main(arguments: list[str] | None = None) -> None:
    """Parse, build, train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parsed = parser.parse_args(arguments)
    try:
        finetune(load_yaml(TrainConfig, parsed.config, parsed.overrides))
    except (GeoAgentError, NonFiniteLossError) as error:
        raise SystemExit(f"error: {error}") from None


def finetune(config: TrainConfig) -> Path:
    """Run (or go on with) what ``config`` describes; the folder of the result."""
    accelerator = make_accelerator(config)
    start = build_start(config, resolve_precision(config.precision))
    vectors = class_vectors(start.model, start.processor) if config.auxiliary and start.knows_words else None
    module = TrainedModule(start.model, auxiliary=config.auxiliary, class_vectors=vectors)
    batches = StepBatches(config, start.processor, accelerator.process_index, accelerator.num_processes)
    evaluator = None
    if config.evaluate_every and accelerator.is_main_process:
        evaluator = Evaluator(
            config, start.processor, accelerator, keep=lambda folder: write_weights(start, config, folder)
        )
    trainer = Trainer(config, module, batches, accelerator, evaluator)
    if trainer.resume() and accelerator.is_main_process:
        print(f"{trainer.folder}: goes on at step {trainer.step}")
    trainer.train()
    folder = write_result(trainer, start)
    accelerator.end_training()
    return folder


def write_result(trainer: Trainer, start: Start) -> Path:
    """The averaged weights as they are now; every process calls this."""
    folder = trainer.folder / result_name(trainer.config)
    accelerator = trainer.accelerator
    if accelerator.is_main_process:
        with trainer.averaged():
            write_weights(start, trainer.config, folder)
    accelerator.wait_for_everyone()
    return folder


if __name__ == "__main__":
    main()
