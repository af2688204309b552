"""What a long call tells whoever waits for it, and how it learns that nobody waits any more.

Both travel in a context variable, so that the tools keep signatures a language model can fill in.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType

_PATIENCE_S = 0.1


class CancelledError(Exception):
    """The caller took back the call.

    Not a `geoagent.types.GeoAgentError`: whoever carries on after a failure, as with a tile that cannot be read, must
    not carry on after this.
    """


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
    check_cancelled()
    watcher = _WATCHER.get()
    if watcher is not None:
        watcher.tell(message)


def check_cancelled() -> None:
    """Raise `CancelledError` where nobody waits any more."""
    watcher = _WATCHER.get()
    if watcher is not None and watcher.cancelled.is_set():
        raise CancelledError("the call was cancelled")


class Turn:
    """Whoever holds it works with the model; while waiting for it, a call can still be cancelled."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        while not self._lock.acquire(timeout=_PATIENCE_S):
            check_cancelled()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
