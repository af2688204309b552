"""Everything that is trained receives a gradient, everything that is frozen none."""

import re

import numpy as np
import pytest
import torch
from tiny import picture, sample, tiny_model

from geoagent.data.collate import collate
from geoagent.model import checkpoint, losses
from geoagent.types import Prompts

# Softmax does not see a shift of all keys; the three further mask tokens of SAM2 are never asked for.
BLIND = re.compile(r"(to_key|k_proj)\.bias$|output_hypernetworks_mlps\.[123]\.")


def batch_of(processor):
    wide, tall = picture(96, 128), picture(112, 56, seed=1)
    drawn = np.zeros((96, 128), dtype=np.bool_)
    drawn[20:50, 30:80] = True
    pointed = Prompts(points=((20.0, 14.0, True), (90.0, 60.0, False)), boxes=((8.0, 2.0, 40.0, 40.0),), masks=(drawn,))
    return collate(
        [
            [
                sample(wide, "Where is fuel kept?", [("storage tanks", True), ("helipad", False)], number=0),
                sample(wide, "this", [("ship", True)], prompts=pointed, number=1),
            ],
            [sample(tall, "Show the road to the bridge.", [("road", True)], number=2)],
        ],
        processor,
    )


def total_loss(model, batch):
    """All of the design's losses with weight 1."""
    outputs = model(batch.inputs)
    masks, truth = outputs.targets.masks, batch.truth
    items = [
        losses.answer_tokens(outputs.answer_logits, batch.inputs.text.answer_labels),
        losses.mask_bce(masks.logits, truth.masks, truth.weight),
        losses.mask_dice(masks.logits, truth.masks, truth.weight),
        losses.iou_score(masks.iou, masks.logits, truth.masks, truth.weight),
        losses.object_score(masks.objectness, truth.present),
        losses.mask_bce(outputs.targets.cores, truth.cores, truth.weight),
    ]
    for targets, grounding in outputs.targets.grounding:
        coarse = torch.stack([outputs.targets.coarse[i] for i in targets.tolist()])
        cells = losses.area_average(truth.masks[targets], coarse.shape[-2:])
        items += [
            losses.mask_bce(coarse, cells, torch.ones_like(cells)),
            losses.structural_consistency(grounding.word_attention, grounding.word_overlap, grounding.mask),
        ]
    return sum(item.mean() for item in items)


def unmoved(model, floor=1e-8):
    """Trained parameters without a gradient worth the name."""
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        and not BLIND.search(name)
        and (parameter.grad is None or parameter.grad.abs().max() <= floor)
    ]


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl"])
def test_a_gradient_reaches_every_weight_of_every_stage(family):
    model, processor = tiny_model(family, tied=False)
    total_loss(model, batch_of(processor)).backward()
    assert unmoved(model) == []
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_frozen_parts_receive_none():
    model, processor = tiny_model()
    checkpoint.freeze(model, checkpoint.trained_parts())
    total_loss(model, batch_of(processor)).backward()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    parts = {".".join(name.split(".")[: 2 if name.startswith("sam") else 1]) for name in trained}
    assert parts == {"grounding", "prompting", "modulation", "cores", "sam.prompt_encoder", "sam.mask_decoder"}
    assert unmoved(model) == []
    assert all(p.grad is None for name, p in model.named_parameters() if name not in trained)
    checkpoint.freeze(model, checkpoint.trained_parts(sam_decoder=False))
    assert not any(p.requires_grad for name, p in model.named_parameters() if name.startswith(("sam.", "mllm.")))


def test_what_starts_at_zero_moves_first_and_lets_the_rest_move_after():
    """GMFE and the dense prompt start at zero: at the first step only their outputs have a gradient."""
    model, processor = tiny_model(shaken=False)
    batch = batch_of(processor)
    total_loss(model, batch).backward()
    still = unmoved(model, floor=0)
    assert "modulation.attend.2.to_query.weight" in still
    assert "prompting.mask_prompt.shrink.weight" in still
    assert not any(
        name.startswith(("modulation.attend.2.to_output", "prompting.mask_prompt.project")) for name in still
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
    model.zero_grad()
    total_loss(model, batch).backward()
    assert unmoved(model, floor=0) == []


@pytest.mark.parametrize(
    "parts",
    [
        {"grounding": {"bcmi": False, "scr": False}},
        {"grounding": {"clsm": False, "scr": False}, "modulation": {"levels": []}},
        {"prompting": {"query_map": False}},
        {"prompting": {"dense": False}},
        {"prompting": {"dense": False, "query_map": False, "sparse_tokens": 1}},
        {"prompting": {"pixel_map": 24}},
        {"prompting": {"pixel_map": 24, "place_map": 16}},
        {"prompting": {"pixel_map": 24, "refined_map": True}},
        {"modulation": {"levels": [0]}},
    ],
    ids=[
        "no bcmi",
        "no clsm",
        "no query map",
        "no dense",
        "sparse only",
        "pixel map",
        "place map",
        "refined map",
        "one level",
    ],
)
def test_each_ablation_runs_and_trains(parts):
    model, processor = tiny_model(**parts)
    batch = batch_of(processor)
    outputs = model(batch.inputs)
    loss = outputs.targets.masks.logits.square().mean() + outputs.targets.masks.iou.sum()
    checkpoint.freeze(model, [rf"^{stage}\." for stage in ("grounding", "prompting", "modulation", "pixel_map")])
    loss = loss + sum(c.square().mean() for c in outputs.targets.coarse if c is not None)
    loss.backward()
    assert unmoved(model) == []
