"""What a predictor hands to a way of grounding, and what it gets back.

There are two ways to ground, `geoagent.model.querying` (the trained pipeline) and `geoagent.model.boxes` (stock models,
no training). Both encode an image once and answer any number of requests about encoded images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.processor import GeoAgentProcessor
from geoagent.types import Evidence, Pixels, Prompts


@dataclass(frozen=True)
class Request:
    """One question about an encoded image."""

    encoded: Any
    """What `Grounder.encode` returned for the image."""
    size: tuple[int, int]
    """``(H, W)`` of the image."""
    instruction: str
    prompts: Prompts = field(default_factory=Prompts)
    brief: bool = False
    phrase: str = ""
    """What the answer is about, where that is known already: all that is asked is whether it is there, and where."""
    noun: str = ""
    """What the answer is to name, in sentences of its own."""
    tell: Callable[[str], None] | None = None
    """Hears the answer so far, marks included, after each token; not called by ways that write no sentence."""


@dataclass(frozen=True)
class DraftObject:
    """One object that was decoded on its own."""

    logits: Tensor
    """[h,w]."""
    score: float


@dataclass(frozen=True)
class DraftTarget:
    """One phrase with its mask, before it is brought to the image's size."""

    phrase: str
    score: float
    logits: Tensor
    """[h,w], over the whole image whatever its aspect."""
    cores: Tensor | None = None
    """[h,w] logits of object cores."""
    coarse: Tensor | None = None
    """[Hv,Wv] logits on the vision-token grid."""
    objects: tuple[DraftObject, ...] | None = None
    """Objects already told apart; None: split the mask."""
    evidence: Evidence | None = None


@dataclass(frozen=True)
class Draft:
    """An answer before it is brought to the image's size."""

    marked_answer: str
    targets: tuple[DraftTarget, ...]
    tokens: int
    meant: str = ""
    """The known class that the question most probably means; nothing where the model has no opinion."""
    warnings: tuple[str, ...] = ()


class Grounder(Protocol):
    """A way to ground words in an image."""

    model: GeoAgentModel
    processor: GeoAgentProcessor
    needs_training: bool
    """Whether untrained stages make its answers meaningless."""

    def encode(self, images: Sequence[Pixels]) -> list[Any]:
        """Do the work that is done once an image."""

    def answer(self, requests: Sequence[Request]) -> list[Draft]:
        """Answer questions about encoded images, all at once."""
