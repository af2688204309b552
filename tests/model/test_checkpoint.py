"""Weights on disk: our own folders, and the stock ones of both families."""

import pytest
import torch
from safetensors import safe_open
from test_adapters import assert_same, outputs_of, weights
from test_gradients import batch_of
from tiny import picture, shake, tiny_model, tiny_parts
from torch import nn
from transformers import AutoModel, AutoTokenizer, Qwen3VLForConditionalGeneration, Sam2Model

from geoagent.model import checkpoint
from geoagent.model.pipeline import GeoAgentModel
from geoagent.types import GeoAgentError

ROUNDING = {"rtol": 1e-3, "atol": 1e-5}
"""The same weights elsewhere in memory: products may be summed in another order, which depends on the processor."""


def assert_came_back(loaded, model):
    """Every weight, to the last bit."""
    ours, theirs = model.state_dict(), loaded.state_dict()
    assert set(ours) == set(theirs)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_what_is_saved_comes_back(family, tied, tmp_path):
    model, processor = tiny_model(family, tied=tied, instances={"split": "cores"}, score={"bias": -0.5})
    batch = batch_of(processor)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert ("mllm.lm_head.weight" in file.keys()) is not tied  # noqa: SIM118 (not a dict)
    loaded, its_processor = checkpoint.from_folder(tmp_path)
    embeddings, head = loaded.get_input_embeddings().weight, loaded.get_output_embeddings().weight
    assert (embeddings.data_ptr() == head.data_ptr()) is tied
    assert loaded.config.instances.split == "cores"
    assert loaded.config.score == model.config.score
    again = batch_of(its_processor)
    assert torch.equal(again.inputs.text.input_ids, batch.inputs.text.input_ids)
    assert torch.equal(again.inputs.pixel_values, batch.inputs.pixel_values)
    assert torch.equal(again.inputs.sam_pixels, batch.inputs.sam_pixels)
    assert_came_back(loaded, model)
    assert_same(outputs_of(loaded.eval(), again), outputs_of(model, batch), **ROUNDING)
    assert not loaded.sam.mask_decoder.dynamic_multimask_via_stability


def test_a_folder_opens_with_the_auto_class(tmp_path):
    model, _ = tiny_model()
    model.save_pretrained(tmp_path)
    assert isinstance(AutoModel.from_pretrained(tmp_path), GeoAgentModel)


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl"])
def test_stock_folders_go_into_their_places(stock_folders, family):
    mllm_folder, sam_folder = stock_folders[family]
    model, processor = checkpoint.from_stock(str(mllm_folder), str(sam_folder), **tiny_parts())
    stock_class = type(model.mllm)
    stock = stock_class.from_pretrained(mllm_folder).state_dict()
    grown = {"model.language_model.embed_tokens.weight", "lm_head.weight"}
    for name, value in model.mllm.state_dict().items():
        rows = len(stock[name]) if name in grown else None
        assert torch.equal(value[:rows] if rows else value, stock[name]), name
    sam = Sam2Model.from_pretrained(sam_folder).state_dict()
    assert all(torch.equal(value, sam[name]) for name, value in model.sam.state_dict().items())
    tensors = [*model.named_parameters(), *model.named_buffers()]
    assert not [name for name, t in tensors if t.device.type == "meta" or not torch.isfinite(t).all()]
    assert not model.config.trained
    assert model.modulation.attend["2"].to_output.weight.abs().max() == 0
    assert model.grounding.context.abs().max() > 0
    assert torch.isfinite(outputs_of(model.eval(), batch_of(processor))[1]).all()


def test_new_stages_start_alike_from_stock_and_from_scratch(stock_folders):
    """Built on the meta device and filled in afterwards: norms at one, biases and weights of their usual spread."""
    mllm_folder, sam_folder = stock_folders["qwen3_vl"]
    maps = {"pixel_map": 24, "refined_map": True, "place_map": 16, "mark_map": True, "shared_sight": True}
    known = {"classes": ("ship", "road")}
    parts = {"prompting": maps, "meaning": known, "recognition": known}
    model, _ = checkpoint.from_stock(str(mllm_folder), str(sam_folder), **tiny_parts(**parts))
    fresh, _ = tiny_model(shaken=False, **parts)
    for stage in checkpoint.STAGES:
        theirs = dict(getattr(fresh, stage).named_parameters())
        for name, value in getattr(model, stage).named_parameters():
            assert value.device.type == "cpu"
            assert value.shape == theirs[name].shape
            if value.numel() >= 64:
                assert value.std().item() == pytest.approx(theirs[name].std().item(), rel=0.35, abs=1e-3), (stage, name)


