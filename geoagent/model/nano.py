"""The embedded model ``nano``: the same classes as the large ones, at sizes for a laptop.

Qwen3-VL and SAM2 (Hiera) architectures with about 20 M parameters, and a byte-level vocabulary of its own: Qwen's would
be 39 M parameters at this width. ``python -m tools.build_nano`` writes the folder.
"""

from collections.abc import Iterable, Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Sam2Config,
    Sam2ImageProcessor,
)
from transformers.models.sam2.configuration_sam2 import (
    Sam2HieraDetConfig,
    Sam2MaskDecoderConfig,
    Sam2PromptEncoderConfig,
    Sam2VisionConfig,
)

from geoagent.data.class_maps import THING_NAMES
from geoagent.data.classes import CLASSES
from geoagent.model.configuration import GeoAgentConfig
from geoagent.model.meaning import WordMeanings
from geoagent.model.processor import GeoAgentProcessor
from geoagent.model.tokens import QUERY_TOKENS

CONTROL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
VOCABULARY = 5120
SIDE = 512
"""At which SAM2 is trained: at half of it most objects are smaller than a cell of a mask."""
LOOKING_SIDE = 768
"""At which SAM2 sees images when it is asked: things are then as large as in the closer views of training."""
READING_SIDE = 256
"""At which the language model sees them."""
_PATCH = 16
"""Pixels a side of what becomes one of its tokens."""

# Qwen's template for one conversation, without the parts that nano never uses (tools, video).
CHAT_TEMPLATE = """{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}\
{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}\
{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def train_tokenizer(corpus: Iterable[str], size: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """A byte-level BPE vocabulary with Qwen's control tokens and our marks."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [*CONTROL_TOKENS, *QUERY_TOKENS]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_cased(corpus), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=special[1:],
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _cased(corpus: Iterable[str]) -> Iterator[str]:
    """People write both "Where" and "where", at the start and inside: the vocabulary should know all four."""
    for line in corpus:
        yield line
        yield f" {line.lower()}"


def nano_config(tokenizer: PreTrainedTokenizerFast) -> GeoAgentConfig:
    """Sizes of nano."""

    def token(name: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(name))

    mllm = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 256,
            "intermediate_size": 640,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "head_dim": 64,
            "max_position_embeddings": 8192,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [12, 10, 10],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": True,
            "pad_token_id": token("<|endoftext|>"),
            "eos_token_id": token("<|im_end|>"),
        },
        vision_config={
            "depth": 6,
            "hidden_size": 256,
            "intermediate_size": 768,
            "num_heads": 4,
            "patch_size": _PATCH,
            "spatial_merge_size": 1,
            "temporal_patch_size": 1,
            "out_hidden_size": 256,
            "num_position_embeddings": (READING_SIDE // _PATCH) ** 2,
            "deepstack_visual_indexes": [2],
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    widths = [48, 96, 192, 384]
    sam = Sam2Config(
        vision_config=Sam2VisionConfig(
            backbone_config=Sam2HieraDetConfig(
                hidden_size=widths[0],
                image_size=[SIDE, SIDE],
                blocks_per_stage=[1, 2, 4, 1],
                embed_dim_per_stage=widths,
                num_attention_heads_per_stage=[1, 2, 4, 8],
                # Windows that divide the maps at 256, 384, 512 and 768 px: others are padded, which costs time.
                window_size_per_stage=[8, 8, 8, 4],
                global_attention_blocks=[5, 6],
                window_positional_embedding_background_size=[8, 8],
            ),
            backbone_channel_list=widths[::-1],
            backbone_feature_sizes=[[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2],
        ),
        prompt_encoder_config=Sam2PromptEncoderConfig(image_size=SIDE),
        # One mask a target is all that is ever asked for.
        mask_decoder_config=Sam2MaskDecoderConfig(mlp_dim=512, num_multimask_outputs=0),
    )
    return GeoAgentConfig(
        mllm,
        sam,
        grounding={"width": 256, "heads": 4, "feed_ratio": 2},
        prompting={
            "heads": 4,
            "feed_ratio": 2,
            "pixel_map": 96,
            "refined_map": True,
            "place_map": 24,
            "mark_map": True,
            "shared_sight": True,
        },
        modulation={"levels": [2]},
        # At 32 channels the core maps would cost as much as SAM2's decoder.
        instances={"width": 16},
        image={
            "sam": LOOKING_SIDE,
            "min_pixels": READING_SIDE**2,
            "max_pixels": READING_SIDE**2,
            "max_aspect": 3.0,
            "tile": SIDE,
            "closer": 2.5,
        },
        recognition={"classes": THING_NAMES},
        meaning={"classes": tuple(CLASSES)},
        answer={"max_new_tokens": 96, "singling": True},
    )


def nano_processor(
    tokenizer: PreTrainedTokenizerFast, config: GeoAgentConfig, words: WordMeanings
) -> GeoAgentProcessor:
    """The stock image processors with the statistics of Qwen3-VL (0.5) and SAM2 (ImageNet's)."""
    vision = config.mllm_config.vision_config
    half = [0.5, 0.5, 0.5]
    images = Qwen2VLImageProcessor(
        patch_size=vision.patch_size,
        temporal_patch_size=vision.temporal_patch_size,
        merge_size=vision.spatial_merge_size,
        image_mean=half,
        image_std=half,
        size={"shortest_edge": config.image.min_pixels, "longest_edge": config.image.max_pixels},
    )
    side = config.image.sam
    sam = Sam2ImageProcessor(size={"height": side, "width": side}, mask_size={"height": side // 4, "width": side // 4})
    return GeoAgentProcessor(tokenizer, images, sam, config.image, config.answer.query, words)
