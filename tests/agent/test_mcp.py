"""The MCP server, spoken to by real clients over both transports."""

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import mcp.types as types
import pytest
import uvicorn
from langchain.agents import create_agent as create_plain_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import McpError
from mcp_server import scenes
from test_langchain import five_steps
from world import Slow, write_scene

from eval.agent_oracle import OracleSegmenter
from eval.agent_planner import ScriptedPlanner
from geoagent.agent.serving import TOKEN_VARIABLE, Workshop, http_app
from geoagent.types import GeoAgentError

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PATIENCE = timedelta(seconds=60)
both_transports = pytest.mark.parametrize("transport", [pytest.param("stdio", marks=pytest.mark.slow), "http"])


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for scene in scenes():
        write_scene(scene, folder / f"{scene.id}.tif")
    return folder


def stdio_parameters(root, *more):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"}
    return StdioServerParameters(
        command=sys.executable, args=[str(HERE / "mcp_server.py"), str(root), *more], env=environment
    )


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@asynccontextmanager
async def http_server(workshop):
    """A server in this process; gives its address."""
    port = free_port()
    config = uvicorn.Config(http_app(workshop, host="127.0.0.1", port=port), port=port, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        await asyncio.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join)


@asynccontextmanager
async def session_over(transport, root, model=None):
    """An initialised session of the official client."""
    async with AsyncExitStack() as stack:
        if transport == "stdio":
            more = ["--slow"] if isinstance(model, Slow) else []
            read, write = await stack.enter_async_context(stdio_client(stdio_parameters(root, *more)))
        else:
            workshop = Workshop(roots=[root], model=model or OracleSegmenter(scenes()))
            url = await stack.enter_async_context(http_server(workshop))
            read, write, _ = await stack.enter_async_context(streamable_http_client(url))
        session = await stack.enter_async_context(ClientSession(read, write, read_timeout_seconds=PATIENCE))
        await session.initialize()
        yield session


async def follow(session, plan):
    """Do what a plan says over a session; its final words."""
    call = next(plan)
    while True:
        result = await session.call_tool(call.tool, call.arguments)
        answer = result.structuredContent if not result.isError else {"error": result.content[0].text}
        if not result.isError:
            assert json.loads(result.content[0].text) == result.structuredContent
        try:
            call = plan.send(answer)
        except StopIteration as end:
            return end.value


@both_transports
async def test_the_official_client_does_the_task(transport, root):
    async with session_over(transport, root) as session:
        tools = (await session.list_tools()).tools
        assert len(tools) == 10
        for tool in tools:
            assert tool.inputSchema["type"] == "object"
            assert tool.outputSchema == {"type": "object"}
            assert "path" not in json.dumps(tool.inputSchema)
        assert await follow(session, five_steps()) == "2 tanks, 40 %"


@both_transports
async def test_langchain_adapters_do_the_task(transport, root):
    async with AsyncExitStack() as stack:
        if transport == "stdio":
            parameters = stdio_parameters(root)
            connection = {
                "transport": "stdio", "command": parameters.command, "args": parameters.args, "env": parameters.env
            }  # fmt: skip
        else:
            workshop = Workshop(roots=[root], model=OracleSegmenter(scenes()))
            url = await stack.enter_async_context(http_server(workshop))
            connection = {"transport": "streamable_http", "url": url}
        client = MultiServerMCPClient({"geoagent": connection})
        session = await stack.enter_async_context(client.session("geoagent"))
        tools = await load_mcp_tools(session)
        agent = create_plain_agent(ScriptedPlanner.of(five_steps()), tools)
        result = await agent.ainvoke({"messages": [("user", "how many?")]})
        assert result["messages"][-1].content == "2 tanks, 40 %"


