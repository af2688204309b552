"""The model behind the page, loaded while the page already answers."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from geoagent.demo import DEMOS

if TYPE_CHECKING:
    from geoagent.predictor import Predictor, SceneSession


class LoadedOnce:
    """A predictor that is loaded when it is first needed."""

    def __init__(self, name: str, load: "Callable[[], Predictor]") -> None:
        self.name = name
        self._load = load
        self._predictor: Predictor | None = None
        self._lock = threading.Lock()

    @property
    def predictor(self) -> "Predictor":
        """The predictor; the first call loads it."""
        with self._lock:
            if self._predictor is None:
                self._predictor = self._load()
            return self._predictor

    @property
    def ready(self) -> bool:
        """Whether it is loaded."""
        return self._predictor is not None

    def warm_up(self) -> None:
        """Load it and let it answer once: the first answer of a process pays for what later ones find done."""
        demo = DEMOS[0]
        self.open(demo.path).ask(demo.questions[0], points=[(8.0, 8.0)], brief=True)

    @property
    def device(self) -> str:
        """What it runs on, in words."""
        if self._predictor is None:
            return "loading …"
        return str(next(self._predictor.model.parameters()).device)

    def open(self, image: Any, **reading: Any) -> "SceneSession":
        """Encode an image once."""
        return self.predictor.open(image, **reading)
