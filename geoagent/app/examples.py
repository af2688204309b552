"""The example cards: bundled pictures with questions of every kind."""

import html
from dataclasses import dataclass

import numpy as np
from PIL import Image

from geoagent.app.pictures import jpeg_uri
from geoagent.demo import DEMOS, Demo
from geoagent.geo.raster import read_image

_SIDE = 132


@dataclass(frozen=True, kw_only=True)
class Example:
    """A question to try; with ``point`` it is asked by pointing at the middle of the picture."""

    demo: Demo
    question: str
    point: bool = False


def examples_of(demos: tuple[Demo, ...] = DEMOS) -> tuple[Example, ...]:
    """Two questions of each picture, and one that points."""
    asked = [Example(demo=demo, question=question) for demo in demos for question in demo.questions[:2]]
    return (*asked, Example(demo=demos[-1], question="Segment what is here.", point=True))


def example_cards(examples: tuple[Example, ...]) -> str:
    """The cards as HTML; each button carries the place of its example."""
    cards = []
    for demo in dict.fromkeys(example.demo for example in examples):
        buttons = "".join(
            f'<button type="button" class="ga-chip" data-example="{number}">{html.escape(_label(example))}</button>'
            for number, example in enumerate(examples)
            if example.demo == demo
        )
        cards.append(
            f'<div class="ga-card"><img src="{_thumbnail(demo)}" alt="" width="66" height="66">'
            f'<div><div class="ga-card-name">{html.escape(demo.what)}</div>{buttons}</div></div>'
        )
    return f'<div class="ga-cards">{"".join(cards)}</div>'


def _label(example: Example) -> str:
    return f"⊕ {example.question}" if example.point else example.question


def _thumbnail(demo: Demo) -> str:
    image = Image.fromarray(read_image(demo.path).pixels)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return jpeg_uri(np.asarray(image), quality=80)
