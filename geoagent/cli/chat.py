"""Ask images in the browser: a page with the image, what was found, and the conversation.

With --terminal the conversation happens right here instead.
"""

import argparse
import os
import sys

from geoagent.cli import parsing

SUMMARY = "open a page to ask images (--terminal: talk here)"
DEFAULT_PORT = 7860


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``geoagent chat``."""
    parser.add_argument(
        "images", metavar="IMAGE", nargs="*", help="image files (the bundled pictures are always there)"
    )
    parser.add_argument("--terminal", action="store_true", help="talk in the terminal instead of a page")
    group = parser.add_argument_group("page")
    group.add_argument("--port", type=parsing.port, metavar="N", help=f"port of the page (default: {DEFAULT_PORT})")
    group.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    group.add_argument("--auth", type=parsing.name_and_password, metavar="USER:PASS", help="ask for this first")
    group.add_argument(
        "--tiles", default="", metavar="URL", help="tile server below the map: https://…/{z}/{x}/{y}.png"
    )
    agent = parser.add_argument_group("agent")
    agent.add_argument("--llm", metavar="NAME", help="a language model that answers in several steps, see geoagent ask")
    agent.add_argument("--llm-url", metavar="URL", help="a server that speaks OpenAI's protocol (vLLM, Ollama …)")
    parsing.add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve the page until interrupted, or talk in the terminal."""
    from geoagent.cli.terminal import choose_images

    images = choose_images(args.images)
    if args.terminal:
        from geoagent.cli.loading import load_model
        from geoagent.cli.terminal import Conversation

        print(f"loading {args.model} …", file=sys.stderr, flush=True)
        return Conversation(load_model(args), images).run()
    return _serve(args)


def _serve(args: argparse.Namespace) -> int:
    import signal
    import threading
    from pathlib import Path

    from geoagent.cli.loading import load_model
    from geoagent.cli.needing import needs
    from geoagent.model.catalogue import check_name

    check_name(args.model)
    with needs("app"):
        from geoagent.app.loading import LoadedOnce
        from geoagent.app.serve import serve

    llm = None
    if args.llm:
        with needs("agent"):
            from geoagent.agent.language_models import chat_model

        llm = chat_model(args.llm, base_url=args.llm_url)
    model = LoadedOnce(args.model, lambda: load_model(args))
    page = serve(
        model,
        images=[Path(path) for path in args.images],
        host=args.host,
        port=args.port or _port_of_environment(),
        auth=args.auth,
        tiles=args.tiles,
        llm=llm,
    )
    ended = threading.Event()
    try:
        # Before anybody can know that the page is there: whoever ends it then finds temporary files removed as well.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        print(f"geoagent with {args.model}: open {page.address} (Ctrl-C ends it)", flush=True)
        page.sessions.worker.submit(model.warm_up, ended)  # ready by the time of the first question
        threading.Event().wait()
    finally:
        ended.set()
        page.close()
        if page.sessions.worker.jobs:
            # Imports and weights that are being read cannot be stopped, and Python would wait for them.
            os._exit(0)
    return 0


def _port_of_environment() -> int:
    """``GRADIO_SERVER_PORT``, ``PORT`` (which make sets), or the usual one."""
    from geoagent.types import GeoAgentError

    for name in ("GRADIO_SERVER_PORT", "PORT"):
        if value := os.environ.get(name):
            try:
                return parsing.port(value)
            except argparse.ArgumentTypeError as error:
                raise GeoAgentError(f"{name}: {error}") from error
    return DEFAULT_PORT
