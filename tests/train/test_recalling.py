"""Going on from stored weights: class heads that begin with what the model's own words say."""

import torch
from tiny import tiny_model

from geoagent.data.class_maps import CLASS_NAMES, class_maps
from geoagent.data.synth import render_scene
from geoagent.model import checkpoint
from geoagent.model.auxiliary import class_map_loss
from geoagent.model.catalogue import NANO_FOLDER
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


def test_heads_that_know_nothing_do_not_teach_yet():
    model, processor = tiny_model(prompting={"pixel_map": 8})
    heads = TrainedModule(model, auxiliary=True, class_vectors=class_vectors(model, processor)).heads
    tokens = torch.randn(1, 2, 2, model.config.text_width, requires_grad=True)
    heads.classify_token(tokens).sum().backward()
    assert not tokens.grad.any()
    assert torch.equal(heads.class_vectors, class_vectors(model, processor))
