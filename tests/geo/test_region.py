"""A part of an image: by pixels, by coordinates, by a geometry."""

import numpy as np
import pytest
from affine import Affine
from shapely.geometry import Point, box, mapping
from worlds import GRID, UTM, noise, write_tiff

from geoagent.geo.georef import to_wgs84
from geoagent.geo.raster import read_image
from geoagent.geo.region import Bounds, Outline, parse_region
from geoagent.types import GeoAgentError


@pytest.fixture
def scene(tmp_path):
    return write_tiff(tmp_path / "a.tif", noise(3, 90, 120))


def test_a_pixel_window(scene):
    whole, part = read_image(scene), read_image(scene, region=(10, 20, 50, 60))
    np.testing.assert_array_equal(part.pixels, whole.pixels[20:60, 10:50])
    assert part.info.transform[2] == GRID.c + 10 * 0.5
    assert part.info.transform[5] == GRID.f - 20 * 0.5
    assert read_image(scene, region=(100, 80, 500, 500)).info.size == (10, 20)


def test_bounds_in_the_crs_of_the_image(scene):
    bounds = Bounds(west=GRID.c + 5, south=GRID.f - 30, east=GRID.c + 25, north=GRID.f - 10, crs=UTM)
    part = read_image(scene, region=bounds)
    assert part.info.size == (40, 40)
    assert part.info.extra["window"] == (10, 20, 50, 60)
    assert part.valid is None


def test_bounds_in_longitude_and_latitude_hold_the_same_place(scene):
    west, north = to_wgs84(UTM).transform(GRID.c + 5, GRID.f - 10)
    east, south = to_wgs84(UTM).transform(GRID.c + 25, GRID.f - 30)
    x0, y0, x1, y1 = read_image(scene, region=Bounds(west=west, south=south, east=east, north=north)).info.extra[
        "window"
    ]
    assert abs(np.array([x0, y0, x1, y1]) - (10, 20, 50, 60)).max() <= 2


def test_a_geometry_leaves_only_what_is_inside(scene):
    circle = Point(GRID.c + 30, GRID.f - 22.5).buffer(10)
    part = read_image(scene, region=Outline(geometry=circle, crs=UTM))
    assert part.info.size == (40, 40)
    assert part.valid.mean() == pytest.approx(np.pi / 4, rel=0.02)
    degrees = box(*np.array(to_wgs84(UTM).transform([GRID.c + 10, GRID.c + 20], [GRID.f - 30, GRID.f - 20])).T.ravel())
    feature = {"type": "Feature", "properties": {}, "geometry": mapping(degrees)}
    for region in (degrees, mapping(degrees), feature, {"type": "FeatureCollection", "features": [feature]}):
        assert read_image(scene, region=region).info.size == pytest.approx((21, 21), abs=2)


def test_a_region_across_the_antimeridian(tmp_path):
    path = write_tiff(
        tmp_path / "a.tif", noise(3, 100, 100), crs="EPSG:4326", transform=Affine(1e-4, 0, 179.995, 0, -1e-4, -16.8)
    )
    east_side = read_image(path, region=Bounds(west=-179.999, south=-16.809, east=-179.996, north=-16.801))
    assert east_side.info.extra["window"] == (60, 10, 90, 90)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ((200, 0, 300, 50), "holds nothing of the image"),
        ((50, 50, 50, 60), "holds nothing of the image"),
        (Bounds(west=0, south=0, east=1, north=1), "do not overlap|outside"),
        ({"type": "Polygon"}, "not a GeoJSON geometry"),
        ((1, 2, 3), "X0,Y0,X1,Y1"),
    ],
)
def test_impossible_regions_are_told(scene, region, message):
    with pytest.raises(GeoAgentError, match=message):
        read_image(scene, region=region)


def test_an_image_without_a_place_takes_pixels_only(tmp_path):
    path = write_tiff(tmp_path / "a.tif", noise(3, 20, 20), crs=None)
    with pytest.raises(GeoAgentError, match="give the region in pixels"):
        read_image(path, region=Bounds(west=0, south=0, east=1, north=1))


def test_regions_as_written_on_a_command_line():
    assert parse_region("1,2,30,40") == (1, 2, 30, 40)
    assert parse_region("11.5,48,11.6,48.1", "EPSG:4326") == Bounds(west=11.5, south=48, east=11.6, north=48.1)
    for text in ("1,2,3", "a,b,c,d"):
        with pytest.raises(GeoAgentError, match="X0,Y0,X1,Y1"):
            parse_region(text)
    with pytest.raises(GeoAgentError, match="not known"):
        parse_region("1,2,3,4", "EPSG:nonsense")
