"""Grounding by query tokens: the language model writes, its <seg> and <rej> states become masks.

The inference side of `geoagent.model.pipeline`: the image's features and its keys and values in the language model are
kept (`EncodedImage`), so that a further question costs only its own words and the decoder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geoagent.model import mllm as language
from geoagent.model import sam as segmenter
from geoagent.model.evidence import WordPlaces, gather_evidence, watch_prompts
from geoagent.model.grounding import TargetQueries
from geoagent.model.judging import judge_phrases
from geoagent.model.pipeline import GeoAgentModel, ImageFeatures, SegmentedTargets, combined_score, score_clues
from geoagent.model.processor import GeoAgentProcessor
from geoagent.model.requests import Draft, DraftTarget, Request
from geoagent.model.tasks import task_of
from geoagent.model.tokens import AnswerGrammar, TokenIds, phrase_spans
from geoagent.types import Evidence, Pixels, ScoreClues

MAX_TARGETS_AT_ONCE = 32


@dataclass(frozen=True)
class EncodedImage:
    """An image that was seen by both encoders and read by the language model."""

    vision: language.VisionTokens
    sam: segmenter.SamFeatures
    """Of this image only: [1,…]."""
    prefix: language.Prefix
    pixels: Tensor | None
    """As in `ImageFeatures`."""


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
    places: WordPlaces
    """Which of ``words`` are the question's and which the phrase's."""


class _ToldGrammar(AnswerGrammar):
    """The grammar of an answer that is told while it is written."""

    def __init__(self, hear: Callable[[list[int]], None], ids: TokenIds, **rules: Any) -> None:
        super().__init__(ids, **rules)
        self._hear = hear
        self._written: list[int] = []

    def advance(self, token: int) -> None:
        """See `AnswerGrammar.advance`."""
        super().advance(token)
        if token not in self.ids.stops:
            self._written.append(token)
            self._hear(self._written)


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
            pixels = None if features.pixels is None else features.pixels[one]
            encoded.append(EncodedImage(vision, features.sam.pick(one), prefix, pixels))
        return encoded

    @torch.inference_mode()
    def answer(self, requests: Sequence[Request]) -> list[Draft]:
        """See `Grounder.answer`."""
        questions = [self._question(request) for request in requests]
        answers = self._answers(requests, [words + turn for words, turn in questions])
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
                meant=self._meant(requests[i], answer),
                warnings=() if answer.complete else ("the answer was cut off at the limit of tokens",),
            )
            for i, answer in enumerate(answers)
        ]

    def _answers(self, requests: Sequence[Request], questions: Sequence[list[int]]) -> list[language.WrittenAnswer]:
        """Answers written freely, or decisions about phrases that are known already."""
        texts = [torch.tensor(question, device=self.model.device) for question in questions]
        known = [bool(r.phrase) and self.model.config.answer.query == "token" for r in requests]
        free, given = ([i for i, k in enumerate(known) if k is which] for which in (False, True))
        answers: dict[int, language.WrittenAnswer] = {}
        if free:
            written = language.write_answers(
                self.model.mllm,
                [requests[i].encoded.prefix for i in free],
                [texts[i] for i in free],
                [self._grammar(requests[i]) for i in free],
                self.processor.ids,
                max_new_tokens=self.model.config.answer.max_new_tokens,
            )
            answers.update(zip(free, written, strict=True))
        if given:
            judged = judge_phrases(
                self.model.mllm,
                [requests[i].encoded.prefix for i in given],
                [texts[i] for i in given],
                [self.processor.instruction_ids(requests[i].phrase) for i in given],
                self.processor.ids,
            )
            answers.update(zip(given, judged, strict=True))
        return [answers[i] for i in range(len(requests))]

    def _question(self, request: Request) -> tuple[list[int], list[int]]:
        """The person's words, and what leads over to the answer."""
        words = self.processor.instruction_ids(request.instruction, request.prompts, request.size)
        return words, self.processor.turn_ids()

    def _grammar(self, request: Request) -> AnswerGrammar:
        config = self.model.config.answer
        described = config.query == "description"
        pointed = bool(request.prompts) and not described
        named = bool(request.noun) and not described
        make: Callable[..., AnswerGrammar] = AnswerGrammar
        if request.tell is not None:
            make = partial(_ToldGrammar, partial(self._tell, request.tell))
        return make(
            self.processor.ids,
            max_tokens=config.max_new_tokens,
            max_targets=0 if described else 1 if pointed or named else config.max_targets,
            max_phrase_tokens=config.max_phrase_tokens,
            min_targets=1 if pointed or named else 0,
            brief=request.brief or config.style == "brief",
            may_reject=not pointed,
            phrase=self.processor.instruction_ids(request.noun) if named else (),
        )

    def _meant(self, request: Request, answer: language.WrittenAnswer) -> str:
        """The class that a question most probably means, by what the language model made of it and by its words."""
        head, words, config = self.model.meaning, self.processor.words, self.model.config
        known = request.prompts or request.phrase or request.noun  # as on every tile of a large image
        if head is None or words is None or known or config.answer.query != "token":
            return ""
        by_words = words.scores(request.instruction)
        if not by_words.any():
            return ""
        by_state = head(answer.question_states[-1]).double().log_softmax(dim=-1).cpu().numpy()
        return words.classes[int(np.argmax(by_state + config.meaning.word_weight * by_words))]

    def _tell(self, hear: Callable[[str], None], tokens: list[int]) -> None:
        """The answer so far; a letter whose bytes are not all written yet is left out."""
        hear(self.processor.decode(tokens).rstrip("\ufffd").strip())

    def _asked_for(
        self, number: int, request: Request, answer: language.WrittenAnswer, word_count: int
    ) -> list[_Found]:
        """What an answer asks a mask for: its phrases, or the instruction as a whole."""
        if self.model.config.answer.query == "token":
            return self._phrases(number, answer, word_count)
        words = answer.question_states[:word_count]
        phrase = request.instruction.strip() or "what was pointed at"
        # No token decides whether it is there: only SAM2's object score does.
        places = WordPlaces(word_count, 0)
        return [_Found(number, phrase, words, words.mean(dim=0), words.new_zeros(()), places)]

    def _phrases(self, request: int, answer: language.WrittenAnswer, word_count: int) -> list[_Found]:
        """The phrases of an answer that got as far as a decision."""
        written = answer.tokens.tolist()
        found = []
        for (span, decision), logit in zip(
            phrase_spans(written, self.processor.ids), answer.decision_logits, strict=True
        ):
            words = torch.cat([answer.question_states[:word_count], answer.states[[*span, decision]]])
            phrase = self.processor.decode([written[i] for i in span]).strip()
            found.append(_Found(request, phrase, words, words[-1], logit, WordPlaces(word_count, len(span))))
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
        with watch_prompts(self.model.prompting) as prompts:
            targets = self.model.segment_targets(queries, _join_images(images), person)
        evidence = gather_evidence(targets.grounding, prompts, [item.places for item in found])
        token = torch.stack([item.decision_logit for item in found])
        # Who points at something knows that it is there: the language model's opinion does not count.
        pointed = torch.tensor([bool(r.prompts) for r in asked], device=token.device)
        clues = score_clues(token.masked_fill(pointed, 0.0), targets.masks)
        scores = combined_score(self.model.config.score, clues)
        # Nor does a low score, which then says how good the mask is and not whether something is there.
        scores = torch.where(pointed, scores.clamp(min=self.model.config.score.threshold), scores)
        told = [replace(e, clues=ScoreClues(*row)) for e, row in zip(evidence, clues.tolist(), strict=True)]
        return [self._draft(item, k, float(scores[k]), targets, told[k]) for k, item in enumerate(found)]

    def _draft(self, item: _Found, k: int, score: float, targets: SegmentedTargets, evidence: Evidence) -> DraftTarget:
        by_cores = self.model.config.instances.split == "cores"
        return DraftTarget(
            phrase=item.phrase,
            score=score,
            logits=targets.masks.logits[k],
            cores=targets.cores[k] if by_cores else None,
            coarse=targets.coarse[k],
            evidence=evidence,
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
    embedded = [image.pixels for image in images if image.pixels is not None]
    pixels = torch.cat(embedded) if embedded else None
    return ImageFeatures(vision, segmenter.SamFeatures(maps[0], maps[1], maps[2]), pixels)
