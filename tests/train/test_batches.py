"""What a step sees follows from its number: after a resume, on two processes, with several workers."""

import numpy as np
import pytest
import torch
from lessons import tiny_run
from tiny import tiny_model

from geoagent.data.augment import ViewConfig
from geoagent.types import GeoAgentError
from train.batches import StepBatches
from train.config import LossConfig, SourceConfig, StageConfig
from train.tensors import tensors_of


@pytest.fixture(scope="module")
def processor():
    return tiny_model()[1]


def run_of(tiny_folder, **changes):
    return tiny_run(tiny_folder, **changes)


def same(one, other):
    ours, theirs = tensors_of(one), tensors_of(other)
    return set(ours) == set(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)


def ids(batch):
    return [sample.id for sample in batch.batch.samples]


def test_the_same_step_is_the_same_batch(tiny_folder, processor):
    config = run_of(tiny_folder)
    batches, again = StepBatches(config, processor), StepBatches(config, processor)
    straight = [batches[i] for i in range(4)]
    for i in (3, 1, 0, 2):  # in any order, as after a resume
        assert same(again[i], straight[i])
        assert ids(again[i]) == ids(straight[i])
    assert len({tuple(ids(batch)) for batch in straight}) > 1
    other = StepBatches(run_of(tiny_folder, seed=1), processor)
    assert any(ids(other[i]) != ids(straight[i]) for i in range(4))


def test_two_processes_see_what_one_sees_that_accumulates(tiny_folder, processor):
    config = run_of(tiny_folder)
    one = StepBatches(run_of(tiny_folder, accumulate=2), processor)
    two = [StepBatches(config, processor, rank, 2) for rank in (0, 1)]
    for step in range(3):
        for rank in (0, 1):
            assert same(one[2 * step + rank], two[rank][step])
            assert one[2 * step + rank].step == two[rank][step].step == step


def test_rendered_scenes_by_stage(tiny_folder, processor):
    config = run_of(
        tiny_folder,
        sources=(SourceConfig(data="synth", size=96, view=ViewConfig(zoom=(0.8, 1.0))),),
        stages=(
            StageConfig(steps=1, side=64, images=1, towers_only=True, questions=1),
            StageConfig(steps=2, side=96, images=2, questions=3, kinds={"absent": 1.0}),
        ),
        loss=LossConfig(),
    )
    batches = StepBatches(config, processor)
    first, second = batches[0], batches[1]
    assert (first.stage.towers_only, second.stage.towers_only) == (True, False)
    assert first.batch.inputs.sam_pixels.shape == (1, 3, 64, 64)
    assert second.batch.inputs.sam_pixels.shape == (2, 3, 96, 96)
    assert second.maps.cover.shape[-1] == 24
    assert first.maps.weight.any()
    assert {sample.type for sample in second.batch.samples} == {"absent"}
    assert same(second, StepBatches(config, processor)[1])


def test_sam_may_see_more_pixels_than_the_language_model(tiny_folder, processor):
    """The view is cut at the larger size; truth and masks follow SAM2."""

    def batch(**stage):
        config = run_of(
            tiny_folder,
            sources=(SourceConfig(data="synth", size=256, view=ViewConfig(zoom=(0.75, 0.75), light=0.0)),),
            stages=(StageConfig(steps=1, images=1, questions=2, **{"side": 64, **stage}),),
            loss=LossConfig(),
        )
        return StepBatches(config, processor)[0].batch

    same_size, larger = batch(), batch(sam=192)
    assert larger.inputs.sam_pixels.shape[-1] == 192
    assert larger.truth.masks.shape[-1] == 48
    assert torch.equal(larger.inputs.grid_thw, same_size.inputs.grid_thw)
    whole = batch(side=192)
    assert torch.equal(larger.inputs.sam_pixels, whole.inputs.sam_pixels)


