"""One preprocessing for training, evaluation and chat: images and questions become tensors.

The two stock image processors see the same picture: the language model's rounds each side to its cells, SAM2's
stretches it to a square. Nothing is ever letterboxed, so normalised coordinates mean the same place for both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoImageProcessor, AutoTokenizer, Sam2ImageProcessor
from transformers.utils import cached_file

from geoagent.model import tokens as marks
from geoagent.model.configuration import GeoAgentConfig, ImageSizeConfig
from geoagent.model.meaning import WordMeanings
from geoagent.types import GeoAgentError, Pixels, Prompts

SAM_FOLDER = "sam2"
WORDS_FILE = "words.npz"
_SENTINEL = "QUESTION-GOES-HERE"
_CHAT = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": _SENTINEL}]}]


@dataclass(frozen=True)
class ImageTensors:
    """Images as the two encoders see them."""

    pixel_values: Tensor
    """Patches of all images one after the other."""
    grid_thw: Tensor
    """int64 [B,3]."""
    sam_pixels: Tensor
    """[B,3,S,S]."""

    def to(self, device: torch.device | str) -> "ImageTensors":
        """The same on another device."""
        return ImageTensors(self.pixel_values.to(device), self.grid_thw.to(device), self.sam_pixels.to(device))


class GeoAgentProcessor:
    """Tokenizer and image processors of a checkpoint, with the marks added.

    Args:
        tokenizer: A Qwen tokenizer; gets ``<p> </p> <seg> <rej>`` where it lacks them.
        image_processor: The language model's.
        sam_processor: SAM2's.
        sizes: At which sizes they work.
        query: What asks for a mask, see `AnswerConfig`.
        words: What words say of questions that name nothing.
    """

    def __init__(
        self,
        tokenizer: Any,
        image_processor: Any,
        sam_processor: Sam2ImageProcessor,
        sizes: ImageSizeConfig,
        query: str = "token",
        words: WordMeanings | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.sam_processor = sam_processor
        self.sizes = sizes
        self.query = query
        self.words = words
        self.ids = marks.add_query_tokens(tokenizer)
        chat = tokenizer.apply_chat_template(_CHAT, tokenize=False, add_generation_prompt=True)
        self._before, self._after = chat.split(_SENTINEL)

    @classmethod
    def from_pretrained(cls, folder: str | Path, config: GeoAgentConfig) -> "GeoAgentProcessor":
        """Read what `save_pretrained` wrote."""
        processor = cls.from_stock(
            str(folder), Sam2ImageProcessor.from_pretrained(folder, subfolder=SAM_FOLDER), config
        )
        if config.meaning.classes:
            processor.words = _read_words(str(folder), config.meaning.classes)
        return processor

    @classmethod
    def from_stock(cls, mllm: str, sam: Sam2ImageProcessor, config: GeoAgentConfig) -> "GeoAgentProcessor":
        """Tokenizer and image processor of a Qwen-VL checkpoint beside the image processor of SAM2."""
        return cls(
            AutoTokenizer.from_pretrained(mllm),
            AutoImageProcessor.from_pretrained(mllm),
            sam,
            config.image,
            config.answer.query,
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write tokenizer and image processors in the stock formats."""
        self.tokenizer.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)
        self.sam_processor.save_pretrained(Path(folder) / SAM_FOLDER)
        if self.words is not None:
            self.words.save(Path(folder) / WORDS_FILE)

    def with_sizes(self, **sizes: Any) -> "GeoAgentProcessor":
        """The same at other image sizes: ``with_sizes(sam=512)``."""
        changed = replace(self.sizes, **sizes)
        return GeoAgentProcessor(
            self.tokenizer, self.image_processor, self.sam_processor, changed, self.query, self.words
        )

    # ------------------------------------------------------------------------------------------------------- images

    def images(self, images: Sequence[Pixels] | Tensor) -> ImageTensors:
        """Preprocess images uint8 [H,W,3], or a batch of them as a tensor [B,3,H,W] on any device."""
        planes = [
            image if isinstance(image, Tensor) else torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
            for image in images
        ]
        patches = self.image_processor(
            images=planes,
            size={"shortest_edge": self.sizes.min_pixels, "longest_edge": self.sizes.max_pixels},
            return_tensors="pt",
        )
        side = self.sizes.sam
        square = self.sam_processor(images=planes, size={"height": side, "width": side}, return_tensors="pt")
        return ImageTensors(patches["pixel_values"], patches["image_grid_thw"], square["pixel_values"])

    def image_tokens(self, grid_thw: Tensor) -> int:
        """How many tokens the language model sees of an image with this grid [3]."""
        return int(grid_thw.prod()) // int(self.image_processor.merge_size) ** 2

    def grid(self, grid_thw: Tensor) -> tuple[int, int]:
        """``(Hv, Wv)`` of an image with this grid [3]."""
        merge = int(self.image_processor.merge_size)
        return int(grid_thw[1]) // merge, int(grid_thw[2]) // merge

    # --------------------------------------------------------------------------------------------------------- words

    def prefix_ids(self, image_tokens: int) -> list[int]:
        """The conversation up to the end of the image."""
        image = self.tokenizer.convert_tokens_to_ids("<|image_pad|>")
        ids: list[int] = []
        for token in self.tokenizer(self._before, add_special_tokens=False)["input_ids"]:
            ids += [image] * image_tokens if token == image else [token]
        return ids

    def instruction_ids(
        self, instruction: str, prompts: Prompts | None = None, size: tuple[int, int] = (1, 1)
    ) -> list[int]:
        """A person's words (and what they pointed at, as normalised coordinates), without any template."""
        words = marks.mark_free(instruction.strip())
        if prompts:
            words = f"{words} {describe_prompts(prompts, size)}".strip()
        return list(self.tokenizer(words, add_special_tokens=False)["input_ids"])

    def turn_ids(self) -> list[int]:
        """What stands between the words and the answer."""
        return list(self.tokenizer(self._after, add_special_tokens=False)["input_ids"])

    def answer_ids(self, answer: str) -> list[int]:
        """A marked answer with the token that ends it."""
        return [*self.tokenizer(answer, add_special_tokens=False)["input_ids"], self.ids.stops[0]]

    def decode(self, ids: Sequence[int] | Tensor) -> str:
        """Tokens as text, marks included."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text


def _read_words(folder: str, classes: tuple[str, ...]) -> WordMeanings | None:
    """What words mean to a checkpoint; nothing where it has no file of that."""
    try:
        path = cached_file(folder, WORDS_FILE)
    except OSError:
        return None
    words = WordMeanings.load(Path(path))
    if words.classes != classes:
        raise GeoAgentError(f"{path} has words for other classes than the model knows: run tools.learn_words on it")
    return words


def describe_prompts(prompts: Prompts, size: tuple[int, int]) -> str:
    """What a person pointed at as normalised coordinates, the way GeoSeg's interactive questions write them."""
    height, width = size
    parts = [
        f"{'point' if positive else 'not'} [{x / width:.2f},{y / height:.2f}]" for x, y, positive in prompts.points
    ]
    for x0, y0, x1, y1 in prompts.boxes:
        parts.append(f"box [{x0 / width:.2f},{y0 / height:.2f},{x1 / width:.2f},{y1 / height:.2f}]")
    for line in prompts.scribbles:
        x, y = np.mean(line, axis=0)
        parts.append(f"scribble [{x / width:.2f},{y / height:.2f}]")
    for mask in prompts.masks:
        rows, columns = np.nonzero(mask)
        if len(rows):
            parts.append(f"mask [{columns.mean() / width:.2f},{rows.mean() / height:.2f}]")
    return "; ".join(parts)
