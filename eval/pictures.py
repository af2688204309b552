"""The cases that a person should look at: worst, median and best answers, and what was seen where there is nothing."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from eval.matching import pair_phrases
from eval.records import SampleRecord
from eval.scoring import SampleScore
from geoagent.data.dataset import SegmentationDataset
from geoagent.types import Box, Mask, Pixels, Prompts, Sample

PANEL = 300
"""Longer side of a picture in pixels."""
COLOURS = ((255, 196, 0), (0, 200, 255), (255, 64, 160), (120, 255, 80), (255, 120, 40), (170, 120, 255))
"""One per target, bright against roofs, water and fields alike."""
UNKNOWN = (150, 150, 150)
_DETAIL_BELOW = 0.45
"""Targets that fill less of the image's side than this are shown enlarged."""


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """One phrase under the pictures, in the colour of its mask."""

    text: str
    shown: bool
    """Whether it has a mask in the pictures."""
    colour: tuple[int, int, int]
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One answer with its pictures, ready to be placed on a page."""

    kind: str
    """``worst``, ``median``, ``best`` or ``false alarm``."""
    id: str
    type: str
    instruction: str
    answer: str
    iou: float
    asked: tuple["Phrase", ...]
    """Phrases of the truth; ``shown`` where the image has the thing."""
    found: tuple["Phrase", ...]
    """Phrases of the answer; ``shown`` where they were accepted."""
    pictures: tuple[str, str, str]
    """Data addresses of image, truth and prediction."""
    enlarged: bool
    """Whether truth and prediction show only a part of the image."""


def choose_cases(scores: Sequence[SampleScore], each: int) -> dict[str, list[SampleScore]]:
    """``each`` worst, median and best answers to samples with a target, and false alarms; no sample twice."""
    ranked = sorted(
        (score for score in scores if score.masks is not None and score.masks.has_target),
        key=lambda score: (score.masks.iou if score.masks is not None else 0.0, score.index),
    )
    each = min(each, -(-len(ranked) // 3))
    worst, rest = ranked[:each], ranked[each:]
    best, rest = rest[len(rest) - min(each, len(rest)) :], rest[: max(0, len(rest) - each)]
    start = max(0, (len(rest) - each) // 2)
    alarms = [s for s in scores if s.masks is not None and s.masks.answered and not s.masks.has_target]
    chosen = {"worst": worst, "median": rest[start : start + each], "best": best[::-1], "false alarm": alarms[:each]}
    return {kind: members for kind, members in chosen.items() if members}


def draw_cases(
    scores: Sequence[SampleScore], dataset: SegmentationDataset, records: Mapping[str, SampleRecord], each: int
) -> list[Case]:
    """Choose cases and draw them."""
    return [
        _draw(kind, dataset[score.index], records[score.id], score)
        for kind, members in choose_cases(scores, each).items()
        for score in members
    ]


def _draw(kind: str, sample: Sample, record: SampleRecord, score: SampleScore) -> Case:
    truth = [target.mask for target in sample.targets]
    ignore = [target.ignore for target in sample.targets if target.ignore is not None]
    asked = tuple(
        Phrase(text=target.phrase, shown=target.present, colour=_colour(number))
        for number, target in enumerate(sample.targets)
    )
    found, predicted = _found(sample, record)
    whole = (0, 0, sample.image.shape[1], sample.image.shape[0])
    window = _window(truth + predicted, sample.image.shape[:2])
    colours = [phrase.colour for phrase in found if phrase.shown]
    pictures = (
        _mark(_panel(sample.image, whole), sample.prompts, window, whole),
        _overlay(sample.image, truth, [phrase.colour for phrase in asked], window, ignore),
        _overlay(sample.image, predicted, colours, window),
    )
    return Case(
        kind=kind,
        id=sample.id,
        type=sample.type,
        instruction=sample.instruction,
        answer=record.answer,
        iou=score.masks.iou if score.masks is not None else 0.0,
        asked=asked,
        found=found,
        pictures=(_data_address(pictures[0]), _data_address(pictures[1]), _data_address(pictures[2])),
        enlarged=window != whole,
    )


def _found(sample: Sample, record: SampleRecord) -> tuple[tuple[Phrase, ...], list[Mask]]:
    """Phrases of the answer, coloured like the true ones they belong to, and the masks of the accepted ones."""
    candidates = record.candidates
    masks = [target.decode() for target in candidates]
    accepted = {target.index for target in record.pred}
    pairs = pair_phrases(sample.targets, [target.phrase for target in candidates], masks)
    partner = {answered: asked for asked, answered in pairs.items()}
    phrases = tuple(
        Phrase(
            text=target.phrase,
            shown=target.index in accepted,
            colour=_colour(partner.get(number, len(sample.targets) + number)),
            score=target.score,
        )
        for number, target in enumerate(candidates)
    )
    return phrases, [mask for mask, phrase in zip(masks, phrases, strict=True) if phrase.shown]


def _colour(number: int) -> tuple[int, int, int]:
    return COLOURS[number % len(COLOURS)]


def _window(masks: Sequence[Mask], size: tuple[int, ...]) -> Box:
    """The whole image, or the surroundings of what is marked if that is small."""
    height, width = size[:2]
    marked = np.zeros((height, width), dtype=np.bool_)
    for mask in masks:
        marked |= mask
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    if not rows.size:
        return 0, 0, width, height
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    if extent >= _DETAIL_BELOW * max(height, width):
        return 0, 0, width, height
    side = int(max(2 * extent, 48))
    side_x, side_y = min(side, width), min(side, height)
    x0 = int(np.clip((columns[0] + columns[-1] + 1 - side_x) // 2, 0, width - side_x))
    y0 = int(np.clip((rows[0] + rows[-1] + 1 - side_y) // 2, 0, height - side_y))
    return x0, y0, x0 + side_x, y0 + side_y


def _panel(image: Pixels, window: Box) -> Image.Image:
    x0, y0, x1, y1 = window
    scale = PANEL / max(x1 - x0, y1 - y0)
    size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
    return Image.fromarray(image[y0:y1, x0:x1]).resize(size, Image.Resampling.LANCZOS)


def _overlay(
    image: Pixels,
    masks: Sequence[Mask],
    colours: Sequence[tuple[int, int, int]],
    window: Box,
    ignore: Sequence[Mask] = (),
) -> Image.Image:
    """Tinted areas with an outline, one colour a target; grey where the labels know nothing."""
    panel = _panel(image, window)
    pixels: NDArray[np.float32] = np.asarray(panel, dtype=np.float32).copy()
    for mask in ignore:
        inside = _fit(mask, window, panel.size)
        pixels[inside] = 0.45 * pixels[inside] + 0.55 * np.array(UNKNOWN)
    for mask, tint in zip(masks, colours, strict=True):
        colour = np.array(tint, dtype=np.float32)
        inside = _fit(mask, window, panel.size)
        pixels[inside] = 0.62 * pixels[inside] + 0.38 * colour
        pixels[inside & ~ndimage.binary_erosion(inside, iterations=2)] = colour
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def _fit(mask: Mask, window: Box, size: tuple[int, int]) -> Mask:
    """The window of a mask at panel size; an object thinner than a panel pixel stays visible."""
    x0, y0, x1, y1 = window
    cut = Image.fromarray(mask[y0:y1, x0:x1].astype(np.uint8) * 255)
    shrinks = size[0] < x1 - x0
    fitted = np.asarray(cut.resize(size, Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR))
    return fitted > (63 if shrinks else 127)


def _mark(panel: Image.Image, prompts: Prompts, window: Box, whole: Box) -> Image.Image:
    """Draw what the person pointed at, and the frame of the enlarged part."""
    draw = ImageDraw.Draw(panel)
    scale = PANEL / max(whole[2:])
    if window != whole:
        draw.rectangle([scale * side for side in window], outline=(255, 255, 255), width=2)
    for x, y, positive in prompts.points:
        colour = (80, 255, 80) if positive else (255, 60, 60)
        x, y = scale * x, scale * y
        draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=colour, outline=(0, 0, 0))
    for box in prompts.boxes:
        draw.rectangle([scale * side for side in box], outline=(80, 255, 80), width=2)
    for line in prompts.scribbles:
        draw.line([(scale * x, scale * y) for x, y in line], fill=(80, 255, 80), width=3)
    return panel


def _data_address(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
