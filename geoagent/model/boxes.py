"""Grounding by boxes: a stock Qwen-VL names boxes, a stock SAM2 turns them into masks. No training at all.

Works on the first day with public weights, and is the honest baseline for everything trained. Qwen3-VL writes boxes
relative to the image, 0 to 1000; Qwen2.5-VL in pixels of the image as it was resized.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from geoagent.model import mllm as language
from geoagent.model import sam as segmenter
from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.processor import GeoAgentProcessor
from geoagent.model.requests import Draft, DraftObject, DraftTarget, Request
from geoagent.model.tokens import CLOSE, OPEN, REJ, SEG, mark_free
from geoagent.types import Pixels, Prompts

QUESTION = (
    'Find everything in this aerial image that answers: "{instruction}". Report each object as JSON in the form '
    '[{{"bbox_2d": [x_min, y_min, x_max, y_max], "label": "what it is"}}]. If there is nothing, report [].'
)
MAX_NEW_TOKENS = 1024
MAX_BOXES = 100
BOXES_AT_ONCE = 32
_OBJECT = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True)
class NamedBox:
    """A box in normalised coordinates with what the language model calls it."""

    label: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class EncodedImage:
    """An image that was seen by both encoders and read by the language model."""

    sam: segmenter.SamFeatures
    prefix: language.Prefix
    resized: tuple[int, int]
    """``(height, width)`` in pixels as the language model saw it."""


class BoxGrounder:
    """Stock models at work, without our stages."""

    needs_training = False

    def __init__(self, model: GeoAgentModel, processor: GeoAgentProcessor) -> None:
        self.model = model.eval()
        self.processor = processor
        self.relative = model.config.mllm_config.model_type == "qwen3_vl"

    @torch.inference_mode()
    def encode(self, images: Sequence[Pixels]) -> list[EncodedImage]:
        """See `Grounder.encode`."""
        tensors = self.processor.images(images).to(self.model.device)
        features = self.model.encode_images(tensors.pixel_values, tensors.grid_thw, tensors.sam_pixels)
        patch = int(self.processor.image_processor.patch_size)
        encoded = []
        for i, grid in enumerate(tensors.grid_thw):
            ids = torch.tensor(self.processor.prefix_ids(self.processor.image_tokens(grid)), device=self.model.device)
            prefix = language.read_prefix(self.model.mllm, ids, features.vision.pick([i]))
            one = features.sam.pick(torch.tensor([i], device=self.model.device))
            encoded.append(EncodedImage(one, prefix, (int(grid[1]) * patch, int(grid[2]) * patch)))
        return encoded

    @torch.inference_mode()
    def answer(self, requests: Sequence[Request]) -> list[Draft]:
        """See `Grounder.answer`."""
        return [self._pointed(r) if r.prompts else self._asked(r) for r in requests]

    def _asked(self, request: Request) -> Draft:
        text = QUESTION.format(instruction=mark_free(request.instruction.strip()))
        ids = self.processor.instruction_ids(text) + self.processor.turn_ids()
        written = language.write_answers(
            self.model.mllm,
            [request.encoded.prefix],
            [torch.tensor(ids, device=self.model.device)],
            [None],
            self.processor.ids,
            max_new_tokens=MAX_NEW_TOKENS,
        )[0]
        reply = self.processor.tokenizer.decode(written.tokens.tolist(), skip_special_tokens=True)
        scale = (1000, 1000) if self.relative else request.encoded.resized
        boxes = list(read_boxes(reply, scale))[:MAX_BOXES]
        prompts = [Prompts(boxes=(box.box,)) for box in boxes]
        masks = self._decode(request.encoded, prompts)
        groups: dict[str, list[int]] = {}
        for i, box in enumerate(boxes):
            groups.setdefault(box.label, []).append(i)
        targets = tuple(_united(label, [masks[i] for i in members]) for label, members in groups.items())
        if not targets:
            blank = torch.full(tuple(4 * side for side in request.encoded.sam.size), -10.0)
            targets = (DraftTarget(phrase=mark_free(request.instruction.strip()), score=0.0, logits=blank),)
            return Draft(f"Nothing fits {OPEN}{targets[0].phrase}{CLOSE}{REJ}.", targets, len(written.tokens))
        found = ", ".join(f"{len(groups[t.phrase])} {OPEN}{t.phrase}{CLOSE}{SEG}" for t in targets)
        return Draft(f"Found: {found}.", targets, len(written.tokens))

    def _pointed(self, request: Request) -> Draft:
        """A person's points and boxes go straight to SAM2."""
        height, width = request.size
        normal = Prompts(
            points=tuple((x / width, y / height, on) for x, y, on in request.prompts.points),
            boxes=tuple((a / width, b / height, c / width, d / height) for a, b, c, d in request.prompts.boxes),
            scribbles=tuple(tuple((x / width, y / height) for x, y in s) for s in request.prompts.scribbles),
            masks=request.prompts.masks,
        )
        mask = self._decode(request.encoded, [normal])[0]
        phrase = mark_free(request.instruction.strip()) or "the marked object"
        target = DraftTarget(phrase=phrase, score=mask.score, logits=mask.logits)
        return Draft(f"Here: {OPEN}{phrase}{CLOSE}{SEG}.", (target,), 0)

    def _decode(self, image: EncodedImage, prompts: Sequence[Prompts]) -> list[DraftObject]:
        """SAM2's mask for each set of prompts in normalised coordinates."""
        found: list[DraftObject] = []
        for start in range(0, len(prompts), BOXES_AT_ONCE):
            some = prompts[start : start + BOXES_AT_ONCE]
            person = segmenter.stack_prompts(some, [(1, 1)] * len(some))
            if person is None:
                continue
            features = image.sam.pick(torch.zeros(len(some), dtype=torch.long, device=self.model.device))
            sparse, dense = segmenter.embed_prompts(self.model.sam, person, features.size)
            masks = segmenter.decode_masks(self.model.sam, features, sparse, dense)
            found += [DraftObject(m, float(s)) for m, s in zip(masks.logits, masks.iou, strict=True)]
        return found


def _united(label: str, objects: list[DraftObject]) -> DraftTarget:
    union: Tensor = torch.stack([o.logits for o in objects]).amax(dim=0)
    score = sum(o.score for o in objects) / len(objects)
    return DraftTarget(phrase=label, score=score, logits=union, objects=tuple(objects))


def read_boxes(reply: str, scale: tuple[int, int]) -> Iterator[NamedBox]:
    """The boxes of a reply, however much of its JSON is well-formed.

    Each ``{…}`` is read on its own, so that a reply that breaks off, is fenced in Markdown or has words around it loses
    nothing but the object that is broken. Boxes are normalised by ``scale`` (height, width), put in order and cut to
    the image; empty ones are dropped.
    """
    height, width = scale
    for match in _OBJECT.finditer(reply):
        try:
            item = json.loads(match[0], parse_int=float)
        except (ValueError, RecursionError):  # no JSON, or brackets without end
            continue
        corners = item.get("bbox_2d") or item.get("bbox")
        if not isinstance(corners, list) or len(corners) != 4:
            continue
        if not all(isinstance(c, float) for c in corners):
            continue
        x0, x1 = sorted(min(max(corners[i] / width, 0.0), 1.0) for i in (0, 2))
        y0, y1 = sorted(min(max(corners[i] / height, 0.0), 1.0) for i in (1, 3))
        if x1 > x0 and y1 > y0:
            label = item.get("label")
            words = mark_free(label).strip()[:80] if isinstance(label, str) else ""
            yield NamedBox(words or "object", (x0, y0, x1, y1))
