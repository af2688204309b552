"""The training loop: steps, checkpoints that resume exactly, a log, an average of the weights.

One process or many, CPU or GPU, DeepSpeed or not: Accelerate decides from how it was launched. Data, learning rate and
chance follow from the number of the step.
"""

import gc
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, set_seed
from torch import Tensor, nn
from torch.optim import AdamW
from torch.utils.data import DataLoader
from tqdm import tqdm

from geoagent.config import to_mapping
from train.averaging import WeightAverage
from train.batches import StepBatches, TrainBatch
from train.checkpoints import Checkpoints
from train.config import TrainConfig
from train.muon import Muon
from train.objective import Counts, TrainedModule, weighted
from train.tensors import tensors_of, to_device

Evaluate = Callable[[TrainedModule, int], dict[str, float]]
"""Called with the module and the step: values for the log."""


class NonFiniteLossError(RuntimeError):
    """A loss or a gradient became infinite or not a number; the batch was saved for inspection."""


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
        evaluate: Called every ``config.evaluate_every`` steps on the main process, with the averaged weights in place.
    """

    def __init__(
        self,
        config: TrainConfig,
        module: TrainedModule,
        batches: StepBatches,
        accelerator: Accelerator,
        evaluate: Evaluate | None = None,
    ) -> None:
        set_seed(config.seed)
        self.config = config
        self.batches = batches
        self.accelerator = accelerator
        self.evaluate = evaluate
        self.folder = Path(config.out) / config.name
        self.step = 0
        groups = parameter_groups(module, config.weight_decay, orthogonal=config.optimizer == "muon")
        rates: dict[str, Any] = {"lr": config.learning_rate, "betas": (config.betas[0], config.betas[1])}
        # A run in bf16 is on hardware that multiplies in it, seven times faster than in float32 on a CPU.
        products = torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float
        muon = config.optimizer == "muon"
        optimizer = Muon(groups, products=products, **rates) if muon else AdamW(groups, **rates)
        self.module, self.optimizer = accelerator.prepare(module, optimizer)
        self.average = WeightAverage(self.bare, config.ema) if config.ema else None
        self.checkpoints = Checkpoints(self.folder, accelerator, self.module, self.optimizer, self.average)

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
            if self.config.evaluate_every and self.step % self.config.evaluate_every == 0:
                self._evaluate()
            now = time.perf_counter()
            time_to_save, time_is_up = self._over_time(now - saved, now - began)
            if time_to_save:
                self.save()
                saved = now
            if time_is_up:
                break
        progress.close()
        self.save()
        return self.step >= self.config.steps

    def train_step(self, micro_batches: list[TrainBatch]) -> dict[str, float]:
        """One step of the optimizer over its accumulated batches; refuses a loss that is not finite."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate
        counts = Counts.from_tensor(self._over_ranks(sum(Counts.of(b).tensor() for b in micro_batches)))
        # Gradients are averaged over ranks and accumulated batches; our sums are already divided by all counts.
        share = self.accelerator.num_processes * len(micro_batches)
        logged: dict[str, float] = {}
        for micro_batch in micro_batches:
            with self.accelerator.accumulate(self.module):
                sums = self.module(to_device(micro_batch, self.accelerator.device))
                loss, means = weighted(sums, counts, self.config.loss)
                self._refuse_non_finite(loss.detach(), micro_batch, "loss")
                self._backward(loss * share)
                if self.accelerator.sync_gradients:
                    norm = self.accelerator.clip_grad_norm_(self.module.parameters(), self.config.clip)
                    if norm is not None and self.accelerator.scaler is None:
                        self._refuse_non_finite(torch.as_tensor(norm), micro_batch, "gradient")
                self.optimizer.step()
                self.optimizer.zero_grad()
            for name, value in {"loss": loss.detach(), **means}.items():
                logged[name] = logged.get(name, 0.0) + float(value)
        self.step += 1
        if self.average is not None:
            self.average.update(self.bare, self.step)
        return self._summed(logged)

    @property
    def learning_rate(self) -> float:
        """Of the coming step."""
        return self.config.learning_rate * rate_at(self.step, self.config)

    # --------------------------------------------------------------------------------------------------- checkpoints

    def save(self) -> None:
        """Write a checkpoint of this step."""
        self.checkpoints.save(self.step, {"config": to_mapping(self.config)})

    def resume(self) -> bool:
        """Continue from the newest checkpoint; False where there is none."""
        step = self.checkpoints.load_newest()
        if step is None:
            return False
        self.step = step
        if self.accelerator.is_main_process:
            cut_log(self.folder / "log.jsonl", step)
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
                set_seed(self.config.seed * 1_000_003 + self.step, device_specific=True)
                yield some
                some = []

    def averaged(self) -> Any:
        """A context in which the module has the averaged weights, where there are any."""
        return nullcontext() if self.average is None else self.average.instead(self.bare)

    def _evaluate(self) -> None:
        if self.evaluate is not None and self.accelerator.is_main_process:
            with self.averaged():
                values = self.evaluate(self.bare, self.step)
            self._write_log(values)
        self.module.train()
        self.accelerator.wait_for_everyone()

    def _over_ranks(self, values: Any) -> Tensor:
        summed: Tensor = self.accelerator.reduce(torch.as_tensor(values).to(self.accelerator.device), "sum")
        return summed.cpu()

    def _summed(self, logged: dict[str, float]) -> dict[str, float]:
        """Each rank has divided its share by the counts of all: together they are the means of the step."""
        if self.accelerator.num_processes == 1:
            return logged
        together = self._over_ranks(torch.tensor(list(logged.values()), dtype=torch.float64))
        return dict(zip(logged, together.tolist(), strict=True))

    def _backward(self, loss: Tensor) -> None:
        """Every trained parameter gets a gradient, if only of zero: a rank without targets must not leave any out."""
        trained = [p for p in self.module.parameters() if p.requires_grad]
        if self.accelerator.distributed_type != DistributedType.NO:
            self.accelerator.backward(loss + torch.stack([p.sum() * 0.0 for p in trained]).sum())
            return
        self.accelerator.backward(loss)
        for parameter in trained:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)

    def _refuse_non_finite(self, value: Tensor, batch: TrainBatch, what: str) -> None:
        if torch.isfinite(value):
            return
        path = self.folder / f"non-finite-step-{self.step}-rank-{self.accelerator.process_index}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        questions = [(sample.id, sample.instruction) for sample in batch.batch.samples]
        torch.save({"step": self.step, what: value, "questions": questions, "tensors": tensors_of(batch)}, path)
        raise NonFiniteLossError(f"the {what} of step {self.step} is {value.item()}; its batch is in {path}")

    def _over_time(self, since_save: float, since_start: float) -> tuple[bool, bool]:
        """Whether to save, and whether to stop: the same on all ranks, whose clocks differ."""
        stop = bool(self.config.minutes) and since_start > 60 * self.config.minutes
        flags = torch.tensor([float(since_save > 60 * self.config.save_minutes), float(stop)])
        if self.accelerator.num_processes > 1:
            flags = self._over_ranks(flags)
        return bool(flags[0] > 0), bool(flags[1] > 0)

    def _log(self, means: dict[str, float], clock: Clock, progress: "tqdm[Any]") -> None:
        rates = clock.rates()
        self._write_log({**means, **rates, "learning_rate": float(self.optimizer.param_groups[0]["lr"])})
        progress.set_postfix(loss=f"{means['loss']:.3f}", pairs=f"{rates['pairs_per_second']:.1f}/s", refresh=False)

    def _write_log(self, values: dict[str, float]) -> None:
        self.accelerator.log(values, step=self.step)
        if self.accelerator.is_main_process:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "log.jsonl").open("a") as log:
                log.write(json.dumps({"step": self.step, "time": time.time(), **values}) + "\n")


