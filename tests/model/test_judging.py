"""A phrase that is known already: the decision and the mask are those of an answer that was written freely."""

import torch
from tiny import picture

from geoagent.model import mllm as language
from geoagent.model.judging import judge_phrases
from geoagent.model.querying import QueryGrounder
from geoagent.model.requests import Request
from geoagent.model.tokens import AnswerGrammar, phrase_spans

WIDE, TALL = picture(96, 128), picture(112, 56, seed=1)
CLOSE = {"rtol": 2e-4, "atol": 2e-4}


@torch.inference_mode()
def test_a_given_phrase_is_judged_as_if_it_had_been_written(tiny_pair):
    """Images of different sizes and questions of different lengths, together."""
    grounder = QueryGrounder(*tiny_pair)
    asked = list(zip(grounder.encode([WIDE, TALL, WIDE]), ("the ships", "Segment the road.", "tanks"), strict=True))
    written = []
    for image, text in asked:
        words, turn = grounder._question(Request(image, (96, 128), text, brief=True))
        question = torch.tensor(words + turn)
        limits = {"max_tokens": 24, "max_targets": 1, "max_phrase_tokens": 4, "min_targets": 1}
        grammar = AnswerGrammar(grounder.processor.ids, brief=True, **limits)
        (answer,) = language.write_answers(
            grounder.model.mllm, [image.prefix], [question], [grammar], grounder.processor.ids, max_new_tokens=24
        )
        (span, place), *_ = phrase_spans(answer.tokens.tolist(), grounder.processor.ids)
        written.append((question, answer, answer.tokens[list(span)].tolist(), place))
    judged = judge_phrases(
        grounder.model.mllm,
        [image.prefix for image, _ in asked],
        [question for question, *_ in written],
        [phrase for *_, phrase, _ in written],
        grounder.processor.ids,
    )
    for found, (_, answer, _, place) in zip(judged, written, strict=True):
        assert found.tokens.tolist() == answer.tokens[: place + 1].tolist()
        torch.testing.assert_close(found.states, answer.states[: place + 1], **CLOSE)
        torch.testing.assert_close(found.question_states, answer.question_states, **CLOSE)
        torch.testing.assert_close(found.decision_logits, answer.decision_logits[:1], **CLOSE)


def test_known_and_free_phrases_are_answered_together(tiny_pair):
    grounder = QueryGrounder(*tiny_pair)
    image, other = grounder.encode([WIDE, TALL])
    requests = [
        Request(image, (96, 128), "Segment the ships.", brief=True, phrase="ships"),
        Request(other, (112, 56), "Segment the road.", brief=True),
        Request(other, (112, 56), "Segment the road.", brief=True, phrase="road <seg>"),
    ]
    together = grounder.answer(requests)
    assert [t.phrase for t in together[0].targets] == ["ships"]
    assert [t.phrase for t in together[2].targets] == ["road < seg >"]
    for found, request in zip(together, requests, strict=True):
        (alone,) = grounder.answer([request])
        assert found.marked_answer == alone.marked_answer
        assert len(found.targets) == len(alone.targets)
        for ours, theirs in zip(found.targets, alone.targets, strict=True):
            torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-3, atol=1e-3)
