"""The tools for LangChain and LangGraph.

The model gets one short JSON string; the program around it gets the artifact: the whole answer, and the paths of files.
"""

import base64
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from langgraph.config import get_stream_writer

from geoagent.agent.answers import to_text
from geoagent.agent.progress import Watcher, watched_by
from geoagent.agent.schema import arguments_of, description_of, repair_hint
from geoagent.agent.segmenter import Segmenter
from geoagent.agent.store import SceneStore
from geoagent.agent.toolbox import Outcome, Toolbox, guarded
from geoagent.types import GeoAgentError


def make_tools(store: SceneStore, model: Segmenter, *, gsd_m: float | None = None) -> list[BaseTool]:
    """The ten tools over the images of a workspace, for any LangChain agent.

    Args:
        store: Images and masks of the conversation.
        model: What segments: `geoagent.load(...)`, or anything that answers like it.
        gsd_m: Ground size of a pixel in metres for images that do not know theirs.
    """
    return [as_langchain(name, function) for name, function in Toolbox(store, model, gsd_m=gsd_m).functions.items()]


def as_langchain(name: str, function: Callable[..., Outcome]) -> BaseTool:
    """A method of the toolbox as a structured tool; what goes wrong is told to the model and never ends the run."""

    def call(**arguments: Any) -> tuple[Any, dict[str, Any]]:
        try:
            with _progress(name):
                outcome = guarded(name, function, arguments)
        except GeoAgentError as error:
            raise ToolException(str(error)) from error
        return _content(outcome), {"answer": outcome.answer, "files": [str(file.path) for file in outcome.files]}

    return StructuredTool.from_function(
        func=call,
        name=name,
        description=description_of(function),
        args_schema=arguments_of(name, function),
        response_format="content_and_artifact",
        handle_tool_error=lambda error: to_text({"error": str(error)[:600]}),
        handle_validation_error=lambda error: to_text({"error": repair_hint(name, function, error)}),
    )


def _progress(name: str) -> Any:
    """Progress goes to the stream writer of the graph, where the tool runs in one."""
    try:
        write = get_stream_writer()
    except (RuntimeError, KeyError):  # called outside of a graph
        return nullcontext()
    return watched_by(Watcher(lambda message: write({"tool": name, "progress": message})))


def _content(outcome: Outcome) -> Any:
    text = to_text(outcome.answer)
    if outcome.picture is None:
        return text
    picture = base64.b64encode(outcome.picture).decode()
    return [{"type": "text", "text": text}, {"type": "image", "base64": picture, "mime_type": "image/png"}]
