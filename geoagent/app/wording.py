"""What the page says: answers with coloured phrases, what was not found and what to try, facts about the image."""

import re
from collections.abc import Mapping

import numpy as np

from geoagent.app.asking import ToolStep
from geoagent.app.conversation import Turn
from geoagent.cli.words import area, length
from geoagent.geo.georef import ground_extent
from geoagent.geo.measure import covered_share, mask_area_m2
from geoagent.geo.style import PALETTE
from geoagent.types import ImageInfo, Mask, Prediction, Prompts

_MARKED = re.compile(r"<p>(.*?)</p>\s*<(seg|rej)>", re.DOTALL)
_PHRASE_SO_FAR = re.compile(r"<p>(.*?)(?:</p>\s*(?:<seg>|<rej>)?|$)", re.DOTALL)
_MANY = 12


def answer_html(turn: Turn) -> str:
    """An answer as the chat shows it: phrases in the colours of their masks, then sizes, then what is missing."""
    result = turn.review.result
    lines = [f'<div class="ga-answer">{_sentence(result)}</div>']
    if result.targets:
        lines.append(_found(result))
    lines.append(_missing(result))
    notes = [*result.warnings, *([] if not turn.from_objects else ["answered from the objects found before"])]
    if notes:
        lines.append(f'<div class="ga-note">{_entities("; ".join(notes))}</div>')
    lines.append(f'<div class="ga-time">{result.seconds:.1f} s</div>')
    return "".join(lines)


def words_html(marked: str) -> str:
    """An answer that is still being written: its phrases have no colour until they have a mask."""
    parts, at = [], 0
    for match in _PHRASE_SO_FAR.finditer(marked):
        parts += [_plain(marked[at : match.start()]), f'<span class="ga-writing">{_entities(match[1])}</span>']
        at = match.end()
    return f'<div class="ga-partial">{"".join(parts)}{_plain(marked[at:])}<span class="ga-caret"></span></div>'


def _sentence(result: Prediction) -> str:
    """The marked answer; candidates come in the order of its marks."""
    numbers = _numbers(result)
    parts, at = [], 0
    for index, match in enumerate(_MARKED.finditer(result.marked_answer)):
        parts.append(_plain(result.marked_answer[at : match.start()]))
        parts.append(_phrase(match[1], numbers.get(index)))
        at = match.end()
    parts.append(_plain(result.marked_answer[at:]))
    text = "".join(parts).strip()
    return text or "No words came with this answer."


def _plain(text: str) -> str:
    return _entities(re.sub(r"</?p>|<seg>|<rej>", "", text))


def _entities(text: str) -> str:
    """Text that neither HTML nor Markdown reads anything into."""
    return "".join(c if c.isalnum() or c in " ,.;:?'()-–—/°²³%" else f"&#{ord(c)};" for c in text.replace("\n", " "))


def _phrase(phrase: str, number: int | None) -> str:
    if number is None:
        return f'<span class="ga-missed">{_entities(phrase)}</span>'
    return f'<span class="ga-phrase ga-c{colour_class(number)}">{_entities(phrase)}</span>'


def colour_class(number: int) -> int:
    """Which of the page's colour classes the target with this number has, from 1."""
    return (number - 1) % len(PALETTE) + 1


def _numbers(result: Prediction) -> Mapping[int, int]:
    """Number of each candidate that counts, by its place among the candidates."""
    counted = {id(target): number for number, target in enumerate(result.targets, start=1)}
    return {place: counted[id(t)] for place, t in enumerate(result.candidates) if id(t) in counted}


def _found(result: Prediction) -> str:
    rows = []
    for number, target in enumerate(result.targets, start=1):
        size = size_text(target.mask, result.image)
        count = f"{len(target.instances)} × " if target.instances else ""
        rows.append(
            f'<tr><td><span class="ga-dot ga-c{colour_class(number)}"></span>{count}{_entities(target.phrase)}</td>'
            f"<td>{size}</td><td>{covered_share(target.mask, result.image):.1%}</td><td>{target.score:.2f}</td></tr>"
        )
    shown, more = rows[:_MANY], len(rows) - _MANY
    rest = f'<tr><td colspan="4">and {more} more in the table</td></tr>' if more > 0 else ""
    head = "<tr><th>found</th><th>area</th><th>of image</th><th>score</th></tr>"
    return f'<table class="ga-found">{head}{"".join(shown)}{rest}</table>'


def _missing(result: Prediction) -> str:
    """What was asked for and is not there; with nothing found at all, what to try."""
    if not result.absent:
        return ""
    best = max(result.absent, key=lambda t: t.score)
    names = ", ".join(f"{_entities(t.phrase)} ({t.score:.2f})" for t in result.absent)
    if result.targets:
        return f'<div class="ga-note">Not found: {names}.</div>'
    what = f"Nothing found: the best score was {best.score:.2f} for “{_entities(best.phrase)}”."
    lower = max(0.0, int(best.score * 100) / 100)
    pull = (
        f"Pull the score slider below {lower:.2f} to see it"
        if best.mask.any() and lower > 0.05
        else "Name it in other words"
    )
    return f'<div class="ga-note">{what} {pull}, or point at an example in the image.</div>'


def question_text(question: str, prompts: Prompts) -> str:
    """A question as the chat shows it, with what was pointed at."""
    pointed = [
        f"{len(kind)} {name}{'' if len(kind) == 1 else name_end}"
        for kind, name, name_end in (
            (prompts.points, "point", "s"),
            (prompts.boxes, "box", "es"),
            (prompts.scribbles, "scribble", "s"),
        )
        if kind
    ]
    words = _entities(question)
    return f"{words}\n\n<span class='ga-pointed'>with {', '.join(pointed)}</span>" if pointed else words


def step_html(step: ToolStep) -> str:
    """What a tool was asked, and what it said."""
    arguments = "".join(
        f"<dt>{_entities(str(k))}</dt><dd>{_entities(str(v)[:300])}</dd>" for k, v in step.arguments.items()
    )
    result = f'<div class="ga-result">{_entities(step.result)}</div>' if step.result else ""
    return f'<dl class="ga-call">{arguments}</dl>{result}'


def size_text(mask: Mask, info: ImageInfo) -> str:
    """How large a mask is, on the ground where that is known."""
    return area(mask_area_m2(mask, info), int(np.count_nonzero(mask)))


def facts(info: ImageInfo | None, model: str, device: str) -> list[tuple[str, str]]:
    """What is always visible: how the image is read, and by what."""
    by = [("model", model), ("device", device)]
    if info is None:
        return by
    extent = ground_extent(info)
    ground = "unknown: sizes in pixels"
    if info.gsd_m is not None and extent is not None:
        ground = f"{info.gsd_m:.3g} m a pixel, {length(extent[0])} × {length(extent[1])}"
    crs = info.crs or "none"
    names = info.extra.get("band_names") or ()
    bands = ", ".join(f"{b} {names[b - 1]}".strip() if b <= len(names) and names[b - 1] else str(b) for b in info.bands)
    stretch = "8-bit as it is"
    if info.stretch is not None:
        stretch = ", ".join(f"{low:g}–{high:g}" for low, high in info.stretch)
    return [
        *by,
        ("size", f"{info.width} × {info.height} px"),
        ("CRS", crs if len(crs) < 24 else "own projection"),
        ("ground", ground),
        ("bands", bands or "as they are"),
        ("stretch", stretch),
    ]
