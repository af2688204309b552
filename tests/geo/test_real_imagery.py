"""Files as people have them: all open, look plausible, round-trip, and measure as their labels say.

Needs real imagery: the environment variable ``GEOAGENT_IMAGERY`` names the folder that holds the sets.
"""

import json
import os
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from PIL import Image
from worlds import answer

from geoagent.geo.describe import describe_image
from geoagent.geo.export import save_prediction
from geoagent.geo.measure import mask_area_m2
from geoagent.geo.measure_file import measure_file
from geoagent.geo.raster import read_image
from geoagent.types import Instance, Target

FOLDER = os.environ.get("GEOAGENT_IMAGERY", "")
if not FOLDER:
    pytest.skip("GEOAGENT_IMAGERY is not set", allow_module_level=True)
SAMPLES, BUILDINGS = Path(FOLDER) / "geo-samples", Path(FOLDER) / "oam-buildings"
RASTERS = sorted([*SAMPLES.rglob("*.tif"), *SAMPLES.rglob("images/*.png"), *(BUILDINGS / "images").glob("*.tif")])
REGIONS = sorted(path.stem for path in (BUILDINGS / "images").glob("*.tif"))


@pytest.mark.parametrize("path", RASTERS, ids=lambda path: path.name)
def test_everything_opens_and_is_neither_black_nor_white(path):
    raster = read_image(path)
    with rasterio.open(path) as dataset:
        assert raster.info.size == dataset.shape
        if dataset.crs:
            assert raster.info.transform == tuple(dataset.transform)[:6]
            assert raster.info.crs == f"EPSG:{dataset.crs.to_epsg()}"
    if "label" in path.name:
        return
    assert 40 < raster.pixels.mean() < 200
    assert raster.pixels.std() > 15
    assert raster.valid is None or raster.valid.mean() > 0.9
    assert describe_image(path)["shown"] == list(raster.info.bands)


def test_sentinel_2_is_shown_in_true_colour():
    raster = read_image(SAMPLES / "sen1floods11" / "S2_13band_int16.tif")
    assert raster.info.bands == (4, 3, 2)
    assert all(500 < low < high < 4000 for low, high in raster.info.stretch)


@pytest.mark.parametrize("region", REGIONS)
def test_footprints_have_the_areas_of_their_labels(region):
    labels = BUILDINGS / "labels" / f"{region}.geojson"
    stated = [feature["properties"]["ground_area_m2"] for feature in json.loads(labels.read_text())["features"]]
    found = measure_file(labels)
    assert found["count"] == len(stated)
    assert found["total_area_m2"] == pytest.approx(sum(stated), rel=1e-3)
    for feature, truth in zip(found["features"], stated, strict=True):
        assert feature["area_m2"] == pytest.approx(truth, rel=1e-3, abs=0.006)  # labels are rounded to 0.01 m²


@pytest.mark.parametrize("region", REGIONS)
def test_masks_of_buildings_round_trip(region, tmp_path):
    info = read_image(BUILDINGS / "images" / f"{region}.tif").info
    ids = np.asarray(Image.open(BUILDINGS / "masks" / f"{region}.png"))[: info.height, : info.width].astype(np.int32)
    instances = []
    for number in np.unique(ids[ids > 0]):
        rows, columns = np.nonzero(ids == number)
        box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
        crop = ids[box[1] : box[3], box[0] : box[2]] == number
        instances.append(Instance(id=len(instances) + 1, box=box, crop=crop, score=0.9, image_size=info.size))
    target = Target(phrase="buildings", score=0.9, mask=ids > 0, instances=tuple(instances))
    base = answer(info, ids > 0)
    prediction = type(base)(**{**base.__dict__, "candidates": (target,)})
    save_prediction(prediction, tmp_path / "a.ids.tif")
    with rasterio.open(tmp_path / "a.ids.tif") as out:
        np.testing.assert_array_equal(out.read(1) > 0, ids > 0)
        assert tuple(out.transform)[:6] == info.transform
    save_prediction(prediction, tmp_path / "a.geojson")
    frame = geopandas.read_file(tmp_path / "a.geojson")
    assert len(frame) == len(instances)
    assert frame.geometry.is_valid.all()
    truth = mask_area_m2(ids > 0, info)
    assert measure_file(tmp_path / "a.geojson")["total_area_m2"] == pytest.approx(truth, rel=2e-3)
    assert measure_file(tmp_path / "a.ids.tif")["total_area_m2"] == pytest.approx(truth, rel=1e-6)
