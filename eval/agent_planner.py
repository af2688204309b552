"""A chat model that knows the right calls: what is then wrong in its answer is the fault of the tools.

A plan is a generator: it yields calls, gets their answers, and returns the final words.

    def plan():
        listed = yield Call("list_images")
        found = yield Call("segment", image_id=listed["images"][0]["image_id"], text="ships")
        return f"There are {found['found'][0]['objects']} ships."
"""

import json
from collections.abc import Callable, Generator, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import PrivateAttr


class Call:
    """A tool with its arguments."""

    def __init__(self, tool: str, /, **arguments: Any) -> None:
        self.tool = tool
        self.arguments = arguments


Plan = Generator[Call, dict[str, Any], str]


class ScriptedPlanner(BaseChatModel):
    """Follows a plan, one call a turn."""

    _plan: Plan = PrivateAttr()
    _calls: int = PrivateAttr(default=0)

    @classmethod
    def of(cls, plan: Plan) -> "ScriptedPlanner":
        """A model for one question."""
        planner = cls()
        planner._plan = plan
        return planner

    @property
    def _llm_type(self) -> str:
        return "scripted-planner"

    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool], **options: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The plan knows the tools already."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> ChatResult:
        last = messages[-1]
        try:
            call = self._plan.send(answer_of(last)) if isinstance(last, ToolMessage) else next(self._plan)
        except StopIteration as end:
            return ChatResult(generations=[ChatGeneration(message=AIMessage(content=str(end.value)))])
        self._calls += 1
        request = {"name": call.tool, "args": call.arguments, "id": f"call_{self._calls}", "type": "tool_call"}
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content="", tool_calls=[request]))])


def answer_of(message: ToolMessage) -> dict[str, Any]:
    """The answer of a tool, or its error under ``error``."""
    content = message.content if isinstance(message.content, str) else str(message.text)
    try:
        answer = json.loads(content)
    except ValueError:
        return {"error": content}
    return answer if isinstance(answer, dict) else {"error": content}
