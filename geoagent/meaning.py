"""When an answer does not fit its question: what is asked once more, and how.

A question that names nothing ("what would burn first?") is read by a small language model much like one that it has
learned by heart. The grounder has a second opinion of it (`geoagent.model.meaning`), and where that is another one the
question is answered again, about the class that is meant. Two such questions in one text are asked one by one, and what
a list names and its answer leaves out is asked for by its name.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from geoagent.data.classes import CLASSES, alike, members
from geoagent.model.meaning import WordMeanings
from geoagent.model.requests import Draft, Request
from geoagent.plan import class_of, items_of, names_in, plan_phrase, question_for

_UNWANTED = re.compile(r"\b(?:not|no|but|except|excluding|without|instead|rather|than|ignore|ignoring)\b")
_BETWEEN_SENTENCES = re.compile(r"(?<=[.?!;])\s+")


def noun_meant(request: Request, draft: Draft) -> str:
    """What to name instead, a plural or mass noun; nothing where the answer stands.

    It stands where the question names either class (what is meant and not named is never what is named), where it says
    more of a thing than its class, and where it is about several: the words of one question speak of them all.
    """
    if len(draft.targets) != 1 or draft.meant not in CLASSES:
        return ""
    answered = class_of(draft.targets[0].phrase)
    if answered in (None, draft.meant) or {answered, draft.meant} & names_in(request.instruction):
        return ""
    return CLASSES[draft.meant].plural


def two_questions(request: Request, draft: Draft, words: WordMeanings | None) -> tuple[Request, ...]:
    """The two questions of a text that was answered about two things and names neither; nothing where it is one.

    It is cut between the two sentences where the words on either side speak most clearly for one class each.
    """
    answered = {class_of(target.phrase) for target in draft.targets}
    if words is None or len(draft.targets) != 2 or None in answered or answered & names_in(request.instruction):
        return ()
    sentences = _BETWEEN_SENTENCES.split(request.instruction.strip())
    best: tuple[str, ...] = ()
    clearest = -float("inf")
    for cut in range(1, len(sentences)):
        parts = (" ".join(sentences[:cut]), " ".join(sentences[cut:]))
        (one, first), (other, second) = (words.clearest(part) for part in parts)
        if one != other and first + second > clearest:
            best, clearest = parts, first + second
    return tuple(replace(request, instruction=part) for part in best)


def left_out(request: Request, draft: Draft) -> tuple[Request, ...]:
    """Questions for what a list names and its answer does not, where all that was answered is named in the list.

    Of a text that was answered about one thing, a comma need not be that of a list ("Behind the trees, what is red?").
    """
    if len(draft.targets) == 1 and "," in request.instruction:
        return ()
    items = [item for item in items_of(request.instruction) if not _UNWANTED.search(item)]
    named = [(item, name) for item in items for name in sorted(names_in(item))]
    answered = [names_in(target.phrase) for target in draft.targets]
    heard = [{item for item, name in named if _related(name, some)} for some in answered]
    if not heard or not all(heard):
        return ()
    return tuple(_about(request, item, name) for item, name in named if not any(item in some for some in heard))


def _related(name: str, others: Iterable[str]) -> bool:
    return any(name in members(other) | alike(other) or other in members(name) for other in others)


def _about(request: Request, item: str, name: str) -> Request:
    """A question for a class, or for what an item of a list singles out of it."""
    plural, plan = CLASSES[name].plural, plan_phrase(item)
    return replace(request, instruction=question_for(plural), noun=plan.phrase if plan.class_name == name else plural)


def joined(drafts: Sequence[Draft], *, brief: bool) -> Draft:
    """Several answers as one."""
    return Draft(
        marked_answer=(", " if brief else " ").join(draft.marked_answer for draft in drafts),
        targets=tuple(target for draft in drafts for target in draft.targets),
        tokens=sum(draft.tokens for draft in drafts),
        warnings=tuple(dict.fromkeys(warning for draft in drafts for warning in draft.warnings)),
    )
