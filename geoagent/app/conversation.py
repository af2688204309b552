"""One person's conversation: their images, what was asked, what was answered, what they decided. No Gradio here."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from geoagent.app.asking import Agent, Asker, Scene, Stopped, ToolStep, Worker
from geoagent.app.followup import answer_from_objects
from geoagent.app.review import ObjectKey, Review
from geoagent.geo.opening import check_file
from geoagent.geo.raster import Raster, read_image
from geoagent.geo.raster import Scene as OpenImage
from geoagent.types import GeoAgentError, Prediction, Prompts

T = TypeVar("T")

MAX_PIXELS = 64_000_000
"""Largest picture the page opens whole: 8,000 x 8,000."""
MAX_IMAGES = 12
"""Images one conversation keeps open; the oldest goes first."""
SUFFIXES = (".tif", ".tiff", ".jpg", ".jpeg", ".png", ".jp2", ".webp")
_PATIENCE = 0.2


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A question with its answer."""

    question: str
    prompts: Prompts
    image: int
    review: Review
    from_objects: bool = False
    """Answered from the objects found before, without the model."""
    steps: tuple[ToolStep, ...] = ()
    """Tool calls of an agent."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What is going on while a person waits."""

    stage: str
    seconds: float
    steps: tuple[ToolStep, ...] = ()


@dataclass
class TalkedAbout:
    """An image of the conversation; encoded when it is first asked about."""

    name: str
    path: Path
    scene: Scene | None = None


