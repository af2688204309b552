"""The answer language: ``<p>phrase</p><seg>`` for what is there, ``<p>phrase</p><rej>`` for what is not.

Marking, parsing and the grammar that decoding follows. Pure text and integers; the tensors live in `mllm`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

OPEN, CLOSE, SEG, REJ = "<p>", "</p>", "<seg>", "<rej>"
QUERY_TOKENS = (OPEN, CLOSE, SEG, REJ)

_MARKED = re.compile(r"<p>(?P<phrase>.*?)</p>\s*(?P<decision><seg>|<rej>)", re.DOTALL)


@dataclass(frozen=True)
class TokenIds:
    """Ids of the query tokens and of what ends an answer."""

    open: int
    close: int
    seg: int
    rej: int
    stops: tuple[int, ...]
    forbidden: tuple[int, ...]
    """Never written in an answer: image placeholders, turns of a conversation."""

    @property
    def decisions(self) -> tuple[int, int]:
        """``(<seg>, <rej>)``."""
        return self.seg, self.rej


def add_query_tokens(tokenizer: Any) -> TokenIds:
    """Make the four marks single tokens of ``tokenizer`` (does nothing where they are) and return all ids."""
    missing = [token for token in QUERY_TOKENS if token not in tokenizer.get_vocab()]
    if missing:
        tokenizer.add_special_tokens({"additional_special_tokens": missing}, replace_extra_special_tokens=False)
    return token_ids(tokenizer)


def token_ids(tokenizer: Any) -> TokenIds:
    """Look the ids up; raises where the tokenizer lacks a mark."""
    vocabulary = tokenizer.get_vocab()
    missing = [token for token in QUERY_TOKENS if token not in vocabulary]
    if missing:
        raise ValueError(f"the tokenizer lacks {', '.join(missing)}: call add_query_tokens first")
    stops = tuple(vocabulary[t] for t in ("<|im_end|>", "<|endoftext|>") if t in vocabulary)
    control = re.compile(r"<\|(im_start|vision_start|vision_end|vision_pad|image_pad|video_pad)\|>")
    forbidden = tuple(sorted(i for t, i in vocabulary.items() if control.fullmatch(t)))
    return TokenIds(
        open=vocabulary[OPEN],
        close=vocabulary[CLOSE],
        seg=vocabulary[SEG],
        rej=vocabulary[REJ],
        stops=stops,
        forbidden=forbidden,
    )


# ------------------------------------------------------------------------------------------------------------- answers


@dataclass(frozen=True)
class MarkedPhrase:
    """A phrase of an answer and what was decided about it."""

    phrase: str
    present: bool


def parse_answer(answer: str) -> tuple[MarkedPhrase, ...]:
    """The marked phrases of an answer in order."""
    return tuple(MarkedPhrase(m["phrase"].strip(), m["decision"] == SEG) for m in _MARKED.finditer(answer))


def phrase_spans(answer: Sequence[int], ids: TokenIds) -> list[tuple[range, int]]:
    """For each marked phrase of an answer: the places of its tokens and of its decision."""
    spans: list[tuple[range, int]] = []
    start = None
    phrase = range(0)
    for place, token in enumerate(answer):
        if token == ids.open:
            start = place + 1
        elif token == ids.close and start is not None:
            phrase, start = range(start, place), None
        elif token in ids.decisions:
            spans.append((phrase, place))
    return spans


def plain_answer(answer: str) -> str:
    """The answer without marks; phrases without words between them become a list."""
    text = re.sub(rf"({re.escape(SEG)}|{re.escape(REJ)}){re.escape(OPEN)}", r"\1, ", answer)
    for token in QUERY_TOKENS:
        text = text.replace(token, "")
    return re.sub(r"\s+([.,;:!?])", r"\1", re.sub(r"[ \t]{2,}", " ", text)).strip()


def brief_answer(phrases: Iterable[MarkedPhrase]) -> str:
    """Phrases only: ``<p>storage tanks</p><seg><p>helipad</p><rej>``."""
    return "".join(f"{OPEN}{p.phrase}{CLOSE}{SEG if p.present else REJ}" for p in phrases)


def mark_free(text: str) -> str:
    """A person's words with our marks taken apart, so that a typed ``<seg>`` is never a query."""
    return re.sub(r"<(/?)(p|seg|rej)>", r"< \1\2 >", text.replace("<|", "< |"))


