"""Short noun phrases for published answers that carry no marks of their own."""

import re
from collections.abc import Sequence
from functools import cache

from geoagent.data.classes import CLASSES

GENERIC = "area asked about"
"""Phrase of a reasoning set's target where neither answer nor question names anything known."""

_LEADING = re.compile(r"^(?:please\s+)?(?:segment|find|show|the|a|an|all|one|this|that|of|\s)+\s", re.IGNORECASE)


def noun_phrase(expression: str) -> str:
    """A referring expression without leading articles and closing stop: what stands between ``<p>`` and ``</p>``."""
    bare = " ".join(expression.split()).strip(" .;:!?\"'")
    return _LEADING.sub("", bare).strip() or bare


def known_name(text: str) -> str | None:
    """The first class name, plural or alias that occurs in ``text``, as it is written there."""
    found = _known_names().search(text)
    return found.group(0) if found else None


def marked_answer(text: str, *, present: bool) -> tuple[str, str]:
    """A plain answer with one phrase marked, and that phrase.

    Examples:
        >>> marked_answer("The helipad on the roof can be used.", present=True)
        ('The <p>helipad</p><seg> on the roof can be used.', 'helipad')
    """
    sentence = " ".join(text.replace("<", " ").replace(">", " ").split())
    token = "<seg>" if present else "<rej>"
    phrase = known_name(sentence)
    if phrase is None:
        lead = f"{sentence} " if sentence else ""
        return f"{lead}<p>{GENERIC}</p>{token}", GENERIC
    return sentence.replace(phrase, f"<p>{phrase}</p>{token}", 1), phrase


def settle_marks(answer: str, present: Sequence[bool]) -> str:
    """``answer`` with its n-th ``<seg>`` or ``<rej>`` set to what the n-th mask says."""
    verdicts = iter(present)
    return re.sub(r"<seg>|<rej>", lambda _: "<seg>" if next(verdicts) else "<rej>", answer)


@cache
def _known_names() -> re.Pattern[str]:
    names = {name for info in CLASSES.values() for name in (info.name, info.plural, *info.aliases)}
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    return re.compile(r"\b(?:" + "|".join(re.escape(name) for name in longest_first) + r")\b", re.IGNORECASE)
