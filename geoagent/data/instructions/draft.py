"""What makers of questions share: a way to draw at random, referents (a description and what it means), and drafts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, TypeVar

from numpy.random import Generator

from geoagent.data import knowledge
from geoagent.data.classes import CLASSES
from geoagent.data.instructions import phrasing
from geoagent.data.instructions.language import Noun, agreement, as_typed, marked, sentence_case, tidy
from geoagent.data.instructions.phrasing import Split
from geoagent.data.instructions.scene import SceneIndex, Thing
from geoagent.types import LabelledTarget, Prompts, Sample

Granularity = Literal["class", "instance", "part", "none"]
T = TypeVar("T")

_LESS_UMBRELLA = 0.7
_MAIN_NAME: Mapping[Split, float] = {"train": 0.3, "test": 0.5}
_LONG = 9
"""Questions of at least so many words count as long."""


@dataclass(frozen=True, kw_only=True)
class Referent:
    """A description and what it means in a scene."""

    asked: str
    """Noun phrase for a question, with its article: ``every ship in the left half``."""
    phrase: str
    """What the answer marks: ``ships in the left half``."""
    class_name: str
    things: tuple[Thing, ...]
    """What is meant; empty for something that is not there."""
    unsure: tuple[Thing, ...] = ()
    """What some would include: left unjudged."""
    article: bool = True
    """Whether an answer puts "the" before the mark."""
    plural: bool = True
    granularity: Granularity = "class"
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Values for the answer's sentence: ``n``, ``all``, ``why``."""

    @property
    def marked(self) -> str:
        """The phrase with its marks, and its article outside them."""
        return marked(self.phrase, present=bool(self.things), article=self.article)

    @property
    def bare(self) -> str:
        """The phrase with its marks alone."""
        return marked(self.phrase, present=bool(self.things))


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A question with its answer, before it becomes a `Sample`."""

    question: str
    answer: str
    referents: tuple[Referent, ...] = ()
    prompts: Prompts = field(default_factory=Prompts)
    reasoning: Literal["explicit", "implicit"] = "explicit"
    exact: bool = False
    """Whether the question must stay as it is: an empty text."""


class Draw:
    """Chance, with a scene and a split to draw from."""

    def __init__(self, index: SceneIndex, rng: Generator, split: Split) -> None:
        self.index, self.rng, self.split = index, rng, split

    def chance(self, probability: float) -> bool:
        """True so often."""
        return bool(self.rng.random() < probability)

    def choose(self, options: Sequence[T]) -> T:
        """One of ``options``."""
        return options[int(self.rng.integers(len(options)))]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """``options`` in another order."""
        return [options[int(i)] for i in self.rng.permutation(len(options))]

    def choose_class(self, classes: Sequence[str]) -> str:
        """One of ``classes``, umbrella classes less often than the plain ones that they are made of."""
        name = self.choose(classes)
        return self.choose(classes) if CLASSES[name].umbrella and self.chance(_LESS_UMBRELLA) else name

    def shuffled_classes(self, classes: Sequence[str]) -> list[str]:
        """``classes`` in another order, umbrella classes mostly last."""
        order = self.shuffled(classes)
        late = {name for name in order if CLASSES[name].umbrella and self.chance(_LESS_UMBRELLA)}
        return [name for name in order if name not in late] + [name for name in order if name in late]

    def noun(self, class_name: str, *, main: float | None = None) -> Noun:
        """A name of a class: the canonical one with probability ``main``, which training asks for less than tests."""
        names = _names(class_name)
        usual = _MAIN_NAME[self.split] if main is None else main
        return names[0] if self.chance(usual) else self.choose(names)

    def wording(self, kind: str, key: str, *, without_singular: bool = False) -> str:
        """A wording of this split; ``without_singular`` for nouns that have none."""
        texts = phrasing.wordings(kind, key, self.split)
        if without_singular:
            texts = tuple(text for text in texts if "{one}" not in text)
        return self.choose(texts)

    def request(self, asked: str) -> str:
        """A request for the noun phrase ``asked``."""
        return self.wording("requests", "requests").format(x=asked)

    def describe(self, kind: str, key: str, noun: Noun, number: int, **values: str | int) -> tuple[str, str, bool]:
        """Noun phrase for the question, phrase for the answer, and whether that is plural, for ``number`` objects."""
        texts = [t for t in phrasing.wordings(kind, key, self.split) if noun.has_singular or "{one}" not in t]
        asked = self.choose(texts).format(x=noun.many, one=noun.one, **agreement(plural=noun.plural), **values)
        plain = phrasing.main_wording(kind, key).removeprefix("the ")
        return asked, tidy(plain.format(x=noun.counted(number), one=noun.one, **values)), noun.is_plural(number)

    def answer(self, kind: str, referent: Referent, key: str | None = None) -> str:
        """An answer about one referent; "3 of 7" only where every one of the seven is annotated."""
        sentences = phrasing.answers(kind, key)
        if "all" not in referent.facts:
            sentences = tuple(s for s in sentences if "{all}" not in s)
        return answer(self.choose(sentences), referent)


@cache
def _names(class_name: str) -> tuple[Noun, ...]:
    return tuple(Noun.of(class_name, name) for name in knowledge.load(class_name).names)


def answer(sentence: str, referent: Referent) -> str:
    """An answer's sentence about one referent."""
    few = referent.facts.get("n") == 1
    words = agreement(plural=referent.plural) | {"t": referent.marked, **referent.facts}
    if few:
        words |= {"fit": "fits", "count": "counts"}
    return sentence_case(sentence.format(**words))


