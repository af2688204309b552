"""The training loop: steps, checkpoints that resume exactly, a log, an average of the weights.

One process or many, CPU or GPU, DeepSpeed or not: Accelerate decides from how it was launched. A checkpoint is a folder
that appears whole (written beside, then renamed); data, schedule and chance follow from the step number.
"""

import json
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from tqdm import tqdm

from geoagent.config import to_mapping
from train.batches import StepBatches, TrainBatch
from train.config import TrainConfig
from train.objective import Counts, TrainedModule, to_device, weighted

KEPT_CHECKPOINTS = 2


class NonFiniteLossError(RuntimeError):
    """A loss became infinite or not a number; the batch was saved for inspection."""


class WeightAverage:
    """Exponential moving average of the trained parameters, float32. What is evaluated and shipped."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.average = {n: p.detach().float().clone() for n, p in module.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the weights after ``step``; early on the average follows faster."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in module.named_parameters():
            if name in self.average:
                self.average[name].lerp_(parameter.detach().float(), 1 - decay)

    @torch.no_grad()
    def swap(self, module: nn.Module) -> None:
        """Exchange the average and the weights; call it twice to get back."""
        for name, parameter in module.named_parameters():
            if name in self.average:
                kept = parameter.detach().float().clone()
                parameter.copy_(self.average[name].to(parameter.dtype))
                self.average[name] = kept

    def state_dict(self) -> dict[str, Tensor]:
        """For the checkpoint."""
        return self.average

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """From the checkpoint."""
        self.average = {name: state[name].to(value.device) for name, value in self.average.items()}


@dataclass
class Clock:
    """How fast it goes."""

    pairs: int = 0
    images: int = 0
    began: float = 0.0

    def rates(self) -> dict[str, float]:
        """Question-answer pairs and images a second since the last call."""
        seconds = max(time.perf_counter() - self.began, 1e-9)
        rates = {"pairs_per_second": self.pairs / seconds, "images_per_second": self.images / seconds}
        self.pairs, self.images, self.began = 0, 0, time.perf_counter()
        return rates


class Trainer:
    """Trains a module on step batches.

    Args:
        config: The run.
        module: Model and auxiliary heads.
        batches: What each step trains on.
        accelerator: How it is run.
    """

    def __init__(
        self, config: TrainConfig, module: TrainedModule, batches: StepBatches, accelerator: Accelerator
    ) -> None:
        set_seed(config.seed)
        self.config = config
        self.batches = batches
        self.accelerator = accelerator
        self.folder = Path(config.out) / config.name
        self.step = 0
        optimizer = AdamW(
            parameter_groups(module, config.weight_decay),
            lr=config.learning_rate,
            betas=(config.betas[0], config.betas[1]),
        )
        schedule = LambdaLR(optimizer, lambda step: rate_at(step, config))
        self.module, self.optimizer = accelerator.prepare(module, optimizer)
        # Prepared schedulers count a step for every process; ours counts steps of the optimizer.
        self.schedule = schedule
        self.average = WeightAverage(self.bare, config.ema) if config.ema else None
        accelerator.register_for_checkpointing(self.schedule)
        if self.average is not None:
            accelerator.register_for_checkpointing(self.average)

    @property
    def bare(self) -> TrainedModule:
        """The module without what Accelerate wraps around it."""
        module: TrainedModule = self.accelerator.unwrap_model(self.module)
        return module

    def train(self) -> bool:
        """Run to the end, or to the time limit; True when the run is complete."""
        began = saved = time.perf_counter()
        self.module.train()
        progress = tqdm(
            total=self.config.steps, initial=self.step, unit="step", disable=not self.accelerator.is_main_process
        )
        clock = Clock(began=began)
        for micro_batches in self._steps():
            means = self.train_step(micro_batches)
            progress.update()
            clock.pairs += sum(len(b.batch.samples) for b in micro_batches) * self.accelerator.num_processes
            clock.images += sum(b.stage.images for b in micro_batches) * self.accelerator.num_processes
            if self.step % self.config.log_every == 0:
                self._log(means, clock, progress)
            now = time.perf_counter()
            if now - saved > 60 * self.config.save_minutes:
                self.save()
                saved = now
            if self._time_is_up(now - began):
                break
        progress.close()
        self.save()
        return self.step >= self.config.steps

    def train_step(self, micro_batches: list[TrainBatch]) -> dict[str, float]:
        """One step of the optimizer over its accumulated batches; refuses a loss that is not finite."""
        counts = Counts.from_tensor(self._over_ranks(sum(Counts.of(b).tensor() for b in micro_batches)))
        # Accelerate averages gradients over ranks and accumulated batches; our sums are already divided by all.
        share = self.accelerator.num_processes * len(micro_batches)
        logged: dict[str, float] = {}
        for micro_batch in micro_batches:
            with self.accelerator.accumulate(self.module):
                sums = self.module(to_device(micro_batch, self.accelerator.device))
                loss, means = weighted(sums, counts, self.config.loss)
                self._refuse_non_finite(loss, micro_batch)
                self.accelerator.backward(loss * share + self._touch_everything())
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.module.parameters(), self.config.clip)
                self.optimizer.step()
                self.optimizer.zero_grad()
            for name, value in {"loss": loss.detach(), **means}.items():
                logged[name] = logged.get(name, 0.0) + float(value)
        self.schedule.step()
        self.step += 1
        if self.average is not None:
            self.average.update(self.bare, self.step)
        return logged

    # --------------------------------------------------------------------------------------------------- checkpoints

    def save(self) -> None:
        """Write a checkpoint that appears whole, and drop old ones."""
        target = self.folder / "checkpoints" / f"step-{self.step:07d}"
        if target.exists():
            return
        partial = target.with_name(f".{target.name}.partial")
        if self.accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(partial))
        if self.accelerator.is_main_process:
            (partial / "run.json").write_text(
                json.dumps({"step": self.step, "config": to_mapping(self.config)}, indent=1)
            )
            partial.rename(target)
            for old in checkpoints(self.folder)[:-KEPT_CHECKPOINTS]:
                shutil.rmtree(old)
        self.accelerator.wait_for_everyone()

    def resume(self) -> bool:
        """Continue from the newest checkpoint; False where there is none."""
        found = checkpoints(self.folder)
        if not found:
            return False
        self.accelerator.load_state(str(found[-1]))
        self.step = json.loads((found[-1] / "run.json").read_text())["step"]
        return True

    # -------------------------------------------------------------------------------------------------------- details

    def _steps(self) -> Iterator[list[TrainBatch]]:
        """The batches of each step from here on."""
        accumulate = self.config.accumulate
        loader: DataLoader[TrainBatch] = DataLoader(
            self.batches,
            batch_size=None,
            sampler=range(self.step * accumulate, len(self.batches)),
            num_workers=self.config.workers,
            prefetch_factor=4 if self.config.workers else None,
            worker_init_fn=one_thread,
            pin_memory=self.accelerator.device.type == "cuda",
        )
        some: list[TrainBatch] = []
        for micro_batch in loader:
            some.append(micro_batch)
            if len(some) == accumulate:
                # Chance inside the networks (dropout) follows the step too, whatever happened before a resume.
                set_seed(self.config.seed * 1_000_003 + self.step)
                yield some
                some = []

    def _over_ranks(self, values: Tensor | int) -> Tensor:
        summed: Tensor = self.accelerator.reduce(torch.as_tensor(values).to(self.accelerator.device), "sum")
        return summed.cpu()

    def _touch_everything(self) -> Tensor:
        """Zero, with a gradient of zero for every trained parameter: a rank without targets must not leave any out."""
        return torch.stack([p.sum() * 0.0 for p in self.module.parameters() if p.requires_grad]).sum()

    def _refuse_non_finite(self, loss: Tensor, batch: TrainBatch) -> None:
        if torch.isfinite(loss):
            return
        path = self.folder / f"non-finite-step-{self.step}-rank-{self.accelerator.process_index}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"step": self.step, "samples": [s.id for s in batch.batch.samples], "loss": loss.detach()}, path)
        raise NonFiniteLossError(f"the loss of step {self.step} is {loss.item()}; its batch is in {path}")

    def _time_is_up(self, seconds: float) -> bool:
        """All ranks stop at the same step."""
        if not self.config.minutes:
            return False
        return bool(self._over_ranks(torch.tensor(float(seconds > 60 * self.config.minutes))) > 0)

    def _log(self, means: dict[str, float], clock: Clock, progress: "tqdm[Any]") -> None:
        rates = clock.rates()
        values = {**means, **rates, "learning_rate": self.schedule.get_last_lr()[0]}
        self.accelerator.log(values, step=self.step)
        if self.accelerator.is_main_process:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "log.jsonl").open("a") as log:
                log.write(json.dumps({"step": self.step, "time": time.time(), **values}) + "\n")
            progress.set_postfix(loss=f"{means['loss']:.3f}", pairs=f"{rates['pairs_per_second']:.1f}/s", refresh=False)


def rate_at(step: int, config: TrainConfig) -> float:
    """Factor on the learning rate: linear warm-up, then a cosine down to ``final_rate``."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    progress = min(1.0, (step - config.warmup) / max(1, config.steps - config.warmup))
    return config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * progress))


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases, norms, single tokens and embeddings do not."""
    trained = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    plain = [p for name, p in trained if p.ndim < 2 or "embed" in name or name.endswith((".tokens", ".context"))]
    kept = {id(p) for p in plain}
    return [
        {"params": [p for _, p in trained if id(p) not in kept], "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]


def checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    return sorted(p for p in (folder / "checkpoints").glob("step-*") if (p / "run.json").exists())


def one_thread(_: int) -> None:
    """Workers render and cut; the threads belong to the networks."""
    torch.set_num_threads(1)
