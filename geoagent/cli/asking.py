"""Running the agent for ``geoagent ask``: its steps, its words, and the files it made."""

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from geoagent.agent.agent import conversations, create_agent
from geoagent.agent.answers import quoted
from geoagent.agent.language_models import chat_model
from geoagent.agent.store import SceneStore
from geoagent.cli.loading import lazy_model
from geoagent.types import GeoAgentError

_SHOWN = 400


def ask_agent(args: argparse.Namespace) -> int:
    """Ask, print the answer, and copy what was rendered or exported to ``--output``."""
    if not args.output.is_dir():
        raise GeoAgentError(f"the folder {str(args.output)!r} does not exist: create it first")
    llm = chat_model(args.llm, base_url=args.llm_url)
    with ExitStack() as stack:
        config: dict[str, Any] = {}
        memory = None
        if args.thread is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="geoagent-")))
        else:
            folder = args.home / "threads" / _folder_name(args.thread)
            memory = stack.enter_context(conversations(args.home / "conversations.sqlite"))
            config = {"configurable": {"thread_id": args.thread}}
        store = SceneStore(folder, args.images)
        before = {file.id for file in store.files()}
        agent = create_agent(
            llm,
            store=store,
            segmenter=lazy_model(args),
            gsd_m=args.gsd,
            checkpointer=memory,
            max_steps=args.max_steps,
            max_seconds=args.max_seconds,
        )
        answer = ""
        for message in _messages(agent, _with_images(args.question, store), config):
            if args.show_steps:
                print("\n".join(_step(message)), file=sys.stderr, flush=True)
            if isinstance(message, AIMessage) and not message.tool_calls:
                answer = message.text
        print(answer)
        for file in store.files():
            if file.id not in before:
                print(f"wrote {_copy(file.path, args.output)}", file=sys.stderr)
    return 0


def _messages(agent: Any, question: str, config: dict[str, Any]) -> Iterator[BaseMessage]:
    """What the language model and the tools say, as it comes."""
    for update in agent.stream({"messages": [("user", question)]}, config, stream_mode="updates"):
        for node in update.values():
            yield from (node or {}).get("messages", [])


def _with_images(question: str, store: SceneStore) -> str:
    """The question with the ids of a few images: most questions are about one or two."""
    images = [f"{image_id} (file {quoted(name)})" for image_id, name in store.images()[:5]]
    return f"{question}\n\nImages: {', '.join(images) or 'none'}"


def _step(message: BaseMessage) -> list[str]:
    if isinstance(message, ToolMessage):
        text = message.text
        return [f"  = {text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}"]
    calls = getattr(message, "tool_calls", ())
    return [f"> {c['name']}({', '.join(f'{k}={v!r}' for k, v in c['args'].items())})" for c in calls]


def _copy(path: Path, folder: Path) -> Path:
    """Copy a file without ever writing over another."""
    stem, dot, suffix = path.name.partition(".")
    target, number = folder / path.name, 1
    while target.exists():
        number += 1
        target = folder / f"{stem}-{number}{dot}{suffix}"
    shutil.copyfile(path, target)
    return target


def _folder_name(thread: str) -> str:
    if not re.fullmatch(r"[\w-]{1,64}", thread):
        raise GeoAgentError(f"the conversation {thread!r} needs a name of letters, digits, - and _")
    return thread
