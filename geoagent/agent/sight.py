"""Reading images of a workspace and asking the model about them."""

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geoagent.agent.masks import StoredMask, without_path
from geoagent.agent.progress import Turn, report
from geoagent.agent.segmenter import Segmenter, Session, tiling_model
from geoagent.agent.store import SceneStore
from geoagent.agent.tiles import ask_tiles
from geoagent.geo.describe import describe_image
from geoagent.geo.opening import open_raster
from geoagent.geo.raster import Raster, Scene
from geoagent.types import Box, GeoAgentError, ImageInfo, Pixels, Prediction, Target

if TYPE_CHECKING:
    from geoagent.large.source import Windows
    from geoagent.predictor import Predictor

MAX_PIXELS = 1 << 34
"""Of an image: 131,072 x 131,072."""
PICTURE_SIDE = 2048
"""Pictures for people are read at most this large."""
_KEPT_OPEN = 3
_QUOTED = re.compile(r"""(['"])(…?)([^'"]+)\1""")


@dataclass(frozen=True)
class Seen:
    """What the model said of a part of an image."""

    prediction: Prediction
    window: Box
    """The part, in pixels of the image."""


class Sight:
    """The model and the images of a workspace; images that were asked about stay encoded for a while."""

    def __init__(
        self, store: SceneStore, model: Segmenter, *, gsd_m: float | None = None, turn: Turn | None = None
    ) -> None:
        self._store = store
        self._model = model
        self._gsd_m = gsd_m
        self._sessions: OrderedDict[tuple[str, Box | None, int], Session] = OrderedDict()
        self._turn = turn or Turn()
        """Models are not made for two threads at once."""

    @property
    def model_name(self) -> str:
        """Which model answers."""
        return self._model.name

    def describe(self, image_id: str) -> dict[str, Any]:
        """What is known of an image, see `describe_image`."""
        with self._nameless(image_id) as path:
            found = describe_image(path)
            if found["crs"] is None and self._gsd_m is not None:
                found = describe_image(path, gsd_m=self._gsd_m)
        return {**found, "remarks": [_nameless(remark, image_id, path) for remark in found["remarks"]]}

    @contextmanager
    def open(self, image_id: str, region: Box | None = None) -> Iterator[Scene]:
        """An image, or a part of it, to be read by windows."""
        with self._nameless(image_id) as path, ExitStack() as stack:
            _check_size(path)
            scene = stack.enter_context(Scene(path, region=region))
            if scene.info.crs is None and self._gsd_m is not None:
                scene = stack.enter_context(Scene(path, region=region, gsd_m=self._gsd_m))
            yield scene

    def picture(self, image_id: str, region: Box | None = None) -> tuple[Raster, int]:
        """A picture for people: each of its pixels stands for so many of the image along a side."""
        with self.open(image_id, region) as scene:
            height, width = scene.info.size
            step = ceil(max(height, width) / PICTURE_SIDE)
            return scene.read(size=None if step == 1 else (ceil(height / step), ceil(width / step))), step

    def pixels_under(self, stored: StoredMask) -> Pixels:
        """A picture for people of what lies under a mask, perhaps reduced; grey where the mask reaches beyond it."""
        info = self.with_picture(stored)
        if info.path is not None:
            return self.picture(stored.image_id, stored.window)[0].pixels
        step = ceil(max(info.size) / PICTURE_SIDE)
        return np.full((ceil(info.height / step), ceil(info.width / step), 3), 128, dtype=np.uint8)

    def with_picture(self, stored: StoredMask) -> ImageInfo:
        """What is known of a mask's grid, with where its picture is where the image covers it."""
        with self.open(stored.image_id) as scene:
            x0, y0, x1, y1 = stored.window
            inside = 0 <= x0 < x1 <= scene.info.width and 0 <= y0 < y1 <= scene.info.height
            if not inside or stored.info.size != (y1 - y0, x1 - x0):
                return stored.info
            return replace(stored.info, path=scene.info.path, extra={"window": stored.window})

    @contextmanager
    def ask(
        self,
        image_id: str,
        text: str,
        *,
        region: Box | None = None,
        points: Sequence[Sequence[float]] = (),
        boxes: Sequence[Sequence[float]] = (),
        brief: bool = True,
        min_score: float | None = None,
    ) -> Iterator[Seen]:
        """Ask about an image; coordinates are pixels of the whole image, also where only a region is looked at.

        Masks of a large image lie in a folder that is gone when the block ends: keep them before.
        """
        with ExitStack() as stack:
            stack.enter_context(self._turn)
            path = stack.enter_context(self._nameless(image_id))
            report("reading the image")
            scene = stack.enter_context(self.open(image_id, region))
            x, y = scene.info.extra["window"][:2]
            points = [(p[0] - x, p[1] - y, *p[2:]) for p in points]
            boxes = [(b[0] - x, b[1] - y, b[2] - x, b[3] - y) for b in boxes]
            version = path.stat().st_mtime_ns
            eyes = self._tiling(scene.info)
            if eyes is not None:
                work = stack.enter_context(self._store.work((image_id, region, version, text, min_score)))
                prediction = ask_tiles(
                    eyes, scene, text, points=points, boxes=boxes, brief=brief, min_score=min_score, work=work
                )
            else:
                session = self._session((image_id, region, version), scene)
                report("asking the segmentation model")
                prediction = session.ask(text, points=points, boxes=boxes, brief=brief)
                if min_score is not None:
                    prediction = prediction.with_threshold(min_score)
            report("measuring what was found")
            warnings = tuple(_nameless(warning, image_id, path) for warning in prediction.warnings)
            yield Seen(replace(prediction, warnings=warnings), scene.info.extra["window"])

    @contextmanager
    def ask_windows(self, windows: "Windows", text: str) -> Iterator[Prediction]:
        """Ask about a picture that is not a file, such as one that was warped."""
        with ExitStack() as stack:
            stack.enter_context(self._turn)
            report("asking the segmentation model")
            eyes = self._tiling(windows.info)
            if eyes is None:
                yield self._model.open(windows.read()).ask(text, brief=True)
            else:
                yield ask_tiles(eyes, windows, text)

    def keep(self, image_id: str, target: Target, prediction: Prediction, window: Box) -> str:
        """Store what was found and return its id."""
        return self._store.add_mask(
            StoredMask(
                image_id=image_id,
                target=target,
                info=without_path(prediction.image),
                window=window,
                question=prediction.instruction,
                model=prediction.model,
            )
        )

    def _tiling(self, info: ImageInfo) -> "Predictor | None":
        """The model, where an image is too large for one look."""
        model = tiling_model(self._model)
        if model is None:
            return None
        from geoagent.large import is_large

        return model if is_large(info, model.model.config.image) else None

    def _session(self, key: tuple[str, Box | None, int], scene: Scene) -> Session:
        """A window of an image, encoded."""
        if key not in self._sessions:
            report("looking at the image")
            self._sessions[key] = self._model.open(scene.read())
            while len(self._sessions) > _KEPT_OPEN:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(key)
        return self._sessions[key]

    @contextmanager
    def _nameless(self, image_id: str) -> Iterator[Path]:
        """The path of an image; errors inside speak of its id, never of the path."""
        path = self._store.image_path(image_id)
        try:
            yield path
        except GeoAgentError as error:
            cleaned = _nameless(str(error), image_id, path)
            if cleaned == str(error):
                raise
            raise GeoAgentError(cleaned) from None


def _check_size(path: Path) -> None:
    """A file of a few bytes can claim to be of any size: what would be written about it has to end somewhere."""
    with open_raster(path) as dataset:
        width, height = dataset.width, dataset.height
    if width * height > MAX_PIXELS:
        raise GeoAgentError(
            f"{str(path)!r} claims {width} x {height} pixels, too many (at most {MAX_PIXELS >> 20} Mi): cut it"
        )


def _nameless(text: str, image_id: str, path: Path) -> str:
    """A message with the id in the place of the path, whole or cut as messages cut it."""
    clean = "".join(c if c.isprintable() else "?" for c in str(path))

    def named(match: re.Match[str]) -> str:
        return image_id if clean.endswith(match[3]) else match[0]

    return _QUOTED.sub(named, text.replace(repr(str(path)), image_id).replace(clean, image_id))
