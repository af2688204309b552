"""A model that knows the truth: it answers about annotated scenes with their true masks.

For the screenshots and the tests of the chat page, which are about the page and not about what a model has learned.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from geoagent.app.asking import check_stop
from geoagent.geo.raster import Raster, read_image
from geoagent.model.tokens import plain_answer
from geoagent.types import AnnotatedScene, GeoAgentError, Instance, Mask, Prediction, Prompts, SceneObject, Target

RULES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("fuel|tanks?", "storage tanks", ("storage tank",)),
    ("ships?|vessels?|boats?", "ships", ("ship",)),
    ("helipad", "helipad", ("helipad",)),
    ("airplanes?|planes?", "airplanes", ("airplane",)),
    ("leave their cars|park", "parking lots", ("parking lot",)),
    ("cars?", "cars", ("car",)),
    ("buildings?|houses?|roofs?", "buildings", ("building",)),
    ("swimming|pools?", "swimming pools", ("swimming pool",)),
    ("under water|flood", "flood water", ("flood water",)),
    ("water|sea", "water", ("sea", "lake", "river", "flood water")),
    ("glass|greenhouses?|vegetables", "greenhouses", ("greenhouse",)),
    ("solar", "solar panels", ("solar panel",)),
    ("ball games|soccer|play|helicopter land", "soccer field", ("soccer field",)),
    ("farmland|fields", "farmland", ("farmland",)),
    ("roads?", "roads", ("road", "unpaved road")),
    ("trees?", "trees", ("tree",)),
)
"""Words of a question, the phrase of the answer, the classes meant."""
AREAS = frozenset({"sea", "lake", "river", "flood water", "farmland", "road", "unpaved road"})
"""Stuff: not told apart into objects."""


class Oracle:
    """Answers questions about the scenes whose files it was given."""

    name = "oracle"
    device = "cpu"
    ready = True

    def __init__(self, scenes: Mapping[Path, AnnotatedScene], seconds: float = 0.0) -> None:
        self._scenes = [(read_image(path).info, scene) for path, scene in scenes.items()]
        self.seconds = seconds
        self.seconds_a_word = 0.0
        self.questions = 0

    def open(self, image: Any, **reading: Any) -> "KnownScene":
        """The scene that lies where the image lies; of any other image nothing is known."""
        raster = image if isinstance(image, Raster) else read_image(image, **reading)
        for info, scene in self._scenes:
            if (info.transform, info.size) == (raster.info.transform, raster.info.size):
                return KnownScene(self, raster, scene)
        return KnownScene(self, raster, None)

    def pause(self, seconds: float) -> None:
        """Take so long, unless stopped."""
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            check_stop()
            time.sleep(0.02)


class KnownScene:
    """A picture with its truth."""

    def __init__(self, oracle: Oracle, raster: Raster, scene: AnnotatedScene | None) -> None:
        self.oracle = oracle
        self.raster = raster
        self.scene = scene

    def ask(
        self,
        text: str = "",
        *,
        points: Sequence[Sequence[float]] = (),
        boxes: Sequence[Sequence[float]] = (),
        prompts: Prompts | None = None,
        brief: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> Prediction:
        """Answer with what is truly there."""
        if points or boxes:
            prompts = Prompts(points=tuple((p[0], p[1], True) for p in points), boxes=tuple(tuple(b) for b in boxes))  # type: ignore[misc]
        self.oracle.questions += 1
        began = time.perf_counter()
        self.oracle.pause(self.oracle.seconds)
        if "out of memory" in text:
            raise GeoAgentError("the scripted model was told to fail: ask something else")
        targets = self._pointed(prompts) if prompts else self._named(text)
        marks = [f"<p>{t.phrase}</p><{'seg' if t.mask.any() else 'rej'}>" for t in targets]
        marked = f"I looked for {_listed(marks)}." if marks else "Ask me where something is."
        if tell is not None:
            for word in re.finditer(r"\S+", marked):
                self.oracle.pause(self.oracle.seconds_a_word)
                tell(marked[: word.end()])
        return Prediction(
            answer=plain_answer(marked),
            marked_answer=marked,
            candidates=tuple(targets),
            image=self.raster.info,
            instruction=text,
            model=self.oracle.name,
            seconds=time.perf_counter() - began,
            pixels=self.raster.pixels,
            valid=self.raster.valid,
        )

    def _named(self, text: str) -> list[Target]:
        left, targets = text.lower(), []
        for words, phrase, classes in RULES:
            if re.search(rf"\b({words})\b", left):
                left = re.sub(rf"\b({words})\b", " ", left)
                things = [o for name in classes for o in (self.scene.of_class(name) if self.scene else ())]
                targets.append(self._target(phrase, things))
        return targets

    def _pointed(self, prompts: Prompts) -> list[Target]:
        """The smallest thing under what was pointed at."""
        x, y = _first_place(prompts)
        hits = [o for o in (self.scene.objects if self.scene else ()) if _covers(o, x, y)]
        thing = min(hits, key=lambda o: o.area, default=None)
        return [self._target(thing.class_name if thing else "what is here", [thing] if thing else [])]

    def _target(self, phrase: str, things: Sequence[SceneObject]) -> Target:
        size = self.raster.info.size
        mask = self.scene.union(things) if self.scene else np.zeros(size, dtype=np.bool_)
        instances = tuple(
            Instance(id=n, box=o.box, crop=o.crop, score=_score(o), image_size=size)
            for n, o in enumerate((o for o in things if o.class_name not in AREAS), start=1)
        )
        score = 0.94 if mask.any() else 0.07
        return Target(phrase=phrase, score=score, mask=mask, instances=instances, coarse=_coarse(mask))


def _first_place(prompts: Prompts) -> tuple[float, float]:
    for x, y, positive in prompts.points:
        if positive:
            return x, y
    for x0, y0, x1, y1 in prompts.boxes:
        return (x0 + x1) / 2, (y0 + y1) / 2
    for line in prompts.scribbles:
        return line[len(line) // 2]
    return 0.0, 0.0


def _covers(thing: SceneObject, x: float, y: float) -> bool:
    x0, y0, x1, y1 = thing.box
    return x0 <= x < x1 and y0 <= y < y1 and bool(thing.crop[int(y) - y0, int(x) - x0])


def _score(thing: SceneObject) -> float:
    """Larger things are surer, as with any model: gives the slider something to filter."""
    return float(np.clip(0.52 + 0.09 * np.log10(max(thing.area, 1)), 0.52, 0.97))


def _coarse(mask: Mask) -> NDArray[np.float32]:
    height, width = (max(1, side // 16) for side in mask.shape)
    small = np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BOX))
    return np.clip(ndimage.gaussian_filter(small / 255.0, 0.7) * 1.2, 0, 1).astype(np.float32)


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
