"""Where pixels lie on the Earth, and how large they are there.

Everything is computed on the ellipsoid of the image's own datum. A projection is never asked for a size: a metre of
EPSG:3857 is half a metre on the ground at 60 degrees north.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS, Geod, Transformer
from pyproj.enums import TransformDirection
from pyproj.exceptions import CRSError

from geoagent.types import GeoAgentError, ImageInfo

WGS84 = "EPSG:4326"
Floats = NDArray[np.float64]


def crs_name(crs: Any) -> str | None:
    """``EPSG:…`` where there is a code, otherwise WKT; None for no CRS and for one that is not tied to the Earth."""
    if crs is None or not str(crs).strip():
        return None
    try:
        parsed = CRS.from_user_input(crs if isinstance(crs, str | int | CRS) else crs.to_wkt())
    except CRSError as error:
        raise GeoAgentError(f"the coordinate reference system {str(crs)[:80]!r} is not known; try EPSG:…") from error
    if parsed.geodetic_crs is None:
        return None
    authority = parsed.to_authority(min_confidence=100)
    return ":".join(authority) if authority else str(parsed.to_wkt())


@lru_cache(maxsize=64)
def parse_crs(name: str) -> CRS:
    """The CRS of a name that `crs_name` gave."""
    return CRS.from_user_input(name)


@lru_cache(maxsize=64)
def geodesic_of(name: str) -> Geod:
    """Geodesics on the ellipsoid of a CRS."""
    geod = parse_crs(name).get_geod()
    return geod if geod is not None else Geod(ellps="WGS84")


@lru_cache(maxsize=64)
def to_geographic(name: str) -> Transformer:
    """From a CRS to longitude and latitude of its own datum: exact, without a datum shift."""
    parsed = parse_crs(name)
    return Transformer.from_crs(parsed, parsed.geodetic_crs, always_xy=True)


@lru_cache(maxsize=64)
def to_wgs84(name: str) -> Transformer:
    """From a CRS to longitude and latitude in WGS 84."""
    return Transformer.from_crs(parse_crs(name), WGS84, always_xy=True)


def affine_of(info: ImageInfo) -> Affine:
    """The transform of an image that has a place."""
    if info.transform is None:
        raise ValueError("the image has no transform")
    return Affine(*info.transform)


def has_place(info: ImageInfo) -> bool:
    """Whether the image knows where on Earth it is."""
    return info.crs is not None and info.transform is not None


def is_measurable(info: ImageInfo) -> bool:
    """Whether metres can be told: the image has a place, or a person gave its ground size."""
    return has_place(info) or info.gsd_m is not None


def image_to_crs(info: ImageInfo, columns: ArrayLike, rows: ArrayLike) -> tuple[Floats, Floats]:
    """Pixel coordinates (0, 0 is the outer corner of the first pixel) to x, y of the image's CRS."""
    a, b, c, d, e, f = affine_of(info)[:6]
    columns, rows = np.asarray(columns, dtype=np.float64), np.asarray(rows, dtype=np.float64)
    return a * columns + b * rows + c, d * columns + e * rows + f


def image_to_lonlat(info: ImageInfo, columns: ArrayLike, rows: ArrayLike) -> tuple[Floats, Floats]:
    """Pixel coordinates to longitude and latitude in WGS 84."""
    assert info.crs is not None
    x, y = image_to_crs(info, columns, rows)
    longitude, latitude = to_wgs84(info.crs).transform(x, y)
    return (np.asarray(longitude) + 180.0) % 360.0 - 180.0, np.asarray(latitude)


def lonlat_to_image(info: ImageInfo, longitude: ArrayLike, latitude: ArrayLike) -> tuple[Floats, Floats]:
    """Longitude and latitude in WGS 84 to pixel coordinates."""
    assert info.crs is not None
    x, y = to_wgs84(info.crs).transform(longitude, latitude, direction=TransformDirection.INVERSE)
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if parse_crs(info.crs).is_geographic:  # an image across the antimeridian runs to 181 or begins at -181
        centre, _ = image_to_crs(info, info.width / 2, info.height / 2)
        x = x + np.round((centre - x) / 360.0) * 360.0
    inverse = ~affine_of(info)
    return inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f