def test_closer_views_show_things_as_large(tiny_folder, processor):
    """Half the side and half the crop: the same metres a pixel, a quarter of the ground."""

    def ground(**stage):
        config = run_of(
            tiny_folder,
            sources=(SourceConfig(data="synth", size=256, view=ViewConfig(zoom=(0.75, 0.75))),),
            stages=(StageConfig(steps=1, images=1, questions=1, **stage),),
            loss=LossConfig(),
        )
        source = StepBatches(config, processor).sources[0]
        return source.draw(np.random.default_rng(0), config.stages[0], 0).scene.gsd_m

    whole = ground(side=192)
    assert ground(side=96, closer=0.5) == pytest.approx(whole)
    assert ground(side=96) == pytest.approx(2 * whole)


def test_a_pool_of_rendered_scenes(tiny_folder, processor):
    """Views differ, scenes come again; every process draws from the same pool."""

    def scenes(pool, rank=0):
        config = run_of(
            tiny_folder,
            sources=(SourceConfig(data="synth", size=96, pool=pool, view=ViewConfig(zoom=(0.6, 1.0))),),
            stages=(StageConfig(steps=4, side=64, images=2, questions=1, towers_only=True),),
            loss=LossConfig(),
        )
        batches = StepBatches(config, processor, rank, 2)
        drawn = [batches[step].batch for step in range(4)]
        views = {view.numpy().tobytes() for batch in drawn for view in batch.inputs.sam_pixels}
        return {sample.image_id for batch in drawn for sample in batch.samples}, views

    ids, views = scenes(2)
    assert len(ids) == 2
    assert len(views) > 2
    assert scenes(2, rank=1)[0] <= ids
    assert len(scenes(0)[0]) > 2


def test_scenes_are_shared_through_a_folder(tiny_folder, processor, tmp_path, monkeypatch):
    """What one process has rendered another reads; the pool grows with the steps."""
    source = SourceConfig(data="synth", size=96, pool=1, growth=0.5, shared=str(tmp_path / "scenes"))
    stage = StageConfig(steps=5, side=64, images=6, questions=1, towers_only=True)
    config = run_of(tiny_folder, sources=(source,), stages=(stage,), loss=LossConfig())
    rendered = StepBatches(config, processor)
    first, last = rendered[0], rendered[4]
    assert len({sample.image_id for sample in first.batch.samples}) == 1
    assert len({sample.image_id for sample in last.batch.samples}) > 1
    monkeypatch.setattr("train.batches.render_scene", None)
    assert same(StepBatches(config, processor)[4], last)


def test_sources_come_and_go_with_their_schedules(tiny_folder, processor):
    """A source whose factor is 0 at the start and all there is at the end."""
    squares = f"folder:{tiny_folder / 'squares'}"
    config = run_of(
        tiny_folder,
        sources=(
            SourceConfig(data=squares, schedule=((0.0, 1.0), (0.5, 0.0))),
            SourceConfig(data=squares, split="val", schedule=((0.0, 0.0), (0.5, 1.0))),
        ),
        stages=(StageConfig(steps=8, side=64, images=2, questions=1),),
    )
    batches = StepBatches(config, processor)
    numbers = [[int(name.split("-")[0]) for name in ids(batches[step])] for step in range(8)]
    assert all(number < 100 for number in numbers[0])
    assert all(number >= 100 for step in numbers[4:] for number in step)


def test_the_share_of_brief_answers(tiny_folder, processor):
    config = run_of(tiny_folder, brief_share=1.0)
    config_full = run_of(tiny_folder, brief_share=0.0)
    assert same(StepBatches(config, processor)[0], StepBatches(config, processor)[0])
    # The squares come without written answers, so both styles are phrases.
    assert same(StepBatches(config, processor)[0], StepBatches(config_full, processor)[0])


def test_a_source_that_cannot_be_asked_is_named(tiny_folder, processor):
    config = run_of(
        tiny_folder,
        sources=(SourceConfig(data="synth", size=64),),
        stages=(StageConfig(steps=1, side=64, images=1, questions=1, kinds={"chat": 0.0}),),
    )
    with pytest.raises(GeoAgentError, match="look at synth"):
        StepBatches(config, processor)[0]


def test_unknown_class_names_of_a_folder_are_no_class(tiny_folder, processor):
    batch = StepBatches(run_of(tiny_folder), processor)[0]
    assert batch.classes.dtype == torch.int64
    names = np.array(batch.batch.truth.class_names)
    assert len(names) == len(batch.classes)
    assert set(names) <= {"storage tank", "helipad"}
