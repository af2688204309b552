"""The tools over the Model Context Protocol: for desktop assistants, editors and other agents.

Each session (the process over stdio, each client over HTTP) has a workspace of its own. Tools run in threads, tell how
far they are, and can be cancelled; pictures are resources, and part of an answer only where they are asked for.
"""

import base64
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import mcp.types as types
from mcp.server.lowlevel import Server
from mcp.server.lowlevel.helper_types import ReadResourceContents
from pydantic import AnyUrl, BaseModel, ValidationError

from geoagent import __version__
from geoagent.agent.answers import quoted, shortened, to_text
from geoagent.agent.progress import Watcher, watched_by
from geoagent.agent.prompts import SERVER
from geoagent.agent.resources import listed_resources, read_resource, resource_templates
from geoagent.agent.schema import arguments_of, description_of, repair_hint
from geoagent.agent.toolbox import Outcome, Toolbox, guarded
from geoagent.types import GeoAgentError

HEARTBEAT_S = 1.0
_WRITING = frozenset({"render", "export"})

OpenToolbox = Callable[[], AbstractContextManager[Toolbox]]
"""Opens the workspace of a new session, and closes it with the session."""


def build_server(open_toolbox: OpenToolbox) -> Server[Toolbox, Any]:
    """An MCP server with the ten tools and the resources of a workspace."""

    @asynccontextmanager
    async def session(_: Server[Toolbox, Any]) -> AsyncIterator[Toolbox]:
        with open_toolbox() as toolbox:
            yield toolbox

    server: Server[Toolbox, Any] = Server("geoagent", version=__version__, instructions=SERVER, lifespan=session)

    @server.list_tools()
    async def list_tools() -> list[types.Tool]:
        functions = server.request_context.lifespan_context.functions
        return [_described(name, function) for name, function in functions.items()]

    # Our own check of the arguments says how to mend them.
    @server.call_tool(validate_input=False)
    async def call_tool(name: str, arguments: dict[str, Any]) -> tuple[list[types.ContentBlock], dict[str, Any]]:
        toolbox = server.request_context.lifespan_context
        function = toolbox.functions.get(name)
        if function is None:
            raise GeoAgentError(f"there is no tool {quoted(name)}: use one of {', '.join(toolbox.functions)}")
        values = _checked(name, function, arguments)
        outcome = await _watched(server, name, lambda: guarded(name, function, values))
        content: list[types.ContentBlock] = [types.TextContent(type="text", text=to_text(outcome.answer))]
        if outcome.picture is not None:
            data = base64.b64encode(outcome.picture).decode()
            content.append(types.ImageContent(type="image", data=data, mimeType="image/png"))
        return content, shortened(outcome.answer)

    @server.list_resources()
    async def list_resources() -> list[types.Resource]:
        return listed_resources(server.request_context.lifespan_context.store)

    @server.list_resource_templates()
    async def list_resource_templates() -> list[types.ResourceTemplate]:
        return resource_templates()

    @server.read_resource()
    async def read(uri: AnyUrl) -> Iterable[ReadResourceContents]:
        toolbox = server.request_context.lifespan_context
        asked = {"toolbox": toolbox, "uri": uri}
        data, mime = await anyio.to_thread.run_sync(
            lambda: guarded("the resource", read_resource, asked), abandon_on_cancel=True
        )
        return [ReadResourceContents(content=data, mime_type=mime)]

    return server


async def _watched(server: Server[Toolbox, Any], name: str, work: Callable[[], Outcome]) -> Outcome:
    """Run a tool in a thread. Whoever waits hears every second that it is alive, and may stop waiting."""
    context = server.request_context
    token = context.meta.progressToken if context.meta is not None else None
    began, said = time.monotonic(), [name]
    cancelled = threading.Event()

    async def beat() -> None:
        while token is not None:
            await context.session.send_progress_notification(
                token, time.monotonic() - began, message=said[0], related_request_id=str(context.request_id)
            )
            await anyio.sleep(HEARTBEAT_S)

    def tell(message: str) -> None:
        said[0] = message

    def run() -> Outcome:
        with watched_by(Watcher(tell, cancelled)):
            return work()

    outcome: Outcome | None = None
    failure: GeoAgentError | None = None
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(beat)
            try:
                outcome = await anyio.to_thread.run_sync(run, abandon_on_cancel=True)
            except GeoAgentError as error:
                failure = error
            group.cancel_scope.cancel()
    finally:
        cancelled.set()
    if outcome is None:
        raise failure or GeoAgentError(f"{name} was interrupted")
    return outcome


def _described(name: str, function: Callable[..., Outcome]) -> types.Tool:
    return types.Tool(
        name=name,
        description=description_of(function),
        inputSchema=arguments_of(name, function).model_json_schema(),
        outputSchema={"type": "object"},
        annotations=types.ToolAnnotations(
            readOnlyHint=name not in _WRITING, destructiveHint=False, idempotentHint=True, openWorldHint=False
        ),
    )


def _checked(name: str, function: Callable[..., Outcome], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments as the tool takes them, or an error that says how to mend the call."""
    model: type[BaseModel] = arguments_of(name, function)
    try:
        checked = model(**arguments)
    except ValidationError as error:
        raise GeoAgentError(repair_hint(name, function, error)) from None
    return {key: getattr(checked, key) for key in checked.model_fields_set}
