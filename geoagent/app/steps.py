"""How the model found it: for each phrase its attention, first guess, prompt and mask, each with a sentence.

Maps go to the browser as the few numbers they are; it lays them over the picture that it has.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoagent.app.pictures import mask_uri, numbers_text
from geoagent.app.review import Review
from geoagent.geo.style import target_colour
from geoagent.types import Target

_FLAT = 0.1
"""Attention whose least is less than this share below its most singles nothing out."""
_LONG = 48
"""Letters of a phrase that a sentence repeats."""


def steps_of(review: Review) -> list[dict[str, Any]]:
    """One entry for each candidate: the maps that led to its mask, the mask, the score and the decision."""
    numbers = {id(t): n for n, t in enumerate(review.result.targets, start=1)}
    steps = []
    for target, kept in zip(review.prediction.candidates, review.result.candidates, strict=True):
        number = numbers.get(id(kept))
        steps.append(
            {
                "phrase": target.phrase,
                "verdict": _verdict(target, found=number is not None, threshold=review.threshold),
                "maps": [*_maps(target)],
                "mask": mask_uri(target.mask, target_colour(number or 1)) if target.mask.any() else None,
                "drawn": _drawn(target),
            }
        )
    return steps


def _verdict(target: Target, *, found: bool, threshold: float) -> str:
    if found:
        return f"Found: its score of {target.score:.2f} reaches {threshold:.2f}."
    if target.score >= threshold:
        return f"Not found: its score of {target.score:.2f} reaches {threshold:.2f}, but no pixel of it is left."
    return f"Not found: its score of {target.score:.2f} stays below {threshold:.2f}."


def _drawn(target: Target) -> str:
    """What the mask's picture says."""
    pixels = target.pixel_count
    if not pixels:
        return "SAM2's decoder drew nothing."
    objects = len(target.instances)
    apart = f", told apart into {objects} objects" if objects > 1 else ""
    return f"SAM2's decoder drew the outline at full size: {pixels:,} pixels{apart}."


def _maps(target: Target) -> Iterator[dict[str, Any]]:
    """In the order of the network: words are heard, a first guess is made, SAM2 is prompted."""
    evidence = target.evidence
    if evidence is not None:
        if evidence.question is not None:
            yield _attention("The question", evidence.question, "the words of the question")
        if evidence.phrase is not None:
            phrase = target.phrase if len(target.phrase) <= _LONG else f"{target.phrase[:_LONG].rstrip()} …"
            yield _attention("The phrase", evidence.phrase, f"“{phrase}”")
        if evidence.seg is not None:
            yield _attention("Its mark", evidence.seg, "<seg>, the token that stands for the mask")
    if target.coarse is not None:
        best = float(target.coarse.max())
        rows, columns = target.coarse.shape
        text = f"Where it looked first: of {columns} × {rows} cells the likeliest holds it with {best:.0%}."
        yield _map("First guess", target.coarse, text, low=0.0, high=1.0)
    if evidence is not None and evidence.prompt is not None:
        peak = float(evidence.prompt.max())
        text = "What SAM2 was told: bright places are marked for its decoder, beside prompts that have no place."
        if peak == 0:
            text = "SAM2 was told no place: its prompts here have none."
        yield _map("Prompt", evidence.prompt, text, low=0.0, high=peak)


def _attention(title: str, share: NDArray[np.float32], to: str) -> dict[str, Any]:
    low, high = float(share.min()), float(share.max())
    text = f"Bright places listen most to {to}: {_percent(high)} of their attention, dark ones {_percent(low)}."
    if high - low < _FLAT * high:
        text = f"All places listen alike to {to}, with {_percent(high)} of their attention: it singles nothing out."
        high = low + 1.0
    return _map(title, share, text, low=low, high=high)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _map(title: str, values: NDArray[np.float32], text: str, *, low: float, high: float) -> dict[str, Any]:
    height, width = values.shape
    return {"title": title, "text": text, "width": width, "height": height, "values": numbers_text(values, low, high)}
