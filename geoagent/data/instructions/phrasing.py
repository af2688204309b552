"""The wordings: read from ``geoagent/data/phrasing``, with a fifth of each list held out for testing.

A list's wordings are ranked by their SHA-256; the first fifth (at least one) is held out. So the choice depends on
nothing but the words, and adding a wording moves at most one other across. Names and answers are used everywhere.
What stands in ``phrasing/more``, ``knowledge/more`` and ``knowledge/plain`` is for training alone: with four wordings a
model that starts from nothing learns the four, and held out stays what it was.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from geoagent.data import knowledge

Split = Literal["train", "test"]

QUESTION_FILES = (
    "requests",
    "reference",
    "instance",
    "position",
    "size",
    "relation",
    "attribute",
    "count",
    "part",
    "several",
    "interactive",
    "chat",
)
HELD_OUT = 5
"""One wording in so many is held out."""


@cache
def contents(name: str) -> Mapping[str, Any]:
    """What a file of wordings holds: lists by key. ``more/NAME`` holds those for training alone."""
    text = (files("geoagent.data") / "phrasing" / f"{name}.yaml").read_text("utf-8")
    record: Mapping[str, Any] = yaml.safe_load(text)
    return record


def normal(text: str) -> str:
    """A wording without case and punctuation: two that agree in this are the same wording."""
    return " ".join(re.findall(r"[a-z0-9{}_]+", text.lower()))


def held_out(texts: Sequence[str]) -> frozenset[str]:
    """The fifth of ``texts`` that only tests may use."""
    ranked = sorted(texts, key=lambda text: hashlib.sha256(normal(text).encode()).hexdigest())
    return frozenset(ranked[: max(1, round(len(texts) / HELD_OUT))])


def _part_of(texts: Sequence[str], split: Split) -> tuple[str, ...]:
    reserved = held_out(texts)
    return tuple(text for text in texts if (text in reserved) == (split == "test"))


def keys(kind: str) -> tuple[str, ...]:
    """The lists of wordings in one file."""
    return tuple(contents(kind))


@cache
def wordings(kind: str, key: str, split: Split) -> tuple[str, ...]:
    """The wordings of a list that ``split`` may use."""
    texts = _part_of(contents(kind)[key], split)
    return texts if split == "test" else (*texts, *contents(f"more/{kind}")[key])


@cache
def implicit(class_name: str, split: Split) -> tuple[str, ...]:
    """The implicit questions about a class that ``split`` may use."""
    texts = _part_of(knowledge.load(class_name).implicit, split)
    return texts if split == "test" else (*texts, *knowledge.more_implicit(class_name))


def main_wording(kind: str, key: str) -> str:
    """The plain wording that opens a list: answers describe their targets by it."""
    first: str = contents(kind)[key][0]
    return first


def answers(kind: str, key: str | None = None) -> tuple[str, ...]:
    """The answer sentences of a kind."""
    found = contents("answers")[kind]
    return tuple(found if key is None else found[key])


@cache
def part_short_name(class_name: str) -> tuple[str, str]:
    """Singular and plural of a part named beside its whole, as in "the wing of this plane"."""
    singular, plural = contents("part_short_names")[class_name]
    return singular, plural
