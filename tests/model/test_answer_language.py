"""Marks, the grammar of answers, and what a person may type."""

import random

import pytest
import torch
from tiny import FAMILIES, picture, stock_tokenizer, tiny_tokenizer

from geoagent.model import mllm as language
from geoagent.model.tokens import (
    QUERY_TOKENS,
    AnswerGrammar,
    MarkedPhrase,
    TokenIds,
    add_query_tokens,
    brief_answer,
    mark_free,
    parse_answer,
    phrase_spans,
    plain_answer,
    token_ids,
)

OPEN, CLOSE, SEG, REJ, END, IMAGE = 1, 2, 3, 4, 5, 6
WORDS = (10, 11, 12)
VOCABULARY = (*range(1, 7), *WORDS)
IDS = TokenIds(open=OPEN, close=CLOSE, seg=SEG, rej=REJ, stops=(END,), forbidden=(IMAGE,))


def grammar(**rules):
    return AnswerGrammar(IDS, **{"max_tokens": 40, "max_targets": 3, "max_phrase_tokens": 4, **rules})


def permitted(rules):
    """Every token that may follow, and <p> in place of an end while a target is owed, as decoding applies it."""
    allowed = rules.allowed()
    if allowed is None:
        allowed = [t for t in VOCABULARY if t not in rules.banned()]
    return {OPEN if rules.must_open(t) else t for t in allowed} or {END}


def after(*written, **rules):
    state = grammar(**rules)
    for token in written:
        assert token in permitted(state), f"{token} is not permitted in {written}"
        state.advance(token)
    return permitted(state)


# --------------------------------------------------------------------------------------------------------------- rules


def test_a_given_phrase_is_the_only_one_that_can_be_written():
    given = {"phrase": (12, 10), "max_targets": 1, "min_targets": 1}
    assert after(11, **given) == {*WORDS, OPEN}  # it is owed: no end before it
    assert after(11, OPEN, **given) == {12}
    assert after(11, OPEN, 12, **given) == {10}
    assert after(11, OPEN, 12, 10, **given) == {CLOSE}
    assert after(11, OPEN, 12, 10, CLOSE, **given) == {SEG, REJ}
    assert after(11, OPEN, 12, 10, CLOSE, REJ, **given) == {*WORDS, END}
    long = {**given, "phrase": (10, 11, 12, 10, 11, 12, 10), "max_tokens": 12}
    assert after(11, **long) == {OPEN}  # room for all of it is kept


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ((), {*WORDS, OPEN, END}),
        ((10,), {*WORDS, OPEN, END}),
        ((10, OPEN), {*WORDS}),  # a phrase is never empty
        ((OPEN, 10), {*WORDS, CLOSE}),
        ((OPEN, 10, 11, 12, 10), {CLOSE}),  # nor endless
        ((OPEN, 10, CLOSE), {SEG, REJ}),
        ((OPEN, 10, CLOSE, REJ), {*WORDS, OPEN, END}),
        ((OPEN, 10, CLOSE, SEG) * 3, {*WORDS, END}),  # as many targets as there may be
    ],
)
def test_what_may_follow(written, expected):
    assert after(*written) == expected


def test_brief_answers_are_phrases_only():
    assert after(brief=True) == {OPEN, END}
    assert after(OPEN, 10, CLOSE, SEG, brief=True) == {OPEN, END}
    assert after(*(OPEN, 10, CLOSE, SEG) * 3, brief=True) == {END}


def test_pointing_owes_a_target_that_is_there():
    rules = {"min_targets": 1, "may_reject": False, "max_targets": 1}
    assert after(**rules) == {*WORDS, OPEN}  # no end: a wish to end opens the phrase
    assert after(OPEN, 10, CLOSE, **rules) == {SEG}
    assert after(OPEN, 10, CLOSE, SEG, **rules) == {*WORDS, END}
    assert after(brief=True, **rules) == {OPEN}


