"""Teach a model to see objects as wholes, and write that into its folder.

    python -m tools.learn_objects runs/nano/model --config train/configs/nano.yaml --views 1500

It draws views from the sources of a training configuration, looks for every countable class in them, and learns which
of what it finds is right, see `geoagent.model.recognition`. A tenth of the views is kept to tell how well.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from geoagent.config import load_yaml
from geoagent.data.class_maps import THING_NAMES
from geoagent.model import checkpoint
from geoagent.model.pipeline import GeoAgentModel
from train.batches import StepBatches
from train.config import StageConfig, TrainConfig
from train.objects import VIEW, FoundObjects, LabelledView, find_objects, learn_objects, told_apart
from train.recalling import class_vectors
from train.writing import halved

_PASSES = 40
"""How often learning sees each object."""


class _Views(Dataset[LabelledView]):
    """Labelled views of a configuration's sources, each by its number."""

    def __init__(self, batches: StepBatches, count: int) -> None:
        self.batches, self.count = batches, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> LabelledView:
        rng = np.random.default_rng((self.batches.config.seed, number, 7))
        while True:
            item = self.batches.draw_item(rng, 0, self.batches.config.stages[0])
            if item.scene is not None:
                return LabelledView.of(item.scene)


def main(argv: Sequence[str] | None = None) -> None:
    """Learn and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a model with a pixel map")
    parser.add_argument("--config", type=Path, default=Path("train/configs/nano.yaml"), help="where views come from")
    parser.add_argument("--views", type=int, default=1500)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of the configuration")
    parsed = parser.parse_args(argv)
    if parsed.views < 2:
        parser.error("--views: at least two, one of which is kept")
    config = load_yaml(TrainConfig, parsed.config, parsed.overrides)
    config = replace(config, stages=(StageConfig(steps=1, side=VIEW, questions=1),))
    model, processor = checkpoint.from_folder(parsed.model, dtype=torch.float32)
    if model.pixel_map is None:
        parser.error(f"{parsed.model} has no pixel map to pool")
    model = _with_recognition(model).eval()
    views = DataLoader(
        _Views(StepBatches(config, processor), parsed.views), batch_size=None, num_workers=config.workers
    )
    vectors, rng = class_vectors(model, processor), np.random.default_rng(config.seed)
    seen = [find_objects(model, processor, vectors, view, rng) for view in tqdm(views, unit="view")]
    tenth = max(1, len(seen) // 10)
    learned, kept = FoundObjects.joined(seen[tenth:]), FoundObjects.joined(seen[:tenth])
    assert model.recognition is not None
    learn_objects(model.recognition, learned, steps=max(1, _PASSES * len(learned.asked) // 512))
    apart = told_apart(model.recognition, kept)
    print(f"learned from {len(learned.asked)} objects; of {len(kept.asked)} others {apart:.3f} are told apart")
    model.save_pretrained(parsed.model, state_dict=halved(model.state_dict()))


def _with_recognition(model: GeoAgentModel) -> GeoAgentModel:
    """The same model with a network that knows the countable classes, learned before or not."""
    config = model.config.with_parts(recognition={"classes": THING_NAMES})
    whole = GeoAgentModel(config)
    whole.load_state_dict(model.state_dict(), strict=False)
    return whole


if __name__ == "__main__":
    main()
