"""A small world with a known truth for the tests of `geoagent.agent`, and models that answer from it."""

import threading
import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from eval.agent_oracle import OracleSegmenter
from geoagent.agent.store import SceneStore
from geoagent.agent.toolbox import Toolbox
from geoagent.types import AnnotatedScene, ImageInfo, SceneObject

GSD = 0.5
SIDE = 200
UTM = "EPSG:32633"
RIVER = (0, 150, 200, 170)
TANKS = ((10, 10, 30, 30), (50, 10, 60, 20), (100, 120, 120, 140), (150, 20, 180, 50), (30, 100, 40, 110))
"""Boxes in pixels; areas 400, 100, 400, 900, 100; 10 m² are 40 pixels."""
NEW_TANK = (170, 90, 190, 110)


def box_object(class_name: str, box: tuple[int, int, int, int]) -> SceneObject:
    x0, y0, x1, y1 = box
    return SceneObject(class_name=class_name, box=box, crop=np.ones((y1 - y0, x1 - x0), dtype=np.bool_))


def make_scene(name: str, tanks=TANKS, *, placed: bool = True) -> AnnotatedScene:
    """Storage tanks as bright boxes, a river below them."""
    image = np.random.default_rng(5).integers(60, 120, (SIDE, SIDE, 3)).astype(np.uint8)
    for x0, y0, x1, y1 in tanks:
        image[y0:y1, x0:x1] = 230
    x0, y0, x1, y1 = RIVER
    image[y0:y1, x0:x1] = (30, 60, 140)
    info = ImageInfo(
        width=SIDE,
        height=SIDE,
        crs=UTM if placed else None,
        transform=(GSD, 0.0, 500_000.0, 0.0, -GSD, 5_300_000.0) if placed else None,
        gsd_m=GSD if placed else None,
        bands=(1, 2, 3),
    )
    objects = (*(box_object("storage tank", box) for box in tanks), box_object("river", RIVER))
    return AnnotatedScene(
        id=name, image=image, objects=objects, complete=frozenset({"storage tank", "river", "ship"}), info=info
    )


def write_scene(scene: AnnotatedScene, path: Path) -> Path:
    info = scene.info
    placed = {"crs": info.crs, "transform": Affine(*info.transform)} if info.crs else {}
    shape = {"width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", photometric="RGB", **shape, **placed) as out:
            out.write(np.moveaxis(scene.image, 2, 0))
    return path


class Slow(OracleSegmenter):
    """Answers only once it is let go: as a large model on a small machine."""

    def __init__(self, scenes):
        super().__init__(scenes)
        self.go = threading.Event()
        self.asked = threading.Event()

    def open(self, image, /):
        return _Waiting(self, super().open(image))


class _Waiting:
    def __init__(self, model, session):
        self.model, self.session = model, session

    def ask(self, text="", **pointing):
        self.model.asked.set()
        self.model.go.wait(30)
        return self.session.ask(text, **pointing)


class Broken:
    """A model that always fails, in a way nobody thought of."""

    name = "broken"

    def open(self, image, /):
        raise KeyError("secret /etc/passwd")


def toolbox_of(folder: Path, *scenes: AnnotatedScene, model=None, **options) -> Toolbox:
    """A workspace whose root holds the scenes as files named after them."""
    root = folder / "images"
    root.mkdir(exist_ok=True)
    for scene in scenes:
        write_scene(scene, root / f"{scene.id}.tif")
    store = SceneStore(folder / "workspace", [root], **options)
    return Toolbox(store, model or OracleSegmenter(scenes))


def ids_by_name(toolbox: Toolbox) -> dict[str, str]:
    return {Path(name).stem: image_id for image_id, name in toolbox.store.images()}
