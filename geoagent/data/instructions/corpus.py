"""Every wording once, with its gaps filled: the text that a tokenizer is trained on."""

from collections.abc import Iterator
from itertools import cycle
from string import Formatter

from geoagent.colours import SIMILAR_COLOURS
from geoagent.data import associations, knowledge
from geoagent.data.classes import CLASSES
from geoagent.data.instructions import phrasing
from geoagent.data.instructions.language import agreement, join, marked, sentence_case
from geoagent.data.instructions.single import HEADINGS
from geoagent.data.knowledge import Name

_SIDES = (
    *("left", "right", "upper", "lower", "top", "bottom", "northern", "southern", "western", "eastern"),
    *("upper left", "lower right", "northwestern", "northeastern", "southwestern", "southeastern"),
)
_NUMBERS = tuple(str(n) for n in (*range(1, 61), 75, 100, 150, 200, 300, 400, 500, 750, 1000, 1500, 2000, 5000, 10000))
_UNITS = ("square metres", "square meters", "m2")
_PLACES = ("a port", "an airport", "farmland", "a town", "a solar farm", "a sports park")


class _Filler:
    """Fills the gaps of wordings with one name after the other, so that all of them come up."""

    def __init__(self, names: list[Name], questions: list[str]) -> None:
        self._names, self._questions = cycle(names), cycle(questions)
        self._numbers, self._sides = cycle(_NUMBERS), cycle(_SIDES)
        self._colours, self._headings = cycle(SIMILAR_COLOURS), cycle(HEADINGS)
        self._units, self._places = cycle(_UNITS), cycle(_PLACES)

    def fill(self, wording: str, kind: str) -> str:
        """``wording`` with its gaps filled as its ``kind`` does."""
        gaps = {gap for _, gap, _, _ in Formatter().parse(wording) if gap}
        if not gaps:
            return wording
        name, other, third = next(self._names), next(self._names), next(self._names)
        listed = [f"the {n.plural}" for n in (name, other, third)]
        values = {
            "x": f"the {name.plural}" if kind == "requests" else name.plural,
            "one": name.singular, "a": "a " if kind == "answers" else next(self._questions),
            "b": next(self._questions), "b_low": next(self._questions),
            "part": name.singular, "parts": name.plural, "whole": other.singular, "wholes": other.plural,
            "owner": f"the largest {other.singular}", "anchor": f"the {other.singular}", "other": f"the {third.plural}",
            "list": join(listed), "first": listed[0], "rest": join(listed[1:]), "things": join(listed),
            "t": marked(name.plural, present="no " not in wording), "why": "no other is as large",
            "n": next(self._numbers), "all": next(self._numbers), "unit": next(self._units),
            "side": next(self._sides), "colour": next(self._colours), "heading": next(self._headings),
            "place": next(self._places), "phrase": marked(name.plural, present=True),
        }  # fmt: skip
        return sentence_case(wording.format(**agreement(plural=True), **values))


def all_wordings() -> Iterator[str]:
    """Yield every question and answer of all splits, gaps filled by names in turn, then every name by itself.

    The order is fixed. Wordings held out for testing are among them: a tokenizer may know their letters.
    """
    known = [knowledge.load(name) for name in CLASSES]
    filler = _Filler([n for entry in known for n in entry.names], [entry.implicit[0] for entry in known])
    for kind in (*phrasing.QUESTION_FILES, "answers"):
        for wording in _strings(phrasing.contents(kind)):
            yield filler.fill(wording, kind)
    for gaps in (1, 2, 3):
        for wording in associations.wordings(gaps):
            yield wording.format(a="ports", b="farms", c="towns")
    for entry in known:
        yield from entry.implicit
        for i, reason in enumerate(entry.reasons):
            name = entry.names[i % len(entry.names)]
            noun = name.singular if entry.info.mass else name.plural
            yield sentence_case(reason.format(phrase=marked(noun, present=True)))
        yield from associations.associations(entry.info.name)
        for name in entry.names:
            yield f"There is no {marked(name.singular, present=False)} in this image."
            yield f"Here are the {marked(name.plural, present=True)}."


def _strings(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value)