async def test_errors_are_raised_and_say_how_to_mend_the_call(root):
    async with session_over("http", root) as session:
        for name, arguments, words in (
            ("segment", {"image_id": "nope", "text": "x"}, "call list_images"),
            ("segment", {"image": "nope"}, "image_id: Field required"),
            ("relate", {"mask_a": "a", "mask_b": "b", "relation": "above"}, "'intersection', 'difference'"),
            ("open_file", {"path": "/etc/passwd"}, "there is no tool 'open_file'"),
        ):
            result = await session.call_tool(name, arguments)
            assert result.isError
            assert words in result.content[0].text
        result = await session.call_tool("calculate", {"expression": "1 + 1"})
        assert result.structuredContent == {"value": 2}


@both_transports
async def test_a_long_segmentation_reports_can_be_cancelled_and_blocks_nobody(transport, root):
    model = Slow(scenes())
    try:
        async with session_over(transport, root, model) as session:
            listed = (await session.call_tool("list_images", {})).structuredContent
            image = listed["images"][0]["image_id"]
            told = []

            async def hear(progress, total, message):
                told.append((progress, message))

            arguments = {"image_id": image, "text": "storage tanks"}
            number = session._request_id
            long = asyncio.create_task(session.call_tool("segment", arguments, progress_callback=hear))
            while not any(message == "asking the segmentation model" for _, message in told):
                await asyncio.sleep(0.05)
            assert [p for p, _ in told] == sorted(p for p, _ in told)

            began = time.monotonic()
            assert (await session.call_tool("calculate", {"expression": "6 * 7"})).structuredContent["value"] == 42
            assert (await session.call_tool("list_images", {})).structuredContent["count"] == 2
            assert time.monotonic() - began < 3
            assert not long.done()

            await session.send_notification(
                types.ClientNotification(
                    types.CancelledNotification(params=types.CancelledNotificationParams(requestId=number))
                )
            )
            with pytest.raises(McpError, match="cancelled"):
                await asyncio.wait_for(long, 5)
            assert (await session.call_tool("calculate", {"expression": "2 * 2"})).structuredContent["value"] == 4
    finally:
        model.go.set()


async def test_a_cancelled_call_leaves_the_model_to_others(root):
    """What waits for its turn notices that nobody waits for it, and what was cancelled keeps no mask."""
    model = Slow(scenes())
    async with session_over("http", root, model) as session:
        image = (await session.call_tool("list_images", {})).structuredContent["images"][0]["image_id"]
        arguments = {"image_id": image, "text": "storage tanks"}
        for _ in range(2):
            number = session._request_id
            task = asyncio.create_task(session.call_tool("segment", arguments))
            await asyncio.to_thread(model.asked.wait, 10)
            await asyncio.sleep(0.2)
            await session.send_notification(
                types.ClientNotification(
                    types.CancelledNotification(params=types.CancelledNotificationParams(requestId=number))
                )
            )
            with pytest.raises(McpError):
                await task
        model.go.set()
        result = await session.call_tool("segment", arguments)
        assert result.structuredContent["found"][0]["objects"] == 5
        resources = (await session.list_resources()).resources
        assert len([r for r in resources if "mask" in str(r.uri)]) == 1


async def test_pictures_are_resources_and_shown_on_request_only(root):
    async with session_over("http", root) as session:
        image = (await session.call_tool("list_images", {})).structuredContent["images"][0]["image_id"]
        found = (await session.call_tool("segment", {"image_id": image, "text": "river"})).structuredContent
        mask = found["found"][0]["mask_id"]
        quiet = await session.call_tool("render", {"ids": [mask]})
        assert [part.type for part in quiet.content] == ["text"]
        shown = await session.call_tool("render", {"ids": [mask], "show": True})
        assert [part.type for part in shown.content] == ["text", "image"]
        await session.call_tool("export", {"mask_id": mask, "format": "geojson"})
        listed = {str(r.uri): r for r in (await session.list_resources()).resources}
        assert f"geoagent://mask/{mask}" in listed
        kinds = set()
        for uri, resource in listed.items():
            (content,) = (await session.read_resource(resource.uri)).contents
            kinds.add(content.mimeType)
            assert str(root) not in uri
            assert len(base64.b64decode(content.blob)) > 60
        assert kinds == {"image/png", "application/geo+json"}
        assert len((await session.list_resource_templates()).resourceTemplates) == 3
        for uri in (
            "file:///etc/passwd",
            "geoagent://file/..%2F..%2Fetc",
            "geoagent://mask/mask_nope",
            "geoagent://x/y",
        ):
            with pytest.raises(McpError):
                await session.read_resource(uri)


