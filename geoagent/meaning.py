"""When an answer names another class than its question most probably means.

A question that names nothing ("what would burn first?") is read by a small language model much like one that it has
learned by heart. The grounder has a second opinion of it (`geoagent.model.meaning`), and where that is another one the
question is answered once more, about the class that is meant.
"""

from geoagent.data.classes import CLASSES
from geoagent.model.requests import Draft, Request
from geoagent.plan import class_of, names_in


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
