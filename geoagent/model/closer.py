"""A closer look at what a box marks.

A box says how large the thing in it is, so the model need not search the whole image for it: a view around the box
shows a small thing in ten times as many pixels. What is found there is then put back into the whole image. A text that
may mean more than what was marked ("everything like this") keeps the whole image in view.

Shapes: H, W of the image, h, w of a map.
"""

import re
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoagent.model.instances import resize_logits
from geoagent.model.requests import Draft, DraftTarget
from geoagent.types import Box, Evidence, Prompts

_LEAST = 96
"""Pixels of the smallest view: fewer show nothing of what is around."""
_WORTH_IT = 0.75
"""A view nearly as large as the image would only cost time."""
_SURELY_NOT = -20.0
_MORE_THAN_IT = re.compile(
    r"\b(all|any|both|each|every|everything|everywhere|other|others|another|rest|more|further|like|alike|similar|same|"
    r"kinds?|sorts?|types?|class|category|these|those|them|lot)\b",
    re.IGNORECASE,
)


def closer_window(text: str, prompts: Prompts, size: tuple[int, int], times: float) -> Box | None:
    """The view around boxes, ``times`` as large as all that was pointed at; None: the whole image of ``size``."""
    extent = prompts.extent()
    if not times or not prompts.boxes or prompts.masks or extent is None or _MORE_THAN_IT.search(text):
        return None
    x0, y0, x1, y1 = extent
    side = max(_LEAST, int(np.ceil(times * max(x1 - x0, y1 - y0))))
    return None if side > _WORTH_IT * max(size) else prompts.window(side, size)


def in_whole(draft: Draft, window: Box, size: tuple[int, int]) -> Draft:
    """A draft about a window as one about the whole image."""
    return replace(draft, targets=tuple(_placed(target, window, size) for target in draft.targets))


def _placed(target: DraftTarget, window: Box, size: tuple[int, int]) -> DraftTarget:
    def logits(part: Tensor | None) -> Tensor | None:
        return None if part is None else _spread(part, window, size, _SURELY_NOT)

    def seen(part: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        return None if part is None else _spread(torch.from_numpy(part), window, size, 0.0).numpy()

    evidence = target.evidence
    if evidence is not None:
        evidence = Evidence(
            question=seen(evidence.question),
            phrase=seen(evidence.phrase),
            seg=seen(evidence.seg),
            prompt=seen(evidence.prompt),
            clues=evidence.clues,
        )
    mask = _spread(target.logits, window, size, _SURELY_NOT)
    objects = target.objects
    if objects is not None:
        objects = tuple(replace(o, logits=_spread(o.logits, window, size, _SURELY_NOT)) for o in objects)
    return replace(
        target,
        logits=mask,
        cores=logits(target.cores),
        coarse=logits(target.coarse),
        objects=objects,
        evidence=evidence,
    )


def _spread(part: Tensor, window: Box, size: tuple[int, int], outside: float) -> Tensor:
    """A map [h,w] of a window as one of the whole image, [H,W]."""
    x0, y0, x1, y1 = window
    whole = part.new_full(size, outside)
    whole[y0:y1, x0:x1] = resize_logits(part[None], (y1 - y0, x1 - x0))[0]
    return whole
