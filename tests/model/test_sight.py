"""Shared sight: nothing at first; then the language model is told what only SAM2's encoder saw."""

import torch
from tiny import picture, sample, tiny_model

from geoagent.data.collate import collate
from geoagent.model.mllm import VisionTokens
from geoagent.model.sight import SharedSight

PARTS = {"prompting": {"pixel_map": 24, "shared_sight": True}}


def test_a_model_starts_as_it_would_without_it():
    plain, processor = tiny_model(shaken=False, prompting={"pixel_map": 24})
    sighted, _ = tiny_model(shaken=False, **PARTS)
    sighted.load_state_dict(plain.state_dict(), strict=False)
    image = picture(112, 112, 0)
    inputs = collate([[sample(image, "Where is fuel kept?")]], processor).inputs
    with torch.no_grad():
        logits = [model.eval()(inputs).answer_logits for model in (plain, sighted)]
        assert torch.equal(*logits)
        sighted.sight.to_token[-1].weight.normal_()
        assert not torch.equal(sighted(inputs).answer_logits, logits[0])


def test_each_token_gets_what_lies_in_its_cell():
    """A single bright pixel changes its own cell only, whatever the shapes of the grids."""
    sight = SharedSight(pixel_width=4, text_width=8)
    torch.nn.init.normal_(sight.to_token[-1].weight)
    vision = VisionTokens((torch.zeros(3, 5, 8), torch.zeros(4, 2, 8)), ())
    pixels = torch.zeros(2, 4, 60, 60)
    before = sight(vision, pixels)
    pixels[0, 1, 25, 50] = 9.0
    after = sight(vision, pixels)
    moved = (after.merged[0] - before.merged[0]).abs().sum(dim=2) > 1e-6
    assert moved.nonzero().tolist() == [[1, 4]]
    assert torch.equal(after.merged[1], before.merged[1])


def test_answers_teach_sams_encoder():
    model, processor = tiny_model(**PARTS)
    inputs = collate([[sample(picture(112, 112, 0), "Where is fuel kept?")]], processor).inputs
    model(inputs).answer_logits.square().mean().backward()
    assert model.sam.vision_encoder.backbone.patch_embed.projection.weight.grad.abs().sum() > 0
