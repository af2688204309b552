"""The rules for implicit questions: they never name their class, and no two of a class say the same in other words.

Run as ``python -m geoagent.data.knowledge.rules`` to see what breaks them.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import combinations

from geoagent.data.classes import CLASSES
from geoagent.data.knowledge import Knowledge, available, load

MIN_NAMES = 2
"""More where people have more words for it; names that mean only some of the class do not count."""
MIN_REASONS = 8
MIN_IMPLICIT = 40
MIN_CONTENT = 3
"""Content words of an implicit question."""
MAX_SHARED = 0.5
"""Two implicit questions of a class share less than this part of the content words of the shorter one."""


_CARRIERS = (
    "point out",
    "point to",
    "point me to",
    "i would like",
    "i'd like",
    "would like",
    "tell me",
    "show me",
    "let me see",
    "i am looking for",
    "i'm looking for",
    "looking for",
    "look for",
    "pick out",
    "trace out",
)
_STOP_TEXT = """
a about above after all also am an and any anything anywhere are around as at away be because been before being
below between both but by can cannot could did do does doing done down during each either else ever every everything
for from get gets give given go goes going got had has have having he her here him his how i if in into is it its
just keep let like lot made make makes many may me might more most much must my need needs no nor not of off on once
one ones only onto or other our out over own part per place places please put she should since so some something
somewhere spot spots still such than that the their them then there these they thing things this those through till
to too under until up upon us use used very want was way we were what whatever when where wherever which while who
whose why will with within without would you your
area areas image picture photo photograph scene view shot map frame
segment highlight mark outline find show locate identify delineate select circle trace tell see look looking point
d ll m re s t ve
"""
_STOP_WORDS = frozenset(_STOP_TEXT.split())
_WORD = re.compile(r"[a-z0-9]+")


def stem(word: str) -> str:
    """``word`` without plural s/es, -ing and -ed, so that "tanks" meets "tank" and "parking" "parked"."""
    for ending, replacement in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)] + replacement
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    for ending in ("ing", "ed"):
        root = word[: -len(ending)]
        if word.endswith(ending) and len(root) >= 3 and re.search("[aeiouy]", root):
            undoubled = root[:-1] if root[-1] == root[-2] and root[-1] not in "lsz" else root
            return undoubled.removesuffix("e")
    return word.removesuffix("e") if len(word) > 3 else word


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower().replace("'", " "))


def content_words(text: str) -> frozenset[str]:
    """The stems that are left of a question once stop words and carrier phrases are gone."""
    bare = " ".join(text.lower().split())
    for carrier in _CARRIERS:
        bare = re.sub(rf"\b{carrier}\b", " ", bare)
    return frozenset(stem(word) for word in words(bare) if word not in _STOP_WORDS)


def shared(first: frozenset[str], second: frozenset[str]) -> float:
    """The part of the smaller set's content words that both hold."""
    return len(first & second) / max(1, min(len(first), len(second)))


_BLAND_TEXT = """
area bath body bare bright building clear cover court date dirt dry facility farm field flat floor flow green ground
high home house land large light line lot mast motor of on open ornamental outdoor paved place playing power road
round salt shallow site small spot stand standing storage running structure surface top tower
traffic unit water wood yard zone
"""
_BLAND = frozenset(stem(word) for word in [*_BLAND_TEXT.split(), *_STOP_WORDS])
"""Words of names that do not give a class away by themselves, as "water" does not mean flood water."""


def giveaways(knowledge: Knowledge) -> frozenset[str]:
    """Stems that would name the class inside an implicit question. A part may be told by its whole."""
    single = {stem(n.singular.lower()) for n in knowledge.names if " " not in n.singular}
    in_names = {stem(word) for name in knowledge.names for word in words(name.singular)}
    whole = knowledge.info.part_of
    of_whole = () if whole is None else (whole, *CLASSES[whole].aliases)
    return frozenset(single | (in_names - _BLAND - {stem(word) for name in of_whole for word in words(name)}))


def says_name(knowledge: Knowledge, text: str) -> str | None:
    """The whole name of the class that ``text`` contains in any inflection; None if it says none."""
    run = f" {' '.join(stem(word) for word in words(text))} "
    for name in knowledge.names:
        for form in (name.singular, name.plural):
            if f" {' '.join(stem(word) for word in words(form))} " in run:
                return form
    return None


def names_class(knowledge: Knowledge, text: str) -> str | None:
    """The name of the class, or the word of one, that ``text`` contains in any inflection; None if it is implicit."""
    given_away = (stem(word) for word in words(text) if stem(word) in giveaways(knowledge))
    return says_name(knowledge, text) or next(given_away, None)


def too_alike(questions: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    """Pairs of questions that share too many content words, with the shared part."""
    sets = [content_words(question) for question in questions]
    for i, j in combinations(range(len(questions)), 2):
        part = shared(sets[i], sets[j])
        if part >= MAX_SHARED:
            yield questions[i], questions[j], part


def check(knowledge: Knowledge) -> Iterator[str]:
    """What is wrong with the knowledge about a class, one sentence each; nothing for a good file."""
    name = knowledge.info.name
    for what, have, least in (
        ("names", len(knowledge.names), MIN_NAMES),
        ("reasons", len(knowledge.reasons), MIN_REASONS),
        ("implicit questions", len(knowledge.implicit), MIN_IMPLICIT),
    ):
        if have < least:
            yield f"{name}: {have} {what}, at least {least} are needed"
    for question in knowledge.implicit:
        if found := names_class(knowledge, question):
            yield f"{name}: {question!r} names the class by {found!r}"
        if len(content_words(question)) < MIN_CONTENT:
            yield f"{name}: {question!r} says too little"
    for first, second, part in too_alike(knowledge.implicit):
        yield f"{name}: {first!r} and {second!r} share {part:.0%} of their content words"


def main() -> None:
    """Print what is wrong with any file of this folder."""
    for name in available():
        for problem in check(load(name)):
            print(problem)
    missing = sorted(set(CLASSES) - set(available()))
    if missing:
        print("no file for:", ", ".join(missing))


if __name__ == "__main__":
    main()
