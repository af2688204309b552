"""What tools say to a language model: one short JSON object, however much was found."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

Answer = dict[str, Any]

LIMIT = 1400
"""Characters of an answer: a tool that found a thousand objects must not fill the model's context."""
_NAME_LIMIT = 60
_TEXT_LIMIT = 80


def quoted(text: str, limit: int = _NAME_LIMIT) -> str:
    """A name that somebody else chose, fit to be shown: one line, no control characters, cut, in quotation marks."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split()).replace("'", "’")
    return f"'{clean if len(clean) <= limit else clean[: limit - 1] + '…'}'"


def number(value: float) -> float | int:
    """Six significant digits: enough to compute with, short to read."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is no result")
    rounded = float(f"{value:.6g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def to_text(answer: Mapping[str, Any]) -> str:
    """The answer as JSON of at most `LIMIT` characters."""
    return json.dumps(shortened(answer), ensure_ascii=False, separators=(",", ":"))


def shortened(answer: Mapping[str, Any]) -> Answer:
    """A copy that fits: lists lose their last items, and say how many; long texts lose their end."""
    copy: Answer = json.loads(json.dumps(answer, ensure_ascii=False))
    texts = False
    while (length := _length(copy)) > LIMIT:
        lists = [(owner, key) for owner, key in _lists(copy) if len(owner[key]) > 1]
        if lists:
            owner, key = max(lists, key=lambda place: _length(place[0][place[1]]))
            items = owner[key]
            too_many = (length - LIMIT) * len(items) // (2 * _length(items))
            count = min(max(too_many, 1), len(items) - 1)
            owner[key] = items[:-count]
            owner[f"{key}_left_off"] = owner.get(f"{key}_left_off", 0) + count
        elif texts:
            raise ValueError("an answer is too long and has nothing that could be left off")
        else:
            copy, texts = _with_short_texts(copy), True
    return copy


def _length(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _lists(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Every list that is a value of an object, with its place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, list):
                yield value, key
            yield from _lists(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _lists(inner)


def _with_short_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_short_texts(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_short_texts(inner) for inner in value]
    if isinstance(value, str) and len(value) > _TEXT_LIMIT:
        return value[: _TEXT_LIMIT - 1] + "…"
    return value
