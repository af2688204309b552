"""Serve the tools over the Model Context Protocol, to desktop assistants, editors and other agents.

Over standard input and output unless --http is given. Only images under --root can be reached, and only by opaque ids.
"""

import argparse
import sys
from pathlib import Path

from geoagent.cli import parsing

SUMMARY = "serve the tools to other agents (MCP)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``geoagent mcp``."""
    parser.add_argument(
        "--root",
        metavar="DIR",
        type=Path,
        nargs="+",
        default=[Path()],
        help="folders of images (default: the current one)",
    )
    parser.add_argument(
        "--workspace", metavar="DIR", type=Path, help="keep masks and exports here (default: a temporary folder)"
    )
    parser.add_argument("--http", action="store_true", help="serve streamable HTTP at /mcp instead")
    parser.add_argument("--host", default="127.0.0.1", help="with --http (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="with --http (default: %(default)s)")
    parser.add_argument(
        "--gsd", type=parsing.metres, metavar="M", help="metres of a pixel, for images that do not know"
    )
    parsing.add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until the client leaves, or until interrupted. The model is loaded when it is first asked."""
    from geoagent.cli.loading import lazy_model
    from geoagent.cli.needing import needs

    with needs("agent"):
        from geoagent.agent.serving import Workshop, serve_http, serve_stdio

    workshop = Workshop(roots=args.root, model=lazy_model(args), workspace=args.workspace, gsd_m=args.gsd)
    workshop.check()
    if args.http:
        print(f"geoagent: serving MCP at http://{args.host}:{args.port}/mcp", file=sys.stderr, flush=True)
        serve_http(workshop, host=args.host, port=args.port)
    else:
        serve_stdio(workshop)
    return 0