async def test_what_breaks_in_a_resource_tells_no_path(root, tmp_path):
    """The file of an export is gone, and something else has its place."""
    workshop = Workshop(roots=[root], model=OracleSegmenter(scenes()), workspace=tmp_path / "kept")
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(http_server(workshop))
        read, write, _ = await stack.enter_async_context(streamable_http_client(url))
        session = await stack.enter_async_context(ClientSession(read, write))
        await session.initialize()
        image = (await session.call_tool("list_images", {})).structuredContent["images"][0]["image_id"]
        file = (await session.call_tool("render", {"ids": [image]})).structuredContent["file_id"]
        mask = (await session.call_tool("segment", {"image_id": image, "text": "river"})).structuredContent
        mask = mask["found"][0]["mask_id"]
        for path in (tmp_path / "kept").rglob("mask.npz"):
            path.write_bytes(b"no archive")
        for path in (tmp_path / "kept").rglob("picture.png"):
            path.unlink()
        for uri in (f"geoagent://file/{file}", f"geoagent://mask/{mask}"):
            with pytest.raises(McpError) as error:
                await session.read_resource(uri)
            assert "kept" not in str(error.value).replace("no longer kept", "")


async def test_each_client_has_a_workspace_of_its_own(root, tmp_path):
    workshop = Workshop(roots=[root], model=OracleSegmenter(scenes()), workspace=tmp_path / "kept")
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(http_server(workshop))
        sessions = []
        for _ in range(2):
            read, write, _ = await stack.enter_async_context(streamable_http_client(url))
            session = await stack.enter_async_context(ClientSession(read, write))
            await session.initialize()
            sessions.append(session)
        images = [(await s.call_tool("list_images", {})).structuredContent["images"][0]["image_id"] for s in sessions]
        assert images[0] != images[1]
        mask = (await sessions[0].call_tool("segment", {"image_id": images[0], "text": "river"})).structuredContent
        stolen = await sessions[1].call_tool("measure", {"mask_id": mask["found"][0]["mask_id"]})
        assert stolen.isError
        assert "there is no mask" in stolen.content[0].text
    assert len(list((tmp_path / "kept").iterdir())) == 2


async def test_only_this_machine_under_its_own_name(root):
    """A web page that makes a browser call us has another origin or host name."""
    hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {"accept": "application/json, text/event-stream"}
    async with http_server(Workshop(roots=[root], model=OracleSegmenter(scenes()))) as url, httpx.AsyncClient() as http:
        for strange in ({"origin": "https://example.org"}, {"host": "example.org"}):
            response = await http.post(url, json=hello, headers={**headers, **strange})
            assert response.status_code in (403, 421)


async def test_other_machines_need_a_token(root, monkeypatch):
    workshop = Workshop(roots=[root], model=OracleSegmenter(scenes()))
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with pytest.raises(GeoAgentError, match=TOKEN_VARIABLE):
        http_app(workshop, host="0.0.0.0", port=1)
    monkeypatch.setenv(TOKEN_VARIABLE, "right")
    async with http_server(workshop) as url:
        async with httpx.AsyncClient() as http:
            for headers in ({}, {"authorization": "Bearer wrong"}):
                assert (await http.post(url, json={}, headers=headers)).status_code == 401
        async with (
            httpx.AsyncClient(headers={"authorization": "Bearer right"}) as http,
            streamable_http_client(url, http_client=http) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            assert len((await session.list_tools()).tools) == 10


@pytest.mark.slow
def test_the_command_is_light_and_checks_its_roots(tmp_path):
    code = (
        "import sys\nfrom geoagent.cli import main\n"
        "try:\n    main(['mcp', '--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'numpy', 'langchain', 'mcp'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    command = [sys.executable, "-m", "geoagent", "mcp", "--root", str(tmp_path / "nowhere")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert "nowhere' does not exist" in result.stderr
