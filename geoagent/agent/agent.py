"""The agent: a language model with our tools, on LangChain's own loop."""

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from langchain.agents import create_agent as create_langchain_agent
from langchain.agents.middleware import AgentMiddleware, ModelCallLimitMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite import SqliteSaver

from geoagent.agent.language_models import chat_model
from geoagent.agent.limits import TimeLimit, survive_tool_errors
from geoagent.agent.prompts import SYSTEM
from geoagent.agent.segmenter import LazySegmenter, Segmenter
from geoagent.agent.store import SceneStore
from geoagent.agent.tools import make_tools

MAX_STEPS = 30
MAX_SECONDS = 900.0


def create_agent(
    model: str | BaseChatModel,
    *,
    images: Sequence[str | Path] = (".",),
    store: SceneStore | None = None,
    segmenter: str | Segmenter = "nano",
    base_url: str | None = None,
    gsd_m: float | None = None,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    max_steps: int = MAX_STEPS,
    max_seconds: float = MAX_SECONDS,
    more_tools: Sequence[BaseTool] = (),
) -> Any:
    """An agent that sees, segments and measures: a compiled LangGraph graph, to be invoked or streamed.

    Args:
        model: The language model: a LangChain chat model, or a name, see `geoagent.agent.language_models.chat_model`.
        images: Images and folders of images that may be asked about.
        store: A workspace of its own for the conversation, instead of ``images`` and a temporary folder.
        segmenter: The segmentation model: a name for `geoagent.load`, or what it returns.
        base_url: Server of the language model, for those that speak OpenAI's protocol.
        gsd_m: Ground size of a pixel in metres for images that do not know theirs.
        checkpointer: Remembers conversations, see `conversations`; then give a ``thread_id`` with each question.
        max_steps: How often the language model is asked at most.
        max_seconds: How long a question may take.
        more_tools: Tools besides ours.
    """
    chosen = chat_model(model, base_url=base_url) if isinstance(model, str) else model
    workspace = store or SceneStore(tempfile.mkdtemp(prefix="geoagent-"), images)
    eyes = named_segmenter(segmenter) if isinstance(segmenter, str) else segmenter
    limits: list[AgentMiddleware[Any, Any, Any]] = [
        TimeLimit(max_seconds),
        ModelCallLimitMiddleware(run_limit=max_steps),
        survive_tool_errors(),
    ]
    return create_langchain_agent(
        chosen,
        [*make_tools(workspace, eyes, gsd_m=gsd_m), *more_tools],
        system_prompt=SYSTEM,
        middleware=limits,
        checkpointer=checkpointer,
        name="geoagent",
    )


def named_segmenter(name: str) -> Segmenter:
    """The segmentation model of a name, loaded when it is first needed."""

    def load() -> Segmenter:
        import geoagent

        return geoagent.load(name)

    return LazySegmenter(name, load)


@contextmanager
def conversations(path: str | Path) -> Iterator[SqliteSaver]:
    """Conversations that outlive the program, in one SQLite file."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, check_same_thread=False, timeout=30)) as connection:
        yield SqliteSaver(connection)
