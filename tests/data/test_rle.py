import numpy as np
import pytest
from rasterio.features import rasterize

from geoagent.data.rle import (
    as_polygons,
    decode,
    encode,
    polygons_to_crop,
    polygons_to_mask,
    run_lengths,
    segmentation_to_mask,
)
from geoagent.types import GeoAgentError


def stripes() -> np.ndarray:
    mask = np.zeros((9, 7), dtype=np.bool_)
    mask[2:5, 1:6] = True
    mask[6, 0] = mask[8, 6] = True
    return mask


# Written by pycocotools 2.0: encode(np.asfortranarray(mask)).
PYCOCOTOOLS = [
    (stripes(), "6142200000006N"),
    (~stripes(), "061N2200000006N"),
    (
        np.pad(np.ones((300, 500), dtype=np.bool_), ((50, 9), (70, 3))),
        "lbh0\\9k10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000SP1",
    ),
    (np.random.default_rng(5).random((12, 11)) < 0.3, "1161N02O00K010O020N011OO000090K01010J01000114OJ011OO1000O060J0"),
    (np.ones((40, 30), dtype=np.bool_), "0`U1"),
    (np.zeros((40, 30), dtype=np.bool_), "`U1"),
]


@pytest.mark.parametrize(("mask", "counts"), PYCOCOTOOLS)
def test_compressed_strings_are_those_of_pycocotools(mask, counts):
    assert encode(mask) == {"size": list(mask.shape), "counts": counts}
    np.testing.assert_array_equal(decode({"size": list(mask.shape), "counts": counts}), mask)
    np.testing.assert_array_equal(decode({"size": list(mask.shape), "counts": counts.encode()}), mask)


def test_runs_go_down_the_columns_and_begin_with_background():
    mask = np.array([[True, False], [True, True]])
    assert run_lengths(mask).tolist() == [0, 2, 1, 1]


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (37, 64), (0, 4)])
def test_round_trip(size, share):
    mask = np.random.default_rng(3).random(size) < share
    np.testing.assert_array_equal(decode(encode(mask)), mask)
    np.testing.assert_array_equal(decode({"size": list(size), "counts": run_lengths(mask).tolist()}), mask)


@pytest.mark.parametrize(
    "rle",
    [
        {"counts": [4]},
        {"size": [2], "counts": [4]},
        {"size": [2, 2], "counts": [5]},
        {"size": [2, 2], "counts": [2, -1, 3]},
        {"size": [2, 2], "counts": [[4]]},
        {"size": [2, 2], "counts": ["four"]},
        {"size": [-2, -2], "counts": [4]},
        {"size": [10**9, 10**9], "counts": [10**18]},
        {"size": [2, 2], "counts": ""},
        {"size": [2, 2], "counts": "P"},  # ends where another character must follow
        {"size": [2, 2], "counts": "é"},
        {"size": [2, 2], "counts": "4\x7f"},
        {"size": [2, 2], "counts": "oooooooooooooooo0"},
    ],
)
def test_broken_rle_is_refused(rle):
    with pytest.raises(GeoAgentError, match="RLE"):
        decode(rle)


def test_polygon_takes_pixels_whose_centre_is_inside():
    mask = polygons_to_mask([[1, 1, 4, 1, 4, 3, 1, 3]], (5, 6))
    expected = np.zeros((5, 6), dtype=np.bool_)
    expected[1:3, 1:4] = True
    np.testing.assert_array_equal(mask, expected)


def test_polygons_are_filled_as_gdal_does():
    rng = np.random.default_rng(2)
    for corners in (3, 4, 7, 30):
        ring = rng.random((corners, 2)) * (60, 50) - 5
        closed = np.concatenate([ring, ring[:1]]).tolist()
        oracle = rasterize([{"type": "Polygon", "coordinates": [closed]}], out_shape=(40, 50), dtype="uint8")
        np.testing.assert_array_equal(polygons_to_mask([ring.ravel().tolist()], (40, 50)), oracle > 0)


def test_polygons_are_united_and_cut_at_the_border():
    mask = polygons_to_mask([[-5, -5, 2, -5, 2, 2, -5, 2], [4, 3, 99, 3, 99, 99, 4, 99]], (5, 6))
    assert mask[:2, :2].all()
    assert mask[3:, 4:].all()
    assert mask.sum() == 8


def test_thin_polygon_does_not_vanish():
    assert polygons_to_mask([[1.1, 1.1, 1.2, 1.1, 1.2, 4.0]], (8, 8)).any()


def test_polygon_outside_the_image_is_empty():
    crop, box = polygons_to_crop([[20, 20, 30, 20, 30, 30]], (8, 8))
    assert crop.size == 0
    assert box[0] == box[2]


@pytest.mark.parametrize(
    "polygon", [[], [1, 2, 3, 4], [1, 2, 3, 4, 5], [0, 0, 1, "x", 2, 2], [0, 0, 1, float("nan"), 2, 2]]
)
def test_broken_polygon_is_refused(polygon):
    with pytest.raises(GeoAgentError, match="polygon"):
        polygons_to_mask([polygon], (8, 8))


def test_polygons_in_every_form():
    flat = [1, 1, 4, 1, 4, 3]
    pairs = [[1, 1], [4, 1], [4, 3]]
    for segmentation in (flat, [flat], pairs, [pairs]):
        assert [list(map(float, p)) for p in as_polygons(segmentation)] == [[1.0, 1.0, 4.0, 1.0, 4.0, 3.0]]


def test_segmentation_in_every_form():
    mask = stripes()
    rle = encode(mask)
    np.testing.assert_array_equal(segmentation_to_mask(rle, mask.shape), mask)
    np.testing.assert_array_equal(segmentation_to_mask([rle], mask.shape), mask)
    np.testing.assert_array_equal(segmentation_to_mask([encode(mask), encode(~mask)], mask.shape), np.ones_like(mask))
    assert not segmentation_to_mask([], mask.shape).any()
    with pytest.raises(GeoAgentError, match="7 x 9"):
        segmentation_to_mask(rle, (10, 7))
