"""What the tools need of a model, so that a scripted one can stand in for it."""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from geoagent.types import Prediction

if TYPE_CHECKING:
    from geoagent.predictor import Predictor


class Session(Protocol):
    """An image that was encoded once."""

    def ask(
        self,
        text: str = "",
        *,
        points: Sequence[Sequence[float]] = (),
        boxes: Sequence[Sequence[float]] = (),
        brief: bool = False,
    ) -> Prediction:
        """Answer one question; coordinates are pixels of what was opened. ``brief``: phrases instead of sentences."""
        ...


class Segmenter(Protocol):
    """`geoagent.predictor.Predictor`, or anything that answers like it."""

    @property
    def name(self) -> str:
        """Of the model."""
        ...

    def open(self, image: Any, /) -> Session:
        """Encode a `geoagent.geo.raster.Raster`."""
        ...


class LazySegmenter:
    """Loads its model when it is first needed: a server answers at once, and torch is imported only then."""

    def __init__(self, name: str, load: Callable[[], Segmenter]) -> None:
        self.name = name
        self._load = load
        self._model: Segmenter | None = None
        self._lock = threading.Lock()

    @property
    def predictor(self) -> Segmenter:
        """The model; the first call loads it."""
        with self._lock:
            if self._model is None:
                self._model = self._load()
            return self._model

    def open(self, image: Any, /) -> Session:
        """See `Segmenter.open`."""
        return self.predictor.open(image)


def tiling_model(model: Segmenter) -> "Predictor | None":
    """The model as `geoagent.large` needs it, to look at an image tile by tile; None for a stand-in that cannot."""
    loaded = getattr(model, "predictor", model)
    return cast("Predictor", loaded) if hasattr(loaded, "grounder") else None
