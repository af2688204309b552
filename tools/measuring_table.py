"""How well areas and lengths are measured in one coordinate system after another, and what common shortcuts would say.

    python -m tools.measuring_table

A rectangle of 420 m by 130 m, turned by 30 degrees, is laid on the ellipsoid by geodesics. That is the truth. It is
drawn into a mask in each coordinate system, and the mask is measured.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from pyproj import Geod, Transformer
from rasterio.features import rasterize
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from geoagent.geo.georef import as_transform, ground_size, image_to_crs, lonlat_to_image
from geoagent.geo.measure import geodesic_area_perimeter, mask_area_m2, mask_length
from geoagent.geo.outline import outline
from geoagent.types import ImageInfo, Mask

LENGTH, WIDTH, HEADING = 420.0, 130.0, 30.0
METRES_PER_DEGREE = 111_320.0
_WGS84 = Geod(ellps="WGS84")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A coordinate system and a place in it."""

    name: str
    crs: str
    longitude: float
    latitude: float
    turned: float = 0.0
    """Degrees by which the pixel grid is turned against the map."""

    @property
    def geographic(self) -> bool:
        """Whether its unit is a degree."""
        return self.crs == "EPSG:4326"


CASES = (
    Case(name="EPSG:4326, 48° N", crs="EPSG:4326", longitude=11.6, latitude=48.1),
    Case(name="EPSG:4326, 60° N", crs="EPSG:4326", longitude=24.9, latitude=60.2),
    Case(name="EPSG:3857, 48° N", crs="EPSG:3857", longitude=11.6, latitude=48.1),
    Case(name="EPSG:3857, 60° N", crs="EPSG:3857", longitude=24.9, latitude=60.2),
    Case(name="UTM 32 N", crs="EPSG:32632", longitude=11.6, latitude=48.1),
    Case(name="UTM 34 S", crs="EPSG:32734", longitude=18.5, latitude=-33.9),
    Case(name="polar stereographic, north", crs="EPSG:3413", longitude=15.6, latitude=78.2),
    Case(name="polar stereographic, south", crs="EPSG:3031", longitude=166.7, latitude=-77.8),
    Case(name="UTM 32 N, grid turned 25°", crs="EPSG:32632", longitude=11.6, latitude=48.1, turned=25.0),
    Case(name="EPSG:4326 across 180°", crs="EPSG:4326", longitude=180.0, latitude=-16.8),
    Case(name="UTM 60 S across 180°", crs="EPSG:32760", longitude=180.0, latitude=-16.8),
    Case(name="equal area (EPSG:6933), 48° N", crs="EPSG:6933", longitude=11.6, latitude=48.1),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """Relative errors, 0.01 is one per cent; None where a shortcut does not apply."""

    case: Case
    area: float
    """Sum of the ground areas of the pixels."""
    polygon_area: float
    """Geodesic area of the drawn outline."""
    perimeter: float
    length: float
    map_area: float | None
    """Shortcut: pixels times the area of a pixel in map units."""
    degree_area: float | None
    """Shortcut: a degree is 111,320 m in both directions."""
    map_length: float | None
    """Shortcut: perimeter in map units."""


def true_shape(longitude: float, latitude: float) -> Polygon:
    """The rectangle in longitude and latitude; longitudes run on above 180."""
    corners = []
    for along, across in ((1, 1), (1, -1), (-1, -1), (-1, 1)):
        x, y = across * WIDTH / 2, along * LENGTH / 2
        azimuth = HEADING + np.degrees(np.arctan2(x, y))
        lon, lat, _ = _WGS84.fwd(longitude, latitude, azimuth, np.hypot(x, y))
        corners.append((longitude + (lon - longitude + 180) % 360 - 180, lat))
    return Polygon(corners)


def draw(case: Case, gsd_m: float = 1.0, side: int = 640) -> tuple[Mask, ImageInfo]:
    """The mask of the rectangle in a scene of ``case``."""
    x, y = Transformer.from_crs("EPSG:4326", case.crs, always_xy=True).transform(case.longitude, case.latitude)
    step = gsd_m / METRES_PER_DEGREE if case.geographic else gsd_m
    if case.crs == "EPSG:3857":
        step = gsd_m / np.cos(np.radians(case.latitude))
    transform = (
        Affine.translation(x, y)
        @ Affine.rotation(case.turned)
        @ Affine.scale(step, -step)
        @ Affine.translation(-side / 2, -side / 2)
    )
    info = ImageInfo(width=side, height=side, crs=case.crs, transform=as_transform(transform))
    return draw_shape(true_shape(case.longitude, case.latitude), info), info


def draw_shape(shape: BaseGeometry, info: ImageInfo) -> Mask:
    """bool [H,W]: a shape in longitude and latitude, by the centres of the pixels."""
    fine = shapely.segmentize(shape, 1e-4)
    in_pixels = shapely.transform(fine, lambda p: np.stack(lonlat_to_image(info, p[:, 0], p[:, 1]), axis=1))
    return np.asarray(rasterize([in_pixels], info.size).astype(np.bool_))


def measure(case: Case) -> Row:
    """Measure one case and compare it with the truth."""
    mask, info = draw(case)
    true_area, true_perimeter = LENGTH * WIDTH, 2 * (LENGTH + WIDTH)
    box = (0, 0, info.width, info.height)
    drawn = outline(mask)
    on_map = shapely.transform(drawn, lambda p: np.stack(image_to_crs(info, p[:, 0], p[:, 1]), axis=1))
    polygon_area, perimeter = geodesic_area_perimeter(on_map, case.crs)
    a, b, _, d, e, _ = info.transform or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    map_area = float(mask.sum()) * abs(a * e - b * d)
    degrees = case.geographic
    return Row(
        case=case,
        area=(mask_area_m2(mask, info) or 0.0) / true_area - 1,
        polygon_area=polygon_area / true_area - 1,
        perimeter=perimeter / true_perimeter - 1,
        length=mask_length(mask, info, box) / LENGTH - 1,
        map_area=None if degrees else map_area / true_area - 1,
        degree_area=map_area * METRES_PER_DEGREE**2 / true_area - 1 if degrees else None,
        map_length=on_map.length * (METRES_PER_DEGREE if degrees else 1.0) / true_perimeter - 1,
    )


def table() -> str:
    """All cases as a Markdown table."""
    lines = [
        "| coordinate system | pixel (m) | area, pixels | area, polygon | perimeter | length "
        "| *pixels × map area* | *degrees × 111,320 m* | *perimeter on the map* |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case in CASES:
        row = measure(case)
        size = ground_size(draw(case)[1])
        ours = [row.area, row.polygon_area, row.perimeter, row.length]
        cells = [f"{value:+.2%}" for value in ours] + [
            _shortcut(v) for v in (row.map_area, row.degree_area, row.map_length)
        ]
        lines.append(f"| {case.name} | {size:.3f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _shortcut(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1%}"


if __name__ == "__main__":
    print(table())
