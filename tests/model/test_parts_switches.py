"""Switches: off they leave no trace, on they train, pack and come back from disk."""

import re
from functools import cache
from pathlib import Path

import pytest
import torch
from tiny import picture, sample, tiny_model

from geoagent.config import set_value, to_mapping
from geoagent.data.collate import collate
from geoagent.model import checkpoint
from geoagent.model.configuration import GeoAgentConfig, SwitchConfig
from geoagent.model.grounding import TargetQueries
from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.processor import GeoAgentProcessor
from geoagent.types import Prompts

WIDE, TALL = picture(96, 128), picture(112, 56, seed=1)
DESCRIPTION = {"answer": {"query": "description"}, "prompting": {"query_map": False}}
SWITCHES = {
    "spatial_attention": ({"switches": {"spatial_layers": (-1,)}}, ()),
    "description": (DESCRIPTION, ("query_parts.description.",)),
    "enhancement": ({"switches": {"enhancement": True}}, ("query_parts.enhancement.",)),
    "memory": ({"switches": {"memory": 4}}, ("query_parts.memory.",)),
    "interaction": ({"switches": {"interaction": True}}, ("interaction.",)),
    "compression": ({"switches": {"compression": True}}, ("compression.",)),
    "everything": (
        {
            **DESCRIPTION,
            "switches": {"enhancement": True, "memory": 4, "interaction": True, "compression": True},
        },
        ("query_parts.", "interaction.", "compression."),
    ),
}
PARTS = [name for name in SWITCHES if name != "spatial_attention"]


def with_kind(kind, *args, **kwargs):
    question = sample(*args, **kwargs)
    return type(question)(**{**question.__dict__, "type": kind})


# One target of each task, two images of different sizes.
QUESTIONS = [
    [
        with_kind("implicit", WIDE, "Where is fuel kept?", [("storage tanks", True)], number=0),
        with_kind("reference", WIDE, "Show the crane.", [("crane", True)], number=1),
        with_kind(
            "interactive", WIDE, "this", [("ship", True)], prompts=Prompts(points=((20.0, 14.0, True),)), number=2
        ),
    ],
    [with_kind("reference", TALL, "Show the road to the bridge.", [("road", True)], number=3)],
]


@cache
def build(name):
    """Built once for all tests, so no test may change the weights."""
    settings, prefixes = SWITCHES[name]
    model, other = tiny_model(**settings)
    processor = GeoAgentProcessor(
        other.tokenizer, other.image_processor, other.sam_processor, other.sizes, model.config.answer.query
    )
    return model, processor, prefixes


def test_all_switches_are_off_by_default():
    assert GeoAgentConfig().switches == SwitchConfig(
        spatial_layers=(), enhancement=False, memory=0, interaction=False, compression=False
    )
    assert GeoAgentConfig().answer.query == "token"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"switches": {"memory": -1}}, "number of vectors"),
        ({**DESCRIPTION, "switches": {"spatial_layers": (0,)}}, "description query lacks"),
        ({"answer": {"query": "description"}}, "query_map"),
    ],
)
def test_impossible_switches_are_refused(parts, words):
    with pytest.raises(ValueError, match=words):
        tiny_model(**parts)


def test_switches_that_are_off_leave_no_trace(qwen3_pair):
    """No parameter, no change, not even a copy."""
    model, processor = qwen3_pair
    stages = {name.split(".")[0] for name in model.state_dict()}
    assert stages == {"mllm", "sam", "grounding", "prompting", "modulation", "cores"}
    inputs = collate(QUESTIONS, processor).inputs
    features = model.encode_images(inputs.pixel_values, inputs.grid_thw, inputs.sam_pixels)
    assert model.interaction(features.sam) is features.sam
    assert model.compression(features.vision.merged[0]) is features.vision.merged[0]
    queries = TargetQueries(torch.ones(1, 2, 3), torch.ones(1, 2).bool(), torch.ones(1, 3), torch.tensor([0]))
    assert model.query_parts(queries, features.vision.merged[0][None], None) is queries


@pytest.mark.parametrize("name", SWITCHES)
def test_switches_that_are_on_add_their_own_weights_only(name, qwen3_pair):
    model, _, prefixes = build(name)
    off, on = set(qwen3_pair[0].state_dict()), set(model.state_dict())
    if name in ("description", "everything"):
        off = {key for key in off if "query_to_map" not in key}
    assert off <= on
    added = on - off
    assert all(key.startswith(prefixes) for key in added)
    assert all(any(key.startswith(prefix) for key in added) for prefix in prefixes)


