"""What a long call tells whoever waits for it, and how it learns that nobody waits any more.

Both travel in a context variable, so that the tools keep signatures a language model can fill in.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType

from geoagent.types import GeoAgentError

_PATIENCE_S = 0.1


class CancelledError(GeoAgentError):
    """The caller took back the call."""


@dataclass(frozen=True)
class Watcher:
    """Whoever waits for a call."""

    tell: Callable[[str], None]
    """Takes one short sentence; called from the thread that works."""
    cancelled: threading.Event = field(default_factory=threading.Event)


_WATCHER: ContextVar[Watcher | None] = ContextVar("geoagent_watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Calls inside report to ``watcher``."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def report(message: str) -> None:
    """Say what comes next; raises `CancelledError` where nobody waits for it."""
    watcher = _WATCHER.get()
    if watcher is not None:
        _check(watcher)
        watcher.tell(message)


class Turn:
    """Whoever holds it works with the model; while waiting for it, a call can still be cancelled."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        watcher = _WATCHER.get()
        while not self._lock.acquire(timeout=_PATIENCE_S):
            if watcher is not None:
                _check(watcher)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


def _check(watcher: Watcher) -> None:
    if watcher.cancelled.is_set():
        raise CancelledError("the call was cancelled")
