"""Asking a model in the background: one question at a time, a place in the queue, and a stop that stops."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from geoagent.geo.raster import Raster
from geoagent.types import Prediction, Prompts

T = TypeVar("T")


class Scene(Protocol):
    """An image that was encoded once, such as `geoagent.predictor.SceneSession`."""

    @property
    def raster(self) -> Raster:
        """What was read."""

    def ask(
        self,
        text: str = "",
        *,
        points: Sequence[Sequence[float]] = (),
        boxes: Sequence[Sequence[float]] = (),
        prompts: Prompts | None = None,
        brief: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> Prediction:
        """Answer one question about it; ``tell`` hears the answer so far, marks included."""


@dataclass(frozen=True, kw_only=True)
class ToolStep:
    """A tool call of an agent."""

    name: str
    arguments: Mapping[str, Any]
    seconds: float | None = None
    """None while it runs."""
    result: str = ""


@dataclass
class News:
    """What the thread that works has to say so far; the one that waits with the person reads it."""

    words: str = ""
    """The answer so far, marks included."""
    steps: tuple[ToolStep, ...] = ()

    def hear(self, words: str) -> None:
        """Take the answer so far."""
        self.words = words


class Agent(Protocol):
    """What answers in several steps, see `geoagent.app.agent_chat.AgentTalk`."""

    def ask(self, question: str, images: Sequence[Path], raster: Raster, news: News) -> Prediction:
        """Answer; ``news`` gets the tool calls and the words as they come."""


class Asker(Protocol):
    """What the page needs of a model, see `geoagent.app.loading.LoadedOnce`."""

    name: str

    @property
    def ready(self) -> bool:
        """Whether it is loaded."""

    @property
    def device(self) -> str:
        """What it runs on, for people."""

    def open(self, image: Any, /) -> Scene:
        """Encode an image once."""


class Stopped(Exception):  # noqa: N818 (not an error: the person wanted it)
    """The person pressed Stop."""


_stop: ContextVar[threading.Event | None] = ContextVar("stop", default=None)
"""Of the question that is worked on: LangGraph runs tools in threads of its own and hands the context on."""


def check_stop() -> None:
    """Raise `Stopped` if the question that is worked on here was stopped."""
    stop = _stop.get()
    if stop is not None and stop.is_set():
        raise Stopped


class Job(Generic[T]):
    """A piece of work that waits for the model or runs."""

    def __init__(self, future: "Future[T]", worker: "Worker") -> None:
        self.future = future
        self._worker = worker

    @property
    def before(self) -> int:
        """How many jobs have to end before this one begins."""
        jobs = self._worker.jobs
        return jobs.index(self) if self in jobs else 0

    @property
    def wait(self) -> float | None:
        """Seconds until it begins, judged by how long jobs took of late; None: too few to say."""
        took = self._worker.took
        return self.before * sum(took) / len(took) if took else None


class Worker:
    """Runs jobs one after the other in a thread of its own: models are not made to be asked by two threads at once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="geoagent-model")
        self.jobs: list[Job[Any]] = []
        self.took: deque[float] = deque(maxlen=20)
        """Seconds of the last jobs that were done."""

    def submit(self, work: Callable[[], T], stop: threading.Event) -> Job[T]:
        """Queue ``work``; it raises `Stopped` soon after ``stop`` is set."""
        future: Future[T] = Future()
        job = Job(future, self)
        self.jobs.append(job)
        self._pool.submit(self._run, job, work, stop)
        return job

    def _run(self, job: Job[T], work: Callable[[], T], stop: threading.Event) -> None:
        token = _stop.set(stop)
        began = time.perf_counter()
        try:
            check_stop()
            with _stoppable_networks():
                result = work()
        except BaseException as error:
            job.future.set_exception(error)
        else:
            self.took.append(time.perf_counter() - began)
            job.future.set_result(result)
        finally:
            _stop.reset(token)
            self.jobs.remove(job)


@contextmanager
def _stoppable_networks() -> Iterator[None]:
    """While a job runs, every layer of a network first asks whether to go on: a stop takes less than one token."""
    if "torch" not in sys.modules:
        yield
        return
    from torch.nn.modules.module import register_module_forward_pre_hook

    handle = register_module_forward_pre_hook(lambda module, inputs: check_stop())
    try:
        yield
    finally:
        handle.remove()
