"""What cannot work is refused with a sentence; what can comes back from disk as it was."""

import pytest
from tiny import FAMILIES, mllm_config, sam_config, tiny_parts, tiny_tokenizer
from transformers import AutoConfig, BertConfig

from geoagent.model.configuration import GeoAgentConfig, GroundingConfig, ScoreConfig
from geoagent.types import GeoAgentError


def config(**parts):
    return GeoAgentConfig(mllm_config(tiny_tokenizer(), "qwen3_vl"), sam_config(), **tiny_parts(**parts))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"grounding": {"bcmi": False}}, "scr"),
        ({"grounding": {"clsm": False}}, "scr"),
        ({"grounding": {"clsm": False, "scr": False}}, "GMFE"),
        ({"grounding": {"context_tokens": 0}}, "at least one context token"),
        ({"grounding": {"heads": 5}}, "not a multiple"),
        ({"modulation": {"levels": [0, 3]}}, "modulation.levels"),
        ({"image": {"sam": 500}}, "multiple of 32"),
        ({"answer": {"query": "description"}}, "query_map"),
    ],
)
def test_impossible_combinations_are_refused(parts, words):
    with pytest.raises(ValueError, match=words):
        config(**parts)


@pytest.mark.parametrize(
    "parts",
    [
        {"grounding": {"bcmi": False, "scr": False}},
        {"grounding": {"clsm": False, "scr": False}, "modulation": {"levels": []}},
        {"prompting": {"query_map": False}},
        {"prompting": {"dense": False}},
        {"prompting": {"dense": False, "query_map": False}},
        {"modulation": {"levels": [2]}},
    ],
)
def test_ablations_are_possible(parts):
    found = config(**parts)
    for part, values in parts.items():
        for name, value in values.items():
            kept = getattr(getattr(found, part), name)
            assert kept == (tuple(value) if isinstance(value, list) else value)


def test_unknown_settings_and_families_are_refused():
    with pytest.raises(GeoAgentError, match=r"unknown setting sparse_token; known are .*sparse_tokens"):
        config(prompting={"sparse_token": 9})
    with pytest.raises(ValueError, match="'bert'"):
        GeoAgentConfig(BertConfig(), sam_config())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_configuration_comes_back_from_disk(family, tmp_path):
    parts = tiny_parts(score={"token": 0.5, "bias": -1.25, "threshold": 0.4}, modulation={"levels": [1, 2]})
    saved = GeoAgentConfig(mllm_config(tiny_tokenizer(), family), sam_config(), trained=True, **parts)
    saved.save_pretrained(tmp_path)
    read = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(read, GeoAgentConfig)
    assert {**read.to_dict(), "_name_or_path": ""} == saved.to_dict()
    assert read.score == ScoreConfig(token=0.5, bias=-1.25, threshold=0.4)
    assert read.modulation.levels == (1, 2)
    assert read.trained
    assert read.mllm_config.model_type == family
    assert (read.text_width, read.sam_width) == (32, 32)


def test_settings_of_single_stages_are_replaced_in_a_copy():
    base = config()
    changed = base.with_parts(grounding={"scr": False})
    assert not changed.grounding.scr
    assert base.grounding.scr
    assert changed.grounding.context_tokens == base.grounding.context_tokens
    assert changed.prompting == base.prompting
    with pytest.raises(TypeError):
        base.with_parts(grounding={"no_such": 1})


def test_the_papers_settings_are_the_default():
    assert (GroundingConfig().context_tokens, GeoAgentConfig().prompting.sparse_tokens) == (6, 9)
    assert GeoAgentConfig().modulation.levels == (0, 1, 2)


@pytest.mark.parametrize("tied", [True, False])
def test_the_whole_says_whether_the_language_model_is_tied(tied, tmp_path):
    """Adapters of single tokens ask the configuration of the whole model."""
    saved = GeoAgentConfig(mllm_config(tiny_tokenizer(), "qwen3_vl", tied=tied), sam_config(), **tiny_parts())
    saved.save_pretrained(tmp_path)
    assert saved.tie_word_embeddings is GeoAgentConfig.from_pretrained(tmp_path).tie_word_embeddings is tied
