"""One person's conversation: their images, what was asked, what was answered, what they decided. No Gradio here."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from geoagent.app.asking import Agent, Asker, Job, News, Scene, Stopped, ToolStep, Worker
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
_PATIENCE = 0.1
_HEARTBEAT = 0.5
"""Seconds after which a person is told that the work goes on, though nothing is new."""


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
    words: str = ""
    """The answer so far, marks included."""
    steps: tuple[ToolStep, ...] = ()


@dataclass
class TalkedAbout:
    """An image of the conversation; read when it is first shown, encoded when it is first asked about."""

    name: str
    path: Path
    source: Path | None = None
    """What it was uploaded as; None: not an upload."""
    raster: Raster | None = None
    scene: Scene | None = None

    def read(self) -> Raster:
        """Its pixels; read once."""
        if self.raster is None:
            self.raster = read_image(self.path)
        return self.raster


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

    def add_image(self, path: str | Path, *, upload: bool = False) -> None:
        """Turn to an image, new or known; it is checked now and encoded when first asked about.

        An ``upload`` moves into the folder of this conversation, and goes with it.
        """
        file = check_file(path)
        for number, known in enumerate(self.images):
            if file in (known.path, known.source):
                if upload:
                    file.unlink(missing_ok=True)
                self.turn_to(number)
                return
        if file.suffix.lower() not in SUFFIXES:
            raise GeoAgentError(f"{file.name!r} is no image: use a GeoTIFF, JPEG, PNG, JP2 or WebP file")
        kept = self._take_in(file) if upload else file
        about = TalkedAbout(file.name, kept, source=file if upload else None)
        try:
            _check_pixels(kept)
            about.read()
        except GeoAgentError as error:
            _remove_upload(about)
            raise GeoAgentError(str(error).replace(str(kept), file.name)) from error
        self.images.append(about)
        self.turn_to(len(self.images) - 1)
        if len(self.images) > MAX_IMAGES:
            self._forget_first()

    def turn_to(self, number: int) -> None:
        """Show another image."""
        if not 0 <= number < len(self.images):
            raise GeoAgentError(f"there is no image {number + 1}")
        self.current = number
        self._history.clear()

    def _take_in(self, upload: Path) -> Path:
        """Move an upload to where only this conversation looks, under its own name."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        return Path(shutil.move(upload, folder / upload.name))

    def _forget_first(self) -> None:
        _remove_upload(self.images.pop(0))
        self.current -= 1
        self.turns = [replace(turn, image=turn.image - 1) for turn in self.turns if turn.image > 0]

    # ------------------------------------------------------------------------------------------------ asking

    def load_model(self) -> Generator[Progress, None, None]:
        """Wait for the model, where it is still being loaded."""
        if not self.model.ready:
            yield from self._wait(lambda: None, "")

    def open_current(self) -> Generator[Progress, None, Scene]:
        """Encode the image in view, if it was not yet."""
        about = self.image
        raster = about.read()
        if about.scene is None:
            about.scene = yield from self._wait(lambda: self.model.open(raster), "Reading the image")
        return about.scene

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
        info = self.image.read().info
        prompts.check_inside(info.width, info.height)
        scene = yield from self.open_current()
        news = News()
        prediction: Prediction = yield from self._wait(
            lambda: scene.ask(question, prompts=prompts, tell=news.hear), "Looking", news
        )
        self._add(Turn(question=question, prompts=prompts, image=number, review=Review.of(prediction)))

    def _ask_agent(self, agent: Agent, question: str) -> Generator[Progress, None, None]:
        number = self.current
        raster = self.image.read()
        images = [about.path for about in self.images]
        news = News()
        prediction: Prediction = yield from self._wait(
            lambda: agent.ask(question, images, raster, news), "Thinking", news
        )
        review = Review.of(prediction)
        self._add(Turn(question=question, prompts=Prompts(), image=number, review=review, steps=news.steps))

    def _wait(self, work: Callable[[], T], stage: str, news: News | None = None) -> Generator[Progress, None, T]:
        """Queue ``work`` and tell how it goes: each time there is news, and now and then without."""
        self.stop = threading.Event()
        job = self.worker.submit(work, self.stop)
        heard = news or News()
        began = time.perf_counter()
        last: Progress | None = None
        while not job.future.done():
            if self.stop.is_set():
                raise Stopped
            now = Progress(
                stage=self._stage(job, "Answering" if heard.words else stage),
                seconds=time.perf_counter() - began,
                words=heard.words,
                steps=heard.steps,
            )
            if last is None or _news(last, now):
                yield now
                last = now
            wait([job.future], _PATIENCE)
        return job.future.result()

    def _stage(self, job: Job[Any], stage: str) -> str:
        if not self.model.ready:
            return "Loading the model"
        if not job.before:
            return stage
        about = f", about {job.wait:.0f} s" if job.wait is not None and job.wait >= 1 else ""
        return f"Waiting: {job.before} before you{about}"

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


def _check_pixels(path: Path) -> None:
    with OpenImage(path) as opened:
        width, height = opened.info.width, opened.info.height
    if width * height > MAX_PIXELS:
        raise GeoAgentError(
            f"{str(path)!r} is {width} x {height} pixels, more than this page opens at once: cut out a part first"
        )


def _remove_upload(about: TalkedAbout) -> None:
    if about.source is not None:
        shutil.rmtree(about.path.parent, ignore_errors=True)


def _news(last: Progress, now: Progress) -> bool:
    """Whether a person should be told again."""
    if now.seconds - last.seconds >= _HEARTBEAT:
        return True
    return (last.stage, last.words, last.steps) != (now.stage, now.words, now.steps)
