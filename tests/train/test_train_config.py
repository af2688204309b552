"""Every configuration that is shipped can be read, and what cannot be trained is refused with a reason."""

from pathlib import Path

import pytest
import yaml

from geoagent.config import from_mapping, load_yaml
from geoagent.data.instructions import KINDS
from geoagent.data.registry import REGISTRY
from geoagent.types import GeoAgentError
from train.config import EVERYTHING, ModelConfig, TrainConfig, expanded

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "train" / "configs").glob("*.yaml"))


def test_the_configurations_that_are_promised():
    assert {path.stem for path in CONFIGS} >= {
        "nano",
        "nano-open",
        "nano-gpu",
        "nano-finetune",
        "qwen3vl-4b-earthreason",
        "qwen3vl-8b-lasers",
        "qwen2.5vl-7b-mixed",
        "qlora-24gb",
        "smoke",
    }


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_each_configuration_is_read(path):
    config = load_yaml(TrainConfig, path)
    assert config.name == path.stem
    for stage in config.stages:
        assert set(stage.kinds or {}) <= set(KINDS)
    for source in config.sources:
        name = source.data.partition(":")[0]
        assert name in {"synth", *REGISTRY}
    assert config.evaluate_on.partition(":")[0] in {"synth", *REGISTRY}
    if config.deepspeed:
        assert (ROOT / config.deepspeed).is_file()
    if config.model.mllm:  # public weights are adapted as SGSRF does it
        lora = config.model.lora
        assert (lora.rank, lora.text, lora.vision, lora.sam, lora.sam_decoder) == (16, True, True, True, True)
        assert config.loss.consistency == 0.5


def test_nano_open_is_nano_without_images_for_research_only():
    nano, open_ = (yaml.safe_load((ROOT / f"train/configs/{name}.yaml").read_text()) for name in ("nano", "nano-open"))
    for source in open_["sources"]:
        assert source.pop("only_open", False) == source["data"].startswith("imagery:")
    assert {**open_, "name": "nano"} == nano


def test_a_run_of_half_the_length():
    config = load_yaml(TrainConfig, ROOT / "train/configs/nano-gpu.yaml", ["length=0.5"])
    whole = load_yaml(TrainConfig, ROOT / "train/configs/nano-gpu.yaml")
    assert config.steps == pytest.approx(whole.steps / 2, abs=len(whole.stages))
    changes = [step for step in range(1, config.steps) if config.stage_at(step) != config.stage_at(step - 1)]
    assert changes == [sum(round(s.steps / 2) for s in whole.stages[:n]) for n in range(1, len(whole.stages))]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"stages": []}, "at least one stage"),
        ({"learning_rat": 1}, "unknown setting learning_rat"),
        ({"stages": [{"steps": 5, "sid": 64}]}, "unknown setting sid"),
        ({"stages": [{"steps": 5, "side": 100}]}, "multiples of 32"),
        ({"stages": [{"steps": 5, "side": 64, "sam": 100}]}, "multiples of 32"),
        ({"stages": [{"steps": 5, "side": 0, "sam": 128}]}, "set side as well"),
        ({"stages": [{"steps": 5, "side": 0}]}, "images of one size"),
        ({"stages": [{"steps": 0}]}, "at least 1"),
        ({"model": {"quantize": "4bit"}}, r"set model\.lora"),
        ({"model": {"mllm": "x"}}, "both mllm"),
        ({"model": {"lora": {}, "trained": ["sam"]}}, "without lora"),
        ({"precision": "bf17"}, "precision is one of"),
        ({"loss": {"class_maps": 0}, "stages": [{"steps": 1, "towers_only": True}]}, "class maps"),
        ({"optimizer": "muon", "deepspeed": "zero2.json"}, "muon steps whole matrices"),
        (
            {"stages": [{"steps": 1, "towers_only": True, "words_only": True}]},
            "is towers_only, words_only or reading_only",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(values, reason):
    with pytest.raises(GeoAgentError, match=reason):
        from_mapping(TrainConfig, {"name": "x", **values})


def test_a_missing_environment_variable_is_named(monkeypatch):
    monkeypatch.setenv("SOMEWHERE", "here")
    assert expanded("folder:$SOMEWHERE/a") == "folder:here/a"
    monkeypatch.delenv("SOMEWHERE")
    with pytest.raises(GeoAgentError, match=r"set the environment variable SOMEWHERE$"):
        expanded("folder:$SOMEWHERE/a")


def test_stages_follow_one_another():
    config = from_mapping(TrainConfig, {"name": "x", "stages": [{"steps": 3, "side": 64}, {"steps": 2, "side": 96}]})
    assert config.steps == 5
    assert [config.stage_at(step).side for step in range(6)] == [64, 64, 64, 96, 96, 96]
    assert ModelConfig().trained == EVERYTHING
