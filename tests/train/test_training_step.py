"""One step at a time: losses by global counts, rates, averages, and the refusal of what is not a number."""

import math
from dataclasses import replace

import pytest
import torch
from lessons import square_sample, tiny_run
from tiny import tiny_model
from torch import nn

from geoagent.data.class_maps import class_maps
from geoagent.data.collate import collate
from geoagent.model.auxiliary import UNKNOWN_CLASS
from geoagent.model.tasks import Task
from train.averaging import WeightAverage
from train.batches import StepBatches, TrainBatch
from train.config import LossConfig, StageConfig
from train.launching import make_accelerator
from train.loop import NonFiniteLossError, Trainer, cut_log, parameter_groups, rate_at
from train.objective import Counts, TrainedModule, weighted
from train.starting import build_start


def trainer_of(config):
    start = build_start(config)
    module = TrainedModule(start.model, auxiliary=config.auxiliary)
    return Trainer(config, module, StepBatches(config, start.processor), make_accelerator(config))


def batch_of(groups, processor):
    batch = collate(groups, processor)
    classes = torch.full((len(batch.truth.present),), UNKNOWN_CLASS)
    maps = class_maps([None] * len(groups), processor.sizes.sam // 4)
    return TrainBatch(batch, maps, classes, StageConfig(steps=1, side=0), 0)


def gradients(module):
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def test_steps_on_a_cpu_lower_the_loss(tiny_folder, tmp_path):
    config = tiny_run(tiny_folder, out=str(tmp_path), sources=tiny_run(tiny_folder).sources)
    trainer = trainer_of(config)
    micro_batch = [trainer.batches[0]]
    first = trainer.train_step(micro_batch)
    later = [trainer.train_step(micro_batch) for _ in range(4)][-1]
    assert later["loss"] < first["loss"]
    assert {"answer", "bce", "dice", "coarse", "consistency", "objectness", "iou", "classes", "asked"} <= set(first)
    assert trainer.step == 5


def test_the_gradient_of_packed_questions_is_the_sum_of_separate_ones():
    """Sums divided by the counts of all: it does not matter what was packed with what."""
    model, processor = tiny_model()
    module = TrainedModule(model, auxiliary=False)
    groups = [[square_sample(0, 0), square_sample(0, 1, present=False)], [square_sample(1, 0)]]
    packed = batch_of(groups, processor)
    counts = Counts.of(packed)
    weighted(module(packed), counts, LossConfig())[0].backward()
    together = gradients(module)
    module.zero_grad()
    for question in [sample for group in groups for sample in group]:
        alone = batch_of([[question]], processor)
        weighted(module(alone), counts, LossConfig())[0].backward()
    separate = gradients(module)
    assert set(together) == set(separate)
    for name, gradient in together.items():
        # Biases of keys have a gradient of zero but for rounding, which depends on the processor.
        torch.testing.assert_close(gradient, separate[name], rtol=2e-3, atol=2e-3 * float(gradient.abs().max() + 1e-3))


def test_accumulated_batches_do_what_one_large_batch_does(tiny_folder, tmp_path):
    """Two batches of two images are one batch of four, though they hold different numbers of targets."""
    config = tiny_run(tiny_folder, out=str(tmp_path), ema=0.0, clip=1e9, loss=LossConfig(class_maps=0, classes=0))
    groups = [[square_sample(0, 0), square_sample(0, 1, present=False)], [square_sample(1, 0)]]
    one, two = {}, {}
    for found, accumulate, batches in ((one, 1, [groups]), (two, 2, [groups[:1], groups[1:]])):
        trainer = trainer_of(replace(config, accumulate=accumulate))
        trainer.accelerator.clip_grad_norm_ = lambda *_, t=trainer, f=found: f.update(gradients(t.bare))
        trainer.train_step([batch_of(batch, build_start(config).processor) for batch in batches])
    assert set(one) == set(two)
    for name, gradient in one.items():
        scale = float(gradient.abs().max()) + 1e-3
        torch.testing.assert_close(two[name], gradient, rtol=2e-3, atol=2e-3 * scale, msg=lambda m, n=name: n + m)


def test_a_batch_without_targets_touches_every_parameter(tiny_folder, tmp_path):
    trainer = trainer_of(tiny_run(tiny_folder, out=str(tmp_path)))
    nothing = replace(square_sample(0, 0), targets=(), answer="Hello.")
    processor = build_start(trainer.config).processor
    before = {name: p.detach().clone() for name, p in trainer.bare.named_parameters()}
    seen = []
    trainer.accelerator.clip_grad_norm_ = lambda parameters, _: seen.extend(p.grad is not None for p in parameters)
    logged = trainer.train_step([batch_of([[nothing]], processor)])
    assert all(seen)
    assert logged["bce"] == 0
    assert logged["answer"] > 0
    moved = [name for name, p in trainer.bare.named_parameters() if not torch.equal(p, before[name])]
    assert any(name.startswith("model.mllm") for name in moved)


def test_only_class_maps_while_the_towers_are_trained_alone(tiny_folder, tmp_path):
    from train.config import SourceConfig

    config = tiny_run(
        tiny_folder,
        out=str(tmp_path),
        sources=(SourceConfig(data="synth", size=96),),
        stages=(StageConfig(steps=2, side=64, images=1, questions=1, towers_only=True),),
        loss=LossConfig(),
        weight_decay=0.0,
        ema=0.0,
    )
    trainer = trainer_of(config)
    before = {name: p.detach().clone() for name, p in trainer.bare.named_parameters()}
    assert set(trainer.train_step([trainer.batches[0]])) == {"loss", "class_maps"}
    moved = {name for name, p in trainer.bare.named_parameters() if not torch.equal(p, before[name])}
    assert any(".visual." in name for name in moved)
    assert any("sam.vision_encoder" in name for name in moved)
    assert not any(part in name for name in moved for part in ("grounding", "mask_decoder.transformer", "layers"))


def test_only_the_language_model_while_words_are_trained_alone(tiny_folder, tmp_path):
    config = tiny_run(
        tiny_folder,
        out=str(tmp_path),
        stages=(StageConfig(steps=2, side=64, images=1, questions=2, words_only=True),),
        loss=LossConfig(),
        weight_decay=0.0,
        ema=0.0,
    )
    trainer = trainer_of(config)
    batch = trainer.batches[0]
    assert batch.batch.inputs.grid_thw[0, 1:].tolist() == [2, 2]  # patches: next to nothing to look at
    before = {name: p.detach().clone() for name, p in trainer.bare.named_parameters()}
    assert set(trainer.train_step([batch])) == {"loss", "answer", "asked", "classes"}
    moved = {name for name, p in trainer.bare.named_parameters() if not torch.equal(p, before[name])}
    assert any("language_model.layers" in name for name in moved)
    assert any("classify_state" in name for name in moved)
    assert not any(
        part in name for name in moved for part in ("sam.", "visual", "grounding", "prompting", "classify_pixel")
    )


def test_words_alone_learn_the_vectors_of_their_classes(tiny_folder, tmp_path):
    base = tiny_run(tiny_folder)
    config = replace(
        base,
        out=str(tmp_path),
        model=replace(base.model, scratch=True, parts={"prompting": {"pixel_map": 24}}),
        stages=(replace(base.stages[0], words_only=True),),
        loss=LossConfig(),
    )
    trainer = trainer_of(config)
    before = {name: p.detach().clone() for name, p in trainer.bare.named_parameters()}
    assert set(trainer.train_step([trainer.batches[0]])) == {"loss", "answer", "asked", "classes", "class_vectors"}
    moved = {name for name, p in trainer.bare.named_parameters() if (p - before[name]).abs().max() > 1e-4}
    assert any("pixel_map.to_vector" in name for name in moved)
    assert not any("pixel_map.embed" in name or "classify_pixel" in name for name in moved)


def test_all_but_sam_while_reading_is_trained_alone(tiny_folder, tmp_path):
    """The same answer and coarse losses as a full step has, and no gradient in SAM2."""
    base = tiny_run(tiny_folder)
    stages = (replace(base.stages[0], reading_only=True),)
    config = replace(base, out=str(tmp_path), stages=stages, loss=LossConfig(), weight_decay=0.0, ema=0.0)
    trainer = trainer_of(config)
    batch = trainer.batches[0]
    before = {name: p.detach().clone() for name, p in trainer.bare.named_parameters()}
    whole = trainer.bare(replace(batch, stage=base.stages[0]))
    reading = trainer.bare(batch)
    assert set(reading) == {"answer", "asked", "coarse", "consistency", "class_maps", "classes"}
    for name in ("answer", "asked", "coarse", "consistency", "classes"):
        torch.testing.assert_close(reading[name], whole[name])
    trainer.train_step([batch])
    moved = {name for name, p in trainer.bare.named_parameters() if not torch.equal(p, before[name])}
    for part in ("language_model.layers", "visual", "grounding", "prompting"):
        assert any(part in name for name in moved), part
    assert not any("sam." in name for name in moved)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_what_is_not_a_number_is_refused_and_the_batch_saved(tiny_folder, tmp_path, where):
    trainer = trainer_of(tiny_run(tiny_folder, out=str(tmp_path)))
    parameter = next(trainer.bare.model.cores.parameters())
    before = {name: p.detach().clone() for name, p in trainer.bare.named_parameters()}
    if where == "loss":
        with torch.no_grad():
            parameter.fill_(math.nan)
    else:
        parameter.register_hook(lambda gradient: gradient * math.inf)
    batch = trainer.batches[0]
    with pytest.raises(NonFiniteLossError, match="its batch is in") as caught:
        trainer.train_step([batch])
    saved = torch.load(str(caught.value).split(" is in ")[1], weights_only=True)
    assert saved["step"] == 0
    assert [name for name, _ in saved["questions"]] == [sample.id for sample in batch.batch.samples]
    assert torch.equal(saved["tensors"]["batch.batch.inputs.sam_pixels"], batch.batch.inputs.sam_pixels)
    others = {name: p for name, p in trainer.bare.named_parameters() if p is not parameter}
    assert all(torch.equal(p, before[name]) for name, p in others.items())  # no step was made


def test_warm_up_then_a_cosine(tiny_folder):
    config = tiny_run(tiny_folder, warmup=10, stages=(StageConfig(steps=110),), final_rate=0.1)
    assert rate_at(0, config) == pytest.approx(0.1)
    assert rate_at(9, config) == rate_at(10, config) == pytest.approx(1.0)
    assert rate_at(60, config) == pytest.approx(0.1 + 0.9 * 0.5)
    assert rate_at(110, config) == rate_at(500, config) == pytest.approx(0.1)
    rates = [rate_at(step, config) for step in range(10, 111)]
    assert rates == sorted(rates, reverse=True)


def test_the_average_follows_and_steps_in():
    module = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(0.0)
        average = WeightAverage(module, 0.5)
        module.weight.fill_(1.0)
        average.update(module, step=100)
        module.weight.fill_(3.0)
        average.update(module, step=101)
    # 0 → 0.5·0 + 0.5·1 = 0.5 → 0.5·0.5 + 0.5·3 = 1.75
    with average.instead(module):
        assert module.weight.item() == pytest.approx(1.75)
    assert module.weight.item() == 3.0
    assert average.average["weight"].item() == pytest.approx(1.75)


def test_the_average_hurries_at_the_start():
    module = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(0.0)
        average = WeightAverage(module, 0.999)
        module.weight.fill_(1.0)
        average.update(module, step=0)
    assert average.average["weight"].item() == pytest.approx(0.9)


def test_what_decays(tiny_folder):
    model = build_start(tiny_run(tiny_folder)).model
    decayed, plain = parameter_groups(model, 0.1)
    names = {id(p): name for name, p in model.named_parameters()}
    assert len(decayed["params"]) + len(plain["params"]) == len(names)
    assert all(p.ndim > 1 for p in decayed["params"])
    plain_names = {names[id(p)] for p in plain["params"]}
    assert "mllm.model.language_model.embed_tokens.weight" in plain_names
    assert "prompting.tokens" in plain_names


def test_a_log_is_cut_to_its_checkpoint(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    cut_log(log, 2)
    assert log.read_text() == '{"step": 1}\n{"step": 2}\n'


@pytest.mark.parametrize("pattern", [r"^grounding\.", r"^sam\.mask_decoder\."])
def test_only_what_is_named_is_trained(tiny_folder, tmp_path, pattern):
    base = tiny_run(tiny_folder)
    config = replace(base, out=str(tmp_path), ema=0.0, model=replace(base.model, trained=(pattern,)))
    trainer = trainer_of(replace(config, loss=LossConfig(class_maps=0, classes=0)))
    before = {name: p.detach().clone() for name, p in trainer.bare.model.named_parameters()}
    trainer.train_step([trainer.batches[0]])
    moved = {name for name, p in trainer.bare.model.named_parameters() if not torch.equal(p, before[name])}
    assert moved
    assert all(name.startswith(pattern.strip("^\\.").replace("\\", "")) for name in moved)


def test_no_word_tells_the_class_of_what_is_pointed_at(tiny_folder, tmp_path):
    """The loss of the class asked for is that of the questions without marks alone."""
    trainer = trainer_of(tiny_run(tiny_folder, out=str(tmp_path), loss=LossConfig()))
    batch = trainer.batches[0]
    text = batch.batch.inputs.text
    pointed = replace(text, task=torch.full_like(text.task, Task.INTERACTIVE))
    asked = replace(text, task=torch.full_like(text.task, Task.REASONING))

    def loss(some):
        batch_of_some = replace(batch, batch=replace(batch.batch, inputs=replace(batch.batch.inputs, text=some)))
        return trainer.bare(batch_of_some)["asked"].item()

    assert loss(pointed) == 0
    assert loss(asked) > 0