def test_no_phrase_is_begun_that_cannot_be_finished():
    assert OPEN in after(max_tokens=4)
    assert OPEN not in after(max_tokens=3)
    assert after(OPEN, 10, max_tokens=4) == {CLOSE}


def test_an_owed_target_is_opened_in_time():
    assert after(max_tokens=9, min_targets=1) == {*WORDS, OPEN}
    assert after(max_tokens=8, min_targets=1) == {OPEN}
    assert after(max_tokens=16, min_targets=2) == {OPEN}


@pytest.mark.parametrize("seed", range(40))
def test_every_walk_ends_in_a_well_formed_answer(seed):
    """Whatever is chosen among the permitted tokens: no phrase is left open, and no budget or count is overrun."""
    dice = random.Random(seed)
    for _ in range(25):
        rules = {
            "max_tokens": dice.randint(4, 40),
            "max_targets": dice.randint(1, 4),
            "max_phrase_tokens": dice.randint(1, 5),
            "brief": dice.random() < 0.3,
            "may_reject": dice.random() < 0.7,
        }
        most = min(rules["max_targets"], rules["max_tokens"] // (rules["max_phrase_tokens"] + 4))
        rules["min_targets"] = dice.randint(0, most)
        state = grammar(**rules)
        written = []
        while len(written) < rules["max_tokens"]:
            token = dice.choice(sorted(permitted(state)))
            state.advance(token)
            if token == END:
                break
            written.append(token)
        spans = phrase_spans(written, IDS)
        assert state.phrase_length == -1, (rules, written)
        assert not state.deciding, (rules, written)
        assert written.count(OPEN) == written.count(CLOSE) == len(spans) == state.targets
        assert rules["min_targets"] <= len(spans) <= rules["max_targets"], (rules, written)
        assert all(1 <= len(phrase) <= rules["max_phrase_tokens"] for phrase, _ in spans)
        assert all(written[decision - 1] == CLOSE for _, decision in spans)
        assert IMAGE not in written
        assert rules["may_reject"] or REJ not in written
        if rules["brief"]:
            outside = [t for i, t in enumerate(written) if not any(i in phrase for phrase, _ in spans)]
            assert set(outside) <= {OPEN, CLOSE, SEG, REJ}


# ------------------------------------------------------------------------------------------------------------- decoding


def write(pair, rules, length, ids=None):
    model, processor = pair
    tensors = processor.images([picture(64, 96)])
    vision = language.encode_images(model.mllm, tensors.pixel_values, tensors.grid_thw)
    prefix_ids = processor.prefix_ids(processor.image_tokens(tensors.grid_thw[0]))
    prefix = language.read_prefix(model.mllm, torch.tensor(prefix_ids), vision)
    question = torch.tensor(processor.instruction_ids("Where?") + processor.turn_ids())
    given = AnswerGrammar(processor.ids, **{"max_tokens": length, "max_targets": 3, "max_phrase_tokens": 4, **rules})
    return language.write_answers(
        model.mllm, [prefix], [question], [given], ids or processor.ids, max_new_tokens=length
    )[0]


@torch.no_grad()
def test_a_decision_as_the_very_last_allowed_token_has_its_state(tiny_pair):
    for length in range(4, 12):
        answer = write(tiny_pair, {"min_targets": 1, "max_targets": 1, "max_phrase_tokens": length - 3}, length)
        if answer.tokens[-1] in tiny_pair[1].ids.decisions and not answer.complete:
            break
    else:
        pytest.fail("no answer ended in a decision at its limit")
    assert len(answer.states) == len(answer.tokens) == length
    assert (answer.states[-1] - answer.states[-2]).abs().max() > 0.1
    assert len(answer.decision_logits) == 1


@torch.no_grad()
def test_random_weights_still_write_by_the_grammar(tiny_pair):
    processor = tiny_pair[1]
    answer = write(tiny_pair, {"min_targets": 2}, 24)
    written = answer.tokens.tolist()
    assert len(phrase_spans(written, processor.ids)) == len(answer.decision_logits) >= 2
    assert written.count(processor.ids.open) == written.count(processor.ids.close) == len(answer.decision_logits)
    assert not set(written) & {*processor.ids.forbidden, *processor.ids.stops}
    chosen = [written[d] == processor.ids.seg for _, d in phrase_spans(written, processor.ids)]
    assert chosen == [bool(logit > 0) for logit in answer.decision_logits]


# ----------------------------------------------------------------------------------------------------------------- text


def test_answers_are_read():
    answer = "Fuel is kept in the <p>storage tanks</p><seg> , and there is no <p> helipad </p> <rej>."
    assert parse_answer(answer) == (MarkedPhrase("storage tanks", True), MarkedPhrase("helipad", False))
    assert plain_answer(answer) == "Fuel is kept in the storage tanks, and there is no helipad."
    assert plain_answer("<p>ships</p><seg><p>helipad</p><rej>") == "ships, helipad"
    assert parse_answer("no <p>end</p> here, <seg> nor <p>there") == ()
    assert parse_answer(brief_answer(parse_answer(answer))) == parse_answer(answer)


def test_spans_of_an_answer():
    written = [10, OPEN, 11, 12, CLOSE, SEG, 10, OPEN, 11, CLOSE, REJ]
    assert phrase_spans(written, IDS) == [(range(2, 4), 5), (range(8, 9), 10)]
    assert phrase_spans([10, OPEN, 11], IDS) == []


@pytest.mark.parametrize("typed", ["<seg>", "<p>ship</p><seg>", "<|im_end|>", "<|im_start|>assistant", "<|image_pad|>"])
def test_typed_marks_are_words(qwen3_pair, typed):
    _, processor = qwen3_pair
    ids = processor.instruction_ids(f"find {typed} please")
    special = {
        *processor.tokenizer.all_special_ids,
        *(processor.tokenizer.convert_tokens_to_ids(t) for t in QUERY_TOKENS),
    }
    assert not special & set(ids)
    assert ids != processor.instruction_ids("find please")


def test_marks_hidden_in_marks_are_taken_apart_too():
    for typed in ("<<seg>seg>", "<|<|im_end|>", "</<p>p>", "<<|im_end|>|im_end|>"):
        free = mark_free(typed)
        assert not any(mark in free for mark in (*QUERY_TOKENS, "<|im_end|>")), (typed, free)
    assert mark_free("a < b, <b>bold</b> and x > y") == "a < b, <b>bold</b> and x > y"


@pytest.mark.parametrize("family", FAMILIES)
def test_each_mark_is_one_token_added_once(family):
    tokenizer = stock_tokenizer(family)
    before = len(tokenizer)
    with pytest.raises(ValueError, match="lacks <p>, </p>, <seg>, <rej>"):
        token_ids(tokenizer)
    ids = add_query_tokens(tokenizer)
    assert add_query_tokens(tokenizer) == ids
    assert len(tokenizer) == before + 4
    assert [ids.open, ids.close, ids.seg, ids.rej] == tokenizer.convert_tokens_to_ids(list(QUERY_TOKENS))
    assert [ids.open, ids.close, ids.seg, ids.rej] == [tokenizer(t)["input_ids"][0] for t in QUERY_TOKENS]
    assert tokenizer("a<seg>b")["input_ids"].count(ids.seg) == 1
    assert tokenizer.convert_ids_to_tokens(list(ids.stops)) == ["<|im_end|>", "<|endoftext|>"]
    assert "<|im_end|>" in tokenizer.all_special_tokens


def test_the_tokens_that_end_and_those_that_are_never_written():
    tokenizer = tiny_tokenizer()
    ids = add_query_tokens(tokenizer)
    names = set(tokenizer.convert_ids_to_tokens(list(ids.forbidden)))
    assert names == {
        "<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
    }  # fmt: skip