def _earth_centred(info: ImageInfo, columns: Floats, rows: Floats) -> Floats:
    """Pixel coordinates [...] to metres from the centre of the Earth [..., 3]: no seam at 180 degrees, no pole."""
    assert info.crs is not None
    longitude, latitude = to_geographic(info.crs).transform(*image_to_crs(info, columns, rows))
    geod = geodesic_of(info.crs)
    lam, phi = np.radians(longitude), np.radians(latitude)
    normal = geod.a / np.sqrt(1.0 - geod.es * np.sin(phi) ** 2)
    flat = normal * np.cos(phi)
    return np.stack([flat * np.cos(lam), flat * np.sin(lam), normal * (1.0 - geod.es) * np.sin(phi)], axis=-1)


def pixel_sides(info: ImageInfo, columns: ArrayLike, rows: ArrayLike) -> tuple[Floats, Floats]:
    """Ground vectors in metres [..., 3] of one step along a row and one step along a column, at pixel coordinates."""
    columns, rows = np.broadcast_arrays(columns, rows)
    right, down = (np.array(step).reshape(4, *[1] * columns.ndim) for step in ((0.5, -0.5, 0, 0), (0, 0, 0.5, -0.5)))
    east, west, south, north = _earth_centred(info, columns + right, rows + down)
    return east - west, south - north


def local_metric(info: ImageInfo, column: float, row: float) -> Floats:
    """Matrix [2,2] from pixel steps to metres on the ground about a point (its columns: one pixel right, one down).

    For an image without a place it is the ground size a person gave, or 1: lengths in pixels.
    """
    if not has_place(info):
        return np.eye(2) * (info.gsd_m or 1.0)
    right, down = pixel_sides(info, column, row)
    width = float(np.linalg.norm(right))
    return np.array([[width, float(right @ down) / width], [0.0, float(np.linalg.norm(np.cross(right, down))) / width]])


def pixel_areas(info: ImageInfo, columns: ArrayLike, rows: ArrayLike) -> Floats:
    """Ground area in m² of the pixels around the given pixel coordinates."""
    if not has_place(info):
        if info.gsd_m is None:
            raise ValueError("an image without place and ground size has no areas")
        shape = np.broadcast_shapes(np.shape(columns), np.shape(rows))
        return np.full(shape, info.gsd_m**2, dtype=np.float64)
    along_row, along_column = pixel_sides(info, columns, rows)
    return np.asarray(np.linalg.norm(np.cross(along_row, along_column), axis=-1))


def ground_size(info: ImageInfo) -> float | None:
    """True ground size in metres of a pixel in the middle of the image: the side of a square of its area."""
    area = float(pixel_areas(info, info.width / 2, info.height / 2))
    return float(np.sqrt(area)) if np.isfinite(area) and area > 0 else None


def ground_extent(info: ImageInfo) -> tuple[float, float] | None:
    """Width and height of the image on the ground in metres, along its middle row and column; None: no scale."""
    if not has_place(info):
        return None if info.gsd_m is None else (info.width * info.gsd_m, info.height * info.gsd_m)
    columns, rows = np.linspace(0, info.width, 33), np.linspace(0, info.height, 33)
    across = _earth_centred(info, columns, np.full(33, info.height / 2))
    down = _earth_centred(info, np.full(33, info.width / 2), rows)
    width, height = (float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum()) for line in (across, down))
    return width, height


def bounds_lonlat(info: ImageInfo) -> tuple[float, float, float, float]:
    """West, south, east, north of all four edges; east is above 180 where the image crosses the antimeridian."""
    steps = np.linspace(0.0, 1.0, 17)
    columns = np.concatenate([steps, np.ones(17), steps, np.zeros(17)]) * info.width
    rows = np.concatenate([np.zeros(17), steps, np.ones(17), steps]) * info.height
    longitude, latitude = image_to_lonlat(info, columns, rows)
    longitude = longitude[0] + (longitude - longitude[0] + 180.0) % 360.0 - 180.0
    return float(longitude.min()), float(latitude.min()), float(longitude.max()), float(latitude.max())


def local_crs(longitude: float, latitude: float) -> str:
    """A projection with true shapes about a place: UTM, or polar stereographic beyond 84 degrees."""
    if latitude > 84:
        return "EPSG:3413"
    if latitude < -80:
        return "EPSG:3031"
    zone = int((longitude + 180) % 360 // 6) + 1
    return f"EPSG:{(32600 if latitude >= 0 else 32700) + zone}"


def as_transform(values: Sequence[float] | Affine) -> tuple[float, float, float, float, float, float]:
    """The six numbers of an affine transform."""
    a, b, c, d, e, f = (float(v) for v in tuple(values)[:6])
    return a, b, c, d, e, f
