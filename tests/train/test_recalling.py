"""Going on from stored weights: class heads that begin with what the model's own words say."""

from dataclasses import replace

import pytest
import torch
from tiny import tiny_model

from geoagent.data.class_maps import CLASS_NAMES, class_maps
from geoagent.data.synth import render_scene
from geoagent.model import checkpoint
from geoagent.model.auxiliary import class_map_loss
from geoagent.model.catalogue import NANO_FOLDER
from train.batches import StepBatches
from train.config import StageConfig, TrainConfig
from train.objective import TrainedModule
from train.recalling import class_vectors


def test_what_nano_calls_its_pixels_draws_their_class_maps():
    model, processor = checkpoint.from_folder(NANO_FOLDER, dtype=torch.float32)
    scene = render_scene(5, size=256)
    images = processor.with_sizes(sam=384, min_pixels=256**2, max_pixels=256**2).images([scene.image])
    truth = class_maps([scene], 96)
    vectors = class_vectors(model, processor)
    assert vectors.shape == (len(CLASS_NAMES), model.config.prompting.pixel_map + 1)
    losses = []
    for known in (None, vectors):
        heads = TrainedModule(model, auxiliary=True, class_vectors=known).heads
        with torch.no_grad():
            features = model.encode_images(images.pixel_values, images.grid_thw, images.sam_pixels)
            losses.append(class_map_loss(heads(features, vectors.new_zeros(0, model.config.text_width)).fine, truth))
    assert losses[1] < losses[0] / 2


def towers_batch(step):
    """One rendered view without questions."""
    config = TrainConfig(name="towers", stages=(StageConfig(steps=1, side=128, questions=1, towers_only=True),))
    _, processor = tiny_model(prompting={"pixel_map": 8})
    return replace(StepBatches(config, processor)[0], step=step)


@pytest.mark.parametrize(("recalled", "step", "taught"), [(True, 0, False), (True, 100, True), (False, 0, True)])
def test_a_token_head_that_begins_anew_does_not_teach_a_tower_that_knows(recalled, step, taught):
    model, processor = tiny_model(prompting={"pixel_map": 8})
    vectors = class_vectors(model, processor)
    module = TrainedModule(model, auxiliary=True, class_vectors=vectors if recalled else None)
    module(towers_batch(step))["class_maps"].backward()
    grads = [p.grad for p in model.mllm.model.visual.parameters()]
    assert any(g is not None and g.any() for g in grads) == taught
    assert all(p.grad.any() for p in module.heads.classify_token[-1].parameters())
    if recalled:
        assert torch.equal(module.heads.class_vectors, vectors)
