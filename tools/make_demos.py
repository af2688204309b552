"""Render the pictures that come with the package, and the figure of the README.

    python -m tools.make_demos [--assets DIR] [--figure FILE]

The figure shows a rendered scene with its *labelled* masks; it says nothing about what a model finds.
"""

import argparse
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image
from rasterio.transform import Affine

from geoagent.data.synth import render_scene
from geoagent.demo import DEMOS, FOLDER
from geoagent.geo.overlay import draw_overlay
from geoagent.types import AnnotatedScene, ImageInfo, Instance, Prediction, Target

SIDE = 640
SCENES = {
    "port": ("port", 277),
    "airport": ("airport", 109),
    "town": ("town", 108),
    "flood": ("flooded", 128),
    "farm": ("farmland", 157),
}
"""Landscape and seed of each."""
FIGURE = Path("docs/images/labelled-port.jpg")
FIGURE_CLASSES = ("storage tank", "ship", "shipping container")


def write_compressed(scene: AnnotatedScene, path: Path) -> None:
    """A GeoTIFF with JPEG inside: a seventh of what a lossless one takes, which counts in a package."""
    info = scene.info
    assert info is not None and info.transform is not None
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=info.height,
        width=info.width,
        count=3,
        dtype="uint8",
        crs=info.crs,
        transform=Affine(*info.transform),
        photometric="YCBCR",
        compress="jpeg",
        jpeg_quality=90,
        tiled=True,
        blockxsize=320,
        blockysize=320,
    ) as target:
        target.write(np.moveaxis(scene.image, 2, 0))
        target.update_tags(TIFFTAG_IMAGEDESCRIPTION=f"rendered by geoagent, not a real place ({scene.id})")


def labelled(scene: AnnotatedScene, class_names: tuple[str, ...]) -> Prediction:
    """The truth of a scene in the form of an answer, to be drawn like one."""
    targets = []
    for name in class_names:
        things = scene.of_class(name)
        instances = tuple(
            Instance(id=number, box=thing.box, crop=thing.crop, score=1.0, image_size=scene.size)
            for number, thing in enumerate(things, start=1)
        )
        targets.append(Target(phrase=name, score=1.0, mask=scene.union(things), instances=instances))
    height, width = scene.size
    return Prediction(
        answer="",
        marked_answer="",
        candidates=tuple(targets),
        image=scene.info or ImageInfo(width=width, height=height),
        instruction="",
        model="labels",
        pixels=scene.image,
    )


def draw_figure(scene: AnnotatedScene, path: Path) -> None:
    """The scene, and beside it the same with its labelled masks."""
    masked = draw_overlay(labelled(scene, FIGURE_CLASSES))
    gap = np.full((scene.size[0], 8, 3), 255, dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.hstack([scene.image, gap, masked])).save(path, quality=88)


def main() -> None:
    """Parse, render, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, default=FOLDER)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    args = parser.parse_args()
    args.assets.mkdir(parents=True, exist_ok=True)
    for one in DEMOS:
        landscape, seed = SCENES[one.name]
        scene = render_scene(seed, SIDE, landscape=landscape)
        write_compressed(scene, args.assets / one.path.name)
        if one.name == "port":
            draw_figure(scene, args.figure)
        print(f"{one.path.name}: {scene.captions[0]}, {scene.gsd_m} m a pixel")


if __name__ == "__main__":
    main()
