"""Grammar and manners: nouns, agreement, marked phrases, and how people type."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator

from geoagent.data.classes import CLASSES
from geoagent.data.knowledge import Name, load

TYPO_RATE = 0.06
_LOWER_CASE_RATE = 0.15
_UNPUNCTUATED_RATE = 0.08


@dataclass(frozen=True)
class Noun:
    """A class as a question calls it."""

    class_name: str
    many: str
    """Plural, or the mass noun."""
    one: str
    plural: bool
    """Whether ``many`` takes a plural verb."""

    @property
    def has_singular(self) -> bool:
        """Whether one may speak of "every" one."""
        return self.plural and not CLASSES[self.class_name].mass

    @classmethod
    def of(cls, class_name: str, name: Name) -> "Noun":
        """``name`` of ``class_name``; mass classes keep the singular, unless only this name has a plural (lawns)."""
        if not CLASSES[class_name].mass:
            return cls(class_name, name.plural, name.singular, plural=True)
        canonical_name = load(class_name).names[0]
        if name.singular == name.plural or canonical_name.singular != canonical_name.plural:
            return cls(class_name, name.singular, name.singular, plural=_plural_only(name.singular))
        return cls(class_name, name.plural, name.plural, plural=True)

    def counted(self, number: int) -> str:
        """The form for ``number`` objects."""
        return self.one if number == 1 else self.many

    def is_plural(self, number: int) -> bool:
        """Whether the form for ``number`` objects takes a plural verb."""
        return self.plural and (number != 1 or self.one == self.many)


def _plural_only(word: str) -> bool:
    return word.endswith("s") and not word.endswith(("ss", "us", "is"))


def agreement(*, plural: bool) -> dict[str, str]:
    """The words of a sentence that follow the number of its subject."""
    if plural:
        return {
            "are": "are", "do": "do", "lie": "lie", "count": "count", "fit": "fit",
            "it": "they", "them": "them", "this": "these",
        }  # fmt: skip
    return {
        "are": "is", "do": "does", "lie": "lies", "count": "counts", "fit": "fits",
        "it": "it", "them": "it", "this": "this",
    }  # fmt: skip


def article_for(word: str) -> str:
    """``"a "`` or ``"an "``, by the sound of the first letter."""
    return "an " if word[0].lower() in "aeio" or word.lower().startswith("under") else "a "


def marked(phrase: str, *, present: bool, article: bool = False) -> str:
    """A phrase with its marks: ``the <p>storage tanks</p><seg>``."""
    return f"{'the ' if article else ''}<p>{phrase}</p>{'<seg>' if present else '<rej>'}"


def join(parts: Sequence[str]) -> str:
    """``"a, b and c"``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def sentence_case(text: str) -> str:
    """``text`` with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def tidy(text: str) -> str:
    """``text`` without doubled spaces and without a comma left before a stop."""
    return re.sub(r",(?=[.?!,:])", "", " ".join(text.split())).rstrip(",")


def as_typed(text: str, rng: Generator, *, typos: bool) -> str:
    """A question as somebody might type it: now and then in lower case, without a stop, or with a slip."""
    text = tidy(text)
    manner = rng.random()
    if manner < _LOWER_CASE_RATE:
        text = text.lower().rstrip(".?!")
    elif manner < _LOWER_CASE_RATE + _UNPUNCTUATED_RATE:
        text = text.rstrip(".?!")
    if typos and rng.random() < TYPO_RATE:
        text = misspell(text, rng)
    return text


def misspell(text: str, rng: Generator) -> str:
    """``text`` with one slip of the finger: two letters swapped, one left out or one doubled, never the first one."""
    long_words = list(re.finditer(r"[A-Za-z]{4,}", text))
    if not long_words:
        return text
    word = long_words[int(rng.integers(len(long_words)))]
    at = word.start() + 1 + int(rng.integers(len(word.group()) - 2))
    slip = int(rng.integers(3))
    if slip == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if slip == 1:
        return text[:at] + text[at + 1 :]
    return text[:at] + text[at] + text[at:]
