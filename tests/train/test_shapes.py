"""Batches in shapes that repeat."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lessons import tiny_run

from geoagent.model.sam import NO_MARK
from geoagent.types import GeoAgentError
from train.batches import StepBatches
from train.config import LossConfig, SourceConfig, StageConfig
from train.objective import Counts, TrainedModule, weighted
from train.shapes import in_fixed_shapes
from train.starting import build_start
from train.tensors import tensors_of

KINDS = {"several": 0.2, "absent": 0.1, "interactive": 0.5, "reference": 0.2}
STAGE = StageConfig(steps=8, side=64, images=2, questions=6, kinds=KINDS)


def run_of(tiny_folder, tmp_path, **stage):
    return tiny_run(
        tiny_folder,
        out=str(tmp_path),
        sources=(SourceConfig(data="synth", size=96, pool=3),),
        stages=(replace(STAGE, **stage),),
        loss=LossConfig(),
    )


def test_shapes_repeat_from_step_to_step(tiny_folder, tmp_path):
    config = run_of(tiny_folder, tmp_path, targets=(8, 3, 2))
    batches = StepBatches(config, build_start(config).processor)
    seen = set()
    for step in range(8):
        inputs = batches[step].batch.inputs
        assert inputs.person is not None
        assert sorted(inputs.person.counts) == [0] * 8 + [3] * 3 + [9] * 2
        seen.add(tuple((name, value.shape) for name, value in tensors_of(batches[step].batch.truth).items()))
        assert inputs.text.word_index.shape[1] % 16 == 0
        assert inputs.text.input_ids.shape[1] % 128 == 0
        assert batches[step].classes.shape == (13,)
    assert len(seen) == 1


def test_losses_of_all_targets_are_what_they_were(tiny_folder, tmp_path):
    """Drawing every target once and padding change nothing: what is padded is looked at by nobody."""
    config = run_of(tiny_folder, tmp_path, kinds={"several": 0.5, "reference": 0.5})
    start = build_start(config)
    module = TrainedModule(start.model, auxiliary=True).eval()
    plain = StepBatches(config, start.processor)[0]
    count = len(plain.batch.truth.present)
    fixed = in_fixed_shapes(plain.batch, (count, 2, 2), np.random.default_rng(0))
    answers = len(fixed.inputs.text.answer_labels)
    assert fixed.inputs.text.input_ids.shape != plain.batch.inputs.text.input_ids.shape
    classes = dict(zip(plain.batch.truth.class_names, plain.classes, strict=True))
    again = replace(plain, batch=fixed, classes=torch.stack([classes[name] for name in fixed.truth.class_names]))
    text = plain.batch.inputs.text
    text = replace(text, answer_index=text.answer_index[:answers], answer_labels=text.answer_labels[:answers])
    plain = replace(plain, batch=replace(plain.batch, inputs=replace(plain.batch.inputs, text=text)))
    with torch.no_grad():
        ours, theirs = (weighted(module(b), Counts.of(b), config.loss)[1] for b in (again, plain))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], msg=name, rtol=1e-4, atol=1e-5)


def test_few_targets_come_twice_and_a_missing_kind_is_left_out(tiny_folder, tmp_path):
    config = run_of(tiny_folder, tmp_path, kinds={"reference": 1.0})
    batch = StepBatches(config, build_start(config).processor)[0].batch
    count = len(batch.truth.present)
    fixed = in_fixed_shapes(batch, (2 * count + 1, 4, 4), np.random.default_rng(0))
    assert len(fixed.truth.present) == 2 * count + 1
    assert set(fixed.truth.class_names) == set(batch.truth.class_names)
    assert fixed.inputs.person is None


def test_marks_that_are_too_many_are_never_drawn(tiny_folder, tmp_path):
    config = run_of(tiny_folder, tmp_path, kinds={"interactive": 1.0})
    batch = StepBatches(config, build_start(config).processor)[0].batch
    person = batch.inputs.person
    assert person is not None
    count = len(person.labels)
    labels = torch.full((count, 12), 1, dtype=person.labels.dtype)
    labels[1:, 3:] = NO_MARK
    person = replace(person, points=torch.zeros(count, 12, 2), labels=labels)
    batch = replace(batch, inputs=replace(batch.inputs, person=person))
    fixed = in_fixed_shapes(batch, (4, 4, 4), np.random.default_rng(0)).inputs.person
    assert fixed is not None
    assert fixed.counts == [3] * 4


def test_three_numbers_are_asked_for():
    with pytest.raises(GeoAgentError, match="three numbers"):
        replace(STAGE, targets=(5,))
