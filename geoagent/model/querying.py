"""Grounding by query tokens: the language model writes, its <seg> and <rej> states become masks.

The inference side of `geoagent.model.pipeline`: the image's features and its keys and values in the language model are
kept (`EncodedImage`), so that a further question costs only its own words and the decoder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from geoagent.model import mllm as language
from geoagent.model import sam as segmenter
from geoagent.model.grounding import TargetQueries
from geoagent.model.pipeline import GeoAgentModel, ImageFeatures, SegmentedTargets, combined_score
from geoagent.model.processor import GeoAgentProcessor
from geoagent.model.requests import Draft, DraftTarget, Request
from geoagent.model.tasks import task_of
from geoagent.model.tokens import AnswerGrammar, phrase_spans
from geoagent.types import Pixels

MAX_TARGETS_AT_ONCE = 32


@dataclass(frozen=True)
class EncodedImage:
    """An image that was seen by both encoders and read by the language model."""

    vision: language.VisionTokens
    sam: segmenter.SamFeatures
    """Of this image only: [1,…]."""
    prefix: language.Prefix


@dataclass(frozen=True)
class _Found:
    """A phrase that was written (or the instruction itself), and the states that ask for its mask."""

    request: int
    phrase: str
    words: Tensor
    """[Nt,D]."""
    state: Tensor
    """[D]."""
    decision_logit: Tensor


class QueryGrounder:
    """The trained pipeline at work."""

    needs_training = True

    def __init__(self, model: GeoAgentModel, processor: GeoAgentProcessor) -> None:
        self.model = model.eval()
        self.processor = processor

    @torch.inference_mode()
    def encode(self, images: Sequence[Pixels]) -> list[EncodedImage]:
        """See `Grounder.encode`."""
        tensors = self.processor.images(images).to(self.model.device)
        features = self.model.encode_images(tensors.pixel_values, tensors.grid_thw, tensors.sam_pixels)
        encoded = []
        for i, grid in enumerate(tensors.grid_thw):
            vision = features.vision.pick([i])
            ids = self.processor.prefix_ids(self.processor.image_tokens(grid))
            prefix = language.read_prefix(self.model.mllm, torch.tensor(ids, device=self.model.device), vision)
            one = torch.tensor([i], device=self.model.device)
            encoded.append(EncodedImage(vision, features.sam.pick(one), prefix))
        return encoded

    @torch.inference_mode()
    def answer(self, requests: Sequence[Request]) -> list[Draft]:
        """See `Grounder.answer`."""
        questions = [self._question(request) for request in requests]
        answers = language.write_answers(
            self.model.mllm,
            [request.encoded.prefix for request in requests],
            [torch.tensor(words + turn, device=self.model.device) for words, turn in questions],
            [self._grammar(request) for request in requests],
            self.processor.ids,
            max_new_tokens=self.model.config.answer.max_new_tokens,
        )
        found = [
            item
            for i, (answer, (words, _)) in enumerate(zip(answers, questions, strict=True))
            for item in self._asked_for(i, requests[i], answer, len(words))
        ]
        targets = self._segment(requests, found)
        return [
            Draft(
                marked_answer=self.processor.decode(answer.tokens.tolist()).strip(),
                targets=tuple(t for t, item in zip(targets, found, strict=True) if item.request == i),
                tokens=len(answer.tokens),
                warnings=() if answer.complete else ("the answer was cut off at the limit of tokens",),
            )
            for i, answer in enumerate(answers)
        ]

    def _question(self, request: Request) -> tuple[list[int], list[int]]:
        """The person's words, and what leads over to the answer."""
        words = self.processor.instruction_ids(request.instruction, request.prompts, request.size)
        return words, self.processor.turn_ids()

    def _grammar(self, request: Request) -> AnswerGrammar:
        config = self.model.config.answer
        described = config.query == "description"
        pointed = bool(request.prompts) and not described
        return AnswerGrammar(
            self.processor.ids,
            max_tokens=config.max_new_tokens,
            max_targets=0 if described else 1 if pointed else config.max_targets,
            max_phrase_tokens=config.max_phrase_tokens,
            min_targets=1 if pointed else 0,
            brief=request.brief or config.style == "brief",
            may_reject=not pointed,
        )

    def _asked_for(
        self, number: int, request: Request, answer: language.WrittenAnswer, word_count: int
    ) -> list[_Found]:
        """What an answer asks a mask for: its phrases, or the instruction as a whole."""
        if self.model.config.answer.query == "token":
            return self._phrases(number, answer, word_count)
        words = answer.question_states[:word_count]
        phrase = request.instruction.strip() or "what was pointed at"
        # No token decides whether it is there: only SAM2's object score does.
        return [_Found(number, phrase, words, words.mean(dim=0), words.new_zeros(()))]

    def _phrases(self, request: int, answer: language.WrittenAnswer, word_count: int) -> list[_Found]:
        """The phrases of an answer that got as far as a decision."""
        written = answer.tokens.tolist()
        found = []
        for (span, decision), logit in zip(
            phrase_spans(written, self.processor.ids), answer.decision_logits, strict=True
        ):
            words = torch.cat([answer.question_states[:word_count], answer.states[[*span, decision]]])
            phrase = self.processor.decode([written[i] for i in span]).strip()
            found.append(_Found(request, phrase, words, words[-1], logit))
        return found

    def _segment(self, requests: Sequence[Request], found: Sequence[_Found]) -> list[DraftTarget]:
        """Decode every phrase, a bounded number at a time."""
        drafts: list[DraftTarget] = []
        for start in range(0, len(found), MAX_TARGETS_AT_ONCE):
            drafts += self._segment_some(requests, found[start : start + MAX_TARGETS_AT_ONCE])
        return drafts

    def _segment_some(self, requests: Sequence[Request], found: Sequence[_Found]) -> list[DraftTarget]:
        asked = [requests[item.request] for item in found]
        images = list({id(request.encoded): request.encoded for request in asked}.values())
        place = {id(image): i for i, image in enumerate(images)}
        image = torch.tensor([place[id(request.encoded)] for request in asked], device=self.model.device)
        person = segmenter.stack_prompts([r.prompts for r in asked], [r.size for r in asked])
        task = torch.tensor([task_of("", r.prompts) for r in asked], device=self.model.device)
        queries = replace(_stack_words(found, image), task=task)
        targets = self.model.segment_targets(queries, _join_images(images), person)
        token = torch.stack([item.decision_logit for item in found])
        # Who points at something knows that it is there: the language model's opinion does not count.
        pointed = torch.tensor([bool(r.prompts) for r in asked], device=token.device)
        scores = combined_score(
            self.model.config.score, token.masked_fill(pointed, 0.0), targets.masks.objectness, targets.masks.iou
        )
        return [self._draft(item, k, float(scores[k]), targets) for k, item in enumerate(found)]

    def _draft(self, item: _Found, k: int, score: float, targets: SegmentedTargets) -> DraftTarget:
        by_cores = self.model.config.instances.split == "cores"
        return DraftTarget(
            phrase=item.phrase,
            score=score,
            logits=targets.masks.logits[k],
            cores=targets.cores[k] if by_cores else None,
            coarse=targets.coarse[k],
        )


def _stack_words(found: Sequence[_Found], image: Tensor) -> TargetQueries:
    """The states of each target, padded at the end."""
    words = torch.nn.utils.rnn.pad_sequence([item.words for item in found], batch_first=True)
    lengths = torch.tensor([len(item.words) for item in found], device=image.device)
    mask = torch.arange(words.shape[1], device=image.device) < lengths[:, None]
    return TargetQueries(words, mask, torch.stack([item.state for item in found]), image)


def _join_images(images: Sequence[EncodedImage]) -> ImageFeatures:
    """The features of several encoded images as one batch."""
    levels = len(images[0].vision.deepstack)
    vision = language.VisionTokens(
        tuple(image.vision.merged[0] for image in images),
        tuple(tuple(image.vision.deepstack[level][0] for image in images) for level in range(levels)),
    )
    maps = [torch.cat(level) for level in zip(*(image.sam.levels for image in images), strict=True)]
    return ImageFeatures(vision, segmenter.SamFeatures(maps[0], maps[1], maps[2]))
