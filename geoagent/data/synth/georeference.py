"""A place on Earth for a rendered scene, and the file that carries it."""

from pathlib import Path

import numpy as np
import rasterio
from numpy.random import Generator
from rasterio.crs import CRS
from rasterio.transform import Affine

from geoagent.types import AnnotatedScene, GeoAgentError, ImageInfo


def locate(rng: Generator, height: int, width: int, gsd: float) -> ImageInfo:
    """A made-up but possible place in a UTM zone, with north up and pixels of ``gsd`` metres."""
    zone, south = int(rng.integers(1, 61)), bool(rng.random() < 0.4)
    easting = round(float(rng.uniform(320_000, 680_000)) / gsd) * gsd
    northing = round(float(rng.uniform(4_200_000, 9_200_000) if south else rng.uniform(300_000, 6_400_000)) / gsd) * gsd
    return ImageInfo(
        width=width,
        height=height,
        crs=f"EPSG:{(32700 if south else 32600) + zone}",
        transform=(gsd, 0.0, easting, 0.0, -gsd, northing),
        gsd_m=gsd,
        bands=(1, 2, 3),
    )


def write_geotiff(scene: AnnotatedScene, path: str | Path) -> Path:
    """Write the pixels of a scene as a GeoTIFF with its coordinate system.

    Raises:
        GeoAgentError: if the scene has no place on Earth, or the folder is missing.
    """
    path = Path(path)
    info = scene.info
    if info is None or info.crs is None or info.transform is None:
        raise GeoAgentError(f"the scene {scene.id} has no place on Earth: write it as PNG instead of {path}")
    if not path.parent.is_dir():
        raise GeoAgentError(f"cannot write {path}: the folder {path.parent} does not exist")
    height, width = scene.size
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=3,
        dtype="uint8",
        crs=CRS.from_user_input(info.crs),
        transform=Affine(*info.transform),
        photometric="RGB",
        compress="deflate",
        predictor=2,
        tiled=True,
        blockxsize=256,
        blockysize=256,
    ) as target:
        target.write(np.moveaxis(scene.image, 2, 0))
        target.update_tags(source=scene.source, scene=scene.id)
    return path
