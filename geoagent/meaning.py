"""When an answer names another class than its question most probably means.

A question that names nothing ("what would burn first?") is read by a small language model much like one that it has
learned by heart. The grounder has a second opinion of it (`geoagent.model.meaning`), and where that is another one the
question is answered once more, about the class that is meant.
"""

from geoagent.data.classes import CLASSES
from geoagent.model.requests import Draft, Request
from geoagent.plan import names_in, plan_phrase


def noun_meant(request: Request, draft: Draft) -> str:
    """What to name instead, a plural or mass noun; nothing where the answer stands.

    It stands where it names what the question names, where it says more of a thing than its class, and where it is
    about several things: there the words of one question speak of them all.
    """
    if len(draft.targets) != 1 or draft.meant not in CLASSES:
        return ""
    query = plan_phrase(draft.targets[0].phrase)
    if query.class_name in (None, draft.meant) or query.conditions or query.phrase in request.instruction.lower():
        return ""
    if {query.class_name, draft.meant} & names_in(request.instruction):
        return ""
    return CLASSES[draft.meant].plural
