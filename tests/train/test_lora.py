"""LoRA through the trainer: what is trained, and that nothing is lost from training to `geoagent.load`."""

from dataclasses import replace

import pytest
import torch
from lessons import square_sample, tiny_run, write_tiny_model
from tiny import write_stock_folders

import geoagent
from geoagent.data.collate import collate
from geoagent.model import checkpoint
from geoagent.model.tokens import QUERY_TOKENS
from geoagent.types import GeoAgentError
from tools.merge_lora import main as merge
from train.adapters import merge_adapter, save_adapter
from train.batches import StepBatches
from train.config import LoraConfig, LossConfig, ModelConfig
from train.finetune import finetune
from train.launching import make_accelerator
from train.loop import Trainer
from train.objective import TrainedModule
from train.starting import build_start

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
LORA = LoraConfig(rank=4, dropout=0.0)


@torch.no_grad()
def outputs_of(model, processor):
    batch = collate([[square_sample(0, 0), square_sample(0, 1, present=False)]], processor)
    found = model.eval()(batch.inputs)
    return found.answer_logits, found.targets.masks.logits, found.targets.masks.objectness


def close(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-3, atol=2e-3)


def test_what_lora_trains(tiny_folder):
    config = replace(tiny_run(tiny_folder), model=replace(tiny_run(tiny_folder).model, lora=LORA))
    start = build_start(config)
    trained = {name for name, p in start.model.named_parameters() if p.requires_grad}
    parts = {
        "lora": [name for name in trained if ".lora_" in name],
        "stages": [name for name in trained if name.split(".")[0] in checkpoint.STAGES],
        "sam": [name for name in trained if name.startswith(("sam.prompt_encoder.", "sam.mask_decoder."))],
        "marks": [name for name in trained if "trainable_tokens" in name],
    }
    assert all(parts.values())
    assert sum(len(names) for names in parts.values()) == len(trained)
    marks = next(p for name, p in start.model.named_parameters() if "trainable_tokens" in name and p.requires_grad)
    assert marks.shape[0] == len(QUERY_TOKENS)
    with_text = replace(
        config, model=replace(config.model, lora=LoraConfig(sam=False, vision=False, sam_decoder=False))
    )
    names = {name for name, p in build_start(with_text).model.named_parameters() if p.requires_grad}
    assert not any(name.startswith("sam.") or ".visual." in name for name in names)


@pytest.mark.parametrize(("family", "tied"), [("qwen3_vl", True), ("qwen2_5_vl", False)])
def test_trained_saved_and_merged_it_is_the_same_model(tiny_folder, tmp_path, family, tied):
    base = ModelConfig(start=str(write_tiny_model(tmp_path / "base", family, tied=tied)), lora=LORA)
    config = tiny_run(tiny_folder, out=str(tmp_path), model=base, loss=LossConfig(class_maps=0, classes=0))
    start = build_start(config)
    untrained = outputs_of(start.model, start.processor)
    trainer = Trainer(
        config,
        TrainedModule(start.model, auxiliary=False),
        StepBatches(config, start.processor),
        make_accelerator(config),
    )
    for index in range(4):
        trainer.train_step([trainer.batches[index]])
    expected = outputs_of(start.model, start.processor)
    assert (expected[1] - untrained[1]).abs().max() > 1e-2
    save_adapter(start.adapter, start.processor, config.model, tmp_path / "adapter")
    assert not list((tmp_path / "adapter").glob("*.bin"))
    merge([str(tmp_path / "adapter"), "--out", str(tmp_path / "merged")])
    loaded = geoagent.load(str(tmp_path / "merged"), device="cpu")
    close(outputs_of(loaded.model, loaded.processor), expected)
    assert loaded.model.config.trained
    with pytest.raises(SystemExit, match="not empty"):
        merge([str(tmp_path / "adapter"), "--out", str(tmp_path / "merged")])


@pytest.mark.slow
def test_public_checkpoints_without_our_marks(tiny_folder, tmp_path):
    """The rows of the marks are made when the base is read: a merge reads it again, and must not depend on chance."""
    mllm, sam = write_stock_folders(tmp_path, "qwen2_5_vl", tied=False, padding=0)
    base = ModelConfig(mllm=str(mllm), sam=str(sam), parts={"image": {"sam": 128}}, lora=LORA)
    config = tiny_run(tiny_folder, out=str(tmp_path), model=base, loss=LossConfig(class_maps=0, classes=0))
    folder = finetune(config)
    assert folder.name == "adapter"
    merged, processor = merge_adapter(folder)
    expected = outputs_of(merged, processor)
    torch.manual_seed(99)
    close(outputs_of(*merge_adapter(folder)), expected)
    marks = processor.tokenizer.convert_tokens_to_ids(list(QUERY_TOKENS))
    assert merged.mllm.get_input_embeddings().weight[marks].isfinite().all()


@pytest.mark.slow
@pytest.mark.component
def test_adapters_over_four_bits(tiny_folder, tmp_path):
    """QLoRA: the language model in 4 bits, the adapters learn, the merge is into full weights."""
    pytest.importorskip("bitsandbytes")
    mllm, sam = write_stock_folders(tmp_path, "qwen3_vl", tied=True, padding=16)
    base = ModelConfig(mllm=str(mllm), sam=str(sam), parts={"image": {"sam": 128}}, lora=LORA, quantize="4bit")
    config = tiny_run(tiny_folder, out=str(tmp_path), model=base, loss=LossConfig(class_maps=0, classes=0))
    start = build_start(config)
    kinds = {type(module).__name__ for module in start.model.mllm.model.language_model.modules()}
    assert "Linear4bit" in kinds
    assert "Linear4bit" not in {type(module).__name__ for module in start.model.sam.modules()}
    folder = finetune(config)
    merged, processor = merge_adapter(folder)
    assert all(value.isfinite().all() for value in outputs_of(merged, processor))


def test_a_folder_that_is_no_adapter_is_refused(tmp_path):
    with pytest.raises(GeoAgentError, match=r"not an adapter of geoagent: it has no base\.json"):
        merge_adapter(tmp_path)


def test_gradient_checkpointing_changes_nothing(tiny_folder, tmp_path):
    base = replace(tiny_run(tiny_folder).model, lora=LORA)
    config = tiny_run(tiny_folder, out=str(tmp_path), model=base)
    found = []
    for checkpointing in (False, True):
        start = build_start(replace(config, gradient_checkpointing=checkpointing))
        module = TrainedModule(start.model, auxiliary=False).train()
        batch = StepBatches(config, start.processor)[0]
        sum(value for value in module(batch).values()).backward()
        found.append({name: p.grad for name, p in module.named_parameters() if p.grad is not None})
    assert set(found[0]) == set(found[1])
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()) + 1e-6)
