"""The configurations of docs/agents.md, each started by the official client with exactly its command and arguments."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from test_mcp import free_port
from world import make_scene, write_scene

TEXT = (Path(__file__).parent.parent.parent / "docs" / "agents.md").read_text(encoding="utf-8")
MCP = TEXT[TEXT.index("\n## MCP") : TEXT.index("\n## ThinkGeo")]
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
"""With the commands of this environment, as after an installation."""


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", MCP, re.MULTILINE | re.DOTALL)


def servers():
    """What each client is told of the server: its name there, and its settings."""
    told = []
    for block in blocks("json"):
        (entries,) = json.loads(block).values()
        told.append(entries["geoagent"])
    (codex,) = blocks("toml")
    told.append(tomllib.loads(codex)["mcp_servers"]["geoagent"])
    (claude,) = re.findall(r"claude mcp add geoagent -- (.*)$", MCP, re.MULTILINE)
    command, *arguments = shlex.split(claude)
    told.append({"command": command, "args": arguments})
    (python,) = blocks("python")
    dictionaries = [node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Dict)]
    values = [ast.literal_eval(node) for node in dictionaries]
    return [*told, *(value for value in values if "command" in value)]


def started():
    """Each way to start the server, once: most clients use the same."""
    ways = {json.dumps([entry["command"], entry["args"]]): entry for entry in servers() if "command" in entry}
    return list(ways.values())


@pytest.fixture
def home(tmp_path):
    """A person's folder with an image; their places in the documents are in it."""
    (tmp_path / "images").mkdir()
    write_scene(make_scene("port"), tmp_path / "images" / "port.tif")
    return tmp_path


def placed(text, home):
    return text.replace("/home/you", str(home)).replace("${workspaceFolder}", str(home))


def test_every_client_is_there():
    assert len(servers()) == 7
    for name in ("Claude Desktop", "Cursor", "Windsurf", "VS Code", "Zed", "Claude Code", "Codex"):
        assert name in MCP


@pytest.mark.slow
@pytest.mark.parametrize("entry", started(), ids=lambda entry: " ".join(entry["args"]))
async def test_commands_start_a_server(entry, home):
    assert entry.get("type", "stdio") == entry.get("transport", "stdio") == "stdio"
    parameters = StdioServerParameters(
        command=entry["command"],
        args=[placed(one, home) for one in entry["args"]],
        env={**os.environ, "PATH": PATH},
        cwd=home,
    )
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        told = await session.initialize()
        assert told.serverInfo.name == "geoagent"
        assert len((await session.list_tools()).tools) == 10
        listed = (await session.call_tool("list_images", {})).structuredContent
        assert listed["count"] == 1
        assert listed["images"][0]["file_name"].endswith("port.tif'")


@pytest.mark.slow
async def test_the_address_is_that_of_a_running_server(home):
    (address,) = [entry["url"] for entry in servers() if "url" in entry]
    (line,) = re.findall(r"^    geoagent (mcp .*--http)\s+# .* at (\S+)$", MCP, re.MULTILINE)
    arguments, told = line
    assert told == address == "http://127.0.0.1:8765/mcp"
    port = free_port()  # the usual one may be taken here
    command = ["geoagent", *shlex.split(arguments.replace("DIR", "images")), "--port", str(port)]
    server = subprocess.Popen(command, cwd=home, env={**os.environ, "PATH": PATH}, stderr=subprocess.PIPE, text=True)
    try:
        assert f"http://127.0.0.1:{port}/mcp" in server.stderr.readline()
        await listening(port)
        url = address.replace("8765", str(port))
        async with streamable_http_client(url) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            assert (await session.call_tool("list_images", {})).structuredContent["count"] == 1
    finally:
        server.terminate()
        server.wait(30)
        server.stderr.close()


async def listening(port):
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=10)) as http:  # waits longer each time
        await http.get(f"http://127.0.0.1:{port}/")
