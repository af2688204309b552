"""What to say about a large image: the plan's phrases, with what was found of each."""

from dataclasses import dataclass

from geoagent.data.classes import CLASSES
from geoagent.model.tokens import MarkedPhrase, brief_answer, parse_answer
from geoagent.plan import SINGLING, Query


@dataclass(frozen=True)
class Outcome:
    """What became of a query."""

    query: Query
    count: int
    """Objects that are meant."""
    of: int
    """Objects of the class."""

    @property
    def present(self) -> bool:
        """Whether there is anything to mark."""
        return self.count > 0


def marked_words(outcomes: list[Outcome], *, brief: bool, overview: str) -> str:
    """The answer with its marks.

    Args:
        outcomes: In the order of the answer.
        brief: Phrases only.
        overview: What was said about the picture of the whole, if that is where the plan comes from: it gives the
            reason, so it stands wherever the tiles bear it out.
    """
    phrases = [MarkedPhrase(o.query.phrase, o.present) for o in outcomes]
    if brief:
        return brief_answer(phrases)
    said = parse_answer(overview)
    if (
        said
        and [p.present for p in said] == [p.present for p in phrases]
        and not any(o.query.conditions for o in outcomes)
    ):
        return overview
    return " ".join(_sentence(outcome) for outcome in outcomes)


def _sentence(outcome: Outcome) -> str:
    query, count = outcome.query, outcome.count
    phrase = f"<p>{query.phrase}</p>{'<seg>' if outcome.present else '<rej>'}"
    single = any(c.kind in SINGLING for c in query.conditions)
    if not outcome.present:
        if query.conditions and outcome.of:
            return f"I found {outcome.of} {query.noun}, but no {phrase}."
        return f"There {'is' if _is_mass(query) else 'are'} no {phrase} in this image."
    if single:
        return f"{'This is' if count == 1 else 'These are'} the {phrase}, out of {outcome.of}."
    if _is_mass(query) or query.class_name is None or CLASSES[query.class_name].kind == "stuff":
        return f"I have marked the {phrase}."
    if query.conditions:
        return f"I count {count} of {outcome.of}: the {phrase}."
    return f"{'There is' if count == 1 else 'There are'} {count} {phrase}."


def _is_mass(query: Query) -> bool:
    return query.class_name is not None and CLASSES[query.class_name].mass
