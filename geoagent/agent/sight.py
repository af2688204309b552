"""Reading images of a workspace and asking the model about them."""

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geoagent.agent.masks import StoredMask, without_path
from geoagent.agent.progress import Turn, report
from geoagent.agent.segmenter import Segmenter, Session
from geoagent.agent.store import SceneStore
from geoagent.geo.describe import describe_image
from geoagent.geo.raster import Raster, read_image
from geoagent.types import Box, GeoAgentError, Prediction, Target

_KEPT_OPEN = 3
_QUOTED = re.compile(r"""(['"])(…?)([^'"]+)\1""")


@dataclass(frozen=True)
class View:
    """A window of an image, encoded."""

    raster: Raster
    session: Session
    window: Box


class Sight:
    """The model and the images of a workspace; images that were asked about stay encoded for a while."""

    def __init__(
        self, store: SceneStore, model: Segmenter, *, gsd_m: float | None = None, turn: Turn | None = None
    ) -> None:
        self._store = store
        self._model = model
        self._gsd_m = gsd_m
        self._views: OrderedDict[tuple[str, Box | None], View] = OrderedDict()
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

    def read(self, image_id: str, region: Box | None = None) -> Raster:
        """The picture of an image, or of a window of it."""
        with self._nameless(image_id) as path:
            raster = read_image(path, region=region)
            if raster.info.crs is None and self._gsd_m is not None:
                raster = read_image(path, region=region, gsd_m=self._gsd_m)
        return raster

    def ask(
        self,
        image_id: str,
        text: str,
        *,
        region: Box | None = None,
        points: Sequence[Sequence[float]] = (),
        boxes: Sequence[Sequence[float]] = (),
        brief: bool = True,
    ) -> tuple[Prediction, View]:
        """Ask about an image; coordinates are pixels of the whole image, also where only a region is looked at."""
        with self._turn, self._nameless(image_id) as path:
            view = self._view(image_id, region)
            x, y = view.window[:2]
            report("asking the segmentation model")
            prediction = view.session.ask(
                text,
                points=[(p[0] - x, p[1] - y, *p[2:]) for p in points],
                boxes=[(b[0] - x, b[1] - y, b[2] - x, b[3] - y) for b in boxes],
                brief=brief,
            )
            report("measuring what was found")
            warnings = tuple(_nameless(warning, image_id, path) for warning in prediction.warnings)
        return replace(prediction, warnings=warnings), view

    def ask_picture(self, raster: Raster, text: str) -> Prediction:
        """Ask about a picture that is not a file, such as one that was warped."""
        with self._turn:
            report("asking the segmentation model")
            return self._model.open(raster).ask(text, brief=True)

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

    def _view(self, image_id: str, region: Box | None) -> View:
        key = (image_id, region)
        if key not in self._views:
            report("reading the image")
            raster = self.read(image_id, region)
            report("looking at the image")
            window = raster.info.extra["window"]
            self._views[key] = View(raster, self._model.open(raster), window)
            while len(self._views) > _KEPT_OPEN:
                self._views.popitem(last=False)
        self._views.move_to_end(key)
        return self._views[key]

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


def _nameless(text: str, image_id: str, path: Path) -> str:
    """A message with the id in the place of the path, whole or cut as messages cut it."""
    clean = "".join(c if c.isprintable() else "?" for c in str(path))

    def named(match: re.Match[str]) -> str:
        return image_id if clean.endswith(match[3]) else match[0]

    return _QUOTED.sub(named, text.replace(repr(str(path)), image_id).replace(clean, image_id))
