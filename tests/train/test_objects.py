"""Learning to see objects as wholes, from what nano finds in rendered views."""

import shutil

import numpy as np
import pytest
import torch

from geoagent.data.augment import ViewConfig, random_view
from geoagent.data.class_maps import THING_NAMES
from geoagent.data.synth import render_scene
from geoagent.model import checkpoint
from geoagent.model.catalogue import NANO_FOLDER
from geoagent.model.configuration import GeoAgentConfig, RecognitionConfig
from geoagent.model.recognition import ObjectRecognition
from tools import learn_objects as tool
from train.objects import VIEW, FoundObjects, LabelledView, find_objects, learn_objects, told_apart
from train.recalling import class_vectors


@pytest.fixture(scope="module")
def found():
    model, processor = checkpoint.from_folder(NANO_FOLDER, dtype=torch.float32)
    vectors, rng = class_vectors(model.eval(), processor), np.random.default_rng(0)
    views = [random_view(render_scene(seed, size=512), VIEW, ViewConfig(), rng) for seed in (3, 4)]
    return [find_objects(model, processor, vectors, LabelledView.of(view), rng) for view in views]


def test_right_and_wrong_objects_are_found(found):
    for some in found:
        own = some.labels[torch.arange(len(some.asked)), some.asked]
        assert (own == 1).any() and (own == 0).any() and not (own < 0).any()
        assert some.pooled.shape == (len(own), some.pooled.shape[1]) and torch.isfinite(some.pooled).all()


def test_what_was_learned_tells_right_from_wrong(found):
    whole = FoundObjects.joined(found)
    width = (whole.pooled.shape[1] - 3) // 3
    recognition = ObjectRecognition(RecognitionConfig(classes=THING_NAMES), width)
    before = told_apart(recognition, whole)
    learn_objects(recognition, whole, steps=60)
    assert told_apart(recognition, whole) > max(0.9, before)
    learned = {name: value.clone() for name, value in recognition.state_dict().items()}
    learn_objects(recognition, whole, steps=60)
    for name, value in recognition.state_dict().items():
        assert torch.equal(value, learned[name]), "learning anew does not depend on what was learned before"


def test_the_tool_writes_a_model_that_knows_objects(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(NANO_FOLDER, folder)
    before = GeoAgentConfig.from_pretrained(folder)
    config = tmp_path / "sources.yaml"
    config.write_text("name: few\nsources:\n  - {data: synth, size: 256, pool: 2}\nworkers: 0\n")
    tool.main([str(folder), "--config", str(config), "--views", "2"])
    model, _ = checkpoint.from_folder(folder)
    assert model.config.recognition.classes == THING_NAMES
    assert model.recognition.classify.weight.any()
    assert model.config.trained == before.trained and model.config.score == before.score
