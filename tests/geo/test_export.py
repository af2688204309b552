"""Writing: every format, its grid, its coordinates, its provenance; whole or not at all."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image
from rasterio.features import rasterize
from worlds import GRID, UTM, answer, disks, instances_of, noise, place, write_tiff

from geoagent.geo import export
from geoagent.geo.export import SUFFIXES, prediction_to_json, save_prediction
from geoagent.geo.measure import geodesic_area_perimeter, mask_area_m2
from geoagent.geo.measure_file import measure_file
from geoagent.geo.raster import read_image
from geoagent.geo.style import target_colour
from geoagent.geo.vector import cut_at_antimeridian, prediction_to_geodataframe
from geoagent.types import GeoAgentError, ImageInfo, Instance, Target

VECTORS = (".geojson", ".gpkg", ".parquet", ".shp")


@pytest.fixture
def prediction(tmp_path):
    path = write_tiff(tmp_path / "scene.tif", noise(3, 90, 120))
    info = read_image(path).info
    tanks = disks(info, (20, 20, 9), (50, 25, 7)) & ~disks(info, (20, 20, 3))
    ship = np.zeros(info.size, dtype=np.bool_)
    ship[60:70, 80:120] = True
    return answer(info, tanks, ship)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_is_written_whole_and_alone(prediction, tmp_path, suffix):
    folder = tmp_path / "out"
    folder.mkdir()
    for written in (prediction, replace(prediction, candidates=())):  # and again over the older one
        target = save_prediction(written, folder / f"a{suffix}")
        assert target.stat().st_size > 0
    names = {file.name for file in folder.iterdir()}
    companions = {"a.dbf", "a.shx", "a.prj", "a.cpg"} if suffix == ".shp" else set()
    styles = {"a.qml", "a.ids.qml"}
    assert names - companions - styles == {f"a{suffix}"}
    assert bool(names & styles) == (suffix in (*VECTORS, ".tif", ".ids.tif"))


def test_the_json_object(prediction):
    found = prediction_to_json(prediction)
    assert list(found) == [
        "answer", "targets", "absent", "image", "model", "seconds", "warnings", "holes",
    ]  # fmt: skip
    json.dumps(found, allow_nan=False)
    tanks, ship = found["targets"]
    assert list(tanks) == ["id", "phrase", "score", "bbox", "pixel_count", "area_m2", "instances"]
    assert (tanks["id"], ship["id"], len(tanks["instances"])) == (1, 2, 2)
    assert ship["bbox"] == [80, 60, 120, 70]
    assert ship["area_m2"] == pytest.approx(100, rel=2e-3)
    assert ship["instances"][0]["lonlat"][0] == pytest.approx(13.6, abs=0.2)
    assert found["absent"] == [{"phrase": "helipad", "score": 0.08}]
    assert found["image"]["crs"] == UTM
    stretched = replace(prediction, image=replace(prediction.image, bands=(4, 3, 2), stretch=((1.0, 9.0),) * 3))
    image = prediction_to_json(replace(stretched, holes=((0, 0, 5, 5),)))
    assert (image["image"]["bands"], image["image"]["stretch"]) == ([4, 3, 2], [[1.0, 9.0]] * 3)
    assert image["holes"] == [[0, 0, 5, 5]]
    unplaced = prediction_to_json(replace(prediction, image=ImageInfo(width=120, height=90)))
    assert unplaced["targets"][0]["area_m2"] is None
    assert unplaced["targets"][1]["instances"][0]["xy"] == [100.0, 65.0]


def test_classes_lie_on_the_grid_of_the_image(prediction, tmp_path):
    valid = np.ones((90, 120), dtype=np.bool_)
    valid[:, 110:] = False
    save_prediction(replace(prediction, valid=valid), tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as out:
        values = out.read(1)
        assert out.crs.to_epsg() == 32633
        assert out.transform == GRID
        assert out.nodata == 255
        assert out.compression.name == "deflate"
        assert out.colormap(1)[1][:3] == target_colour(1)
        tags = out.tags()
    assert (values == 1).sum() == prediction.targets[0].pixel_count
    assert (values[:, 110:] == 255).all(), "what was not looked at is not background"
    assert json.loads(tags["geoagent_legend"]) == {"1": "storage tanks", "2": "ships"}
    assert tags["geoagent_question"] == "Where is fuel kept?"
    assert tags["geoagent_model"] == "nano"


def test_object_ids_do_not_wrap_and_agree_with_the_table(tmp_path):
    rows, columns = np.mgrid[:200, :200]
    mask = (rows % 10 < 6) & (columns % 10 < 6)
    prediction = answer(place(200, 200), mask)
    assert len(prediction.targets[0].instances) == 400
    save_prediction(prediction, tmp_path / "a.ids.tif")
    with rasterio.open(tmp_path / "a.ids.tif") as out:
        ids = out.read(1)
        assert out.nodata == np.iinfo(ids.dtype).max
    counts = np.bincount(ids.ravel())[1:]
    assert len(counts) == 400
    np.testing.assert_array_equal(counts, 36)
    frame = prediction.to_geodataframe()
    for number in (1, 256, 400):
        x, y = frame.set_index("id").geometry[number].centroid.coords[0]
        column, row = ~GRID @ (x, y)
        assert ids[int(row), int(column)] == number


def test_overlapping_objects_stay_apart_in_vectors_and_one_lies_on_top_in_rasters(tmp_path):
    info = place(60, 60)
    one, two = disks(info, (25, 30, 12)), disks(info, (38, 30, 12))
    parts = [replace(instances_of(mask)[0], id=number) for number, mask in enumerate((one, two), start=1)]
    target = Target(phrase="tanks", score=0.9, mask=one | two, instances=tuple(parts))
    prediction = replace(answer(info, one), candidates=(target,))
    save_prediction(prediction, tmp_path / "a.ids.tif")
    with rasterio.open(tmp_path / "a.ids.tif") as out:
        ids = out.read(1)
    assert set(np.unique(ids)) == {0, 1, 2}
    assert ((ids > 0) == (one | two)).all()
    assert prediction.to_geodataframe().pixel_count.tolist() == [one.sum(), two.sum()]


@pytest.mark.parametrize("suffix", VECTORS)
def test_tables_hold_every_column_and_the_true_sizes(prediction, tmp_path, suffix):
    save_prediction(prediction, tmp_path / f"a{suffix}")
    read = geopandas.read_parquet if suffix == ".parquet" else geopandas.read_file
    frame = read(tmp_path / f"a{suffix}")
    assert frame.crs.to_epsg() == (4326 if suffix == ".geojson" else 32633)
    short = {"pixel_count": "pixels", "perimeter_m": "perim_m", "touches_edge": "edge"} if suffix == ".shp" else {}
    columns = ["id", "phrase", "score", "area_m2", "perimeter_m", "pixel_count", "touches_edge", "question", "model"]
    for column in [*columns, "stretch", "bands", "version"]:
        assert short.get(column, column) in frame.columns
    assert frame.id.tolist() == [1, 2, 3]
    assert frame.geometry.is_valid.all()
    assert frame[short.get("touches_edge", "touches_edge")].astype(bool).tolist() == [False, False, True]
    for geometry, stated in zip(frame.geometry, frame.area_m2, strict=True):
        assert geodesic_area_perimeter(geometry, frame.crs.to_string())[0] == pytest.approx(stated, rel=0.005)
    assert len(shapely.get_parts(frame.geometry.iloc[0])[0].interiors) == 1
    measured = measure_file(tmp_path / f"a{suffix}")
    truth = sum(mask_area_m2(t.mask, prediction.image) for t in prediction.targets)
    assert measured["total_area_m2"] == pytest.approx(truth, rel=0.005)
    assert measured["features"][0]["phrase"] == "storage tanks"


def test_measuring_what_was_written_gives_what_was_said(prediction, tmp_path):
    truth = sum(mask_area_m2(t.mask, prediction.image) for t in prediction.targets)
    for suffix in (".tif", ".ids.tif"):
        save_prediction(prediction, tmp_path / f"a{suffix}")
        assert measure_file(tmp_path / f"a{suffix}")["total_area_m2"] == pytest.approx(truth, rel=1e-6)


def test_a_given_scale_travels_with_the_raster(tmp_path):
    info = ImageInfo(width=60, height=60, gsd_m=0.2)
    mask = disks(info, (30, 30, 10))
    save_prediction(answer(info, mask), tmp_path / "a.tif")
    assert measure_file(tmp_path / "a.tif")["total_area_m2"] == pytest.approx(mask.sum() * 0.04)


def test_vectors_without_a_place_are_pixels_and_say_so(tmp_path):
    info = ImageInfo(width=60, height=60)
    prediction = answer(info, disks(info, (30, 30, 10)))
    frame = prediction.to_geodataframe()
    assert frame.crs is None
    assert np.isnan(frame.area_m2[0])
    save_prediction(prediction, tmp_path / "a.geojson")
    written = json.loads((tmp_path / "a.geojson").read_text())
    assert written["crs"] is None
    assert written["features"][0]["properties"]["area_m2"] is None
    save_prediction(prediction, tmp_path / "a.gpkg")
    assert geopandas.read_file(tmp_path / "a.gpkg").total_bounds == pytest.approx([20, 20, 40, 40], abs=0.5)


def test_coco_is_in_pixels_with_holes_as_run_lengths(prediction, tmp_path):
    save_prediction(prediction, tmp_path / "a.coco.json")
    coco = json.loads((tmp_path / "a.coco.json").read_text())
    assert [c["name"] for c in coco["categories"]] == ["storage tanks", "ships"]
    holed, _, ship = coco["annotations"]
    flat = np.concatenate([np.full(n, i % 2) for i, n in enumerate(holed["segmentation"]["counts"])])
    mask = flat.reshape(holed["segmentation"]["size"], order="F").astype(bool)
    np.testing.assert_array_equal(mask, prediction.targets[0].instances[0].mask)
    assert ship["bbox"] == [80, 60, 40, 10]
    assert ship["area"] == 400
    points = np.array(ship["segmentation"][0]).reshape(-1, 2)
    assert points.min(axis=0).tolist() == [80, 60]
    assert points.max(axis=0).tolist() == [120, 70]


def test_geojson_is_cut_at_the_antimeridian(tmp_path):
    info = ImageInfo(width=100, height=100, crs="EPSG:4326", transform=(1e-4, 0, 179.995, 0, -1e-4, -16.8))
    mask = np.zeros(info.size, dtype=np.bool_)
    mask[20:60, 10:90] = True
    save_prediction(answer(info, mask), tmp_path / "a.geojson")
    frame = geopandas.read_file(tmp_path / "a.geojson")
    assert frame.geometry[0].geom_type == "MultiPolygon"
    west, _, east, _ = frame.total_bounds
    assert (west, east) == pytest.approx((-180, 180))
    widths = sorted(part.bounds[2] - part.bounds[0] for part in frame.geometry[0].geoms)
    assert widths == pytest.approx([40e-4, 40e-4], abs=1e-6)
    assert measure_file(tmp_path / "a.geojson")["total_area_m2"] == pytest.approx(mask_area_m2(mask, info), rel=1e-3)


def test_a_polygon_around_the_pole_reaches_up_to_it():
    info = ImageInfo(width=100, height=100, crs="EPSG:3413", transform=(1000, 0, -50_000, 0, -1000, 50_000))
    mask = disks(info, (50, 50, 30))
    frame = answer(info, mask).to_geodataframe()
    assert frame.area_m2[0] == pytest.approx(np.pi * 30_000**2 / 0.97**2, rel=0.02)
    cap = prediction_to_geodataframe(answer(info, mask), lonlat=True).geometry[0]
    assert cap.is_valid
    assert cap.bounds == pytest.approx((-180, 89.73, 180, 90), abs=0.02)
    assert cap.area == pytest.approx(360 * 0.27, rel=0.05)


def test_cutting_leaves_other_polygons_alone():
    square = shapely.box(10, 10, 20, 20)
    assert cut_at_antimeridian(square) is square


def test_the_api_squares_up_as_the_command_does(prediction, tmp_path):
    prediction.save(tmp_path / "a.geojson", right_angles=True)
    save_prediction(prediction, tmp_path / "b.geojson", right_angles=True)
    assert (tmp_path / "a.geojson").read_bytes() == (tmp_path / "b.geojson").read_bytes()


def test_right_angles_are_those_on_the_ground(tmp_path):
    # Far north a degree of longitude is half a degree of latitude: what is square on the ground is not in pixels.
    info = ImageInfo(width=200, height=100, crs="EPSG:4326", transform=(5e-6, 0, 24.9, 0, -5e-6, 60.2))
    corners = np.array([(-20, -12), (20, -12), (20, 12), (-20, 12)]) @ np.array([[0.94, 0.342], [-0.342, 0.94]])
    metres = np.array([5e-6 * 55_400, 5e-6 * 111_420])
    mask = rasterize([shapely.Polygon(corners / metres + (100, 50))], info.size).astype(np.bool_)
    save_prediction(answer(info, mask), tmp_path / "a.gpkg", right_angles=True)
    polygon = shapely.get_parts(geopandas.read_file(tmp_path / "a.gpkg").to_crs("EPSG:32635").geometry[0])[0]
    edges = np.diff(shapely.get_coordinates(polygon.exterior), axis=0)
    assert len(edges) == 4
    for one, two in zip(edges, np.roll(edges, 1, axis=0), strict=True):
        assert abs(one @ two) / np.linalg.norm(one) / np.linalg.norm(two) < 0.01


def test_a_rotated_grid_puts_polygons_where_the_pixels_are(tmp_path):
    transform = Affine.translation(400_000, 5_330_000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)
    info = place(transform=transform)
    mask = disks(info, (80, 30, 10))
    geometry = answer(info, mask).to_geodataframe().geometry[0]
    assert geometry.centroid.coords[0] == pytest.approx(transform @ (80, 30), abs=0.05)
    assert geometry.area == pytest.approx(mask.sum() * 0.25, rel=0.005)


def test_never_over_the_input_and_only_whole(prediction, tmp_path, monkeypatch):
    source = tmp_path / "scene.tif"
    before = source.read_bytes()
    (tmp_path / "link.tif").symlink_to(source)
    for name in ("scene.tif", "link.tif"):
        with pytest.raises(GeoAgentError, match="the image itself"):
            save_prediction(prediction, tmp_path / name)
    assert source.read_bytes() == before

    def half(prediction, path):
        path.write_text("half")
        raise RuntimeError("disk full")

    older = save_prediction(prediction, tmp_path / "a.html").read_bytes()
    monkeypatch.setattr(export, "write_html", half)
    names = {file.name for file in tmp_path.iterdir()}
    with pytest.raises(RuntimeError):
        save_prediction(prediction, tmp_path / "a.html")
    assert (tmp_path / "a.html").read_bytes() == older
    assert {file.name for file in tmp_path.iterdir()} == names


@pytest.mark.parametrize(("name", "message"), [("a.xyz", "use one of"), ("a", "use one of"), ("no/a.png", "create it")])
def test_wrong_names_are_told(prediction, tmp_path, name, message):
    with pytest.raises(GeoAgentError, match=message):
        save_prediction(prediction, tmp_path / name)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(GeoAgentError, match="is a folder"):
        save_prediction(prediction, tmp_path / "folder.png")


def test_the_picture_shows_each_target_in_its_colour(prediction, tmp_path):
    save_prediction(prediction, tmp_path / "a.png")
    picture = np.asarray(Image.open(tmp_path / "a.png")).astype(int)
    scene = read_image(prediction.image.path).pixels
    assert picture.shape == scene.shape
    outside = ~(prediction.masks.any(axis=0))
    np.testing.assert_array_equal(picture[outside], scene[outside])
    assert picture[60, 90].tolist() == list(target_colour(2))
    middle = picture[65, 95] - (0.62 * scene[65, 95] + 0.38 * np.array(target_colour(2)))
    assert np.abs(middle).max() <= 1


def test_pictures_of_regions_and_arrays_show_what_was_looked_at(tmp_path):
    path = write_tiff(tmp_path / "scene.tif", noise(3, 90, 120))
    raster = read_image(path, region=(30, 20, 90, 80))
    prediction = answer(raster.info, disks(raster.info, (30, 30, 10)))
    save_prediction(prediction, tmp_path / "a.png")
    assert (np.asarray(Image.open(tmp_path / "a.png"))[:10] == raster.pixels[:10]).all()
    array = noise(60, 60, 3)
    kept = answer(ImageInfo(width=60, height=60), disks(raster.info, (30, 30, 10)), pixels=array)
    save_prediction(kept, tmp_path / "b.png")
    assert (np.asarray(Image.open(tmp_path / "b.png"))[:10] == array[:10]).all()


def test_the_map_is_one_file_and_takes_no_orders_from_text(prediction, tmp_path):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)> ${picture} $data"
    hostile = replace(prediction, instruction=evil, answer=evil)
    page = save_prediction(hostile, tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("<script") == 2
    assert "<img" not in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert "default-src 'none'" in page
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert data["question"] == evil
    assert [o["id"] for o in data["objects"]] == [1, 2, 3]
    assert data["objects"][2]["path"].startswith("M")
    assert np.array(data["grid"]).shape == (9, 9, 2)


def test_styles_are_well_formed_and_name_every_phrase(prediction, tmp_path):
    odd = [replace(t, phrase=f'<{t.phrase} & "co">') for t in prediction.targets]
    prediction = replace(prediction, candidates=tuple(odd))
    save_prediction(prediction, tmp_path / "a.gpkg")
    save_prediction(prediction, tmp_path / "b.tif")
    categories = [node.get("value") for node in ET.parse(tmp_path / "a.qml").iter("category")]
    assert categories == [t.phrase for t in odd]
    entries = [(node.get("value"), node.get("label")) for node in ET.parse(tmp_path / "b.qml").iter("paletteEntry")]
    assert entries == [("1", odd[0].phrase), ("2", odd[1].phrase)]
    save_prediction(prediction, tmp_path / "a.tif")
    assert "renderer-v2" in (tmp_path / "a.qml").read_text(), "the style of the vectors stays"


def test_a_target_without_objects_is_one_row():
    info = place()
    water = np.zeros(info.size, dtype=np.bool_)
    water[:20, :50] = water[50:, 70:] = True
    prediction = answer(info, water)
    whole = replace(prediction, candidates=(replace(prediction.targets[0], instances=()),))
    frame = whole.to_geodataframe()
    assert len(frame) == 1
    assert frame.geometry[0].geom_type == "MultiPolygon"
    assert frame.instance[0] == 0
    assert len(whole.measure()) == 1


def test_an_instance_is_a_crop_not_a_picture():
    crop = np.ones((3, 4), dtype=np.bool_)
    thing = Instance(id=1, box=(5, 6, 9, 9), crop=crop, score=1.0, image_size=(20, 20))
    info = place(20, 20)
    target = Target(phrase="car", score=1.0, mask=thing.mask, instances=(thing,))
    frame = replace(answer(info, thing.mask), candidates=(target,)).to_geodataframe()
    assert frame.geometry[0].equals(shapely.box(GRID.c + 2.5, GRID.f - 4.5, GRID.c + 4.5, GRID.f - 3))
