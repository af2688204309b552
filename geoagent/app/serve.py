"""Starting the page: a port, who may come in, and nothing that leaves this machine."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import gradio as gr

from geoagent.app.asking import Asker
from geoagent.app.examples import examples_of
from geoagent.app.page import build_page, page_style, page_theme
from geoagent.app.sessions import Sessions
from geoagent.demo import DEMOS, Demo
from geoagent.types import GeoAgentError

MAX_UPLOAD = "512mb"
_UPLOADS = "GRADIO_TEMP_DIR"


@dataclass(frozen=True)
class ServedPage:
    """A page that answers at ``address`` until it is closed."""

    address: str
    blocks: gr.Blocks
    sessions: Sessions
    uploads: Path
    uploads_before: str | None
    """Where Gradio put uploads before this page was served."""

    def close(self) -> None:
        """Stop answering, and remove every file that people brought or took away."""
        self.blocks.close(verbose=False)
        self.sessions.close()
        shutil.rmtree(self.uploads, ignore_errors=True)
        _put_uploads_in(self.uploads_before)


def _put_uploads_in(folder: str | None) -> None:
    """Gradio looks there at every upload, for all pages of a process."""
    if folder is None:
        os.environ.pop(_UPLOADS, None)
    else:
        os.environ[_UPLOADS] = folder


def serve(
    model: Asker,
    *,
    images: Sequence[Path] = (),
    host: str = "127.0.0.1",
    port: int | None = None,
    auth: tuple[str, str] | None = None,
    tiles: str = "",
    llm: Any = None,
    demos: tuple[Demo, ...] = DEMOS,
) -> ServedPage:
    """Serve the page in the background.

    Args:
        model: What answers.
        images: Files that every new page begins with.
        host: Address to listen on; only this machine unless told otherwise.
        port: None: the first free one from 7860.
        auth: Name and password to ask for.
        tiles: Address of a tile server to show below the map; empty: none.
        llm: A LangChain chat model that answers in several steps, with tools; None: the model answers alone.
        demos: Pictures of the example cards.
    """
    uploads = Path(tempfile.mkdtemp(prefix="geoagent-uploads-"))
    before = os.environ.get(_UPLOADS)
    _put_uploads_in(str(uploads))
    sessions = Sessions(model, images, llm)
    page = build_page(sessions, examples_of(demos), tiles)
    page.queue(max_size=64)
    try:
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            auth=auth,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            max_file_size=MAX_UPLOAD,
            theme=page_theme(),
            css=page_style(),
            footer_links=[],
            ssr_mode=False,
        )
    except OSError as error:
        shutil.rmtree(uploads, ignore_errors=True)
        _put_uploads_in(before)
        raise GeoAgentError(f"port {port} of {host} cannot be used: choose another with --port") from error
    return ServedPage(address, page, sessions, uploads, before)
