"""An agent behind the page, driven by a scripted language model over the real tools."""

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from painted import TANKS, painted_scene

pytest.importorskip("langchain")

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from geoagent.app.asking import Stopped, Worker
from geoagent.app.conversation import Conversation
from geoagent.app.handlers import _messages
from geoagent.app.sessions import Sessions
from geoagent.app.wording import answer_html
from geoagent.types import Prompts
from tools.oracle import Oracle


class Scripted(BaseChatModel):
    """Segments the tanks, then says so."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools, **options):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **options):
        last = messages[-1]
        if isinstance(last, ToolMessage):
            seen = "storage tanks" in str(last.content)
            message = AIMessage("I see storage tanks beside the quay." if seen else "The tool did not help.")
        else:
            image = re.search(r"img_\w+", str(last.content))[0]
            call = {"name": "segment", "args": {"image_id": image, "text": "fuel"}, "id": f"call-{len(messages)}"}
            message = AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=message)])


class Streaming(Scripted):
    """The same, word by word."""

    def _stream(self, messages, stop=None, run_manager=None, **options):
        whole = self._generate(messages).generations[0].message
        calls = [
            {"name": call["name"], "args": json.dumps(call["args"]), "id": call["id"], "index": 0}
            for call in whole.tool_calls
        ]
        if calls:
            yield ChatGenerationChunk(message=AIMessageChunk("One moment.", tool_call_chunks=calls))
            return
        for word in re.findall(r"\S+\s*", whole.content):
            time.sleep(0.15)
            chunk = ChatGenerationChunk(message=AIMessageChunk(word))
            if run_manager:
                run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk


@pytest.fixture
def conversation(harbour_file: Path) -> Iterator[Conversation]:
    sessions = Sessions(Oracle({harbour_file: painted_scene()}), llm=Scripted())
    talk = sessions.of("me")
    talk.add_image(harbour_file)
    yield talk
    sessions.close()


def test_an_agent_answers_with_masks_and_cards(conversation: Conversation) -> None:
    progress = list(conversation.ask("How many tanks are there?", Prompts()))
    turn = conversation.turn
    assert turn.review.prediction.answer == "I see storage tanks beside the quay."
    (target,) = turn.review.result.targets
    assert len(target.instances) == len(TANKS)
    assert "ga-phrase" in answer_html(turn), "the phrase has its mask's colour"
    assert [step.name for step in turn.steps] == ["segment"] and turn.steps[0].seconds is not None
    assert progress
    cards = [m for m in _messages(conversation) if "metadata" in m]
    assert cards[0]["metadata"]["title"] == "segment" and "fuel" in cards[0]["content"]
    assert cards[0]["metadata"]["status"] == "done" and cards[0]["metadata"]["duration"] >= 0


def test_an_agents_words_come_one_by_one(harbour_file: Path) -> None:
    sessions = Sessions(Oracle({harbour_file: painted_scene()}), llm=Streaming())
    talk = sessions.of("me")
    talk.add_image(harbour_file)
    progress = list(talk.ask("How many tanks are there?", Prompts()))
    words = [p.words for p in progress if p.steps and p.steps[0].seconds is not None and p.words]
    assert len(set(words)) > 2 and words[0] != words[-1]
    assert talk.turn.review.prediction.answer == "I see storage tanks beside the quay."
    assert "One moment" not in "".join(words), "what is said before a tool call is no answer"
    sessions.close()


def test_stop_reaches_into_a_tool(harbour_file: Path) -> None:
    oracle = Oracle({harbour_file: painted_scene()}, seconds=60)
    sessions = Sessions(oracle, llm=Scripted())
    talk = sessions.of("me")
    talk.add_image(harbour_file)
    began = time.perf_counter()
    with pytest.raises(Stopped):
        for progress in talk.ask("How many tanks are there?", Prompts()):
            if progress.steps:
                talk.stop.set()
    sessions.worker.submit(lambda: None, threading.Event()).future.result(timeout=30)
    assert time.perf_counter() - began < 30, "the tool went on"
    sessions.close()


def test_the_agent_goes_on_with_the_conversation(conversation: Conversation) -> None:
    list(conversation.ask("How many tanks are there?", Prompts()))
    list(conversation.ask("And again?", Prompts()))
    assert len(conversation.turns) == 2 and len(conversation.review.result.targets) == 1


def test_pointing_goes_straight_to_the_model(conversation: Conversation) -> None:
    row, column, _ = TANKS[0]
    list(conversation.ask("this", Prompts(points=((column, row, True),))))
    assert not conversation.turn.steps and conversation.review.result.targets[0].phrase == "storage tank"


def test_without_an_agent_there_are_no_cards(harbour_file: Path) -> None:
    talk = Conversation(model=Oracle({harbour_file: painted_scene()}), worker=Worker())
    talk.add_image(harbour_file)
    list(talk.ask("Where is fuel kept?", Prompts()))
    assert not [m for m in _messages(talk) if "metadata" in m]
