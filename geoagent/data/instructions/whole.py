"""Questions about whole classes: by name, by intent, how many, and those about things that are not there."""

import re
from dataclasses import replace

from geoagent.data import associations, knowledge
from geoagent.data.classes import CLASSES, lookalikes, members
from geoagent.data.instructions import phrasing
from geoagent.data.instructions.draft import Draft, Draw, Referent, answer, whole_class
from geoagent.data.instructions.language import Noun, agreement, join, sentence_case
from geoagent.data.instructions.single import in_vain, single

_MOST_COUNTED = 60
_LEAST_AREA = 6
"""Fewer pixels of an object and nobody could count it."""
_ABSENT_COUNTS = 0.12
_MAIN_NAME = 0.8
"""How often an answer to an implicit question uses the canonical name."""
_PLAIN = 0.4
"""How often training asks a short plain question: they are few beside the elaborate ones, and what people type."""
_ASSOCIATED = 0.4
"""How often training otherwise asks by `geoagent.data.associations` instead of a written question."""


def reference(draw: Draw) -> Draft | None:
    """All of a class, by one of its names."""
    classes = [name for name in draw.index.askable() if CLASSES[name].kind != "part"]
    if not classes:
        return None
    name = draw.choose_class(classes)
    noun = draw.noun(name)
    referent = whole_class(draw, name, noun=noun)
    question = _ask(draw, referent, noun)
    if draw.chance(0.5):
        told, referent = reason(draw, referent, noun)
    else:
        told = draw.answer("reference", referent)
    return Draft(question=question, answer=told, referents=(referent,))


def _ask(draw: Draw, referent: Referent, noun: Noun) -> str:
    if draw.chance(0.35):
        words = agreement(plural=noun.plural)
        return sentence_case(draw.wording("reference", "questions").format(x=noun.many, **words))
    return draw.request(referent.asked)


def reason(draw: Draw, referent: Referent, noun: Noun) -> tuple[str, Referent]:
    """A sentence that says why, and ``referent`` under the phrase that it uses."""
    sentence = draw.choose(knowledge.load(referent.class_name).reasons)
    called = replace(referent, phrase=reason_phrase(sentence, referent, noun))
    return sentence_case(sentence.format(phrase=called.bare)), called


def reason_phrase(sentence: str, referent: Referent, noun: Noun) -> str:
    """The form of ``noun`` that reads right in ``sentence``, which was written for a plural or a mass noun."""
    ends_with_it = re.search(r"\bthe \{phrase\}[.!]$", sentence) is not None
    return noun.counted(len(referent.things)) if ends_with_it else noun.many


def implicit(draw: Draw) -> Draft | None:
    """All of a class, by what it is for or how one would know it, never by name."""
    classes = draw.index.askable()
    if not classes:
        return None
    question, referent, told = _meant(draw, draw.choose_class(classes))
    return Draft(question=question, answer=told, referents=(referent,), reasoning="implicit")


def _meant(draw: Draw, name: str) -> tuple[str, Referent, str]:
    noun = draw.noun(name, main=_MAIN_NAME)
    told, referent = reason(draw, whole_class(draw, name, noun=noun), noun)
    return _hint(draw, name), referent, told


def _hint(draw: Draw, name: str) -> str:
    """A question that means a class without naming it."""
    if draw.split == "test":
        return draw.choose(phrasing.implicit(name, "test"))
    if draw.chance(_PLAIN):
        return draw.choose(knowledge.plain_implicit(name))
    if not draw.chance(_ASSOCIATED):
        return draw.choose(phrasing.implicit(name, "train"))
    known = associations.associations(name)
    gaps = draw.choose((1, 2, 3))
    said = dict(zip("abc", draw.shuffled(known)[:gaps], strict=False))
    return sentence_case(draw.choose(associations.wordings(gaps)).format(**said))


def several_implicit(draw: Draw) -> Draft | None:
    """Two intentions in one go."""
    pair = apart(draw, [n for n in draw.index.askable() if CLASSES[n].kind != "part"], 2)
    if len(pair) < 2:
        return None
    (first, one, told), (second, other, retold) = (_meant(draw, name) for name in pair)
    question = join_questions(draw.wording("several", "implicit"), first, second)
    return Draft(question=question, answer=f"{told} {retold}", referents=(one, other), reasoning="implicit")


def join_questions(pattern: str, first: str, second: str) -> str:
    """Two questions in one text, each closed by a stop."""
    first, second = (q if q.rstrip()[-1] in ".?!" else f"{q}?" for q in (first, second))
    return pattern.format(a=sentence_case(first), b=sentence_case(second), b_low=second[0].lower() + second[1:])


def apart(draw: Draw, classes: list[str], number: int) -> list[str]:
    """Up to ``number`` classes that have nothing to do with one another."""
    chosen: list[str] = []
    for name in draw.shuffled_classes(classes):
        kin = members(name) | lookalikes(name)
        if not any(kin & (members(other) | lookalikes(other)) for other in chosen):
            chosen.append(name)
        if len(chosen) == number:
            break
    return chosen


