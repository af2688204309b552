"""A way of grounding that knows the truth of every pixel it is shown, and of no other.

The truth is painted into the picture: the red channel holds the class, green and blue the number of the object. So a
tile, an overview and the whole image are answered by the same rule, and what is lost or doubled between tiles is the
fault of whoever put them together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from geoagent.model.configuration import AnswerConfig, ImageSizeConfig, InstanceConfig, MeaningConfig, ScoreConfig
from geoagent.model.meaning import WordMeanings
from geoagent.model.requests import Draft, DraftObject, DraftTarget, Request
from geoagent.predictor import Predictor
from geoagent.types import Mask, Pixels

CLASSES = {"storage tanks": 200, "ships": 150, "rivers": 100, "buildings": 60, "cars": 40, "tank roofs": 220}
"""Red value of each noun."""
GROUND = 10
SURE = 12.0


def blank(height: int, width: int) -> Pixels:
    """Ground without anything on it."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = GROUND
    return pixels


def paint(pixels: Pixels, noun: str, where: Mask, number: int = 0) -> None:
    """Paint an object (its number matters only where objects touch)."""
    pixels[where] = (CLASSES[noun], number // 256, number % 256)


def paint_box(pixels: Pixels, noun: str, x0: int, y0: int, x1: int, y1: int, number: int = 0) -> None:
    """Paint a rectangle."""
    pixels[y0:y1, x0:x1] = (CLASSES[noun], number // 256, number % 256)


def disk(pixels: Pixels, x: float, y: float, radius: float) -> Mask:
    """bool [H,W]: a circle."""
    rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    return np.asarray((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2)


@dataclass
class Oracle:
    """See above.

    Args:
        tells_apart: Bring each object as a mask of its own, as the boxes mode does.
        trouble: Called with the pixels of every image; whatever it raises is the tile's end.
        overview_phrases: Phrases of the answer to questions that name none of the classes.
        side: Pixels of a tile.
        stride: Pixels for each cell of its logits.
        singling: Measure what phrases single out.
        meant: The class that every question most probably means.
        words: What words say of questions that name nothing.
        said: Phrases of the answers to single questions.
    """

    tells_apart: bool = False
    trouble: Callable[[Pixels], None] | None = None
    overview_phrases: Sequence[str] = ()
    side: int = 128
    stride: int = 1
    singling: bool = False
    meant: str = ""
    words: WordMeanings | None = None
    said: Mapping[str, Sequence[str]] = field(default_factory=dict)

    needs_training = True

    def __post_init__(self) -> None:
        config = SimpleNamespace(
            answer=AnswerConfig(singling=self.singling),
            image=ImageSizeConfig(sam=self.side),
            score=ScoreConfig(),
            instances=InstanceConfig(),
            meaning=MeaningConfig(classes=self.words.classes if self.words else (self.meant,) if self.meant else ()),
            trained=True,
        )
        self.model: Any = SimpleNamespace(config=config, recognition=None)
        self.processor: Any = SimpleNamespace(words=self.words)
        self.shown: list[tuple[int, ...]] = []
        self.asked = 0

    def encode(self, images: Sequence[Pixels]) -> list[Any]:
        for image in images:
            self.shown.append(image.shape[:2])
            if self.trouble is not None:
                self.trouble(image)
        return list(images)

    def answer(self, requests: Sequence[Request]) -> list[Draft]:
        self.asked += len(requests)
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Draft:
        named = [noun for noun in CLASSES if noun in request.instruction.lower()]
        said = [request.noun] if request.noun else self.said.get(request.instruction) or named or self.overview_phrases
        targets = tuple(self._target(phrase, request.encoded) for phrase in said)
        marked = " ".join(f"<p>{t.phrase}</p>{'<seg>' if t.score > 0.5 else '<rej>'}" for t in targets)
        if request.tell is not None:
            request.tell(marked)
        return Draft(marked_answer=marked or "Hello there.", targets=targets, tokens=3, meant=self.meant)

    def _target(self, phrase: str, pixels: Pixels) -> DraftTarget:
        red = next((value for noun, value in CLASSES.items() if noun[:-1] in phrase), -1)
        truth = np.asarray(pixels[..., 0] == red)
        logits = self._logits(truth)
        objects = None
        if self.tells_apart:
            keys = pixels[..., 1].astype(int) * 256 + pixels[..., 2]
            objects = tuple(DraftObject(self._logits(truth & (keys == k)), 0.9) for k in np.unique(keys[truth]))
        return DraftTarget(phrase=phrase, score=0.9 if truth.any() else 0.05, logits=logits, objects=objects)

    def _logits(self, truth: Mask) -> torch.Tensor:
        logits = torch.from_numpy(np.where(truth, SURE, -SURE).astype(np.float32))
        if self.stride > 1:
            logits = torch.nn.functional.avg_pool2d(logits[None, None], self.stride)[0, 0]
        return logits


def oracle_predictor(**options: Any) -> tuple[Predictor, Oracle]:
    """A predictor over an oracle."""
    oracle = Oracle(**options)
    return Predictor(oracle, "oracle"), oracle
