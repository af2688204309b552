"""The three tasks of UniGeoSeg, which some switchable parts treat differently."""

from enum import IntEnum

from geoagent.types import Prompts


class Task(IntEnum):
    """How a question says what it means."""

    REFERRING = 0
    """By its name, its place or its looks."""
    REASONING = 1
    """By what it is for."""
    INTERACTIVE = 2
    """By pointing."""


def task_of(kind: str, prompts: Prompts) -> Task:
    """The task of a question of this kind (``Sample.type``; empty: nobody knows, as when a person asks)."""
    if prompts:
        return Task.INTERACTIVE
    return Task.REASONING if "implicit" in kind or "reason" in kind else Task.REFERRING