def count(draw: Draw) -> Draft | None:
    """How many there are, only where every one of them is annotated."""
    if draw.chance(_ABSENT_COUNTS):
        nothing = [n for n in draw.index.absent if CLASSES[n].kind == "thing"]
        if nothing:
            return _count(draw, draw.choose_class(nothing))
    counted = [
        name
        for name in draw.index.askable(countable=True)
        if CLASSES[name].kind == "thing"
        and draw.index.wholly_known(name)
        and len(draw.index.of(name)) <= _MOST_COUNTED
        and all(t.area >= _LEAST_AREA for t in draw.index.of(name))
    ]
    return _count(draw, draw.choose_class(counted)) if counted else None


def _count(draw: Draw, name: str) -> Draft:
    noun = draw.noun(name)
    things = draw.index.of(name)
    referent = Referent(
        asked="",
        phrase=noun.counted(len(things)),
        class_name=name,
        things=things,
        article=False,
        facts={"n": len(things), "all": len(things)},
    )
    question = sentence_case(draw.wording("count", "questions").format(x=noun.many))
    key = ("absent_plural", "count_one")[len(things)] if len(things) < 2 else "count_many"
    return Draft(question=question, answer=draw.answer(key, referent), referents=(referent,))


# ------------------------------------------------------------------------------ what is not there


def absent(draw: Draw) -> Draft | None:
    """A class that the scene does not show, one object of it, or some absent among several that are there."""
    if not draw.index.absent:
        return None
    name = draw.choose_class(draw.index.absent)
    manner = draw.rng.random()
    if manner < 0.3:
        return _some_absent(draw)
    if manner < 0.42 and CLASSES[name].kind == "thing":
        referent = in_vain(draw, name)
        return Draft(
            question=draw.request(referent.asked),
            answer=draw.answer("absent_singular", referent),
            referents=(referent,),
        )
    noun = draw.noun(name)
    referent, sentence = _missing(draw, name, noun)
    return Draft(question=_ask(draw, referent, noun), answer=answer(sentence, referent), referents=(referent,))


def _missing(draw: Draw, name: str, noun: Noun) -> tuple[Referent, str]:
    """An absent class and a sentence that says so."""
    singular = noun.plural and not CLASSES[name].mass and draw.chance(0.4)
    plain = whole_class(draw, name, noun=noun)
    referent = Referent(
        asked=plain.asked,
        phrase=noun.one if singular else noun.many,
        class_name=name,
        things=(),
        article=False,
        plural=noun.plural and not singular,
        granularity=plain.granularity,
    )
    key = "absent_singular" if singular else "absent_plural" if noun.plural else "absent_mass"
    return referent, draw.choose(phrasing.answers(key))


def _some_absent(draw: Draw) -> Draft | None:
    """Several asked for in one sentence, of which at least one is missing."""
    there = apart(draw, [n for n in draw.index.askable() if CLASSES[n].kind != "part"], int(draw.rng.integers(1, 3)))
    missing = draw.shuffled_classes([n for n in draw.index.absent if CLASSES[n].kind != "part"])[
        : int(draw.rng.integers(1, 3))
    ]
    if not there or not missing:
        return None
    asked: list[Referent] = []
    for name in draw.shuffled(there + missing):
        noun = draw.noun(name)
        asked.append(whole_class(draw, name, noun=noun) if name in there else _missing(draw, name, noun)[0])
    return Draft(question=several_question(draw, asked), answer=_partly(draw, asked), referents=tuple(asked))


def _partly(draw: Draw, referents: list[Referent]) -> str:
    """Says of each in turn whether it is there, in the order asked."""
    sentences = []
    for referent in referents:
        if referent.things:
            sentences.append(draw.answer("reference", referent))
        else:
            key = "absent_plural" if referent.plural else _singular_or_mass(referent)
            sentences.append(draw.answer(key, referent))
    return " ".join(sentences)


def _singular_or_mass(referent: Referent) -> str:
    return "absent_mass" if CLASSES[referent.class_name].mass else "absent_singular"


def absent_implicit(draw: Draw) -> Draft | None:
    """An intention that nothing in the scene serves."""
    if not draw.index.absent:
        return None
    name = draw.choose_class(draw.index.absent)
    noun = draw.noun(name, main=_MAIN_NAME)
    referent = Referent(
        asked="",
        phrase=noun.many,
        class_name=name,
        things=(),
        article=False,
        granularity="part" if CLASSES[name].kind == "part" else "class",
    )
    question = _hint(draw, name)
    told = draw.answer("absent_purpose", referent)
    return Draft(question=question, answer=told, referents=(referent,), reasoning="implicit")


# ------------------------------------------------------------------------------ several at once


def several(draw: Draw) -> Draft | None:
    """Two to four targets in one sentence: classes, or classes and single objects."""
    names = apart(draw, [n for n in draw.index.askable() if CLASSES[n].kind != "part"], int(draw.rng.integers(2, 5)))
    if len(names) < 2:
        return None
    chosen = [(single(draw, [name]) if draw.chance(0.3) else None) or whole_class(draw, name) for name in names]
    told = draw.choose(phrasing.answers("several")).format(list=join([r.marked for r in chosen]))
    return Draft(question=several_question(draw, chosen), answer=sentence_case(told), referents=tuple(chosen))


def several_question(draw: Draw, referents: list[Referent]) -> str:
    """One request for several noun phrases."""
    asked = [r.asked.rstrip(",") for r in referents]
    sentence = draw.wording("several", "questions")
    return sentence_case(sentence.format(list=join(asked), first=asked[0], rest=join(asked[1:])))