def cut_log(path: Path, step: int) -> None:
    """Take out what was logged after ``step``: those steps are run again."""
    if path.exists():
        lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("}\n")]
        path.write_text("".join(line for line in lines if json.loads(line)["step"] <= step))


def rate_at(step: int, config: TrainConfig) -> float:
    """Factor on the learning rate: linear warm-up, then a cosine down to ``final_rate``."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    progress = min(1.0, (step - config.warmup) / max(1, config.steps - config.warmup))
    return config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * progress))


def parameter_groups(module: nn.Module, weight_decay: float, *, orthogonal: bool = False) -> list[dict[str, Any]]:
    """Matrices decay; biases, norms, single tokens and embeddings do not.

    ``orthogonal`` marks the group of the matrices for `Muon`, all but the last layers of heads and tiny ones.
    """
    trained = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    plain = [p for name, p in trained if p.ndim < 2 or "embed" in name or name.endswith((".tokens", ".context"))]
    kept = {id(p) for p in plain}
    matrices = [p for name, p in trained if id(p) not in kept and orthogonal and _turns(name, p)]
    kept |= {id(p) for p in matrices}
    groups = [
        {"params": matrices, "weight_decay": weight_decay, "orthogonal": True},
        {"params": [p for _, p in trained if id(p) not in kept], "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _turns(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim >= 2 and min(parameter.flatten(1).shape) >= 16 and "classify" not in name


def one_thread(_: int) -> None:
    """Workers render and cut; the threads belong to the networks. Looking for garbage took a third of their time."""
    torch.set_num_threads(1)
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)