@dataclass
class Conversation:
    """What the page shows to one person."""

    model: Asker
    worker: Worker
    images: list[TalkedAbout] = field(default_factory=list)
    current: int = -1
    turns: list[Turn] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    used: float = field(default_factory=time.monotonic)
    agent: Agent | None = None
    """Answers questions in several steps; None: the model answers alone."""
    shown: TalkedAbout | None = None
    """The image whose picture the browser has."""
    _history: list[Review] = field(default_factory=list)
    _folder: Path | None = None

    # ------------------------------------------------------------------------------------------------ images

    @property
    def image(self) -> TalkedAbout:
        """The image in view."""
        if not self.images:
            raise GeoAgentError("there is no image yet: add one with the clip, or take an example")
        return self.images[self.current]

    def add_image(self, path: str | Path, name: str | None = None) -> None:
        """Turn to an image, new or known; it is checked now and encoded when first asked about."""
        file = check_file(path)
        for number, known in enumerate(self.images):
            if known.path == file:
                self.turn_to(number)
                return
        label = name or file.name
        if file.suffix.lower() not in SUFFIXES:
            raise GeoAgentError(f"{label!r} is no image: use a GeoTIFF, JPEG, PNG, JP2 or WebP file")
        try:
            with OpenImage(file) as opened:
                width, height = opened.info.width, opened.info.height
        except GeoAgentError as error:
            raise GeoAgentError(str(error).replace(str(file), label)) from error
        if width * height > MAX_PIXELS:
            raise GeoAgentError(
                f"{label!r} is {width} x {height} pixels, more than this page opens at once: cut out a part first"
            )
        self.images.append(TalkedAbout(label, file))
        self.turn_to(len(self.images) - 1)
        if len(self.images) > MAX_IMAGES:
            self._forget_first()

    def turn_to(self, number: int) -> None:
        """Show another image."""
        if not 0 <= number < len(self.images):
            raise GeoAgentError(f"there is no image {number + 1}")
        self.current = number
        self._history.clear()

    def read(self, number: int) -> Raster:
        """An image's pixels, without the model."""
        about = self.images[number]
        return about.scene.raster if about.scene is not None else read_image(about.path)

    def _forget_first(self) -> None:
        self.images.pop(0)
        self.current -= 1
        self.turns = [replace(turn, image=turn.image - 1) for turn in self.turns if turn.image > 0]

    # ------------------------------------------------------------------------------------------------ asking

    def open_current(self) -> Generator[Progress, None, None]:
        """Encode the image in view, if it was not yet."""
        about = self.image
        if about.scene is None:
            about.scene = yield from self._wait(lambda: self.model.open(about.path), "Reading the image")

    def ask(self, question: str, prompts: Prompts) -> Generator[Progress, None, None]:
        """Ask about the image in view; yields until the answer is the last of `turns`."""
        question = question.strip()
        if not question and not prompts:
            raise GeoAgentError("nothing was asked: write a question, or point at something in the image")
        if self.agent is not None and not prompts:
            yield from self._ask_agent(self.agent, question)
            return
        number, earlier = self.current, self.review
        began = time.perf_counter()
        answer = None
        if earlier is not None and not prompts:
            answer = answer_from_objects(question, earlier.result)
        if answer is not None:
            answer = replace(answer, seconds=time.perf_counter() - began)
            self._add(
                Turn(question=question, prompts=prompts, image=number, review=Review.of(answer), from_objects=True)
            )
            return
        yield from self.open_current()
        scene = self.image.scene
        assert scene is not None
        info = scene.raster.info
        prompts.check_inside(info.width, info.height)
        prediction: Prediction = yield from self._wait(lambda: scene.ask(question, prompts=prompts), "Looking")
        self._add(Turn(question=question, prompts=prompts, image=number, review=Review.of(prediction)))

    def _ask_agent(self, agent: Agent, question: str) -> Generator[Progress, None, None]:
        number = self.current
        yield from self.open_current()
        scene = self.image.scene
        assert scene is not None
        told: list[tuple[ToolStep, ...]] = [()]
        images = [about.path for about in self.images]
        work = self._wait(lambda: agent.ask(question, images, scene.raster, told.append), "Thinking")
        prediction, steps = yield from _with_steps(work, told)
        review = Review.of(prediction)
        self._add(Turn(question=question, prompts=Prompts(), image=number, review=review, steps=steps))

    def _wait(self, work: Callable[[], T], stage: str) -> Generator[Progress, None, T]:
        self.stop = threading.Event()
        job = self.worker.submit(work, self.stop)
        began = time.perf_counter()
        while not job.future.done():
            if self.stop.is_set():
                raise Stopped
            before = job.before
            waiting = f"Waiting: {before} before you" if before else stage
            yield Progress(stage=waiting, seconds=time.perf_counter() - began)
            wait([job.future], _PATIENCE)
        return job.future.result()

    def _add(self, turn: Turn) -> None:
        self.turns.append(turn)
        self._history.clear()

    # ------------------------------------------------------------------------------------------------ deciding

    @property
    def turn(self) -> Turn | None:
        """The last answer about the image in view."""
        return next((turn for turn in reversed(self.turns) if turn.image == self.current), None)

    @property
    def review(self) -> Review | None:
        """What the person decided about it."""
        return self.turn.review if self.turn else None

    @property
    def can_undo(self) -> bool:
        """Whether a decision can be taken back."""
        return bool(self._history)

    def filter(self, threshold: float) -> None:
        """Let only what scores at least this much count; nothing is run."""
        if self.review is not None:
            self._decide(replace(self.review, threshold=threshold))

    def toggle(self, key: ObjectKey) -> None:
        """Reject an object, or accept it again."""
        if self.review is not None:
            self._decide(self.review.toggled(key))

    def undo(self) -> None:
        """Take the last decision back."""
        if self._history:
            self._replace_review(self._history.pop())

    def clear(self) -> None:
        """Forget questions and answers; the images stay."""
        self.turns.clear()
        self._history.clear()

    def _decide(self, review: Review) -> None:
        assert self.review is not None
        if review != self.review:
            self._history.append(self.review)
            self._replace_review(review)

    def _replace_review(self, review: Review) -> None:
        turn = self.turn
        assert turn is not None
        self.turns[self.turns.index(turn)] = replace(turn, review=review)

    # ------------------------------------------------------------------------------------------------ files

    @property
    def folder(self) -> Path:
        """Where this conversation's downloads are written."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="geoagent-chat-"))
        return self._folder

    def close(self) -> None:
        """Stop, and remove what was written."""
        self.stop.set()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _with_steps(work: Generator[Progress, None, T], told: list[tuple[ToolStep, ...]]) -> Generator[Progress, None, T]:
    """The progress of ``work``, each time with the last that was told of its steps."""
    while True:
        try:
            progress = next(work)
        except StopIteration as end:
            return end.value
        yield replace(progress, steps=told[-1])
