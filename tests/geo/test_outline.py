"""Outlines: few straight sides, the same area, half a pixel; and right angles on request."""

import numpy as np
import pytest
import shapely
from rasterio.features import rasterize
from shapely import affinity
from shapely.geometry import MultiPolygon, Polygon, box

from geoagent.geo.outline import exact_outline, outline, outlines, square_up


def draw(shape, side=80):
    return rasterize([shape], (side, side)).astype(np.bool_)


def random_blobs(count):
    generator = np.random.default_rng(3)
    from scipy import ndimage

    for _ in range(count):
        field = ndimage.gaussian_filter(generator.normal(size=(60, 70)), generator.uniform(1, 4))
        yield field > generator.uniform(-0.5, 1.0) * field.std()


def test_an_axis_aligned_rectangle_is_exact():
    mask = np.zeros((40, 40), dtype=np.bool_)
    mask[10:30, 5:37] = True
    assert outline(mask).equals(box(5, 10, 37, 30))
    assert outline(mask[10:30, 5:37], left=5, top=10).equals(box(5, 10, 37, 30))


def test_a_digital_line_is_one_side():
    turned = affinity.translate(affinity.rotate(box(-30, -8, 30, 8), 45), 40, 40)
    assert len(shapely.get_coordinates(outline(draw(turned)))) <= 9
    for angle in (7, 20, 33, 60):
        drawn = outline(draw(affinity.translate(affinity.rotate(box(-30, -8, 30, 8), angle), 40, 40)))
        exact = exact_outline(draw(affinity.translate(affinity.rotate(box(-30, -8, 30, 8), angle), 40, 40)))
        assert len(shapely.get_coordinates(drawn)) < 0.25 * len(shapely.get_coordinates(exact))
        assert drawn.length == pytest.approx(2 * (60 + 16), rel=0.02)


def test_holes_stay_holes():
    ring = draw(Polygon(box(10, 10, 60, 60).exterior, [box(25, 25, 45, 45).exterior]))
    drawn = outline(ring)
    assert len(drawn.geoms[0].interiors) == 1
    assert drawn.area == ring.sum()


def test_outlines_are_valid_within_half_a_pixel_and_keep_the_area():
    for mask in random_blobs(40):
        drawn, exact = outline(mask), exact_outline(mask)
        assert isinstance(drawn, MultiPolygon)
        assert drawn.is_valid
        assert exact.area == mask.sum()
        assert drawn.area == pytest.approx(mask.sum(), rel=0.005)
        # No outline strays from the pixel edges by more than half a pixel and the little that restores its area.
        strays = shapely.distance(
            exact.boundary, shapely.points(shapely.get_coordinates(shapely.segmentize(drawn, 0.3)))
        )
        assert np.percentile(strays, 99) < 0.6
        assert strays.max() < 1.3, "sharp tips are moved most"
        assert (draw(drawn)[:60, :70] ^ mask).sum() <= 0.1 * exact.length


@pytest.mark.parametrize("together", [1, 20_000, 1 << 22])
def test_many_outlines_are_those_of_the_single_objects(monkeypatch, together):
    monkeypatch.setattr("geoagent.geo.outline._STACK", together)
    blobs = [(mask[: 30 + 3 * n], 5 * n, 40 - n) for n, mask in enumerate(random_blobs(9))]
    crops = [*blobs, *[(np.ones((2, 3 + n % 7), dtype=np.bool_), n, n) for n in range(300)]]  # they overlap
    for drawn, crop in zip(outlines(crops), crops, strict=True):
        assert drawn.equals_exact(outline(*crop), 1e-9)
    assert not list(outlines([]))


def test_a_strip_one_pixel_wide_keeps_its_ends():
    mask = np.zeros((9, 40), dtype=np.bool_)
    mask[4, 5:30] = True
    assert outline(mask).equals(box(5, 4, 30, 5))


def test_single_pixels_and_lines_survive():
    for shape in ((1, 1), (1, 5), (5, 1), (2, 2)):
        mask = np.zeros((9, 9), dtype=np.bool_)
        mask[2 : 2 + shape[0], 2 : 2 + shape[1]] = True
        drawn = outline(mask)
        assert drawn.is_valid
        assert drawn.area == pytest.approx(mask.sum(), rel=0.005)
    checks = np.indices((9, 9)).sum(axis=0) % 2 == 0
    assert outline(checks).is_valid
    assert outline(checks).area == pytest.approx(checks.sum(), rel=0.005)


def test_right_angles_for_buildings():
    house = Polygon([(0, 0), (40, 0), (40, 15), (18, 15), (18, 30), (0, 30)])
    turned = affinity.translate(affinity.rotate(house, 17), 20, 25)
    drawn = outline(draw(turned)).geoms[0]
    squared = square_up(drawn)
    edges = np.diff(shapely.get_coordinates(squared.exterior), axis=0)
    angles = np.degrees(np.arctan2(edges[:, 1], edges[:, 0])) % 90
    assert np.ptp(angles) == pytest.approx(0, abs=1e-6)
    assert len(edges) == 6
    assert angles[0] == pytest.approx(17, abs=1.5)
    assert squared.area == pytest.approx(drawn.area, rel=1e-6)
    assert squared.intersection(turned).area / squared.union(turned).area > 0.94


def test_round_things_get_no_right_angles():
    circle = outline(draw(shapely.Point(40, 40).buffer(25))).geoms[0]
    assert square_up(circle) is circle
