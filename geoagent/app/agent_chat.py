"""An agent in the chat: a language model that calls tools; each call is told, its masks are shown as an answer."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver

from geoagent.agent.agent import create_agent
from geoagent.agent.answers import quoted
from geoagent.agent.masks import StoredMask
from geoagent.agent.segmenter import Segmenter
from geoagent.agent.store import SceneStore
from geoagent.app.asking import News, ToolStep, check_stop
from geoagent.geo.raster import Raster
from geoagent.model.tokens import mark_free
from geoagent.types import ImageInfo, Prediction, Target

_RESULT = 1500


@dataclass(frozen=True)
class _Calls:
    """The tool calls of a question, in the order of their beginning."""

    steps: dict[str, ToolStep]
    begun: dict[str, float]

    def take(self, message: BaseMessage) -> None:
        if isinstance(message, AIMessage):
            for call in message.tool_calls:
                self.steps[str(call["id"])] = ToolStep(name=call["name"], arguments=call["args"])
                self.begun[str(call["id"])] = time.perf_counter()
        elif isinstance(message, ToolMessage) and message.tool_call_id in self.steps:
            seconds = time.perf_counter() - self.begun[message.tool_call_id]
            step = self.steps[message.tool_call_id]
            self.steps[message.tool_call_id] = replace(step, seconds=seconds, result=str(message.text)[:_RESULT])


class AgentTalk:
    """One person's agent: its workspace, and what it remembers of the conversation.

    Args:
        llm: The language model.
        segmenter: What finds things in images.
        folder: Where its workspace may lie.
    """

    def __init__(self, llm: BaseChatModel, segmenter: Segmenter, folder: Path) -> None:
        self._llm = llm
        self._segmenter = segmenter
        self._folder = folder
        self._memory = InMemorySaver()
        self._images: tuple[Path, ...] = ()
        self._store: SceneStore | None = None
        self._graph: Any = None

    def ask(self, question: str, images: Sequence[Path], raster: Raster, news: News) -> Prediction:
        """Answer about ``images``; the masks that lie on the one in view (``raster``) are the answer's targets."""
        began = time.perf_counter()
        store = self._workspace(tuple(images))
        known = set(store.mask_ids())
        calls = _Calls({}, {})
        for message in self._messages(_with_images(question, store)):
            check_stop()
            if isinstance(message, AIMessageChunk):
                news.words = mark_free(news.words + str(message.text))
                continue
            calls.take(message)
            news.steps = tuple(calls.steps.values())
            if isinstance(message, AIMessage):  # what it says before a tool call is no answer yet
                news.words = "" if message.tool_calls else mark_free(str(message.text))
        words = news.words
        masks = [store.mask(name) for name in store.mask_ids() if name not in known]
        shown = Path(raster.info.path or "").resolve()
        here = [mask for mask in masks if store.image_path(mask.image_id) == shown]
        targets, marked = _marked(words, [_in_image(mask, raster.info) for mask in here])
        return Prediction(
            answer=words,
            marked_answer=marked,
            candidates=targets,
            image=raster.info,
            instruction=question,
            model=self._segmenter.name,
            threshold=0.0,
            seconds=time.perf_counter() - began,
            pixels=raster.pixels,
            valid=raster.valid,
        )

    def _workspace(self, images: tuple[Path, ...]) -> SceneStore:
        if self._store is None or images != self._images:
            self._images = images
            self._store = SceneStore(self._folder / "agent", images)
            self._graph = create_agent(
                self._llm, store=self._store, segmenter=self._segmenter, checkpointer=self._memory
            )
        return self._store

    def _messages(self, question: str) -> Iterator[BaseMessage]:
        """What the language model says, chunk by chunk, and every whole message."""
        config = {"configurable": {"thread_id": "chat"}}
        asked = {"messages": [("user", question)]}
        for mode, update in self._graph.stream(asked, config, stream_mode=["updates", "messages"]):
            if mode == "messages":
                if isinstance(update[0], AIMessageChunk):
                    yield update[0]
                continue
            for node in update.values():
                yield from (node or {}).get("messages", [])


def _with_images(question: str, store: SceneStore) -> str:
    images = ", ".join(f"{image_id} (file {quoted(name)})" for image_id, name in store.images())
    return f"{question}\n\nImages: {images}"


def _in_image(stored: StoredMask, info: ImageInfo) -> Target:
    """A target of a window on the whole image."""
    x0, y0, x1, y1 = stored.window
    mask = np.zeros(info.size, dtype=np.bool_)
    if stored.target.mask.shape == (y1 - y0, x1 - x0):
        mask[y0:y1, x0:x1] = stored.target.mask
        instances = tuple(replace(stored.in_image(one), image_size=info.size) for one in stored.target.instances)
        return replace(stored.target, mask=mask, instances=instances, coarse=None)
    return replace(stored.target, mask=mask, instances=(), coarse=None)  # a reduced view: not on this grid


def _marked(words: str, targets: Sequence[Target]) -> tuple[tuple[Target, ...], str]:
    """The targets in the order in which the answer names them, and the answer with its phrases marked."""
    lower = words.lower()
    named: list[Target] = []
    unnamed: list[Target] = []
    marked, at = "", 0
    for target in sorted(targets, key=lambda t: lower.find(t.phrase.lower())):
        place = lower.find(target.phrase.lower(), at)
        if place < 0:
            unnamed.append(target)
            continue
        named.append(target)
        end = place + len(target.phrase)
        marked += f"{words[at:place]}<p>{words[place:end]}</p><seg>"
        at = end
    return (*named, *unnamed), marked + words[at:]
