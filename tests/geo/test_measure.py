"""Measuring against truths laid out by geodesics, in many coordinate systems, and by hand where there is none."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Geod
from rasterio.features import rasterize
from shapely import affinity
from shapely.geometry import LineString, Polygon, box
from worlds import answer, disks, place, write_tiff

from geoagent.geo.georef import bounds_lonlat, crs_name, ground_extent, image_to_lonlat, lonlat_to_image
from geoagent.geo.measure import (
    covered_share,
    distance_between,
    distances,
    geodesic_area_perimeter,
    mask_area_m2,
    mask_length,
    measure_object,
    measure_prediction,
)
from geoagent.geo.measure_file import measure_file
from geoagent.types import GeoAgentError, ImageInfo
from tools.measuring_table import CASES, measure


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_coordinate_system_gives_the_true_sizes(case):
    row = measure(case)
    assert abs(row.area) < 0.005
    assert abs(row.polygon_area) < 0.005
    assert abs(row.perimeter) < 0.005
    assert abs(row.length) < 0.01


def test_the_shortcuts_are_as_wrong_as_feared():
    rows = {case.name: measure(case) for case in CASES if "° N" in case.name and "equal" not in case.name}
    assert rows["EPSG:3857, 48° N"].map_area == pytest.approx(1.23, abs=0.02)
    assert rows["EPSG:3857, 60° N"].map_area == pytest.approx(3.0, abs=0.1)
    assert rows["EPSG:4326, 48° N"].degree_area == pytest.approx(0.49, abs=0.02)
    assert rows["EPSG:4326, 60° N"].degree_area == pytest.approx(1.0, abs=0.02)


def test_a_country_sized_mask_is_exact():
    info = ImageInfo(width=400, height=300, crs="EPSG:4326", transform=(0.05, 0, 5, 0, -0.05, 60))
    mask = np.ones(info.size, dtype=np.bool_)
    # The true area between two parallels, from the authalic latitude, for 20 degrees of longitude.
    e = Geod(ellps="WGS84").es ** 0.5

    def belt(latitude: float) -> float:
        s = np.sin(np.radians(latitude))
        return (1 - e**2) * (s / (1 - e**2 * s**2) + np.arctanh(e * s) / e)

    truth = 6378137.0**2 / 2 * np.radians(20) * (belt(60) - belt(45))
    assert mask_area_m2(mask, info) == pytest.approx(truth, rel=1e-4)
    polygon = box(5, 45, 25, 60)
    assert geodesic_area_perimeter(polygon, "EPSG:4326")[0] == pytest.approx(truth, rel=1e-3)


def test_crops_measure_as_in_the_whole_image():
    info = place(crs="EPSG:3857", transform=Affine(0.5, 0, 2_771_000, 0, -0.5, 8_437_000))
    mask = disks(info, (60, 40, 12))
    assert mask_area_m2(mask[28:52, 48:72], info, (48, 28, 72, 52)) == pytest.approx(mask_area_m2(mask, info), rel=1e-9)
    assert mask_area_m2(np.zeros(info.size, dtype=np.bool_), info) == 0.0


def test_without_a_place_pixels_and_never_a_guess():
    info = ImageInfo(width=120, height=90)
    mask = disks(info, (60, 40, 12))
    assert mask_area_m2(mask, info) is None
    sizes = measure_object(mask, info, (0, 0, 120, 90), phrase="tank")
    assert sizes.unit == "px"
    assert sizes.area == mask.sum() == sizes.pixel_count
    assert sizes.centre == pytest.approx((60, 40), abs=0.1)
    scaled = measure_object(mask, ImageInfo(width=120, height=90, gsd_m=0.3), (0, 0, 120, 90), phrase="tank")
    assert scaled.unit == "m"
    assert scaled.area == pytest.approx(mask.sum() * 0.09)
    assert scaled.perimeter == pytest.approx(sizes.perimeter * 0.3)
    assert scaled.length == pytest.approx(sizes.length * 0.3)


def test_a_circle_has_the_perimeter_of_a_circle_not_of_its_staircase():
    info = place()
    sizes = measure_object(disks(info, (60, 45, 30)), info, (0, 0, 120, 90), phrase="tank")
    assert sizes.perimeter == pytest.approx(2 * np.pi * 15, rel=0.01)
    assert sizes.length == pytest.approx(30, rel=0.03)
    assert sizes.area == pytest.approx(np.pi * 15**2, rel=0.01)
    assert sizes.area_error == pytest.approx(sizes.perimeter * 0.25, rel=0.01)


@pytest.mark.parametrize("angle", [0, 13, 30, 45, 77, 90])
def test_the_length_of_a_ship_is_along_it(angle):
    hull = affinity.rotate(box(-40, -6, 40, 6), angle)
    info = ImageInfo(width=120, height=120)
    mask = rasterize([affinity.translate(hull, 60, 60)], info.size).astype(np.bool_)
    assert mask_length(mask, info, (0, 0, 120, 120)) == pytest.approx(80, rel=0.02)


def test_a_bent_road_is_measured_along_its_bends():
    line = LineString([(10, 10), (10, 80), (70, 80), (110, 20)])
    info = ImageInfo(width=120, height=90)
    mask = rasterize([line.buffer(3, cap_style="flat")], info.size).astype(np.bool_)
    assert mask_length(mask, info, (0, 0, 120, 90)) == pytest.approx(line.length, rel=0.02)


def test_a_ring_road_and_a_crossing():
    info = ImageInfo(width=200, height=200)
    ring = disks(info, (100, 100, 80)) & ~disks(info, (100, 100, 72))
    assert mask_length(ring, info, (0, 0, 200, 200)) == pytest.approx(2 * np.pi * 76, rel=0.02)
    cross = np.zeros(info.size, dtype=np.bool_)
    cross[96:104, :] = True
    cross[:, 60:66] = True
    assert mask_length(cross, info, (0, 0, 200, 200)) == pytest.approx(400, rel=0.03)


def test_targets_sum_their_objects_and_share_the_image():
    info = place()
    tanks, ship = disks(info, (20, 20, 8), (60, 20, 8)), np.zeros(info.size, dtype=np.bool_)
    ship[60:66, 20:80] = True
    first, second = measure_prediction(answer(info, tanks, ship))
    assert (first.phrase, first.count, first.target) == ("storage tanks", 2, 1)
    assert first.area == pytest.approx(sum(o.area for o in first.instances))
    assert second.length == pytest.approx(30, rel=0.02)
    assert second.width == pytest.approx(3, rel=0.03)
    assert second.share == pytest.approx(60 * 6 / (120 * 90), rel=1e-3)
    longitude, latitude = second.centre
    assert lonlat_to_image(info, longitude, latitude) == pytest.approx((50, 63))
    assert first.to_dict()["instances"][1]["instance"] == 2


def test_overlapping_objects_count_once_in_the_area():
    info = place()
    one, two = disks(info, (40, 40, 15)), disks(info, (50, 40, 15))
    target = answer(info, one | two).targets[0]
    assert measure_prediction(answer(info, one | two))[0].area == pytest.approx((one | two).sum() * 0.25, rel=2e-3)
    assert target.pixel_count == (one | two).sum()


def test_the_share_of_a_region():
    info = place()
    left = np.zeros(info.size, dtype=np.bool_)
    left[:, :60] = True
    water = np.zeros(info.size, dtype=np.bool_)
    water[:45] = True
    assert covered_share(water, info, left) == pytest.approx(0.5, abs=1e-3)
    assert covered_share(water, info) == pytest.approx(0.5, abs=1e-3)
    assert covered_share(water, ImageInfo(width=120, height=90), left) == 0.5
    assert covered_share(water, info, np.zeros_like(left)) == 0.0


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32633", Affine(0.5, 0, 400_000, 0, -0.5, 5_330_000)),
        ("EPSG:3857", Affine(1, 0, 2_771_000, 0, -1, 8_437_000)),
        ("EPSG:4326", Affine(1e-5, 0, 179.9994, 0, -1e-5, 48.1)),
    ],
)
def test_distances_from_edge_to_edge(crs, transform):
    info = ImageInfo(width=120, height=90, crs=crs, transform=tuple(transform)[:6])
    mask = np.zeros(info.size, dtype=np.bool_)
    mask[40:50, 10:20] = True
    mask[40:50, 90:100] = True
    first, second = answer(info, mask).targets[0].instances
    found = distance_between(first, second, info)
    (lon0, lon1), (lat0, lat1) = image_to_lonlat(info, [20, 90], [45, 45])
    truth = Geod(ellps="WGS84").line_length([lon0, lon1], [lat0, lat1])
    assert found.unit == "m"
    assert found.value == pytest.approx(truth, rel=2e-3)
    assert {round(found.start[0]), round(found.end[0])} == {20, 90}
    assert distances([first, second, first], info)[1][2].value == 0.0
    assert distance_between(first, second, ImageInfo(width=120, height=90)).value == pytest.approx(70)
    assert distance_between(first, second, ImageInfo(width=120, height=90)).unit == "px"


def test_polygons_with_holes_and_across_the_antimeridian():
    ring = Polygon(box(0, 0, 1000, 1000).exterior, [box(200, 200, 400, 400).exterior])
    moved = affinity.translate(ring, 500_000, 5_300_000)
    area, perimeter = geodesic_area_perimeter(moved, "EPSG:32633")
    assert area == pytest.approx((1_000_000 - 40_000) / 0.9996**2, rel=1e-4)
    assert perimeter == pytest.approx(4800 / 0.9996, rel=1e-4)
    here, there = box(10, -17, 10.2, -16.9), Polygon([(179.9, -17), (-179.9, -17), (-179.9, -16.9), (179.9, -16.9)])
    assert geodesic_area_perimeter(there, "EPSG:4326") == pytest.approx(
        geodesic_area_perimeter(here, "EPSG:4326"), rel=1e-4
    )


def test_bounds_and_extent_across_the_antimeridian():
    info = ImageInfo(width=100, height=50, crs="EPSG:4326", transform=(0.001, 0, 179.95, 0, -0.001, 0.025))
    west, south, east, north = bounds_lonlat(info)
    assert (west, east) == pytest.approx((179.95, 180.05))
    assert (south, north) == pytest.approx((-0.025, 0.025))
    assert ground_extent(info) == pytest.approx((100 * 111.3195, 50 * 110.574), rel=1e-3)


def test_names_of_coordinate_systems():
    assert crs_name("EPSG:3857") == "EPSG:3857"
    assert crs_name(32633) == "EPSG:32633"
    assert crs_name(rasterio.crs.CRS.from_epsg(4326)) == "EPSG:4326"
    assert crs_name(None) is None
    assert crs_name('LOCAL_CS["a site plan",UNIT["metre",1]]') is None
    custom = crs_name("+proj=laea +lat_0=52 +lon_0=10 +datum=WGS84")
    assert custom is not None
    assert "Lambert" in custom


# ------------------------------------------------------------------------------------------------ files


def test_masks_in_files(tmp_path):
    info = place()
    mask = disks(info, (20, 20, 8), (60, 20, 8)).astype(np.uint8)
    mask[50:60, 50:90] = 2
    mask[80:] = 255
    path = write_tiff(tmp_path / "mask.tif", mask, nodata=255)
    found = measure_file(path)
    assert found["unit"] == "m"
    assert [feature["class"] for feature in found["features"]] == [1, 1, 2]
    assert found["total_area_m2"] == pytest.approx(((mask == 1).sum() + 400) * 0.25, rel=2e-3)
    assert found["features"][2]["length_m"] == pytest.approx(20, rel=0.03)


def test_object_ids_above_255_do_not_wrap(tmp_path):
    info = place()
    ids = np.zeros(info.size, dtype=np.uint16)
    ids[10:20, 10:20], ids[10:20, 20:30] = 100, 156
    ids[40:50, 10:30] = 256
    found = measure_file(write_tiff(tmp_path / "a.ids.tif", ids))
    assert [feature["id"] for feature in found["features"]] == [100, 156, 256]
    assert [feature["pixel_count"] for feature in found["features"]] == [100, 100, 200]


@pytest.mark.parametrize("name", ["mask.tif", "mask.ids.tif"])
def test_masks_that_are_too_large_to_hold_are_measured_alike(tmp_path, monkeypatch, name):
    """Pieces of 32 x 64 pixels: everything crosses seams, some things only at a corner."""
    info = place()
    random = np.random.default_rng(0)
    mask = np.repeat(np.repeat(random.choice([0, 0, 0, 1, 2, 255], (15, 20)), 7, axis=0), 7, axis=1)
    path = write_tiff(tmp_path / name, mask[: info.height, : info.width].astype(np.uint8), nodata=255)
    held = measure_file(path)
    monkeypatch.setattr("geoagent.geo.measure_file._LARGEST_HELD", 0)
    monkeypatch.setattr("geoagent.geo.measure_large.BLOCK", 32)
    monkeypatch.setattr("geoagent.geo.measure_large._SIDE", 64)
    stored = measure_file(path)
    assert stored["total_pixels"] == held["total_pixels"]
    assert stored["total_area_m2"] == pytest.approx(held["total_area_m2"])

    def key(feature):
        return feature["class"], *feature["bbox"]

    pairs = zip(sorted(stored["features"], key=key), sorted(held["features"], key=key), strict=True)
    for mine, theirs in pairs:
        assert key(mine) == key(theirs)
        assert mine["pixel_count"] == theirs["pixel_count"]
        assert mine["perimeter_m"] == pytest.approx(theirs["perimeter_m"], rel=1e-3)


def test_a_mask_without_a_place_is_measured_in_pixels(tmp_path):
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[10:20, 10:20] = 1
    path = write_tiff(tmp_path / "mask.tif", mask, crs=None)
    found = measure_file(path)
    assert found["unit"] == "px"
    assert found["total_area_m2"] is None
    assert found["total_pixels"] == 100
    assert found["features"][0]["perimeter_px"] == pytest.approx(40, rel=0.01)
    assert measure_file(path, gsd_m=2.0)["total_area_m2"] == pytest.approx(400)


def test_what_is_no_mask_is_told(tmp_path):
    picture = write_tiff(tmp_path / "rgb.tif", np.ones((3, 10, 10), dtype=np.uint8))
    with pytest.raises(GeoAgentError, match="a picture, not a mask"):
        measure_file(picture)
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(GeoAgentError, match="neither a mask nor vectors"):
        measure_file(tmp_path / "a.txt")
    (tmp_path / "a.geojson").write_text("{}")
    with pytest.raises(GeoAgentError, match="no vectors"):
        measure_file(tmp_path / "a.geojson")
    with pytest.raises(GeoAgentError, match="does not exist"):
        measure_file(tmp_path / "none.gpkg")
    for suffix in (".geojson", ".gpkg", ".shp"):
        (tmp_path / f"b{suffix}").write_text("<OGRVRTDataSource><OGRVRTLayer name='a'/></OGRVRTDataSource>")
        with pytest.raises(GeoAgentError, match="no vectors"):
            measure_file(tmp_path / f"b{suffix}")
