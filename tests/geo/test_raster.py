"""Reading: kinds of source, bands, stretch, nodata, collars, control points, scale."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from worlds import GRID, UTM, noise, write_tiff

from geoagent.geo.describe import describe_image, describe_in_words
from geoagent.geo.raster import Scene, read_image
from geoagent.types import GeoAgentError


def test_eight_bits_pass_through_from_every_kind_of_source(tmp_path):
    values = noise(3, 40, 60)
    picture = values.transpose(1, 2, 0)
    path = write_tiff(tmp_path / "a.tif", values)
    Image.fromarray(picture).save(tmp_path / "a.png")
    with rasterio.open(path) as dataset:
        sources = [path, str(path), tmp_path / "a.png", Image.fromarray(picture), picture, dataset]
        for source in sources:
            raster = read_image(source)
            np.testing.assert_array_equal(raster.pixels, picture)
            assert raster.valid is None
            assert raster.info.stretch is None
            assert raster.info.size == (40, 60)
        assert not dataset.closed, "an open dataset belongs to the caller"


@pytest.mark.parametrize(
    ("suffix", "options"), [(".jpg", {"quality": 95}), (".webp", {"lossless": True}), (".jp2", {})]
)
def test_photo_formats_open_without_a_place(tmp_path, suffix, options):
    gradient = np.add.outer(np.arange(64), np.arange(80))[..., None].repeat(3, axis=2).astype(np.uint8)
    Image.fromarray(gradient).save(tmp_path / f"a{suffix}", **options)
    raster = read_image(tmp_path / f"a{suffix}")
    assert np.abs(raster.pixels.astype(int) - gradient).mean() < 3
    assert raster.info.crs is None
    assert raster.info.transform is None
    assert raster.info.gsd_m is None


def test_an_xarray_dataarray_is_read_with_its_place(tmp_path):
    rioxarray = pytest.importorskip("rioxarray")
    values = noise(3, 40, 60, low=200, high=3000, dtype="uint16")
    path = write_tiff(tmp_path / "a.tif", values)
    raster = read_image(rioxarray.open_rasterio(path))
    expected = read_image(path)
    np.testing.assert_array_equal(raster.pixels, expected.pixels)
    assert raster.info.crs == UTM
    assert raster.info.transform == pytest.approx(expected.info.transform)
    assert raster.info.gsd_m == pytest.approx(expected.info.gsd_m)


def test_an_array_with_a_transform_has_a_place():
    raster = read_image(noise(30, 40, 3), transform=GRID, crs=UTM)
    assert raster.info.crs == UTM
    assert raster.info.gsd_m == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "I;16", "F", "I"])
def test_every_mode_of_pil_is_read(mode):
    if mode == "I;16":
        image = Image.fromarray(noise(20, 30, high=4000, dtype="uint16"))
    else:
        image = Image.fromarray(noise(20, 30, 3)).convert("L" if mode in "FI" else "RGB").convert(mode)
    raster = read_image(image)
    assert raster.pixels.shape == (20, 30, 3)
    assert raster.pixels.std() > 5


def test_sixteen_bits_are_stretched_over_the_scene_not_the_window(tmp_path):
    ramp = np.tile(np.linspace(1000, 9000, 400), (300, 1)).astype(np.uint16)
    path = write_tiff(tmp_path / "a.tif", np.stack([ramp, ramp, ramp]), photometric="rgb")
    whole = read_image(path)
    low, high = whole.info.stretch[0]
    assert low == pytest.approx(1000 + 0.02 * 8000, rel=0.01)
    assert high == pytest.approx(1000 + 0.98 * 8000, rel=0.01)
    with Scene(path) as scene:
        left, right = scene.read((0, 0, 200, 300)), scene.read((200, 0, 400, 300))
    np.testing.assert_array_equal(np.hstack([left.pixels, right.pixels]), whole.pixels)
    part = read_image(path, region=(200, 0, 400, 300))
    np.testing.assert_array_equal(part.pixels, right.pixels)


def test_nodata_does_not_drag_the_stretch(tmp_path):
    values = noise(3, 100, 100, low=2000, high=3000, dtype="uint16")
    values[:, :, :50] = 0
    raster = read_image(write_tiff(tmp_path / "a.tif", values, photometric="rgb", nodata=0))
    assert min(low for low, _ in raster.info.stretch) > 1990
    assert not raster.valid[:, :50].any()
    assert raster.valid[:, 50:].all()
    assert raster.info.nodata == 0


def test_nodata_means_all_bands(tmp_path):
    values = noise(3, 20, 20)
    values[0, 5, 5] = 0
    values[:, 7, 7] = 0
    raster = read_image(write_tiff(tmp_path / "a.tif", values, nodata=0))
    assert raster.valid[5, 5]
    assert not raster.valid[7, 7]


def test_floats_with_holes(tmp_path):
    values = np.random.default_rng(0).normal(0.2, 0.05, (3, 50, 50)).astype(np.float32)
    values[:, :10] = np.nan
    raster = read_image(write_tiff(tmp_path / "a.tif", values, photometric="rgb"))
    assert not raster.valid[:10].any()
    assert raster.valid[10:].all()
    assert raster.pixels[10:].std() > 40


def test_alpha_and_mask_bands_are_honoured(tmp_path):
    seen = np.zeros((40, 40), dtype=np.bool_)
    seen[10:30, 5:35] = True
    with_alpha = np.concatenate([noise(3, 40, 40), seen[None] * np.uint8(255)])
    for raster in (
        read_image(write_tiff(tmp_path / "alpha.tif", with_alpha, photometric="rgb", alpha="yes")),
        read_image(write_tiff(tmp_path / "mask.tif", noise(3, 40, 40), mask=seen)),
        read_image(Image.fromarray(with_alpha.transpose(1, 2, 0))),
        read_image(with_alpha.transpose(1, 2, 0)),
    ):
        np.testing.assert_array_equal(raster.valid, seen)


def test_near_infrared_that_is_tagged_as_alpha_hides_nothing(tmp_path):
    assert read_image(noise(60, 60, 4)).valid is None
    path = write_tiff(tmp_path / "naip.tif", noise(4, 60, 60), photometric="rgb", alpha="yes")
    raster = read_image(path)
    assert raster.valid is None
    assert "near infrared" in raster.info.extra["remarks"][0]
    assert read_image(path, bands="nrg").info.bands == (4, 1, 2)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_an_untagged_collar_is_found(tmp_path, dtype):
    rows, columns = np.mgrid[:200, :200]
    scene = np.abs(rows - 100) + np.abs(columns - 100) < 95
    values = noise(3, 200, 200, low=60, high=250, dtype=dtype) * scene
    values[:, 95:100, 95:100] = 0  # a dark roof inside is no collar
    raster = read_image(write_tiff(tmp_path / "a.tif", values.astype(dtype), photometric="rgb"))
    assert (raster.valid == scene).mean() > 0.995
    assert raster.valid[97, 97]
    assert any("collar" in remark for remark in raster.info.extra["remarks"])
    if dtype == "uint16":
        assert raster.info.stretch[0][0] > 55


def test_a_jpeg_collar_with_its_noise(tmp_path):
    scene = np.zeros((256, 256), dtype=np.bool_)
    scene[64:, 40:] = True
    values = noise(3, 256, 256, low=60) * scene
    path = write_tiff(
        tmp_path / "a.tif", values.astype(np.uint8), photometric="ycbcr", compress="jpeg", jpeg_quality=75,
        tiled=True, blockxsize=256, blockysize=256,
    )  # fmt: skip
    raster = read_image(path)
    assert (raster.valid == scene).mean() > 0.98


def test_a_dark_corner_is_no_collar(tmp_path):
    values = noise(3, 200, 200)
    values[:, :10, :10] = 0
    assert read_image(write_tiff(tmp_path / "a.tif", values)).valid is None


def test_snow_in_a_corner_is_no_white_collar_but_paper_is(tmp_path):
    values = noise(3, 200, 200)
    rows, columns = np.mgrid[:200, :200]
    snow = (rows + 25 * np.sin(columns / 8) < 60) & (columns < 140)
    values[:, snow] = 255
    assert read_image(write_tiff(tmp_path / "snow.tif", values)).valid is None
    values = noise(3, 200, 200)
    values[:, rows + columns < 120] = 255
    raster = read_image(write_tiff(tmp_path / "paper.tif", values))
    np.testing.assert_array_equal(raster.valid, rows + columns >= 120)


def test_bands_of_sentinel_2_are_not_the_first_three(tmp_path):
    names = ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12"]
    values = noise(13, 20, 20, high=4000, dtype="uint16")
    named = write_tiff(tmp_path / "named.tif", values, names=names)
    bare = write_tiff(tmp_path / "bare.tif", values)
    assert read_image(named).info.bands == (4, 3, 2)
    raster = read_image(bare)
    assert raster.info.bands == (4, 3, 2)
    assert "assumed" in raster.info.extra["remarks"][0]
    assert read_image(bare, bands="sentinel2").info.bands == (4, 3, 2)
    assert read_image(named, bands="nrg").info.bands == (8, 4, 3)
    assert read_image(named, bands="B12,B8A,B04").info.bands == (13, 9, 4)
    assert read_image(bare, bands=[13, 9, 4]).info.bands == (13, 9, 4)
    grey = read_image(bare, bands=[8])
    assert grey.info.bands == (8,)
    assert (grey.pixels[..., 0] == grey.pixels[..., 2]).all()


@pytest.mark.parametrize(
    ("names", "preset", "bands"),
    [
        (["SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7"], None, (4, 3, 2)),
        (["SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7"], None, (3, 2, 1)),
        (["SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7"], "nrg", (4, 3, 2)),
        ([None] * 7, "landsat", (4, 3, 2)),
        ([None] * 6, "landsat", (3, 2, 1)),
        ([None] * 4, "naip", (1, 2, 3)),
        ([None] * 4, "nrg", (4, 1, 2)),
        ([None] * 4, "sentinel2", (3, 2, 1)),
        (["blue", "green", "red", "nir"], None, (3, 2, 1)),
        (["Blue", "Green", "Red", "NIR08", "x"], "nrg", (4, 3, 2)),
    ],
)
def test_presets_and_names(tmp_path, names, preset, bands):
    values = noise(len(names), 20, 20, high=4000, dtype="uint16")
    path = write_tiff(tmp_path / "a.tif", values, names=[name or "" for name in names], photometric="minisblack")
    assert read_image(path, bands=preset).info.bands == bands


def test_unknown_stacks_are_asked_about_instead_of_guessed(tmp_path):
    path = write_tiff(tmp_path / "a.tif", noise(9, 20, 20))
    with pytest.raises(GeoAgentError, match="does not say which are red, green and blue"):
        read_image(path)
    with pytest.raises(GeoAgentError, match="bands 1 to 9, not 10"):
        read_image(path, bands="10,2,1")
    with pytest.raises(GeoAgentError, match="no band 'B99'"):
        read_image(path, bands="B99,B2,B1")
    with pytest.raises(GeoAgentError, match="2 bands were given"):
        read_image(path, bands="1,2")
    assert "does not say" in describe_image(path)["remarks"][0]


def test_a_colour_table_becomes_colours(tmp_path):
    image = Image.fromarray(noise(20, 20, 3)).convert("P", palette=Image.Palette.ADAPTIVE)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, np.asarray(image.convert("RGB")))


def test_only_control_points_are_warped(tmp_path):
    path = tmp_path / "gcp.tif"
    values = noise(3, 100, 100)
    corners = ((0, 0, 11.0, 48.0), (0, 100, 11.0013, 48.0004), (100, 0, 11.0003, 47.9991), (100, 100, 11.0016, 47.9995))
    points = [GroundControlPoint(row, column, x, y) for row, column, x, y in corners]
    with rasterio.open(path, "w", driver="GTiff", width=100, height=100, count=3, dtype="uint8") as out:
        out.write(values)
        out.gcps = points, rasterio.crs.CRS.from_epsg(4326)
    raster = read_image(path)
    assert raster.info.crs == "EPSG:32632"
    assert raster.info.gsd_m == pytest.approx(1.0, rel=0.1)
    assert not raster.valid.all(), "what a rotated scene leaves of its rectangle is not valid"
    assert raster.pixels[raster.valid].mean() == pytest.approx(values.mean(), rel=0.05)
    assert "control points" in raster.info.extra["remarks"][0]


def test_rpcs_only_are_refused_unless_a_scale_is_given(tmp_path):
    path = tmp_path / "rpc.tif"
    coefficients = " ".join(["0"] * 20)
    one = " ".join(["1"] + ["0"] * 19)
    rpcs = {
        "LINE_OFF": "50", "SAMP_OFF": "50", "LAT_OFF": "48", "LONG_OFF": "11", "HEIGHT_OFF": "500", "LINE_SCALE": "50",
        "SAMP_SCALE": "50", "LAT_SCALE": "0.1", "LONG_SCALE": "0.1", "HEIGHT_SCALE": "500",
        "LINE_NUM_COEFF": coefficients, "LINE_DEN_COEFF": one, "SAMP_NUM_COEFF": coefficients, "SAMP_DEN_COEFF": one,
    }  # fmt: skip
    with rasterio.open(path, "w", driver="GTiff", width=100, height=100, count=3, dtype="uint8") as out:
        out.write(noise(3, 100, 100))
        out.update_tags(ns="RPC", **rpcs)
    with pytest.raises(GeoAgentError, match="orthorectify"):
        read_image(path)
    assert read_image(path, gsd_m=0.5).info.crs is None


def test_no_crs_means_pixels_and_a_person_may_say_the_scale(tmp_path):
    Image.fromarray(noise(20, 30, 3)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").info.gsd_m is None
    assert read_image(tmp_path / "a.png", gsd_m=0.3).info.gsd_m == 0.3
    with pytest.raises(GeoAgentError, match="ground size"):
        read_image(tmp_path / "a.png", gsd_m=-1)
    placed = read_image(write_tiff(tmp_path / "a.tif", noise(3, 20, 30)), gsd_m=30.0)
    assert placed.info.gsd_m == pytest.approx(0.5, rel=1e-3)
    assert "not used" in placed.info.extra["remarks"][0]


def test_ground_size_is_true_not_projected(tmp_path):
    x, y = 2_771_000, 8_437_000  # 24.9 E, 60.2 N
    path = write_tiff(tmp_path / "a.tif", noise(3, 20, 20), crs="EPSG:3857", transform=Affine(1, 0, x, 0, -1, y))
    assert read_image(path).info.gsd_m == pytest.approx(np.cos(np.radians(60.2)), rel=0.003)


def test_a_rotated_grid_keeps_its_rotation_through_a_window(tmp_path):
    transform = Affine.translation(400_000, 5_330_000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)
    path = write_tiff(tmp_path / "a.tif", noise(3, 60, 80), transform=transform)
    part = read_image(path, region=(20, 10, 70, 50))
    assert Affine(*part.info.transform) @ (0, 0) == pytest.approx(transform @ (20, 10))
    assert part.info.gsd_m == pytest.approx(0.5, rel=1e-3)


def test_a_given_stretch_is_used_and_recorded(tmp_path):
    values = np.full((3, 10, 10), 5000, dtype=np.uint16)
    path = write_tiff(tmp_path / "a.tif", values, photometric="rgb")
    raster = read_image(path, stretch=[(0, 10000)])
    assert raster.info.stretch == ((0.0, 10000.0),) * 3
    assert (raster.pixels == 128).all()
    with pytest.raises(GeoAgentError, match="low < high"):
        read_image(path, stretch=[(5, 5)])
    assert (read_image(path, stretch="none").pixels == 255).all()


def test_a_constant_image_does_not_divide_by_zero(tmp_path):
    raster = read_image(write_tiff(tmp_path / "a.tif", np.full((3, 10, 10), 700, dtype=np.uint16), photometric="rgb"))
    assert raster.pixels.shape == (10, 10, 3)


def test_an_image_without_any_valid_pixel(tmp_path):
    raster = read_image(
        write_tiff(tmp_path / "a.tif", np.zeros((3, 20, 20), dtype=np.uint16), photometric="rgb", nodata=0)
    )
    assert not raster.valid.any()


def test_a_description_says_all_that_info_prints(tmp_path):
    path = write_tiff(
        tmp_path / "a.tif", noise(4, 20, 30, high=4000, dtype="uint16"), names=["B2", "B3", "B4", "B8"], nodata=0
    )
    found = describe_image(path)
    assert (found["width"], found["height"], found["crs"], found["nodata"]) == (30, 20, UTM, 0)
    assert found["gsd_m"] == pytest.approx(0.5, rel=1e-3)
    assert found["ground_m"] == pytest.approx([15, 10], rel=1e-2)
    assert found["shown"] == [3, 2, 1]
    assert [band["name"] for band in found["bands"]] == ["B2", "B3", "B4", "B8"]
    assert len(found["stretch"]) == 3
    words = describe_in_words(found)
    for part in ("30 x 20 pixels", UTM, "0.5", "1 B2", "shown     3, 2, 1", "nodata    0"):
        assert part in words


def test_overviews_are_reduced_reads_with_larger_pixels(tmp_path):
    path = write_tiff(tmp_path / "a.tif", noise(3, 100, 200))
    with Scene(path) as scene:
        small = scene.read(size=(50, 100))
    assert small.pixels.shape == (50, 100, 3)
    assert small.info.gsd_m == pytest.approx(1.0, rel=1e-3)
    assert small.info.transform[0] == pytest.approx(1.0)


def test_band_colours_come_from_the_file(tmp_path):
    path = write_tiff(tmp_path / "bgr.tif", noise(3, 20, 20), photometric="minisblack")
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = ColorInterp.blue, ColorInterp.green, ColorInterp.red
    assert read_image(path).info.bands == (3, 2, 1)


def test_a_path_may_be_relative(tmp_path, monkeypatch):
    write_tiff(tmp_path / "a.tif", noise(3, 20, 20))
    monkeypatch.chdir(tmp_path)
    assert read_image(Path("a.tif")).info.size == (20, 20)