# ------------------------------------------------------------------------------------------------------------- grammar


class AnswerGrammar:
    """Says, token by token, what one answer may go on with.

    Outside a phrase: words, ``<p>`` or the end. Inside: words, then ``</p>``. After ``</p>``: only ``<seg>`` or
    ``<rej>``. In ``brief`` style there are no words outside phrases. What was begun is finished within ``max_tokens``.
    Where a ``phrase`` is given, every phrase is that one.
    """

    def __init__(
        self,
        ids: TokenIds,
        *,
        max_tokens: int,
        max_targets: int,
        max_phrase_tokens: int,
        min_targets: int = 0,
        brief: bool = False,
        may_reject: bool = True,
        phrase: Sequence[int] = (),
    ) -> None:
        self.ids = ids
        self.left = max_tokens
        self.max_targets = max_targets
        self.max_phrase_tokens = max(max_phrase_tokens, len(phrase))
        self.min_targets = min_targets
        self.brief = brief
        self.may_reject = may_reject
        self.phrase = phrase
        self.targets = 0
        self.phrase_length = -1  # -1: outside a phrase
        self.deciding = False

    @property
    def owes(self) -> int:
        """How many targets must still come."""
        return max(0, self.min_targets - self.targets)

    def allowed(self) -> Sequence[int] | None:
        """The only tokens that may follow, or None where `banned` says it shorter."""
        if self.deciding:
            return self.ids.decisions if self.may_reject else (self.ids.seg,)
        if self.phrase_length >= 0 and self.phrase:
            return (*self.phrase, self.ids.close)[self.phrase_length : self.phrase_length + 1]
        if self.phrase_length >= 0:
            over = self.phrase_length >= self.max_phrase_tokens or self.left <= _END_OF_PHRASE
            return (self.ids.close,) if over else None
        if self.owes and self.left <= self.owes * (self.max_phrase_tokens + _SHORTEST_TARGET):
            return (self.ids.open,)
        if self.brief:
            end = () if self.owes else self.ids.stops
            return (*end, self.ids.open) if self._may_open() else end
        return None

    def banned(self) -> Sequence[int]:
        """Tokens that may not follow, where `allowed` is None."""
        if self.phrase_length < 0:
            closed = (self.ids.close, *self.ids.decisions, *self.ids.forbidden)
            return closed if self._may_open() else (*closed, self.ids.open)
        inside = (self.ids.open, *self.ids.decisions, *self.ids.stops, *self.ids.forbidden)
        return inside if self.phrase_length > 0 else (*inside, self.ids.close)

    def must_open(self, token: int) -> bool:
        """Whether the answer wants to end although a target is still owed."""
        return token in self.ids.stops and self.owes > 0

    def advance(self, token: int) -> None:
        """Take note of the token that was written."""
        self.left -= 1
        if self.deciding:
            self.deciding = False
            self.targets += 1
        elif token == self.ids.open:
            self.phrase_length = 0
        elif token == self.ids.close:
            self.phrase_length, self.deciding = -1, True
        elif self.phrase_length >= 0:
            self.phrase_length += 1

    def _may_open(self) -> bool:
        return self.targets < self.max_targets and self.left >= _SHORTEST_TARGET


_END_OF_PHRASE = 2
"""``</p>`` and a decision."""
_SHORTEST_TARGET = 4
"""``<p>``, a word, ``</p>`` and a decision."""
