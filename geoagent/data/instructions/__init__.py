"""Questions about annotated scenes with their true answers, rendered or real.

`make_samples` draws kinds of questions by weight and asks only what a scene answers beyond doubt: superlatives with
a clear margin, relations that leave no choice, absence and counts only of classes that are fully annotated. What is
still a matter of taste is left unjudged (`LabelledTarget.ignore`).

A fifth of the wordings of every list is held out: ``split="test"`` uses those only, ``split="train"`` never. Validation
uses the training wordings with scenes of its own, so that choosing a model says nothing about the wordings of the test.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from numpy.random import Generator

from geoagent.data.instructions import chat, interactive, part, relation, single, subset, whole
from geoagent.data.instructions.corpus import all_wordings
from geoagent.data.instructions.draft import Draft, Draw, to_sample
from geoagent.data.instructions.phrasing import Split
from geoagent.data.instructions.scene import SceneIndex
from geoagent.types import AnnotatedScene, GeoAgentError, Sample

_MAKERS: Mapping[str, Callable[[Draw], Draft | None]] = {
    "reference": whole.reference,
    "instance": single.instance,
    "position": subset.position,
    "size": subset.size,
    "relation": relation.relation,
    "attribute": subset.attribute,
    "count": whole.count,
    "part": part.part,
    "several": whole.several,
    "implicit": whole.implicit,
    "several_implicit": whole.several_implicit,
    "absent": whole.absent,
    "absent_implicit": whole.absent_implicit,
    "chat": chat.chat,
    "interactive": interactive.interactive,
}

KINDS: Mapping[str, float] = MappingProxyType({
    "reference": 0.14,
    "instance": 0.09,
    "position": 0.06,
    "size": 0.04,
    "relation": 0.10,
    "attribute": 0.04,
    "count": 0.05,
    "part": 0.05,
    "several": 0.07,
    "implicit": 0.16,
    "several_implicit": 0.03,
    "absent": 0.06,
    "absent_implicit": 0.04,
    "chat": 0.02,
    "interactive": 0.05,
})  # fmt: skip
"""Every kind of question with its usual share."""

_TRIES = 12
"""Draws for each sample before a scene counts as exhausted."""

__all__ = ["KINDS", "SceneIndex", "all_wordings", "make_one", "make_samples"]


def make_samples(
    scene: AnnotatedScene,
    count: int,
    rng: Generator,
    *,
    split: Split = "train",
    kinds: Mapping[str, float] | None = None,
) -> list[Sample]:
    """Up to ``count`` different questions about ``scene``, all drawn from ``rng``.

    Args:
        scene: What is known of an image.
        count: Number wanted. A scene that has nothing more to ask gives fewer.
        rng: The only source of chance.
        split: Which wordings to use.
        kinds: Weights by kind, `KINDS` by default. Kinds that the scene cannot serve leave their share to the others.

    Raises:
        GeoAgentError: for an unknown kind.
    """
    weights = _checked(KINDS if kinds is None else kinds)
    draw = Draw(SceneIndex(scene), rng, split)
    samples: list[Sample] = []
    asked: set[tuple[str, object]] = set()
    for _ in range(_TRIES * count):
        if len(samples) == count or not weights:
            break
        kind = _draw_kind(weights, rng)
        draft = _MAKERS[kind](draw)
        if draft is None or (draft.question, draft.prompts) in asked:
            continue
        asked.add((draft.question, draft.prompts))
        samples.append(to_sample(draw, draft, kind, len(samples)))
    return samples


def make_one(index: SceneIndex, kind: str, rng: Generator, number: int, *, split: Split = "train") -> Sample | None:
    """The ``number``-th question about a scene, of one kind; None where the scene cannot serve it."""
    _checked({kind: 1.0})
    draw = Draw(index, rng, split)
    for _ in range(_TRIES):
        draft = _MAKERS[kind](draw)
        if draft is not None:
            return to_sample(draw, draft, kind, number)
    return None


def _checked(kinds: Mapping[str, float]) -> dict[str, float]:
    unknown = sorted(set(kinds) - set(_MAKERS))
    if unknown:
        raise GeoAgentError(f"unknown kind of question {unknown[0]!r}: choose from {', '.join(_MAKERS)}")
    return {kind: weight for kind, weight in kinds.items() if weight > 0}


def _draw_kind(weights: Mapping[str, float], rng: Generator) -> str:
    """A kind by its weight."""
    point = rng.random() * sum(weights.values())
    for kind, weight in weights.items():
        point -= weight
        if point < 0:
            return kind
    return next(reversed(list(weights)))
