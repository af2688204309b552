"""An agent behind the page, driven by a scripted language model over the real tools."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from painted import TANKS, painted_scene

pytest.importorskip("langchain")

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from geoagent.app.asking import Worker
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
