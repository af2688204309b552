"""How the published systems score themselves, so that a number can be set beside theirs.

They differ in the canvas on which masks are compared, in what an empty union counts, in ``>`` against ``>=``, and in
what becomes of several masks. All average over every mask they score, samples without a target included. The tiny
constants that some add to a union (1e-5) are left out. Our own metrics are in `eval.metrics`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.matching import overlap, union_of
from geoagent.types import GeoAgentError, Mask

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, kw_only=True)
class MaskScore:
    """One comparison of a predicted mask with a true one, in pixels of the canvas."""

    intersection: int
    union: int
    iou: float


@dataclass(frozen=True, kw_only=True)
class Convention:
    """One paper's way to turn masks into numbers."""

    name: str
    words: str
    canvas: Callable[[Mask], Mask]
    empty_iou: float
    """What an empty union counts."""
    strict: bool
    """Pr@X counts IoU > X; otherwise IoU >= X."""
    masks: Literal["united", "by index"]
    """All masks of a sample as one, or each true mask with the predicted one of the same index."""
    first_question_only: bool = False

    def takes(self, question_index: int) -> bool:
        """Whether the paper scores this of the questions that share one label."""
        return question_index == 0 or not self.first_question_only

    def score(self, truth: Sequence[Mask], predicted: Sequence[Mask], size: tuple[int, int]) -> tuple[MaskScore, ...]:
        """Compare a sample's masks, all bool [H,W] of ``size``; ``truth`` is empty where there is no target."""
        if self.masks == "united":
            return (self._compare(union_of(truth, size), union_of(predicted, size)),)
        answered = list(predicted) or [np.zeros(size, dtype=np.bool_)]
        return tuple(self._compare(mask, answered[min(k, len(answered) - 1)]) for k, mask in enumerate(truth))

    def passes(self, iou: float, threshold: float) -> bool:
        """Whether a mask counts for Pr@threshold."""
        return iou > threshold if self.strict else iou >= threshold

    def _compare(self, truth: Mask, predicted: Mask) -> MaskScore:
        both = overlap(self.canvas(truth), self.canvas(predicted))
        return MaskScore(intersection=both.intersection, union=both.union, iou=both.iou(self.empty_iou))


def own_size(mask: Mask) -> Mask:
    """Compare where the mask is."""
    return mask


def stretch(mask: Mask, side: int) -> Mask:
    """bool [side,side]: aspect ignored, nearest pixel by its centre, as PIL and torchvision resize."""
    height, width = mask.shape
    return mask[np.ix_(_centres(height, side), _centres(width, side))]


def letterbox(mask: Mask, side: int) -> Mask:
    """bool [side,side]: aspect kept, longer side to ``side``, padded evenly around, nearest pixel as OpenCV resizes."""
    height, width = mask.shape
    if width > height:
        new_height, new_width = max(1, int(height * (side / width))), side
    else:
        new_height, new_width = side, max(1, int(width * (side / height)))
    canvas = np.zeros((side, side), dtype=np.bool_)
    top, left = (side - new_height) // 2, (side - new_width) // 2
    resized = mask[np.ix_(_corners(height, new_height), _corners(width, new_width))]
    canvas[top : top + new_height, left : left + new_width] = resized
    return canvas


def _centres(old: int, new: int) -> NDArray[np.intp]:
    return ((np.arange(new) + 0.5) * old / new).astype(np.intp)


def _corners(old: int, new: int) -> NDArray[np.intp]:
    return (np.arange(new) * (old / new)).astype(np.intp)


CONVENTIONS = {
    convention.name: convention
    for convention in (
        Convention(
            name="segearth-r1",
            words="One mask a sample (the union), letterboxed to 1024 x 1024 pixels; an empty union counts 1, so that "
            "a sample without a target scores 1 if nothing is answered and 0 otherwise; IoU > X; of several questions "
            "about one label only the first.",
            canvas=partial(letterbox, side=1024),
            empty_iou=1.0,
            strict=True,
            masks="united",
            first_question_only=True,
        ),
        Convention(
            name="segearth-r2",
            words="Each true mask with the predicted one of the same index, at the image's own size; the last "
            "predicted mask is repeated where there are too few, surplus ones are dropped; an empty union counts 1; "
            "IoU > X; means are over masks, and samples without a target count for nothing.",
            canvas=own_size,
            empty_iou=1.0,
            strict=True,
            masks="by index",
        ),
        Convention(
            name="rmsin",
            words="One mask a sample (the union), stretched to 480 x 480 pixels; an empty union counts 0; IoU >= X; "
            "every sentence is a sample.",
            canvas=partial(stretch, side=480),
            empty_iou=0.0,
            strict=False,
            masks="united",
        ),
        Convention(
            name="unigeoseg",
            words="One mask a sample (the union), letterboxed to 512 x 512 pixels; an empty union counts 1; IoU > X; "
            "of several questions about one label only the first.",
            canvas=partial(letterbox, side=512),
            empty_iou=1.0,
            strict=True,
            masks="united",
            first_question_only=True,
        ),
    )
}


def convention(name: str) -> Convention:
    """The convention called ``name``."""
    if name not in CONVENTIONS:
        raise GeoAgentError(f"there is no convention {name!r}: choose one of {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]
