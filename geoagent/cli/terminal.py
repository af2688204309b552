"""A conversation about images in the terminal."""

import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from geoagent import demo
from geoagent.cli.words import answer_lines
from geoagent.geo.opening import check_file
from geoagent.model.tokens import plain_answer
from geoagent.types import GeoAgentError

if TYPE_CHECKING:
    from geoagent.predictor import Predictor, SceneSession
    from geoagent.types import Prediction

HELP = """\
Write a question, or one of
  :image         list the images;  :image N  turn to another
  :save FILE     write the last answer (.png, .json, .geojson, .gpkg, .tif …)
  :help          this list
  :quit          leave (so does Ctrl-D)"""


@dataclass(frozen=True)
class TalkedAbout:
    """An image of the conversation."""

    path: Path
    what: str
    questions: tuple[str, ...] = ()


def choose_images(paths: Sequence[str]) -> list[TalkedAbout]:
    """The files named, or the bundled pictures."""
    if paths:
        return [TalkedAbout(check_file(path), Path(path).name) for path in paths]
    return [TalkedAbout(one.path, one.what, one.questions) for one in demo.DEMOS]


class Conversation:
    """Reads questions from standard input until it ends; each answer's picture is written to a temporary folder."""

    def __init__(self, predictor: "Predictor", images: Sequence[TalkedAbout]) -> None:
        self._predictor = predictor
        self._images = images
        self._scenes: dict[int, SceneSession] = {}
        self._current = 0
        self._last: Prediction | None = None
        self._answers = 0

    @cached_property
    def _pictures(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="geoagent-"))

    def run(self) -> int:
        """Talk until there is nothing more to read."""
        with suppress(ImportError):
            import readline  # noqa: F401 (arrow keys and a history in `input`; not on every system)
        print(f"geoagent with {self._predictor.name}. {HELP}\n")
        self._introduce()
        while (line := _read_line()) is not None:
            if line in (":quit", ":q", "exit", "quit"):
                break
            try:
                self._respond(line)
            except (GeoAgentError, OSError) as error:
                print(f"  {error}")
        return 0

    def _respond(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if not line:
            return
        if word == ":help":
            print(HELP)
        elif word == ":image":
            self._turn_to(rest.strip())
        elif word == ":save":
            self._save(rest.strip())
        elif word.startswith(":"):
            print(f"  {word} is not known; :help lists what is")
        else:
            self._ask(line)

    def _ask(self, question: str) -> None:
        if self._current not in self._scenes:
            self._scenes[self._current] = self._predictor.open(self._images[self._current].path)
        aloud = _Aloud()
        prediction = self._scenes[self._current].ask(question, tell=aloud.hear)
        aloud.finish(prediction.answer)
        self._last = prediction
        self._answers += 1
        picture = prediction.save(self._pictures / f"answer-{self._answers}.png")
        for line in answer_lines({**prediction.to_json(), "answer": ""}):
            print(f"  {line}".rstrip())
        for warning in prediction.warnings:
            print(f"  note: {warning}", file=sys.stderr)
        print(f"  {prediction.seconds:.1f} s, picture: {picture}\n")

    def _save(self, name: str) -> None:
        if self._last is None:
            raise GeoAgentError("nothing was asked yet")
        if not name:
            raise GeoAgentError(":save needs a file name, such as :save answer.geojson")
        print(f"  wrote {self._last.save(name)}")

    def _turn_to(self, choice: str) -> None:
        if not choice:
            for number, image in enumerate(self._images, start=1):
                print(f"  {number}  {image.what}")
            return
        if not choice.isdigit() or not 1 <= int(choice) <= len(self._images):
            raise GeoAgentError(f"there is no image {choice}: choose 1 to {len(self._images)}")
        self._current = int(choice) - 1
        self._introduce()

    def _introduce(self) -> None:
        image = self._images[self._current]
        print(f"Image {self._current + 1} of {len(self._images)}: {image.what} ({image.path})")
        if image.questions:
            print("Try: " + "  ".join(f'"{question}"' for question in image.questions[:3]))


class _Aloud:
    """Prints an answer while it is written."""

    def __init__(self) -> None:
        self._said = ""

    def hear(self, marked: str) -> None:
        """Print what is new in the answer so far."""
        self._go_on(plain_answer(marked))

    def finish(self, answer: str) -> None:
        """Print the rest of the answer."""
        self._go_on(answer)
        if self._said:
            print()

    def _go_on(self, words: str) -> None:
        if words.startswith(self._said):
            indent = "  " if words and not self._said else ""
            print(indent + words[len(self._said) :], end="", flush=True)
            self._said = words


def _read_line() -> str | None:
    """What is typed next, None at the end."""
    try:
        line = input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None
    if not sys.stdin.isatty():
        print(f"> {line}")  # a script's output should read like a conversation
    return line
