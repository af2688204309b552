"""The rows of <seg>, computed again, are those that eager attention writes out."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny import FAMILIES, picture, sample, tiny_model

from geoagent.data.collate import collate
from geoagent.model import losses
from geoagent.types import LabelledTarget

WIDE, TALL = picture(96, 128), picture(112, 56, seed=1)
QUESTIONS = [
    [
        sample(WIDE, "Where is fuel kept?", [("storage tanks", True), ("helipad", False)], number=0),
        sample(WIDE, "hello", [], answer="How can I help?", number=1),
        sample(WIDE, "Show the crane.", [("crane", True)], number=2),
    ],
    [sample(TALL, "Show the road to the bridge.", [("road", True)], number=3)],
]
CLOSE = {"rtol": 1e-4, "atol": 1e-6}


@pytest.fixture(scope="module", params=FAMILIES)
def watched(request):
    """A model of which both layers are watched, and its processor."""
    return tiny_model(request.param, switches={"spatial_layers": (0, -1)})


def layers_of(model):
    return model.mllm.model.language_model.layers


def eager_weights(model, inputs, monkeypatch):
    """Attention of every layer over everything, [layers,B,H,S,S], as the stock model computes it."""
    written = []
    hooks = [
        layer.self_attn.register_forward_hook(lambda _, __, output: written.append(output[1]))
        for layer in layers_of(model)
    ]
    monkeypatch.setattr(layers_of(model)[0].self_attn.config, "_attn_implementation", "eager")
    model(inputs)
    for hook in hooks:
        hook.remove()
    return torch.stack(written)


@torch.no_grad()
def test_rows_equal_those_of_eager_attention(watched, monkeypatch):
    model, processor = watched
    inputs = collate(QUESTIONS, processor).inputs
    found = model(inputs).seg_attention
    weights = eager_weights(model, inputs, monkeypatch).mean(dim=(0, 2))
    grids = model.encode_images(inputs.pixel_values, inputs.grid_thw, inputs.sam_pixels).vision.grids
    image_token = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert [tuple(f.shape) for f in found] == [grids[0]] * 3 + [grids[1]]
    assert grids[0] != grids[1]
    for k, (image, place) in enumerate(zip(inputs.text.image, inputs.text.query_index, strict=True)):
        row = weights[image, place, inputs.text.input_ids[image] == image_token]
        assert row.sum() < 1  # it looks at words as well
        torch.testing.assert_close(found[k].flatten(), row / row.sum(), **CLOSE)


@torch.no_grad()
def test_packed_questions_look_where_single_ones_do(watched):
    model, processor = watched
    together = model(collate(QUESTIONS, processor).inputs).seg_attention
    alone = [
        look for group in QUESTIONS for one in group for look in model(collate([[one]], processor).inputs).seg_attention
    ]
    assert len(together) == len(alone) == 4
    for packed, single in zip(together, alone, strict=True):
        torch.testing.assert_close(packed, single, **CLOSE)
        torch.testing.assert_close(packed.sum(), torch.tensor(1.0))
    assert model(collate([[QUESTIONS[0][1]]], processor).inputs).seg_attention == ()


def spatial_loss(model, inputs):
    looks = model(inputs).seg_attention
    truths = [(torch.arange(look.numel()) < 3).float() for look in looks]
    found = [losses.spatial_attention(a.view(1, -1), t[None]) for a, t in zip(looks, truths, strict=True)]
    return torch.cat(found).sum()


def gradients(model, inputs):
    model.zero_grad()
    spatial_loss(model, inputs).backward()
    found = {n: p.grad for n, p in model.mllm.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def test_the_loss_trains_queries_keys_and_everything_below():
    model, processor = tiny_model(switches={"spatial_layers": (1,)})
    inputs = collate(QUESTIONS, processor).inputs
    found = {name for name, gradient in gradients(model, inputs).items() if gradient.abs().sum() > 0}
    top = "model.language_model.layers.1.self_attn"
    assert {f"{top}.{name}.weight" for name in ("q_proj", "k_proj", "q_norm", "k_norm")} <= found
    assert not any(name.startswith((f"{top}.v_proj", f"{top}.o_proj")) for name in found)
    assert {"model.language_model.layers.0.mlp.down_proj.weight", "model.visual.merger.linear_fc2.weight"} <= found
    assert any("embed_tokens" in name for name in found)


def test_gradient_checkpointing_changes_nothing():
    model, processor = tiny_model(switches={"spatial_layers": (0, 1)})
    inputs = collate(QUESTIONS, processor).inputs
    plain = gradients(model, inputs)
    model.mllm.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    checkpointed = gradients(model, inputs)
    assert plain.keys() == checkpointed.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


@torch.no_grad()
def test_nothing_is_watched_unless_asked_for(qwen3_pair, watched):
    model, processor = qwen3_pair
    assert model(collate([QUESTIONS[1]], processor).inputs).seg_attention is None
    assert not any(layer.self_attn._forward_pre_hooks for layer in layers_of(watched[0]))


@pytest.mark.parametrize("layers", [(2,), (-3,)])
def test_layers_that_do_not_exist_are_refused(layers):
    with pytest.raises(ValueError, match="there are 2 layers"):
        tiny_model(switches={"spatial_layers": layers})


@torch.no_grad()
def test_the_objective_counts_small_things_by_the_token_they_cover_most():
    """A target of 4 x 4 pixels covers a sixty-fourth of a token: that token is still where to look."""
    objective = pytest.importorskip("train.objective")
    model, processor = tiny_model(switches={"spatial_layers": (-1,)})
    mask = np.zeros(WIDE.shape[:2], dtype=np.bool_)
    mask[36:40, 70:74] = True
    small = sample(WIDE, "Where is the car?", [("car", True)])
    tiny_target = LabelledTarget(phrase="car", mask=mask)
    batch = collate([[type(small)(**{**small.__dict__, "targets": (tiny_target,)})]], processor)
    output = model(batch.inputs)
    look = output.seg_attention[0]
    truth = torch.zeros_like(look)
    truth[36 * look.shape[0] // 96, 70 * look.shape[1] // 128] = 1
    expected = losses.spatial_attention(look.view(1, -1), truth.view(1, -1))
    found = objective.target_losses(output, SimpleNamespace(batch=batch))["spatial"]
    torch.testing.assert_close(found, expected.sum())
    assert found != 0
