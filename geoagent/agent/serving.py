"""Running the MCP server: over standard input and output, or over streamable HTTP."""

import hmac
import os
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path

import anyio
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from geoagent.agent.mcp import build_server
from geoagent.agent.progress import Turn
from geoagent.agent.segmenter import Segmenter
from geoagent.agent.store import SceneStore
from geoagent.agent.toolbox import Toolbox
from geoagent.types import GeoAgentError

TOKEN_VARIABLE = "GEOAGENT_MCP_TOKEN"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """What every session works with."""

    roots: Sequence[Path]
    model: Segmenter
    workspace: Path | None = None
    """Where masks and exports are kept; None: in a temporary folder that goes with the session."""
    gsd_m: float | None = None
    turn: Turn = field(default_factory=Turn)
    """Sessions take turns with the model."""

    def check(self) -> None:
        """Raise now, where a person reads it, for roots that are not there or a workspace that cannot be."""
        with self.open_own():
            pass

    @contextmanager
    def open_own(self) -> Iterator[Toolbox]:
        """The tools of the only session: ids in ``workspace`` stay valid from one run to the next."""
        with self._folder(self.workspace) as folder:
            yield self._toolbox(folder)

    @contextmanager
    def open_another(self) -> Iterator[Toolbox]:
        """The tools of one session of many, with a workspace of its own."""
        with self._folder(self.workspace and self.workspace / uuid.uuid4().hex) as folder:
            yield self._toolbox(folder)

    @contextmanager
    def _folder(self, kept: Path | None) -> Iterator[Path]:
        if kept is not None:
            yield kept
            return
        with tempfile.TemporaryDirectory(prefix="geoagent-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def _toolbox(self, folder: Path) -> Toolbox:
        return Toolbox(SceneStore(folder, self.roots), self.model, gsd_m=self.gsd_m, turn=self.turn)


def serve_stdio(workshop: Workshop) -> None:
    """Serve whoever started this process, until they close its standard input."""
    anyio.run(_over_stdio, workshop)


async def _over_stdio(workshop: Workshop) -> None:
    # Whatever a library prints must not get between the messages: they get a descriptor of their own.
    messages = anyio.wrap_file(TextIOWrapper(os.fdopen(os.dup(1), "wb"), encoding="utf-8"))
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    server = build_server(workshop.open_own)
    async with stdio_server(stdout=messages) as (read, write):
        await server.run(read, write, server.create_initialization_options())


def http_app(workshop: Workshop, *, host: str, port: int) -> Starlette:
    """The server as an ASGI application at ``/mcp``.

    Only this machine may connect, and only under its own name: so no web page reaches it through a browser.
    For other machines a token must be set in the environment variable ``GEOAGENT_MCP_TOKEN``.
    """
    token, is_local = os.environ.get(TOKEN_VARIABLE), host in _LOOPBACK
    if not is_local and not token:
        raise GeoAgentError(f"{host} can be reached by others: set {TOKEN_VARIABLE}, which clients then have to send")
    names = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=is_local,
        allowed_hosts=names,
        allowed_origins=[f"http://{name}" for name in names],
    )
    manager = StreamableHTTPSessionManager(build_server(workshop.open_another), security_settings=security)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with manager.run():
            yield

    return Starlette(routes=[Route("/mcp", _Endpoint(manager.handle_request, token))], lifespan=lifespan)


def serve_http(workshop: Workshop, *, host: str, port: int) -> None:
    """Serve clients over HTTP until interrupted."""
    import uvicorn

    uvicorn.run(http_app(workshop, host=host, port=port), host=host, port=port, log_level="warning")


class _Endpoint:
    """Lets in who knows the token, where there is one."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._expected = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if self._expected is not None:
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                await PlainTextResponse("a token is needed", status_code=401)(scope, receive, send)
                return
        await self._app(scope, receive, send)
