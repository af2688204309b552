"""What keeps an agent from running for ever, and from stopping at the first mishap."""

import time
from typing import Annotated, Any, NotRequired

from langchain.agents.middleware import AgentMiddleware, AgentState, ToolErrorMiddleware
from langchain.agents.middleware.types import PrivateStateAttr, hook_config
from langchain_core.messages import AIMessage
from langgraph.channels.untracked_value import UntrackedValue

from geoagent.agent.answers import to_text


class TimedState(AgentState[Any]):
    """When this run began."""

    began: NotRequired[Annotated[float, UntrackedValue, PrivateStateAttr]]


class TimeLimit(AgentMiddleware[Any, Any, Any]):
    """Ends a run between two steps once it has taken too long, with a message that says so."""

    state_schema = TimedState

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def before_agent(self, state: dict[str, Any], runtime: Any) -> dict[str, Any]:
        """Start the clock."""
        return {"began": time.monotonic()}

    @hook_config(can_jump_to=["end"])
    def before_model(self, state: dict[str, Any], runtime: Any) -> dict[str, Any] | None:
        """Look at the clock."""
        if time.monotonic() - state.get("began", time.monotonic()) <= self.seconds:
            return None
        words = f"Stopped: the time limit of {self.seconds:g} s was reached before the question was answered."
        return {"jump_to": "end", "messages": [AIMessage(content=words)]}


def survive_tool_errors() -> ToolErrorMiddleware:
    """Any error inside a tool is told to the model; its words may name paths and stay here."""
    return ToolErrorMiddleware(
        lambda error, request: to_text(
            {"error": f"{request.tool_call['name']} failed ({type(error).__name__}): try other arguments"}
        )
    )
