"""What goes with each class: phrases that make a person think of it, from which training makes implicit questions.

A small model knows nothing of the world but what it is told, and fifty written questions a class tell little of it.
``<class_with_underscores>.txt`` holds a phrase a line, which fits behind "to do with"; ``wordings.txt`` the questions,
with as many gaps as they need. Only training uses them: tests ask what people wrote.
"""

from functools import cache
from importlib.resources import files

from geoagent.data.classes import CLASSES
from geoagent.types import GeoAgentError

GAPS = ("{a}", "{b}", "{c}")


@cache
def associations(class_name: str) -> tuple[str, ...]:
    """The phrases that go with a class."""
    if class_name not in CLASSES:
        raise GeoAgentError(f"the class {class_name!r} is not in geoagent.data.classes")
    return _lines(class_name.replace(" ", "_"))


@cache
def wordings(gaps: int) -> tuple[str, ...]:
    """The questions with so many gaps, 1…3."""
    return tuple(text for text in _lines("wordings") if sum(gap in text for gap in GAPS) == gaps)


def _lines(name: str) -> tuple[str, ...]:
    text = (files(__name__) / f"{name}.txt").read_text("utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip())
