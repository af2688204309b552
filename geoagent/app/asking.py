"""Asking a model in the background: one question at a time, a place in the queue, and a stop that stops."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
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
    ) -> Prediction:
        """Answer one question about it."""


@dataclass(frozen=True, kw_only=True)
class ToolStep:
    """A tool call of an agent."""

    name: str
    arguments: Mapping[str, Any]
    seconds: float | None = None
    """None while it runs."""
    result: str = ""


class Agent(Protocol):
    """What answers in several steps, see `geoagent.app.agent_chat.AgentTalk`."""

    def ask(
        self, question: str, images: Sequence[Path], raster: Raster, tell: Callable[[tuple[ToolStep, ...]], None]
    ) -> tuple[Prediction, tuple[ToolStep, ...]]:
        """Answer, telling the tool calls so far each time there is news."""


class Asker(Protocol):
    """What the page needs of a model, see `geoagent.app.loading.LoadedOnce`."""

    name: str

    @property
    def device(self) -> str:
        """What it runs on, for people."""

    def open(self, image: Any, /) -> Scene:
        """Encode an image once."""


class Stopped(Exception):  # noqa: N818 (not an error: the person wanted it)
    """The person pressed Stop."""


_current = threading.local()


def check_stop() -> None:
    """Raise `Stopped` if the question that this thread works on was stopped."""
    stop: threading.Event | None = getattr(_current, "stop", None)
    if stop is not None and stop.is_set():
        raise Stopped


class Job(Generic[T]):
    """A piece of work that waits for the model or runs."""

    def __init__(self, future: "Future[T]", jobs: "list[Job[Any]]") -> None:
        self.future = future
        self._jobs = jobs

    @property
    def before(self) -> int:
        """How many jobs have to end before this one begins."""
        return self._jobs.index(self) if self in self._jobs else 0


class Worker:
    """Runs jobs one after the other in a thread of its own: models are not made to be asked by two threads at once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="geoagent-model")
        self._jobs: list[Job[Any]] = []

    def submit(self, work: Callable[[], T], stop: threading.Event) -> Job[T]:
        """Queue ``work``; it raises `Stopped` soon after ``stop`` is set."""
        future: Future[T] = Future()
        job = Job(future, self._jobs)
        self._jobs.append(job)
        self._pool.submit(self._run, job, work, stop)
        return job

    def _run(self, job: Job[T], work: Callable[[], T], stop: threading.Event) -> None:
        _current.stop = stop
        try:
            check_stop()
            with _stoppable_networks():
                result = work()
        except BaseException as error:
            job.future.set_exception(error)
        else:
            job.future.set_result(result)
        finally:
            _current.stop = None
            self._jobs.remove(job)


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
