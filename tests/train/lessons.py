"""A training run of seconds: a tiny model on disk, a folder of coloured squares to find, a configuration for both."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from tiny import tiny_model

from geoagent.data.class_maps import CLASS_NAMES
from geoagent.data.folder import PlainFolderWriter
from geoagent.types import LabelledTarget, Sample
from train.config import LossConfig, ModelConfig, SourceConfig, StageConfig, TrainConfig

SIDE = 64


def square_sample(number: int, question: int, *, present: bool = True) -> Sample:
    """A red square on grey; every image has the same picture for all its questions."""
    random = np.random.default_rng(number)
    image = np.full((SIDE, SIDE, 3), 110, dtype=np.uint8)
    image += random.integers(0, 30, image.shape, dtype=np.uint8)
    y, x = random.integers(4, SIDE - 24, 2)
    mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
    mask[y : y + 20, x : x + 20] = True
    image[mask] = (220, 30, 30)
    return Sample(
        id=f"{number}-{question}",
        image_id=f"picture-{number}",
        image=image,
        instruction=("Where is fuel kept?", "Show the ship.")[question % 2],
        targets=(
            LabelledTarget(
                phrase="storage tanks" if present else "helipad",
                mask=mask if present else np.zeros_like(mask),
                class_name="storage tank" if present else "helipad",
            ),
        ),
        type="reference" if present else "absent",
    )


def write_squares(root: Path, images: int = 6) -> Path:
    """A plain folder; every second question is about something absent."""
    writer = PlainFolderWriter(root)
    for split, first in (("train", 0), ("val", 100)):
        writer.write((square_sample(first + i, q, present=q == 0) for i in range(images) for q in (0, 1)), split=split)
    return root


def write_tiny_model(folder: Path, family: str = "qwen3_vl", *, tied: bool = True) -> Path:
    """A model folder that training can start from."""
    model, processor = tiny_model(family, tied=tied, meaning={"classes": CLASS_NAMES})
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def tiny_run(root: Path, **changes: object) -> TrainConfig:
    """Six steps of two images with two questions each, on one CPU process, nothing random but what should be."""
    model = root / "tiny"
    if not model.exists():
        write_tiny_model(model)
        write_squares(root / "squares")
    base = TrainConfig(
        name="lesson",
        out=str(root / "runs"),
        model=ModelConfig(start=str(model)),
        sources=(SourceConfig(data=f"folder:{root / 'squares'}"),),
        stages=(StageConfig(steps=6, side=64, images=2, questions=2),),
        loss=LossConfig(class_maps=0, classes=0.5),
        learning_rate=1e-3,
        warmup=2,
        ema=0.9,
        precision="no",
        workers=0,
        log_every=1,
        save_minutes=1e9,
        evaluate_on=f"folder:{root / 'squares'}",
        evaluate_split="val",
        evaluate_limit=4,
        trackers=(),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def losses_of(config: TrainConfig) -> dict[int, float]:
    """Loss by step, from the log."""
    lines = (Path(config.out) / config.name / "log.jsonl").read_text().splitlines()
    logged = [json.loads(line) for line in lines]
    return {line["step"]: line["loss"] for line in logged if "loss" in line}
