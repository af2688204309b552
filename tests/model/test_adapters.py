"""Adapters: laid over the right layers only, saved and merged without a change of what the model says."""

import re

import pytest
import torch
from test_gradients import batch_of, total_loss
from tiny import tiny_model

from geoagent.model import checkpoint
from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.tokens import QUERY_TOKENS

peft = pytest.importorskip("peft")

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

EMBEDDINGS = "mllm.model.language_model.embed_tokens.weight"
HEAD = "mllm.lm_head.weight"


def adapted(model, scopes, **extra):
    """The model under LoRA, its B matrices away from zero so that the adapters do something."""
    targets = [name for scope in scopes for name in checkpoint.adapter_targets(model, scope)]
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets, **extra)
    return peft.get_peft_model(model, config)


def train_two_steps(model, batch):
    """AdamW with weight decay, as in training: it moves even what has no gradient."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.02, weight_decay=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        total_loss(model, batch).backward()
        optimizer.step()


@torch.no_grad()
def outputs_of(model, batch):
    outputs = model(batch.inputs)
    return outputs.answer_logits, outputs.targets.masks.logits, outputs.targets.masks.objectness


def assert_same(found, expected, **tolerance):
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, **tolerance)


def weights(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl"])
@pytest.mark.parametrize(
    ("scope", "where"),
    [
        ("text", r"mllm\.model\.language_model\.layers\.\d+\.self_attn\.[qk]_proj"),
        ("vision", r"mllm\.model\.visual\.blocks\.\d+\.attn\.qkv"),
        ("sam", r"sam\.vision_encoder\.backbone\.blocks\.\d+\.attn\.qkv"),
    ],
)
def test_adapters_lie_in_their_scope_only(family, scope, where):
    model, _ = tiny_model(family)
    targets = checkpoint.adapter_targets(model, scope)
    assert len(targets) == {"text": 4, "vision": 2, "sam": 5}[scope]
    wrapped = adapted(model, [scope])
    touched = {
        n.split(".lora_A")[0].removeprefix("base_model.model.") for n, _ in wrapped.named_parameters() if "lora_A" in n
    }
    assert touched == set(targets)
    assert all(re.fullmatch(where, name) for name in touched)
    assert {name for name, p in wrapped.named_parameters() if p.requires_grad} == {
        name for name, _ in wrapped.named_parameters() if ".lora_" in name
    }


def test_text_adapters_leave_every_weight_of_sam_as_it_was():
    model, processor = tiny_model()
    before = weights(model.sam)
    wrapped = adapted(model, ["text"])
    train_two_steps(wrapped, batch_of(processor))
    merged = wrapped.merge_and_unload()
    assert all(torch.equal(value, before[name]) for name, value in merged.sam.state_dict().items())


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl"])
def test_values_of_fused_layers_are_not_adapted_and_the_merge_is_exact(family):
    model, processor = tiny_model(family)
    before = weights(model)
    batch = batch_of(processor)
    wrapped = adapted(model, ["vision", "sam"])
    assert checkpoint.mask_value_rows(wrapped) == 7
    train_two_steps(wrapped, batch)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            third = parameter.shape[0] // 3
            assert parameter[2 * third :].abs().max() == 0, name
            assert parameter[:third].abs().max() > 0, name
            assert parameter[third : 2 * third].abs().max() > 0, name
    expected = outputs_of(wrapped, batch)
    merged = wrapped.merge_and_unload()
    after = merged.state_dict()
    for name in [f"{n}.weight" for s in ("vision", "sam") for n in checkpoint.adapter_targets(merged, s)]:
        third = before[name].shape[0] // 3
        assert torch.equal(after[name][2 * third :], before[name][2 * third :])
        assert not torch.equal(after[name][: 2 * third], before[name][: 2 * third])
    assert_same(outputs_of(merged, batch), expected, rtol=1e-3, atol=1e-3)


def test_without_the_mask_the_values_would_be_adapted():
    """The reason for `mask_value_rows`."""
    model, processor = tiny_model()
    wrapped = adapted(model, ["sam"])
    train_two_steps(wrapped, batch_of(processor))
    changed = [p[p.shape[0] // 3 * 2 :].abs().max() > 0 for name, p in wrapped.named_parameters() if "lora_B" in name]
    assert all(changed)


@pytest.mark.parametrize(("family", "tied"), [("qwen3_vl", True), ("qwen3_vl", False), ("qwen2_5_vl", False)])
def test_trained_saved_loaded_and_merged_is_the_same_model(family, tied, tmp_path):
    """Adapters everywhere, our stages whole, the four marks as single rows: nothing is lost on any of the ways."""
    model, processor = tiny_model(family, tied=tied)
    before = weights(model)
    batch = batch_of(processor)
    ids = processor.tokenizer.convert_tokens_to_ids(list(QUERY_TOKENS))
    there = [stage for stage in checkpoint.STAGES if getattr(model, stage) is not None]
    stages = [stage for stage in there if any(True for _ in getattr(model, stage).parameters())]
    rows = {"embed_tokens": ids} if tied else {"embed_tokens": ids, "lm_head": ids}
    wrapped = adapted(
        model,
        ["text", "vision", "sam"],
        modules_to_save=[*stages, "prompt_encoder", "mask_decoder"],
        trainable_token_indices=rows,
    )
    checkpoint.mask_value_rows(wrapped)
    untrained = outputs_of(wrapped, batch)
    train_two_steps(wrapped, batch)
    expected = outputs_of(wrapped, batch)
    assert all((a - b).abs().max() > 1e-2 for a, b in zip(expected, untrained, strict=True))

    wrapped.save_pretrained(tmp_path / "adapter")
    loaded = peft.PeftModel.from_pretrained(tiny_model(family, tied=tied)[0], tmp_path / "adapter").eval()
    assert_same(outputs_of(loaded, batch), expected)

    merged = loaded.merge_and_unload()
    assert isinstance(merged, GeoAgentModel)
    assert_same(outputs_of(merged, batch), expected, rtol=1e-3, atol=1e-3)
    after = merged.state_dict()
    others = [i for i in range(before[EMBEDDINGS].shape[0]) if i not in ids]
    for name in (EMBEDDINGS, HEAD):
        assert ((after[name][ids] - before[name][ids]).abs().amax(dim=1) > 0).all(), name
        assert torch.equal(after[name][others], before[name][others]), name

    merged.save_pretrained(tmp_path / "merged")
    processor.save_pretrained(tmp_path / "merged")
    again, _ = checkpoint.from_folder(tmp_path / "merged")
    assert_same(outputs_of(again.eval(), batch), outputs_of(merged, batch))