def targets(index: SceneIndex, referents: Sequence[Referent]) -> tuple[LabelledTarget, ...]:
    """The truth for the phrases of an answer."""
    return tuple(index.target(r.phrase, r.class_name, r.things, r.unsure) for r in referents)


def to_sample(draw: Draw, draft: Draft, kind: str, number: int) -> Sample:
    """A draft as the ``number``-th sample of its scene."""
    scene = draw.index.scene
    question = draft.question if draft.exact else as_typed(draft.question, draw.rng, typos=draw.split == "train")
    return Sample(
        id=f"{scene.id}:{number}",
        image_id=scene.id,
        image=scene.image,
        instruction=question,
        targets=targets(draw.index, draft.referents),
        answer=draft.answer,
        type=kind,
        source=scene.source,
        prompts=draft.prompts,
        info=scene.info,
        extra=dimensions(draft, question),
    )


def dimensions(draft: Draft, question: str) -> dict[str, str]:
    """The four dimensions by which results are broken down: granularity, number of targets, reasoning, wording."""
    grains = {r.granularity for r in draft.referents}
    order: tuple[Granularity, ...] = ("part", "instance", "class")
    number = len(draft.referents)
    return {
        "granularity": next((grain for grain in order if grain in grains), "none"),
        "targets": "none" if not number else "single" if number == 1 else "multiple",
        "reasoning": draft.reasoning,
        "wording": "long" if len(question.split()) >= _LONG else "short",
    }


def whole_class(draw: Draw, class_name: str, *, noun: Noun | None = None) -> Referent:
    """All objects of a class that the scene shows, or its absence."""
    noun = noun or draw.noun(class_name)
    things = draw.index.of(class_name)
    key = "countable" if noun.has_singular else "mass"
    if len(things) == 1 and noun.has_singular and draw.chance(0.35):
        key = "single"
    asked = draw.wording("reference", key).format(x=noun.many, one=noun.one, **agreement(plural=noun.plural))
    return Referent(
        asked=asked,
        phrase=noun.counted(len(things)),
        class_name=class_name,
        things=things,
        unsure=draw.index.lookalikes(class_name),
        plural=noun.is_plural(len(things)),
        granularity="part" if CLASSES[class_name].kind == "part" else "class",
    )