@torch.no_grad()
def test_a_trained_model_starts_as_it_was():
    """TATE, IFIM and HFIM add nothing before they have learned; watching attention never does."""
    switches = {"enhancement": True, "interaction": True, "spatial_layers": (0, 1)}
    plain, processor = tiny_model(shaken=False)
    model, _ = tiny_model(shaken=False, switches=switches)
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert all(key.startswith(("query_parts.enhancement.", "interaction.")) for key in missing)
    inputs = collate(QUESTIONS, processor).inputs
    before, after = plain(inputs), model(inputs)
    assert torch.equal(before.targets.masks.logits, after.targets.masks.logits)
    assert torch.equal(before.answer_logits, after.answer_logits)
    assert torch.equal(before.targets.cores, after.targets.cores)


@pytest.mark.parametrize("name", PARTS)
def test_every_weight_of_a_part_is_trained(name):
    model, processor, prefixes = build(name)
    model.zero_grad()
    outputs = model(collate(QUESTIONS, processor).inputs)
    (outputs.targets.masks.logits.square().sum() + outputs.targets.cores.square().sum()).backward()
    mine = {key: p for key, p in model.named_parameters() if key.startswith(prefixes)}
    still = [key for key, p in mine.items() if p.grad is None or not p.grad.abs().sum() > 0]
    # A constant added to every key changes no attention.
    assert [key for key in still if not key.endswith("to_key.bias")] == []


@torch.no_grad()
@pytest.mark.parametrize("name", ["enhancement", "everything"])
def test_packed_questions_equal_separate_ones(name):
    """Targets of different tasks and marks are told apart, on grids of different sizes."""
    model, processor, _ = build(name)
    together = model(collate(QUESTIONS, processor).inputs).targets.masks
    alone = [model(collate([[one]], processor).inputs).targets.masks for group in QUESTIONS for one in group]
    torch.testing.assert_close(together.logits, torch.cat([m.logits for m in alone]), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(together.objectness, torch.cat([m.objectness for m in alone]), rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_compression_shrinks_the_grid_of_grounding_only(qwen3_pair):
    plain, processor = qwen3_pair
    model, _, _ = build("compression")
    inputs = collate(QUESTIONS[1:], processor).inputs
    before, after = plain(inputs), model(inputs)
    assert before.targets.coarse[0].shape == (4, 2)
    assert after.targets.coarse[0].shape == (1, 1)
    assert after.features.vision.grids == [(4, 2)]
    assert torch.equal(before.answer_logits, after.answer_logits)
    assert after.targets.masks.logits.shape == before.targets.masks.logits.shape


@torch.no_grad()
@pytest.mark.parametrize("name", ["spatial_attention", "everything"])
def test_parts_come_back_from_disk(name, tmp_path):
    model, processor, _ = build(name)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    read, read_processor = checkpoint.from_folder(tmp_path)
    assert read.config.switches == model.config.switches
    assert read_processor.query == read.config.answer.query == model.config.answer.query
    batch = collate(QUESTIONS[1:], read_processor)
    before, after = model(batch.inputs), read.eval()(batch.inputs)
    ours, theirs = model.state_dict(), read.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    # Elsewhere in memory, products may be summed in another order.
    torch.testing.assert_close(before.targets.masks.logits, after.targets.masks.logits, rtol=1e-3, atol=1e-4)
    assert (before.seg_attention is None) == (after.seg_attention is None)


def test_stock_models_get_parts_that_are_ready_to_train(stock_folders):
    """Laid out without memory first, like our other stages; what starts at zero is zero."""
    settings = SWITCHES["everything"][0]
    grounding = {"width": 32, "heads": 4, "context_tokens": 3}
    parts = {**settings, "grounding": grounding, "prompting": {**settings["prompting"], "heads": 4}}
    model, processor = checkpoint.from_stock(*map(str, stock_folders["qwen3_vl"]), dtype=torch.float32, **parts)
    assert isinstance(model, GeoAgentModel)
    assert processor.query == "description"
    assert not any(p.is_meta or p.isnan().any() for p in model.parameters())
    assert not model.query_parts["enhancement"].write.weight.any()
    assert 0 < model.query_parts["memory"].vectors.std() < 0.1


def test_the_settings_in_the_documentation_work():
    """Each backquoted ``stage.field=value`` is a setting of the model, or of the loss, and each row can be built."""
    text = (Path(__file__).parents[2] / "docs" / "ablations.md").read_text()
    rows = re.findall(
        r"^\|[^|]*\|.*?`((?:grounding|modulation|prompting|meaning|switches|answer)\.[^`]*)`", text, re.MULTILINE
    )
    assert len(rows) == 20
    for row in rows:
        parts = {}
        for setting in row.split():
            set_value(parts, setting)
        config = GeoAgentConfig().with_parts(**parts)
        for stage, values in parts.items():
            taken = to_mapping(getattr(config, stage))
            assert {name: taken[name] for name in values} == values
