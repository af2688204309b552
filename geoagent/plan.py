"""From a phrase to a plan: which class to look for, and which of its objects are meant.

A large image is searched tile by tile, and no tile knows what "the largest" or "in the north" is; nor does a small
model that sees all of an image. So a phrase is parted into what each look can answer ("storage tanks") and conditions
on the objects of the whole image. Phrases are matched against the wordings in ``geoagent/data/phrasing`` and a short
lexicon of further ones; what matches none of them, or names no known class, is left alone.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from geoagent import colours
from geoagent.data import knowledge
from geoagent.data.classes import CLASSES, find_canonical
from geoagent.data.instructions import phrasing

Kind = Literal[
    "extreme", "central", "largest", "smallest", "region", "edge", "large", "small", "above", "below",
    "beside", "near", "nearest", "on", "along", "within", "beyond", "between", "of", "colour", "only",
]  # fmt: skip
SINGLING: frozenset[Kind] = frozenset({"extreme", "central", "largest", "smallest", "nearest", "only"})
"""Conditions that pick some of what all other conditions leave."""


@dataclass(frozen=True)
class Condition:
    """One condition on the objects of a class."""

    kind: Kind
    side: str = ""
    """``left``, ``upper``, ``north-east`` …: of the image, or of the anchor. Of colours, their name."""
    part: str = ""
    """For regions: ``half``, ``third``, ``quarter`` or ``middle``."""
    amount: float = 0.0
    """Metres, square metres or (``unit``) pixels."""
    unit: str = ""
    count: int = 1
    """How many objects a condition of `SINGLING` picks."""
    anchors: tuple["Query", ...] = ()
    """What an object lies beside, near, within … of, or is a part of."""


@dataclass(frozen=True)
class Query:
    """Something to look for, and which of it is meant."""

    phrase: str
    """As it was said: what the answer calls it."""
    noun: str
    """What every look at the image is asked for: a plural or mass noun."""
    class_name: str | None = None
    """Canonical class, where it is a known one."""
    conditions: tuple[Condition, ...] = ()

    def as_seen(self, *, colours: bool) -> "Query":
        """The query for many looks, where all that is found is the only one; ``colours``: they tell colours as well."""
        kept, told = [], ("colour", "only") if colours else ("only",)
        for condition in self.conditions:
            anchors = tuple(anchor.as_seen(colours=colours) for anchor in condition.anchors)
            parts_of_any = condition.kind == "of" and not anchors[0].conditions and class_of(anchors[0].noun)
            if condition.kind not in told and not parts_of_any:
                kept.append(replace(condition, anchors=anchors))
        painted = (condition.side for condition in self.conditions if colours and condition.kind == "colour")
        return replace(self, noun=" ".join((*painted, self.noun)), conditions=tuple(kept))

    def nouns(self) -> Iterator[tuple[str, str | None]]:
        """Everything that tiles have to be asked for, with its class."""
        yield self.noun, self.class_name
        for condition in self.conditions:
            for anchor in condition.anchors:
                yield from anchor.nouns()

    def kinds(self) -> Iterator[Kind]:
        """The kinds of conditions, those on anchors included."""
        for condition in self.conditions:
            yield condition.kind
            for anchor in condition.anchors:
                yield from anchor.kinds()

    def units(self) -> Iterator[str]:
        """The units that conditions are given in."""
        for condition in self.conditions:
            yield condition.unit
            for anchor in condition.anchors:
                yield from anchor.units()


def plan_question(text: str) -> tuple[Query, ...]:
    """What a question asks for by name; nothing where it is not a plain request for known classes."""
    plain = normal(text)
    for said in dict.fromkeys((plain, _SPLICED.sub(r"\g<x> \g<y>", plain))):
        for wording in _request_patterns():
            if (found := wording.fullmatch(said)) and (queries := _list(found["x"])):
                return queries
    return ()


def plan_phrase(phrase: str) -> Query:
    """What a phrase of an answer asks for. One that cannot be parted is asked for as it is."""
    said = normal(phrase)
    bare = _bare(said) or phrase
    return _meant(said) or Query(phrase=bare, noun=bare)


def items_of(text: str) -> list[str]:
    """What commas and "and" part in a text: the items of a list, the first with what leads up to it."""
    return [item for item in _SPLIT.split(normal(text)) if item]


def question_for(noun: str) -> str:
    """The question that asks for all of a noun of a plan."""
    return f"Segment the {noun}."


def normal(text: str) -> str:
    """Lower case, no punctuation but that of lists and numbers, one way to write units."""
    said = " ".join(text.lower().replace("’", "'").split())
    said = re.sub(r"[\"“”()!?:;]|\.(?!\d)", " ", said)
    for pattern, replacement in _SPELLINGS:
        said = pattern.sub(replacement, said)
    return " ".join(said.split()).strip(" ,")


# ------------------------------------------------------------------------------------------------------ spelling

_NUMBER = r"\d+(?:[.,]\d+)*"


_SPELLINGS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(?:square (?:metres?|meters?)|sq\.? ?m|sqm|m²)(?!\w)"), "m2"),
    (re.compile(r"\b(?:square (?:kilomet(?:re|er)s?)|km²|sq\.? ?km)(?!\w)"), "km2"),
    (re.compile(r"\b(?:metres?|meters?)\b"), "m"),
    (re.compile(r"\b(?:kilomet(?:re|er)s?)\b"), "km"),
    (re.compile(r"\b(?:hectares?)\b"), "ha"),
    (re.compile(r"\b(?:pixels?)\b"), "px"),
    (re.compile(rf"(?P<n>{_NUMBER}) ?-?(?P<u>m2|km2|km|ha|px|m)\b"), r"\g<n> \g<u>"),
    (re.compile(r"\bcenter\b"), "centre"),
    (re.compile(r"\bfarthest\b"), "furthest"),
    (re.compile(r"\b(left|right|top|bottom|upper|lower)-most\b"), r"\1most"),
    (re.compile(r"\b(?:image|picture|photo|scene|map|frame)\b"), "image"),
)
_UNITS = {
    "m": ("m", 1.0),
    "km": ("m", 1e3),
    "m2": ("m2", 1.0),
    "ha": ("m2", 1e4),
    "km2": ("m2", 1e6),
    "px": ("px", 1.0),
}
_COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_LEADING = re.compile(
    r"^(?:(?:the|a|an|all|every|each|any|only|just|those|these|some|of|single|other|whatever|whichever|visible)\s+)+"
)


_ONLY = re.compile(r"^the (?:only|single|one|lone|sole) ")


def _bare(said: str) -> str:
    """Without determiners: what a noun phrase is about."""
    return _LEADING.sub("", said).strip(" ,")


# ------------------------------------------------------------------------------------------------------ wordings

_SIDE = (
    r"(?:north|south)(?:[- ]?(?:east|west))?(?:ern)?|(?:east|west)(?:ern)?"
    r"|(?:upper|lower|top|bottom)(?:[- ](?:left|right))?|left|right"
)
_SLOTS = {
    "x": r"(?P<x>.+?)",
    "one": r"(?P<x>.+?)",
    "anchor": r"(?P<anchor>.+)",
    "other": r"(?P<other>.+)",
    "side": rf"(?P<side>{_SIDE})",
    "n": rf"(?P<n>{_NUMBER})",
    "unit": r"(?P<unit>m2|km2|ha|px)",
    "colour": f"(?P<colour>{'|'.join(colours.NAMES)})",
    "heading": "(?:(?:north|south)[- ]?(?:east|west)?|east|west|up|down|left|right)",
    "are": "(?:is|are)",
    "do": "(?:do|does)",
    "them": "(?:it|them)",
    "count": rf"(?P<count>\d+|{'|'.join(_COUNTS)})",
    "length": r"(?P<unit>m|km|px)",
    "parts": r"(?P<part>[a-z ]+)",
    "owner": r"(?P<owner>.+)",
}
_SIDES = ("left", "right", "top", "bottom", "north", "south", "west", "east")

_FURTHER: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("instance", "largest"): ("{count} largest {x}", "{count} biggest {x}", "largest of {x}", "largest {x} of all"),
    ("instance", "smallest"): ("{count} smallest {x}", "smallest of {x}"),
    ("position", "half"): (
        "{x} in the {side} part",
        "{x} in the {side}",
        "{x} on the {side}",
        "{x} to the {side}",
        "{x} at the {side}",
        "{x} in the {side} of the image",
        "{x} on the {side} of the image",
        "{x} in the {side} part of the image",
        "{side} half {x}",
    ),
    ("position", "quarter"): ("{x} in the {side} corner", "{x} in the {side} corner of the image"),
    ("position", "middle"): ("{x} in the centre", "{x} at the centre", "{x} in the centre of the image"),
    ("position", "edge"): ("{x} at the edge", "{x} at the edge of the image", "{x} on the border"),
    ("size", "large"): ("large {x}", "big {x}", "larger {x}"),
    ("size", "small"): ("small {x}", "little {x}", "smaller {x}"),
    ("size", "above"): ("{x} of more than {n} {unit}", "{x} of at least {n} {unit}", "{x} with more than {n} {unit}"),
    ("size", "below"): ("{x} of less than {n} {unit}", "{x} of at most {n} {unit}", "{x} with less than {n} {unit}"),
    ("relation", "near"): (
        "{x} by {anchor}", "{x} around {anchor}", "{x} at {anchor}", "{x} beside {anchor}",
        "{x} in the vicinity of {anchor}", "{x} close to {anchor}", "{x} adjacent to {anchor}",
    ),
    ("relation", "nearest"): ("{x} nearest {anchor}", "{x} nearest to {anchor}", "{count} {x} nearest to {anchor}"),
    ("relation", "inside"): ("{x} in {anchor}", "{x} inside of {anchor}"),
    ("relation", "within_m"): (
        "{x} within {n} {length} of {anchor}", "{x} within {n} {length} from {anchor}",
        "{x} less than {n} {length} from {anchor}", "{x} less than {n} {length} away from {anchor}",
        "{x} up to {n} {length} from {anchor}", "{x} at most {n} {length} from {anchor}",
        "{x} closer than {n} {length} to {anchor}",
    ),
    ("relation", "beyond_m"): (
        "{x} more than {n} {length} from {anchor}", "{x} more than {n} {length} away from {anchor}",
        "{x} at least {n} {length} from {anchor}", "{x} further than {n} {length} from {anchor}",
    ),
}  # fmt: skip
"""What people also say, besides the wordings that the model is trained on."""
_SPLICED = re.compile(
    r"^(?:which|what|how many)(?: of the)? (?P<x>.+?) "
    r"(?:are there|is there|are|is|lie|lies|stand|stands) (?P<y>(?!there\b).+)$"
)
"""Questions with the verb inside the noun phrase: "which buildings are near the river"."""


@dataclass(frozen=True)
class _Wording:
    kind: str
    key: str
    pattern: re.Pattern[str]


@cache
def _wordings() -> tuple[_Wording, ...]:
    """Every way to describe some of a class, those with most fixed words first; parts come last."""
    found: dict[str, _Wording] = {}
    weights: dict[str, int] = {}
    for kind in ("instance", "position", "size", "relation", "attribute", "part"):
        for key in phrasing.keys(kind):
            if (kind, key) == ("part", "all"):
                continue  # other names of a class
            for text in (*phrasing.contents(kind)[key], *_FURTHER.get((kind, key), ())):
                said = _bare(normal(text))
                if said not in found:
                    found[said] = _Wording(kind, key, _compiled(said))
                    weights[said] = len(re.sub(r"\{\w+\}", "", said))
    return tuple(
        found[said] for said in sorted(found, key=lambda said: (found[said].kind == "part", -weights[said], said))
    )


@cache
def _request_patterns() -> tuple[re.Pattern[str], ...]:
    """Every way to ask for a noun phrase, those with most fixed words first."""
    texts = [
        *phrasing.contents("requests")["requests"],
        *phrasing.contents("reference")["questions"],
        *phrasing.contents("count")["questions"],
        "where {are} {x}", "which {x} {are} there", "how many of {x} {are} there", "what {are} {x}",
        "{are} there {x}", "show me where {x} {are}", "mark {x}", "map {x}", "measure {x}",
        "show {x}", "list {x}", "count {x}",
    ]  # fmt: skip
    said = dict.fromkeys(normal(text) for text in texts)
    ordered = sorted(said, key=lambda text: -len(re.sub(r"\{\w+\}", "", text)))
    return tuple(_compiled(text) for text in ordered)


def _compiled(said: str) -> re.Pattern[str]:
    """A wording as a pattern; its slots become groups."""
    parts = re.split(r"(\{\w+\})", said)
    seen: set[str] = set()
    pattern = ""
    for part in parts:
        if not part.startswith("{"):
            pattern += re.escape(part)
            continue
        slot = part[1:-1]
        group = _SLOTS.get(slot, r"(?:.+?)")
        pattern += r"(?:.+?)" if slot in seen and "(?P<" in group else group
        seen.add(slot)
    return re.compile(pattern)


# ------------------------------------------------------------------------------------------------------ noun phrases

_SPLIT = re.compile(r"\s*,\s*(?:and\s+|then\s+)?|\s+(?:and(?: also)?|as well as|along with|plus|or)\s+")
_DEPTH = 4


def _list(said: str) -> tuple[Query, ...]:
    """One noun phrase, or several joined by commas and "and"; nothing where one of them is not understood."""
    whole = _meant(said)
    if whole is not None:
        return (whole,)
    parts = [part for part in _SPLIT.split(said) if part]
    queries = [_meant(part) for part in parts]
    if len(parts) < 2 or any(query is None for query in queries):
        return ()
    known = [query for query in queries if query is not None]
    if known[-1].conditions and not any(query.conditions for query in known[:-1]):
        # "ships and cranes in the left half" means both; a superlative in front belongs to its own noun.
        shared = tuple(c for c in known[-1].conditions if c.kind not in SINGLING | {"large", "small", "of"})
        known = [replace(query, conditions=query.conditions or shared) for query in known]
    return tuple(known)


def _meant(said: str, depth: int = 0) -> Query | None:
    """A noun phrase with its determiner, which may say that there is but one."""
    query = _noun_phrase(_bare(said), depth)
    if query is None or not _ONLY.match(said):
        return query
    return replace(query, conditions=(*query.conditions, Condition("only")))


def _noun_phrase(said: str, depth: int = 0) -> Query | None:
    """A noun phrase without its determiner, where it is about a known class."""
    named = _class_noun(said)
    if named is not None:
        return Query(said, *named)
    if depth == _DEPTH:
        return None
    part = _part_of_one(said, depth)
    if part is not None:
        return part
    for wording in _wordings():
        found = wording.pattern.fullmatch(said)
        query = None if found is None else _described(wording, found, depth)
        if query is not None:
            return replace(query, phrase=said)
    return None


def _part_of_one(said: str, depth: int) -> Query | None:
    """Parts of what is singled out: the roof of the tank nearest to the river, which is not the nearest roof."""
    for wording in _wordings():
        found = wording.pattern.fullmatch(said) if wording.kind == "part" else None
        query = None if found is None else _described(wording, found, depth)
        if query is not None and query.conditions:
            return query
    return None


def _described(wording: _Wording, found: re.Match[str], depth: int) -> Query | None:
    groups = found.groupdict()
    if wording.kind == "part":
        return _part(found.string, groups["part"], _meant(groups["owner"], depth + 1))
    inner = _noun_phrase(_bare(groups["x"]), depth + 1)
    if inner is None:
        return None
    if wording.key == "heading":
        # Nobody measures where a bow is: it stays a part of what is asked for.
        return None if inner.conditions else Query(found.string, found.string, inner.class_name)
    anchors = []
    for slot in ("anchor", "other"):
        if slot in groups:
            anchor = _meant(groups[slot], depth + 1)
            if anchor is None:
                return None
            anchors.append(anchor)
    condition = _condition(wording, groups, tuple(anchors))
    if condition == Condition("central") and inner.phrase == inner.noun:
        condition = Condition("region", part="middle")  # "the ship in the middle" is one, "the ships" are some
    return inner if condition is None else replace(inner, conditions=(*inner.conditions, condition))


def _part(said: str, short: str, owner: Query | None) -> Query | None:
    """The parts of some objects by their short name: the wings of an airplane."""
    for name, info in CLASSES.items():
        if owner is None or info.part_of != owner.class_name or short not in phrasing.part_short_name(name):
            continue
        if owner.conditions:
            return Query(said, info.plural, name, (Condition("of", anchors=(owner,)),))
        # Of a white airplane, nobody knows which wings they are: that is left to who sees the picture.
        return Query(said, info.plural, name) if class_of(owner.noun) else None
    return None


def _condition(wording: _Wording, groups: Mapping[str, str | None], anchors: tuple[Query, ...]) -> Condition | None:
    key, side = wording.key, (groups.get("side") or "").replace("ern", "")
    count = _number_of(groups.get("count"))
    amount = float((groups.get("n") or "0").replace(",", ""))
    if key == "colour":
        return Condition("colour", side=groups["colour"] or "")
    if wording.kind == "instance":
        if key == "only":
            return None  # its words are those of determiners: see `_meant`
        if key == "centre":
            return Condition("central")
        return Condition("extreme", side=key) if key in _SIDES else Condition(_SIZES[key], count=count)
    if wording.kind == "position":
        return Condition("edge") if key == "edge" else Condition("region", side=side, part=key)
    if wording.kind == "size":
        unit, factor = _UNITS[groups.get("unit") or "m2"]
        if key in ("above", "below"):
            return Condition(_SIZES[key], amount=amount * factor, unit=unit)
        return Condition(_SIZES[key])
    if key.endswith("_of"):
        return Condition("beside", side=key.removesuffix("_of"), anchors=anchors)
    if key in ("above", "below"):
        return Condition("beside", side={"above": "top", "below": "bottom"}[key], anchors=anchors)
    if key in ("within_m", "beyond_m"):
        unit, factor = _UNITS[groups.get("unit") or "m"]
        return Condition(
            "within" if key == "within_m" else "beyond", amount=amount * factor, unit=unit, anchors=anchors
        )
    return Condition(_RELATIONS[key], count=count, anchors=anchors)


_SIZES: Mapping[str, Kind] = {
    "largest": "largest", "smallest": "smallest", "large": "large", "small": "small",
    "above": "above", "below": "below",
}  # fmt: skip
_RELATIONS: Mapping[str, Kind] = {
    "near": "near", "nearest": "nearest", "inside": "on", "on_top": "on", "along": "along", "between": "between",
}  # fmt: skip


def _number_of(word: str | None) -> int:
    return 1 if not word else _COUNTS.get(word) or max(1, int(word))


def class_of(noun: str) -> str | None:
    """The class that a noun is a name of, without anything said of it."""
    named = _class_noun(_bare(normal(noun)))
    return None if named is None else named[1]


def names_in(text: str) -> set[str]:
    """The classes that a text names, in whatever form; a car park is no car."""
    return {name for found in _names().finditer(_letters(text)) for name in _forms()[found[0]]}


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


@cache
def _names() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(sorted(_forms(), key=len, reverse=True))})\b")


@cache
def _forms() -> Mapping[str, frozenset[str]]:
    """All that classes are called, singular and plural, with the classes."""
    forms = [(_letters(form), name) for form, (_, name) in _nouns().items()]
    aliases = [(_letters(alias), name) for name, info in CLASSES.items() for alias in info.aliases]
    known: dict[str, frozenset[str]] = {}
    for form, name in (*forms, *aliases, *((f"{alias}s", name) for alias, name in aliases)):
        known[form] = known.get(form, frozenset()) | {name}
    return known


@cache
def _nouns() -> Mapping[str, tuple[str, str]]:
    """Every name of a class in lower case, with the noun to ask for and the class."""
    nouns: dict[str, tuple[str, str]] = {}
    for name, info in CLASSES.items():
        pairs = [(info.name, info.plural), *((n.singular, n.plural) for n in knowledge.load(name).names)]
        for singular, plural in pairs:
            asked = singular if info.mass and singular == info.name else plural
            for form in (singular, plural):
                nouns.setdefault(form.lower(), (asked.lower(), name))
    return nouns


def _class_noun(said: str) -> tuple[str, str] | None:
    """The noun to ask for and the class, where ``said`` is the name of one."""
    known = _nouns().get(said)
    if known is not None:
        return known
    name = find_canonical(said) or find_canonical(said.removesuffix("s"))
    return None if name is None else (said if said.endswith("s") or CLASSES[name].mass else CLASSES[name].plural, name)
