"""Random models of a few thousand parameters, in both families, for tests that care about wiring and not about answers.

Their weights are shaken well away from the usual small initial values, so that attention is sharp, no two tokens look
alike and a mistake in a mask or a position shows in the third digit.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Sam2Config,
    Sam2ImageProcessor,
    Sam2Model,
)
from transformers.models.sam2.configuration_sam2 import (
    Sam2HieraDetConfig,
    Sam2MaskDecoderConfig,
    Sam2PromptEncoderConfig,
    Sam2VisionConfig,
)

from geoagent.model.configuration import GeoAgentConfig
from geoagent.model.mllm import build_mllm
from geoagent.model.nano import CONTROL_TOKENS, train_tokenizer
from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.processor import GeoAgentProcessor
from geoagent.types import LabelledTarget, Pixels, Prompts, Sample

Family = Literal["qwen3_vl", "qwen2_5_vl"]
FAMILIES: tuple[Family, ...] = ("qwen3_vl", "qwen2_5_vl")

SIDE = 128
WIDTH = 32
PATCH = {"qwen3_vl": 16, "qwen2_5_vl": 14}
MERGE = 2

CORPUS = (
    "Where is fuel kept? The storage tanks by the harbor hold fuel, and a ship waits at the pier.",
    "Which buildings could shelter people during a flood? Show the helipad and the road that leads to it.",
    "There is no airplane here, but the largest ship lies next to the crane, north of the bridge.",
    "point box scribble mask not [0.25,0.75] user assistant system You are a helpful assistant.",
)

# The template of Qwen2.5-VL, without the parts about tools and video: it puts a system turn first.
QWEN2_5_TEMPLATE = """{%- for message in messages %}{% if loop.first and message.role != 'system' %}<|im_start|>system
You are a helpful assistant.<|im_end|>
{% endif %}<|im_start|>{{ message['role'] }}
{% for part in message['content'] %}{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>\
{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


# --------------------------------------------------------------------------------------------------------- tokenizers


def tiny_tokenizer(family: Family = "qwen3_vl") -> PreTrainedTokenizerFast:
    """Nano's own, with the marks in it."""
    tokenizer = train_tokenizer(CORPUS, size=420)
    if family == "qwen2_5_vl":
        tokenizer.chat_template = QWEN2_5_TEMPLATE
    return tokenizer


def stock_tokenizer(family: Family) -> PreTrainedTokenizerFast:
    """One that knows nothing of our marks."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=380,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=tiny_tokenizer().chat_template if family == "qwen3_vl" else QWEN2_5_TEMPLATE,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


# ----------------------------------------------------------------------------------------------------- configurations


def mllm_config(
    tokenizer: PreTrainedTokenizerFast, family: Family, *, tied: bool = True, vocabulary: int | None = None
) -> Any:
    """A language model with a vision tower of two blocks."""

    def token(name: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(name))

    text = {
        "vocab_size": vocabulary or len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": tied,
        "bos_token_id": None,
        "pad_token_id": token("<|endoftext|>"),
        "eos_token_id": token("<|im_end|>"),
    }
    rotary = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]}
    vision = {
        "depth": 2,
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_heads": 2,
        "patch_size": PATCH[family],
        "spatial_merge_size": MERGE,
        "temporal_patch_size": 2,
        "out_hidden_size": WIDTH,
    }
    common: dict[str, Any] = {
        "image_token_id": token("<|image_pad|>"),
        "video_token_id": token("<|video_pad|>"),
        "vision_start_token_id": token("<|vision_start|>"),
        "vision_end_token_id": token("<|vision_end|>"),
        "tie_word_embeddings": tied,
    }
    if family == "qwen3_vl":
        return Qwen3VLConfig(
            text_config={**text, "head_dim": 16, "rope_parameters": {**rotary, "mrope_interleaved": True}},
            vision_config={**vision, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
            **common,
        )
    return Qwen2_5_VLConfig(
        text_config={**text, "rope_parameters": rotary},
        # Windows of 2 x 2 merged cells: smaller than the images of the tests, so that tokens change places.
        vision_config={**vision, "window_size": 56, "fullatt_block_indexes": [1]},
        **common,
    )


def sam_config() -> Sam2Config:
    """SAM2 with four Hiera blocks for a square of 128 px."""
    widths = [8, 16, 24, 32]
    return Sam2Config(
        vision_config=Sam2VisionConfig(
            backbone_config=Sam2HieraDetConfig(
                hidden_size=widths[0],
                image_size=[SIDE, SIDE],
                blocks_per_stage=[1, 1, 2, 1],
                embed_dim_per_stage=widths,
                num_attention_heads_per_stage=[1, 2, 2, 2],
                window_size_per_stage=[8, 4, 4, 4],
                global_attention_blocks=[3],
                window_positional_embedding_background_size=[4, 4],
            ),
            backbone_channel_list=widths[::-1],
            backbone_feature_sizes=[[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2],
            fpn_hidden_size=WIDTH,
        ),
        prompt_encoder_config=Sam2PromptEncoderConfig(image_size=SIDE, hidden_size=WIDTH),
        mask_decoder_config=Sam2MaskDecoderConfig(
            hidden_size=WIDTH, mlp_dim=32, num_attention_heads=4, iou_head_hidden_dim=32
        ),
    )


def tiny_parts(**parts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings of our stages; ``parts`` add to them."""
    base: dict[str, dict[str, Any]] = {
        "grounding": {"width": 32, "heads": 4, "feed_ratio": 2, "context_tokens": 3},
        "prompting": {"heads": 4, "feed_ratio": 2, "sparse_tokens": 3},
        "instances": {"width": 8},
        "answer": {"max_new_tokens": 24, "max_phrase_tokens": 4},
        "image": {"sam": SIDE, "min_pixels": 56 * 56, "max_pixels": 112 * 112},
    }
    return {name: {**base.get(name, {}), **parts.get(name, {})} for name in {*base, *parts}}


# ------------------------------------------------------------------------------------------------------------- models


def shake(module: nn.Module, seed: int = 0, scale: float = 0.15) -> nn.Module:
    """Add noise to every weight: nothing is zero, nothing is small."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += torch.randn(parameter.shape, generator=generator) * scale
    return module


def image_processor(family: Family) -> Qwen2VLImageProcessor:
    """The stock one, with the statistics of the family."""
    statistics = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3} if family == "qwen3_vl" else {}
    return Qwen2VLImageProcessor(patch_size=PATCH[family], temporal_patch_size=2, merge_size=MERGE, **statistics)


def sam_image_processor() -> Sam2ImageProcessor:
    """The stock one for a small square."""
    return Sam2ImageProcessor(size={"height": SIDE, "width": SIDE}, mask_size={"height": SIDE // 4, "width": SIDE // 4})


def tiny_model(
    family: Family = "qwen3_vl", *, tied: bool = True, shaken: bool = True, **parts: dict[str, Any]
) -> tuple[GeoAgentModel, GeoAgentProcessor]:
    """A model and its processor; ``shaken=False`` leaves what starts at zero at zero (the stock models are shaken)."""
    tokenizer = tiny_tokenizer(family)
    config = GeoAgentConfig(mllm_config(tokenizer, family, tied=tied), sam_config(), **tiny_parts(**parts))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GeoAgentModel(config).eval()
    shake(model.mllm)
    shake(model.sam)
    if shaken:
        shake(model)
    processor = GeoAgentProcessor(tokenizer, image_processor(family), sam_image_processor(), config.image)
    return model, processor


def write_stock_folders(folder: Path, family: Family, *, tied: bool, padding: int) -> tuple[Path, Path]:
    """Checkpoints as they are published: a Qwen-VL without our marks, and a SAM2.

    ``padding`` rows more than tokens in the embeddings: Qwen's matrices have such rows.
    """
    mllm_folder, sam_folder = folder / f"tiny-{family}", folder / "tiny-sam2.1"
    tokenizer = stock_tokenizer(family)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = mllm_config(tokenizer, family, tied=tied, vocabulary=len(tokenizer) + padding)
        shake(build_mllm(config), seed=1).save_pretrained(mllm_folder)
        shake(Sam2Model(sam_config()), seed=2).save_pretrained(sam_folder)
    tokenizer.save_pretrained(mllm_folder)
    image_processor(family).save_pretrained(mllm_folder)
    sam_image_processor().save_pretrained(sam_folder)
    return mllm_folder, sam_folder


# ------------------------------------------------------------------------------------------------------------ pictures


def picture(height: int, width: int, seed: int = 0) -> Pixels:
    """Coloured blocks on a slope of grey."""
    random = np.random.default_rng(seed)
    grey = np.linspace(40, 160, width)[None, :, None] + np.linspace(0, 60, height)[:, None, None]
    image = np.repeat(grey, 3, axis=2)
    for _ in range(4):
        y, x = random.integers(0, height - 12), random.integers(0, width - 12)
        image[y : y + 12, x : x + 12] = random.integers(0, 255, 3)
    return image.astype(np.uint8)


def sample(
    image: Pixels,
    instruction: str = "Where is fuel kept?",
    phrases: Sequence[tuple[str, bool]] = (("storage tanks", True),),
    *,
    answer: str | None = None,
    prompts: Prompts | None = None,
    number: int = 0,
) -> Sample:
    """A question with one target for each ``(phrase, present)``; the k-th mask is a block of its own."""
    targets = []
    for k, (phrase, present) in enumerate(phrases):
        mask = np.zeros(image.shape[:2], dtype=np.bool_)
        if present:
            mask[8 * k + 4 : 8 * k + 28, 10 : 30 + 4 * k] = True
        targets.append(LabelledTarget(phrase=phrase, mask=mask))
    return Sample(
        id=f"q{number}",
        image_id="picture",
        image=image,
        instruction=instruction,
        targets=tuple(targets),
        answer=answer,
        prompts=prompts or Prompts(),
    )
