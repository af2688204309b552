"""What people mean without naming it: names, reasons and implicit questions for every class, one YAML file each.

A file ``<class_with_underscores>.yaml`` holds ``class``, ``names`` (pairs of singular and plural), ``reasons`` (answer
sentences with ``{phrase}``) and ``implicit`` (questions that mean the class and never name it). The rules that keep
such questions implicit and different from one another are in `geoagent.data.knowledge.rules`.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from geoagent.data.classes import CLASSES, ClassInfo
from geoagent.types import GeoAgentError


@dataclass(frozen=True)
class Name:
    """One way to call a class."""

    singular: str
    plural: str

    def form(self, *, plural: bool) -> str:
        """The plural or the singular."""
        return self.plural if plural else self.singular


@dataclass(frozen=True)
class Knowledge:
    """What is known about how people speak of one class."""

    info: ClassInfo
    names: tuple[Name, ...]
    """The canonical name first."""
    reasons: tuple[str, ...]
    """Answer sentences that say why, with ``{phrase}`` for a plural noun (a mass noun for `ClassInfo.mass` classes)."""
    implicit: tuple[str, ...]
    """Questions that mean all objects of the class and never name it."""


def file_name(class_name: str) -> str:
    """The name of a class's file in this package."""
    return f"{class_name.replace(' ', '_')}.yaml"


def available() -> tuple[str, ...]:
    """The classes that have a file, in the order of the table of classes."""
    there = {entry.name for entry in files(__name__).iterdir()}
    return tuple(name for name in CLASSES if file_name(name) in there)


@cache
def load(class_name: str) -> Knowledge:
    """The knowledge about one class.

    Raises:
        GeoAgentError: if the class is unknown, or its file is missing or malformed.
    """
    if class_name not in CLASSES:
        raise GeoAgentError(f"the class {class_name!r} is not in geoagent.data.classes")
    path = files(__name__) / file_name(class_name)
    if not path.is_file():
        raise GeoAgentError(f"no knowledge about {class_name!r}: add geoagent/data/knowledge/{file_name(class_name)}")
    return parse(yaml.safe_load(path.read_text("utf-8")), class_name)


@cache
def more_implicit(class_name: str) -> tuple[str, ...]:
    """Further implicit questions about a class, for training alone."""
    return _lines("more", class_name)


@cache
def plain_implicit(class_name: str) -> tuple[str, ...]:
    """Short plain implicit questions, as most people type them, for training alone."""
    return _lines("plain", class_name)


def _lines(folder: str, class_name: str) -> tuple[str, ...]:
    text = (files(__name__) / folder / file_name(class_name).replace(".yaml", ".txt")).read_text("utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def parse(record: Any, class_name: str) -> Knowledge:
    """`Knowledge` from the content of a file, with errors that name the file and the entry."""
    where = file_name(class_name)
    if not isinstance(record, dict) or set(record) != {"class", "names", "reasons", "implicit"}:
        raise GeoAgentError(f"{where} must hold exactly class, names, reasons and implicit")
    if record["class"] != class_name:
        raise GeoAgentError(f"{where} says class: {record['class']!r}, its file name {class_name!r}")
    for pair in record["names"]:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(word, str) for word in pair)):
            raise GeoAgentError(f"{where}: each name is a pair [singular, plural], not {pair!r}")
    for key in ("reasons", "implicit"):
        if not all(isinstance(text, str) and text.strip() for text in record[key]):
            raise GeoAgentError(f"{where}: every entry of {key} must be text; put it in double quotes")
    for reason in record["reasons"]:
        if reason.count("{phrase}") != 1 or re.search(r"[{}]", reason.replace("{phrase}", "")):
            raise GeoAgentError(f"{where}: the reason {reason!r} must hold {{phrase}} once and no other braces")
    return Knowledge(
        info=CLASSES[class_name],
        names=tuple(Name(*pair) for pair in record["names"]),
        reasons=tuple(record["reasons"]),
        implicit=tuple(record["implicit"]),
    )
