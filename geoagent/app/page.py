"""The layout of the chat page; what happens is in `geoagent.app.handlers`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from geoagent.app.conversation import SUFFIXES
from geoagent.app.downloads import FORMATS
from geoagent.app.examples import Example, example_cards
from geoagent.app.handlers import Handlers
from geoagent.app.scene_view import static_text
from geoagent.app.sessions import Sessions
from geoagent.geo.style import PALETTE

_SCRIPTS = ("dom.js", "image.js", "map.js", "steps.js", "compare.js", "panes.js")
_CARDS_SCRIPT = """
element.addEventListener("click", event => {
  const button = event.target.closest("[data-example]");
  if (button) trigger("example", {number: Number(button.dataset.example)});
});
"""
_WITH_DRAWN = "(message, drawn) => [message, window.geoagentDrawn ? window.geoagentDrawn() : '']"
"""What was drawn in the browser goes with the message; the server need not be told of every stroke."""
_FETCH = "() => setTimeout(() => document.querySelector('#ga-fetch a, a#ga-fetch, #ga-fetch')?.click(), 60)"
_COPY = "text => { navigator.clipboard?.writeText(text); return text; }"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The components that handlers read and write."""

    view: gr.HTML
    chat: gr.Chatbot
    status: gr.HTML
    box: gr.MultimodalTextbox
    drawn: gr.Textbox
    score: gr.Slider
    undo: gr.Button
    stop: gr.Button
    examples: gr.Accordion
    cards: gr.HTML
    downloads: dict[str, gr.Button]
    fetch: gr.DownloadButton
    code: gr.Code
    copies: dict[str, gr.Button]


def page_style() -> str:
    """The style sheet, with the colours of the targets."""
    colours = "\n".join(
        f".ga-c{number} {{ --ga-c: rgb({r}, {g}, {b}); }}" for number, (r, g, b) in enumerate(PALETTE, start=1)
    )
    return f"{static_text('page.css')}\n{colours}"


def page_theme() -> gr.themes.Base:
    """Quiet greys and the fonts of the person's own system: nothing is fetched."""
    sans = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
    return gr.themes.Base(primary_hue="blue", neutral_hue="slate", radius_size="md", font=sans, font_mono=mono)


def build_page(sessions: Sessions, examples: Sequence[Example], tiles: str = "") -> gr.Blocks:
    """The page for a model.

    Args:
        sessions: The conversations and the model they share.
        examples: The example cards.
        tiles: Address of a tile server, ``https://…/{z}/{x}/{y}.png``, to show below the map; empty: none is asked.
    """
    with gr.Blocks(title="geoagent", analytics_enabled=False, delete_cache=(600, 3600), fill_width=True) as page:
        gr.HTML(
            '<div class="ga-title"><b>geoagent</b><span>Ask an aerial or satellite image.</span></div>',
            js_on_load=None,
        )
        with gr.Row():
            with gr.Column(scale=6, min_width=340):
                view = gr.HTML(
                    value="",
                    html_template=static_text("view.html"),
                    js_on_load=static_text(*_SCRIPTS),
                    apply_default_css=False,
                    elem_id="ga-view",
                    picture="",
                    other="",
                    tiles=tiles,
                )
            with gr.Column(scale=4, min_width=320):
                chat = _chat_column()
        with gr.Accordion("Examples", open=True, elem_id="ga-examples") as accordion:
            cards = gr.HTML(example_cards(tuple(examples)), js_on_load=_CARDS_SCRIPT, apply_default_css=False)
        below = _answer_tools()
        parts = Parts(view=view, examples=accordion, cards=cards, **below, **chat)
        _connect(page, parts, Handlers(sessions, tuple(examples)))
    return page


def _answer_tools() -> dict[str, Any]:
    with gr.Row(elem_classes="ga-row"):
        with gr.Column(scale=5, min_width=300), gr.Row(elem_classes="ga-row"):
            score = gr.Slider(0, 1, value=0.5, step=0.01, label="Show what scores at least", scale=4, min_width=220)
            undo = gr.Button("Undo", size="sm", interactive=False, scale=0, min_width=84, elem_id="ga-undo")
        with gr.Column(scale=5, min_width=300):
            with gr.Row(elem_classes="ga-row"):
                gr.HTML("Download", elem_classes="ga-label", js_on_load=None)
                downloads = {name: gr.Button(name, size="sm", min_width=76, elem_classes="ga-get") for name in FORMATS}
            with gr.Row(elem_classes="ga-row"):
                gr.HTML("Repeat it", elem_classes="ga-label", js_on_load=None)
                copies = {
                    name: gr.Button(name, size="sm", min_width=110, elem_classes="ga-copy")
                    for name in ("Copy as Python", "Copy as command")
                }
    code = gr.Code(visible=False, interactive=False, show_label=False, elem_id="ga-code", language=None)
    fetch = gr.DownloadButton("fetch", elem_id="ga-fetch")
    return {"score": score, "undo": undo, "downloads": downloads, "copies": copies, "code": code, "fetch": fetch}


def _chat_column() -> dict[str, Any]:
    chat = gr.Chatbot(
        show_label=False,
        elem_id="ga-chat",
        height="clamp(320px, 56vh, 720px)",
        layout="panel",
        buttons=[],
        feedback_options=None,
        placeholder="Ask where something is, what a place is good for, or how large it is.",
    )
    with gr.Row(elem_classes="ga-going"):
        status = gr.HTML("", elem_id="ga-status", js_on_load=None)
        stop = gr.Button("Stop", variant="stop", size="sm", visible=False, elem_id="ga-stop")
    box = gr.MultimodalTextbox(
        show_label=False,
        placeholder="Ask about the image …",
        file_types=list(SUFFIXES),
        file_count="multiple",
        sources=["upload"],
        elem_id="ga-box",
        autofocus=True,
        max_plain_text_length=4000,
    )
    drawn = gr.Textbox(visible=False)
    return {
        "chat": chat,
        "status": status,
        "box": box,
        "drawn": drawn,
        "stop": stop,
    }


def _connect(page: gr.Blocks, parts: Parts, do: Handlers) -> None:
    """Say what happens when. Nothing is part of a public interface: programs have the Python one."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    quick = {**quiet, "concurrency_limit": None}
    answer = [parts.view, parts.chat, parts.score, parts.undo]
    asking = [*answer, parts.status, parts.stop, parts.box, parts.examples]
    page.load(do.arrive, None, asking, **quick)
    page.unload(do.leave)
    parts.box.submit(do.ask, [parts.box, parts.drawn], asking, js=_WITH_DRAWN, trigger_mode="once", **quick)
    parts.cards.example(do.example, None, asking, trigger_mode="once", **quick)
    parts.stop.click(do.stop, None, parts.status, queue=False, **quiet)
    parts.score.release(do.filter, parts.score, [*answer, parts.status], **quick)
    parts.view.decide(do.decide, None, [*answer, parts.status], **quick)
    parts.view.turn(do.turn, None, asking, **quick)
    parts.view.compare(do.compare, None, [parts.view, parts.status], **quick)
    parts.chat.clear(do.clear, None, [*answer, parts.status], **quick)
    parts.undo.click(do.undo, None, [*answer, parts.status], **quick)
    for label, button in parts.downloads.items():
        made = button.click(do.download(label), None, [parts.fetch, parts.status], **quick)
        made.success(None, None, None, js=_FETCH)
    for label, button in parts.copies.items():
        shown = button.click(do.copy(label), None, [parts.code, parts.status], **quick)
        shown.success(None, parts.code, None, js=_COPY)
