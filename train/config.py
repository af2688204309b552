"""A training run as one named, complete configuration: short YAML files in ``train/configs``, unknown keys refused."""

import os
from dataclasses import dataclass, field
from typing import Any, Literal

from geoagent.data.augment import ViewConfig
from geoagent.types import GeoAgentError

PRECISIONS = ("auto", "no", "bf16", "fp16")
EVERYTHING = (".*",)


def expanded(spec: str) -> str:
    """A dataset's SPEC with environment variables filled in."""
    full = os.path.expandvars(spec)
    if "$" in full:
        name = full[full.index("$") + 1 :].split("/")[0].strip("{}")
        raise GeoAgentError(f"{spec}: set the environment variable {name}")
    return full


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """One source of training images."""

    data: str
    """``synth``, ``imagery:PATH`` or any SPEC of `geoagent.data.registry`, such as ``folder:PATH``; ``$NAME`` in a path
    is read from the environment."""
    split: str = "train"
    weight: float = 1.0
    schedule: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    """Factor on the weight over the progress of the run, ``(progress, factor)`` points."""
    view: ViewConfig = field(default_factory=ViewConfig)
    """For scenes only; samples of published datasets are used as they are."""
    size: int = 320
    """Side at which ``synth`` renders, before views are cut."""
    pool: int = 0
    """``synth`` renders so many scenes and keeps them: other views of them cost a tenth; 0: always a new one."""
    growth: float = 0.0
    """Scenes that the pool gains with each step: few at first, so that nobody waits for them."""
    shared: str = ""
    """Folder through which processes share the scenes that they have rendered."""
    only_open: bool = False
    """Of ``imagery``: freely licensed sets only."""


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """One stretch of the run at one image size; stages follow one another in one schedule."""

    steps: int
    side: int = 256
    """Side of the square view that the model sees; 0: each image as it is."""
    sam: int = 0
    """Side at which SAM2 sees the view; 0: ``side``. An outline needs more pixels than words do, and costs less."""
    images: int = 8
    """Images a step on each rank."""
    questions: int = 8
    """Questions an image."""
    closer: float = 1.0
    """Factor on the sides of views: 0.5 at half the ``side`` shows objects as large as before, and fewer of them."""
    kinds: dict[str, float] | None = None
    """Weights of kinds of question; None: the usual shares."""
    towers_only: bool = False
    """Only the class maps: trains both image encoders before any words."""
    targets: tuple[int, ...] = ()
    """For GPUs: exactly so many targets a step on each rank without marks, with few and with many: `train.shapes`."""
    words_only: bool = False
    """Only the language model, behind a picture of four tokens: which answer, and which class, a question asks for."""

    reading_only: bool = False
    """Without SAM2: what to answer, and roughly where, at many questions an image for the price of a few masks."""

    def __post_init__(self) -> None:
        if self.towers_only + self.words_only + self.reading_only > 1:
            raise GeoAgentError("stages: a stage is towers_only, words_only or reading_only")
        if self.side % 32 or self.sam % 32:
            raise GeoAgentError(f"stages: side and sam must be multiples of 32 (or 0), not {self.side}, {self.sam}")
        if self.sam and not self.side:
            raise GeoAgentError("stages: sam is for views of one size: set side as well")
        if self.targets and len(self.targets) != 3:
            raise GeoAgentError("stages: targets are three numbers: without marks, with few, with many")
        if min(self.steps, self.images, self.questions) < 1:
            raise GeoAgentError("stages: steps, images and questions must be at least 1")

    @property
    def view_side(self) -> int:
        """Side of the view as it is cut: what SAM2 sees."""
        return self.sam or self.side

    @property
    def sizes(self) -> dict[str, int]:
        """Of the images, as the processor wants them; nothing where each stays as it is."""
        if not self.side:
            return {}
        return {"sam": self.view_side, "min_pixels": self.side**2, "max_pixels": self.side**2}


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the losses."""

    answer: float = 1.0
    bce: float = 2.0
    dice: float = 1.0
    coarse: float = 1.0
    consistency: float = 0.5
    objectness: float = 0.5
    iou: float = 0.1
    cores: float = 0.3
    spatial: float = 0.0
    class_maps: float = 1.0
    classes: float = 0.5
    asked: float = 0.5
    """Which class a question asks for, of a model that has an opinion of that."""
    class_vectors: float = 0.5
    """In stages of words alone, of a model with a pixel map."""


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Low-rank adapters on queries and keys; our stages and the rows of the marks are trained whole besides."""

    text: bool = True
    vision: bool = True
    sam: bool = True
    """SAM2's image encoder."""
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    sam_decoder: bool = True
    """Train SAM2's prompt encoder and mask decoder whole."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What is trained."""

    start: str = "nano"
    """``nano``, a folder or a hub id of a geoagent model."""
    scratch: bool = False
    """Random weights: of ``start`` only configuration, tokenizer and image processors are used."""
    mllm: str | None = None
    """With ``sam``: a stock Qwen-VL checkpoint to start from instead."""
    sam: str | None = None
    quantize: str | None = None
    parts: dict[str, Any] = field(default_factory=dict)
    """Settings of single stages, see `geoagent.model.configuration`."""
    lora: LoraConfig | None = None
    """None: what ``trained`` names is trained whole."""
    trained: tuple[str, ...] = EVERYTHING
    """Regular expressions of the parameters that are trained whole, without LoRA."""

    def __post_init__(self) -> None:
        if (self.mllm is None) != (self.sam is None):
            raise GeoAgentError("model: a stock start needs both mllm (Qwen-VL) and sam (SAM2)")
        if self.lora and self.trained != EVERYTHING:
            raise GeoAgentError("model: trained is for runs without lora; see lora.sam_decoder")
        if self.quantize and not self.lora:
            raise GeoAgentError("model: quantised weights cannot be trained whole: set model.lora")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides a run. The same file serves one CPU, one GPU and many."""

    name: str
    out: str = "runs"
    model: ModelConfig = ModelConfig()
    sources: tuple[SourceConfig, ...] = (SourceConfig(data="synth"),)
    stages: tuple[StageConfig, ...] = (StageConfig(steps=1000),)
    length: float = 1.0
    """Factor on the steps of every stage, to fit the run into the time there is."""
    loss: LossConfig = LossConfig()
    learning_rate: float = 6e-4
    final_rate: float = 0.02
    """Of the learning rate, at the end of the cosine."""
    warmup: int = 200
    weight_decay: float = 0.05
    optimizer: Literal["adamw", "muon"] = "adamw"
    """``muon``, for training from scratch: see `train.muon`."""
    betas: tuple[float, ...] = (0.9, 0.98)
    clip: float = 1.0
    accumulate: int = 1
    ema: float = 0.999
    """0: none."""
    brief_share: float = 0.3
    """Share of questions whose answer is phrases only."""
    precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    """``auto``: bf16 where the hardware computes in it, else full precision."""
    deepspeed: str | None = None
    """Its configuration, such as ``train/deepspeed/zero2.json``; None: none, or what ``accelerate launch`` says. A run
    that no launcher started is a single process and does without."""
    gradient_checkpointing: bool = False
    workers: int = 1
    seed: int = 0
    log_every: int = 20
    save_minutes: float = 5.0
    evaluate_every: int = 0
    """Steps; 0: never. The best model so far is kept in ``best``."""
    evaluate_on: str = "synth:val"
    evaluate_split: str | None = None
    evaluate_limit: int = 64
    """Samples, spread over the dataset."""
    trackers: tuple[str, ...] = ("tensorboard",)
    minutes: float = 0.0
    """Stop (with a checkpoint and a model) after this many minutes; 0: run to the end."""
    shard: str = "1GB"
    """Largest file of weights of the result."""

    def __post_init__(self) -> None:
        if not self.stages or not self.sources:
            raise GeoAgentError(f"{self.name}: a run needs at least one stage and one source")
        if self.precision not in PRECISIONS:
            raise GeoAgentError(f"{self.name}: precision is one of {', '.join(PRECISIONS)}, not {self.precision!r}")
        if self.optimizer == "muon" and self.deepspeed:
            raise GeoAgentError(f"{self.name}: muon steps whole matrices, which ZeRO takes apart: use adamw")
        if self.loss.class_maps == 0 and any(stage.towers_only for stage in self.stages):
            raise GeoAgentError(f"{self.name}: a stage of towers only learns from class maps: set loss.class_maps")
        if self.auxiliary and any(stage.side == 0 for stage in self.stages):
            raise GeoAgentError(
                f"{self.name}: class maps need images of one size: set side, or loss.class_maps and loss.classes to 0"
            )

    @property
    def auxiliary(self) -> bool:
        """Whether the heads that only training knows are wanted."""
        return self.loss.class_maps > 0 or self.loss.classes > 0

    @property
    def steps(self) -> int:
        """Length of the run."""
        return sum(self.steps_of(stage) for stage in self.stages)

    def steps_of(self, stage: StageConfig) -> int:
        """Steps of one stage."""
        return max(1, round(self.length * stage.steps))

    def stage_at(self, step: int) -> StageConfig:
        """The stage that a step belongs to."""
        for stage in self.stages:
            if step < self.steps_of(stage):
                return stage
            step -= self.steps_of(stage)
        return self.stages[-1]