def test_padded_matrices_are_never_made_smaller(stock_folders):
    """Sixteen spare rows hold the four marks: nothing is resized. Without any, four rows are added."""
    padded, _ = checkpoint.from_stock(*map(str, stock_folders["qwen3_vl"]), **tiny_parts())
    tokens = len(AutoTokenizer.from_pretrained(stock_folders["qwen3_vl"][0]))
    assert padded.get_input_embeddings().num_embeddings == tokens + 16
    full, processor = checkpoint.from_stock(*map(str, stock_folders["qwen2_5_vl"]), **tiny_parts())
    tokens = len(AutoTokenizer.from_pretrained(stock_folders["qwen2_5_vl"][0]))
    assert full.get_input_embeddings().num_embeddings == tokens + 4 == len(processor.tokenizer)
    assert full.get_output_embeddings().out_features == tokens + 4
    assert full.config.mllm_config.text_config.vocab_size == tokens + 4


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl"])
def test_stock_weights_with_new_stages_are_saved_and_come_back(stock_folders, family, tmp_path):
    model, processor = checkpoint.from_stock(*map(str, stock_folders[family]), **tiny_parts())
    shake(model, seed=5, scale=0.05)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded, again = checkpoint.from_folder(tmp_path)
    assert_came_back(loaded, model)
    assert_same(outputs_of(loaded.eval(), batch_of(again)), outputs_of(model.eval(), batch_of(processor)), **ROUNDING)
    assert loaded.get_input_embeddings().num_embeddings == model.get_input_embeddings().num_embeddings


def test_our_language_model_is_read_by_the_stock_class(tmp_path):
    """The language model of a checkpoint can be taken out and used as any other Qwen3-VL."""
    model, _ = tiny_model()
    model.mllm.save_pretrained(tmp_path)
    stock = Qwen3VLForConditionalGeneration.from_pretrained(tmp_path)
    ours = weights(model.mllm)
    assert all(torch.equal(value, ours[name]) for name, value in stock.state_dict().items())


def test_processors_come_back_with_marks_and_sizes(tmp_path):
    model, processor = tiny_model("qwen2_5_vl")
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    _, again = checkpoint.from_folder(tmp_path)
    assert again.ids == processor.ids
    assert again.prefix_ids(4) == processor.prefix_ids(4)
    assert again.turn_ids() == processor.turn_ids()
    ours, theirs = processor.images([picture(70, 90)]), again.images([picture(70, 90)])
    assert torch.equal(ours.pixel_values, theirs.pixel_values)
    assert torch.equal(ours.sam_pixels, theirs.sam_pixels)


# --------------------------------------------------------------------------------------------------------- quantisation


def test_other_numbers_of_bits_are_refused():
    with pytest.raises(GeoAgentError, match="'4bit', '8bit' or None, not '2bit'"):
        checkpoint.quantization("2bit")


def linear_kinds(model):
    """Kinds of linear layers by part of the model."""
    kinds = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            part = "language" if "language_model" in name else "visual" if ".visual." in name else name.split(".")[0]
            kinds.setdefault(name if name.endswith("lm_head") else part, set()).add(type(module).__name__)
    return kinds


@pytest.mark.component
@pytest.mark.parametrize(("bits", "kind"), [("4bit", "Linear4bit"), ("8bit", "Linear8bitLt")])
@pytest.mark.parametrize("source", ["stock", "folder"])
def test_only_the_language_model_is_quantised(stock_folders, tmp_path, bits, kind, source):
    pytest.importorskip("bitsandbytes")
    mllm, sam = map(str, stock_folders["qwen3_vl"])
    if source == "stock":
        model, processor = checkpoint.from_stock(mllm, sam, quantize=bits, **tiny_parts())
    else:
        whole, its_processor = checkpoint.from_stock(mllm, sam, **tiny_parts())
        whole.save_pretrained(tmp_path)
        its_processor.save_pretrained(tmp_path)
        model, processor = checkpoint.from_folder(tmp_path, quantize=bits)
    kinds = linear_kinds(model)
    assert kinds.pop("language") == {kind}
    assert set(kinds) >= {"visual", "sam", "grounding", "prompting", "modulation", "mllm.lm_head"}
    assert all(found <= {"Linear", "ZeroLinear", "NonDynamicallyQuantizableLinear"} for found in kinds.values()), kinds
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # Where a CPU has bf16, bitsandbytes repacks 4-bit weights by blocks of 64 columns; the tiny ones have 32.
            module.support_avx512bf16_for_cpu = False
    logits, masks, _ = outputs_of(model.eval(), batch_of(processor))
    assert torch.isfinite(logits).all()
    assert torch.isfinite(masks).all()
    assert masks.std() > 0  # blank masks were the fault of other models in few bits
