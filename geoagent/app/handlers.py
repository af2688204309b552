"""What happens on the page: each handler does one thing to a conversation and says what to show anew."""

import html
import json
import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from geoagent.app.asking import Stopped, ToolStep
from geoagent.app.comparison import comparison_json
from geoagent.app.conversation import Conversation, Progress
from geoagent.app.downloads import as_command, as_python, write_download
from geoagent.app.examples import Example
from geoagent.app.pictures import picture_json
from geoagent.app.scene_view import answer_json
from geoagent.app.sessions import Sessions
from geoagent.app.wording import answer_html, question_text, step_html, words_html
from geoagent.types import GeoAgentError, Prompts

Updates = tuple[Any, ...]
_STAY = gr.skip()
_MAX_QUESTION = 4000


class Handlers:
    """The functions behind the page, for all who use it; `gr.Request` says who it is."""

    def __init__(self, sessions: Sessions, examples: tuple[Example, ...]) -> None:
        self._sessions = sessions
        self._examples = examples

    # ------------------------------------------------------------------------------------------------ coming and going

    def arrive(self, request: gr.Request) -> Generator[Updates, None, None]:
        """Show what the command line named; without it, wait for the model and a question."""
        conversation = self._of(request)
        if conversation.images:
            yield from self._showing(conversation, conversation.open_current())
        elif conversation.model.ready:
            yield self._asking(conversation)
        else:
            yield from self._showing(conversation, conversation.load_model())

    def leave(self, request: gr.Request) -> None:
        """Remove what a closed page leaves behind."""
        self._sessions.end(str(request.session_hash))

    # ------------------------------------------------------------------------------------------------ asking

    def ask(self, message: dict[str, Any], drawn: str, request: gr.Request) -> Generator[Updates, None, None]:
        """Take in new images, then ask."""
        conversation = self._of(request)
        files, question = message.get("files") or [], str(message.get("text") or "")[:_MAX_QUESTION]
        try:
            for file in files:
                conversation.add_image(file, upload=True)
            prompts = _prompts(drawn if not files else "")
            work = conversation.ask(question, prompts) if question.strip() or prompts else conversation.open_current()
        except GeoAgentError as error:
            yield self._asking(conversation, note=_error(error), again=question)
            return
        asked = question_text(question, prompts) if question or prompts else None
        yield from self._showing(conversation, work, asked=asked, question=question)

    def example(self, event: gr.EventData, request: gr.Request) -> Generator[Updates, None, None]:
        """Ask the question of an example card about its picture."""
        conversation = self._of(request)
        example = self._examples[int(event.number) % len(self._examples)]
        try:
            conversation.add_image(example.demo.path)
        except GeoAgentError as error:
            yield self._asking(conversation, note=_error(error))
            return
        prompts = Prompts()
        if example.point:
            info = conversation.image.read().info
            prompts = Prompts(points=((info.width / 2, info.height / 2, True),))
        asked = question_text(example.question, prompts)
        yield from self._showing(conversation, conversation.ask(example.question, prompts), asked=asked)

    def stop(self, request: gr.Request) -> str:
        """Stop what is running."""
        self._of(request).stop.set()
        return _note("Stopping …")

    def turn(self, event: gr.EventData, request: gr.Request) -> Generator[Updates, None, None]:
        """Look at another image of the conversation."""
        conversation = self._of(request)
        try:
            conversation.turn_to(int(event.index))
        except GeoAgentError as error:
            yield self._asking(conversation, note=_error(error))
            return
        yield from self._showing(conversation, conversation.open_current())

    def compare(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Send a second image for the swipe."""
        conversation = self._of(request)
        number = int(event.index)
        if not 0 <= number < len(conversation.images):
            return _STAY, _error(GeoAgentError(f"there is no image {number + 1}"))
        try:
            other = comparison_json(conversation, number)
        except GeoAgentError as error:
            return _STAY, _error(error)
        return gr.HTML(other=other), ""

    # ------------------------------------------------------------------------------------------------ deciding

    def filter(self, threshold: float, request: gr.Request) -> Updates:
        """Filter by score."""
        conversation = self._of(request)
        conversation.filter(float(threshold))
        return *self._answer(conversation), ""

    def decide(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Reject an object, or accept it again."""
        conversation = self._of(request)
        place, number = event.key
        conversation.toggle((int(place), int(number)))
        return *self._answer(conversation), ""

    def undo(self, request: gr.Request) -> Updates:
        """Take the last decision back."""
        conversation = self._of(request)
        conversation.undo()
        return *self._answer(conversation), ""

    def clear(self, request: gr.Request) -> Updates:
        """Begin anew with the same images."""
        conversation = self._of(request)
        conversation.clear()
        return *self._answer(conversation), ""

    # ------------------------------------------------------------------------------------------------ taking away

    def download(self, label: str) -> Callable[[gr.Request], Updates]:
        """Write the answer in a format."""

        def write(request: gr.Request) -> Updates:
            with _one_sentence():
                return gr.DownloadButton(value=str(write_download(self._of(request), label))), ""

        return write

    def copy(self, label: str) -> Callable[[gr.Request], Updates]:
        """Show the question as Python or as a command, and put it on the clipboard."""

        def show(request: gr.Request) -> Updates:
            with _one_sentence():
                python = "Python" in label
                text = (as_python if python else as_command)(self._of(request))
                return gr.Code(value=text, visible=True, language="python" if python else "shell"), _note("Copied.")

        return show

    # ------------------------------------------------------------------------------------------------ showing

    def _of(self, request: gr.Request) -> Conversation:
        return self._sessions.of(str(request.session_hash))

    def _showing(
        self, conversation: Conversation, work: Iterator[Progress], asked: str | None = None, question: str = ""
    ) -> Generator[Updates, None, None]:
        """Run ``work`` and tell how it goes: question and picture at once, then stages and words, then the answer.

        The model begins before the page is told, so that the two do not wait for each other. What came to nothing can
        be asked again: ``question`` is then back in the box.
        """
        messages = [*_messages(conversation), *([] if asked is None else [_said("user", asked)])]
        note = ""
        try:
            first = next(work, Progress(stage="One moment", seconds=0))
            yield self._waiting(conversation, messages, first)
            for progress in work:
                yield (_STAY, _so_far(messages, progress), _STAY, _STAY, _progress(progress), *(_STAY,) * 3)
        except Stopped:
            note = _note("Stopped. Nothing was kept of this question.")
        except GeoAgentError as error:
            note = _error(error)
        except Exception as error:  # out of memory, or a mistake of ours: the page must not wait for ever
            logging.getLogger(__name__).exception("an answer failed")
            note = _error(_failure(error))
        yield self._asking(conversation, note=note, again=question if note else None)

    def _waiting(self, conversation: Conversation, messages: list[dict[str, Any]], first: Progress) -> Updates:
        """The question is taken in: the box is empty again, Stop is there, the examples make room."""
        box = gr.MultimodalTextbox(value={"text": "", "files": []})
        new = bool(conversation.images) and conversation.shown is not conversation.image
        view = self._view(conversation) if new else _STAY
        examples = gr.Accordion(open=False) if conversation.images else _STAY
        return view, messages, _STAY, _STAY, _progress(first), gr.Button(visible=True), box, examples

    def _asking(self, conversation: Conversation, note: str = "", again: str | None = None) -> Updates:
        box = _STAY if again is None else gr.MultimodalTextbox(value={"text": again, "files": []})
        return *self._answer(conversation), note, gr.Button(visible=False), box, _STAY

    def _answer(self, conversation: Conversation) -> Updates:
        """The view, the chat, the slider and the undo button as they now are."""
        review = conversation.review
        score = gr.Slider(value=review.threshold) if review is not None else _STAY
        undo = gr.Button(interactive=conversation.can_undo)
        return self._view(conversation), _messages(conversation), score, undo

    def _view(self, conversation: Conversation) -> Any:
        """What the view draws; an image's picture is sent once."""
        props: dict[str, Any] = {}
        try:
            if conversation.images and conversation.shown is not conversation.image:
                about = conversation.image
                props["picture"] = picture_json(about.name, about.read().pixels)
                conversation.shown = about
            return gr.HTML(value=answer_json(conversation), **props)
        except GeoAgentError:  # an image of the command line that cannot be read: the question said so
            return _STAY


def _so_far(messages: list[dict[str, Any]], progress: Progress) -> Any:
    """The chat while an answer is made: tool calls and words as they come."""
    if not progress.steps and not progress.words:
        return _STAY
    words = [_said("assistant", words_html(progress.words))] if progress.words else []
    return [*messages, *_cards(progress.steps), *words]


def _messages(conversation: Conversation) -> list[dict[str, Any]]:
    messages = []
    for turn in conversation.turns:
        messages.append(_said("user", question_text(turn.question, turn.prompts)))
        messages += _cards(turn.steps)
        messages.append(_said("assistant", answer_html(turn)))
    return messages


def _cards(steps: tuple[ToolStep, ...]) -> list[dict[str, Any]]:
    """Each tool call as a card that opens: its name, arguments, seconds and result."""
    cards = []
    for step in steps:
        about: dict[str, Any] = {"title": step.name, "status": "pending" if step.seconds is None else "done"}
        if step.seconds is not None:
            about["duration"] = round(step.seconds, 2)
        cards.append({**_said("assistant", step_html(step)), "metadata": about})
    return cards


def _said(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


def _prompts(drawn: str) -> Prompts:
    """What was drawn in the browser, checked: it comes from outside."""
    if not drawn:
        return Prompts()
    try:
        sent = json.loads(drawn)
        return Prompts(
            points=tuple((float(x), float(y), bool(positive)) for x, y, positive in sent["points"][:200]),
            boxes=tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in sent["boxes"][:50]),
            scribbles=tuple(tuple((float(x), float(y)) for x, y in line[:2000]) for line in sent["scribbles"][:50]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise GeoAgentError("what was drawn could not be read: remove it and draw again") from error


def _progress(progress: Progress) -> str:
    seconds = f" · {progress.seconds:.0f} s" if progress.seconds >= 1 else ""
    return f'<span class="ga-wait">{html.escape(progress.stage)} …{seconds}</span>'


def _note(text: str) -> str:
    return f"<span>{html.escape(text)}</span>"


def _error(error: Exception) -> str:
    text = str(error)
    return f'<span class="ga-error" role="alert">{html.escape(text[:1].upper() + text[1:])}.</span>'


def _failure(error: Exception) -> GeoAgentError:
    """One sentence about what should not have happened; torch tells in a `RuntimeError` when memory runs out."""
    if isinstance(error, RuntimeError) and str(error):
        return GeoAgentError(f"the model failed ({str(error).splitlines()[0][:120]}): try a smaller image")
    return GeoAgentError(f"this went wrong inside ({type(error).__name__}): the server's log says more")


@contextmanager
def _one_sentence() -> Iterator[None]:
    """An error as a message of the page."""
    try:
        yield
    except GeoAgentError as error:
        raise gr.Error(str(error), duration=8, print_exception=False) from error
