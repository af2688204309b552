"""Rendered scenes as files, pasted objects, and the command line tool."""

import json

import numpy as np
import pytest
import rasterio
from PIL import Image

from geoagent.data.folder import PlainFolder
from geoagent.data.synth import Cutout, paste_objects, render_scene, write_geotiff
from geoagent.types import AnnotatedScene, GeoAgentError
from tools.render_synth import main


def test_a_geotiff_holds_pixels_and_place(tmp_path):
    scene = render_scene(4, (96, 128))
    with rasterio.open(write_geotiff(scene, tmp_path / "scene.tif")) as file:
        assert file.crs.to_epsg() is not None
        assert tuple(file.transform)[:6] == pytest.approx(scene.info.transform)
        assert file.res == pytest.approx((scene.gsd_m, scene.gsd_m))
        assert np.array_equal(np.moveaxis(file.read(), 0, 2), scene.image)


def test_a_scene_without_a_place_is_no_geotiff(tmp_path):
    scene = AnnotatedScene(id="x", image=np.zeros((8, 8, 3), np.uint8), objects=(), complete=frozenset())
    with pytest.raises(GeoAgentError, match="no place on Earth"):
        write_geotiff(scene, tmp_path / "x.tif")
    with pytest.raises(GeoAgentError, match="does not exist"):
        write_geotiff(render_scene(1, 64), tmp_path / "missing" / "x.tif")


def red_disc(class_name: str, side: int = 40, gsd_m: float | None = None) -> Cutout:
    v, u = np.mgrid[:side, :side] - (side - 1) / 2
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[..., 0] = 255
    return Cutout(pixels=pixels, mask=np.hypot(u, v) < side / 2 - 1, class_name=class_name, gsd_m=gsd_m)


def test_pasted_objects_take_pixels_from_others():
    before = render_scene(1, 256, landscape="airport")
    copy = before.image.copy()
    after = paste_objects(before, [red_disc("airplane", 30, before.gsd_m)], seed=3)
    pasted = [o for o in after.objects if o.attributes.get("pasted")]
    assert len(pasted) == 1
    mask = after.union(pasted)
    red = after.image[mask].astype(int)
    assert (red[:, 0] - red[:, 1]).mean() > 150
    assert np.array_equal(before.image, copy)
    for thing in after.objects:
        if thing is not pasted[0]:
            assert not (after.union([thing]) & mask).any()
    grounds = before.union(
        [o for o in before.objects if o.class_name in ("apron", "runway", "paved area", "bare land")]
    )
    assert (grounds & mask).sum() >= 0.85 * mask.sum()


def test_pasting_scales_by_ground_size_and_repeats():
    scene = render_scene(1, 256, landscape="airport", gsd_m=0.6)
    disc = red_disc("airplane", 40, 0.3)
    one, two = (paste_objects(scene, [disc], seed=5) for _ in range(2))
    assert np.array_equal(one.image, two.image)
    (thing,) = [o for o in one.objects if o.attributes.get("pasted")]
    assert thing.area == pytest.approx(disc.mask.sum() / 4, rel=0.15)


def test_what_finds_no_place_is_left_out():
    scene = render_scene(1, 256, landscape="solar farm")
    assert paste_objects(scene, [red_disc("ship", 30, scene.gsd_m)], seed=1).objects == scene.objects


def test_a_cutout_and_its_mask_have_one_size():
    with pytest.raises(ValueError, match="not the size"):
        Cutout(pixels=np.zeros((4, 4, 3), np.uint8), mask=np.ones((4, 5), bool), class_name="car")


@pytest.mark.parametrize("geotiff", [False, True])
def test_the_tool_writes_a_plain_folder(tmp_path, capsys, geotiff):
    out = tmp_path / "world"
    arguments = [
        "--count",
        "2",
        "--seed",
        "3",
        "--size",
        "128",
        "--out",
        str(out),
        "--sheet",
        *(["--geotiff"] * geotiff),
    ]
    assert main(arguments) == 0
    assert "2 scenes" in capsys.readouterr().out
    lines = [json.loads(line) for line in (out / "annotations.jsonl").read_text().splitlines()]
    assert len({line["image"] for line in lines}) == 2
    assert {line["image"].rsplit(".")[-1] for line in lines} == {"tif" if geotiff else "png"}
    assert all({"id", "instruction", "targets", "answer", "type", "source"} <= line.keys() for line in lines)
    assert Image.open(out / "sheet.png").size[0] > 500
    samples = [PlainFolder(out)[number] for number in range(len(lines))]
    assert [sample.instruction for sample in samples] == [line["instruction"] for line in lines]
    assert all(sample.image.shape == (128, 128, 3) for sample in samples)
    assert main(arguments) == 2
    assert "exists already" in capsys.readouterr().err
