"""Tiles cover an image, blend without a seam, and objects are numbered once."""

import numpy as np
import pytest
from scipy import ndimage

from geoagent.geo.mask_file import UNSEEN, IdWriter, MaskFile, read_ids
from geoagent.geo.seams import SeamMerger
from geoagent.geo.tiling import Axis, TileGrid, blend
from geoagent.types import ImageInfo

SIZES = [(64, 64), (65, 64), (100, 64), (120, 64), (121, 64), (1000, 64), (977, 128), (20_000, 512), (30, 512)]


@pytest.mark.parametrize(("length", "side"), SIZES)
def test_tiles_cover_everything_and_their_weights_sum_to_one(length: int, side: int) -> None:
    axis = TileGrid.cover((length, length), side).down
    assert axis.starts[0] == 0
    assert axis.starts[-1] + axis.tile == length
    assert list(axis.cuts) == sorted(set(axis.cuts))
    total = np.zeros(length)
    for k, start in enumerate(axis.starts):
        low, high = axis.reach(k)
        assert start <= low < high <= start + axis.tile
        weights = axis.weights(k, 0, length)
        assert not weights[:low].any() and not weights[high:].any()
        total += weights
    assert np.allclose(total, 1.0)


def test_neighbours_share_at_least_the_overlap() -> None:
    axis = Axis(length=1000, tile=256, overlap=32)
    shared = [first + 256 - second for first, second in zip(axis.starts, axis.starts[1:], strict=False)]
    assert min(shared) >= 32


def test_impossible_tiles_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Axis(length=100, tile=128, overlap=16)
    with pytest.raises(ValueError, match="overlap"):
        Axis(length=1000, tile=128, overlap=64)


def test_tiles_of_a_strip_are_no_longer_than_its_width_allows() -> None:
    grid = TileGrid.cover((100, 5000), 512, max_aspect=3.0)
    assert (grid.down.tile, grid.across.tile) == (100, 300)


def test_a_tile_is_enlarged_as_torch_enlarges_it() -> None:
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(0).normal(size=(13, 9)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(logits)[None, None], size=(60, 50), mode="bilinear")
    blended, seen = blend(TileGrid.cover((60, 50), 64), (0, 0, 50, 60), [(0, 0, logits)])
    assert np.allclose(blended, expected[0, 0].numpy(), atol=1e-5)
    assert seen.all()


def test_blending_what_agrees_changes_nothing_in_any_window() -> None:
    image = np.random.default_rng(0).normal(size=(300, 260)).astype(np.float32)
    grid = TileGrid.cover(image.shape, 96)
    parts = []
    for row in range(grid.shape[0]):
        for tile in grid.row(row):
            x0, y0, x1, y1 = tile.window
            parts.append((tile.row, tile.column, image[y0:y1, x0:x1]))
    for window in [(0, 0, 260, 300), (17, 90, 201, 300), (80, 80, 90, 90)]:
        x0, y0, x1, y1 = window
        blended, seen = blend(grid, window, parts)
        assert np.allclose(blended, image[y0:y1, x0:x1], atol=1e-5)
        assert seen.all()


def test_what_disagrees_fades_over_the_seam_without_a_step() -> None:
    grid = TileGrid.cover((64, 120), 64)
    blended, _ = blend(grid, (0, 0, 120, 64), [(0, 0, np.full((1, 1), 1.0)), (0, 1, np.full((1, 1), -1.0))])
    line = blended[30]
    assert line[0] == 1 and line[-1] == -1
    assert np.abs(np.diff(line)).max() < 0.3
    assert (np.diff(line) <= 1e-6).all()


def test_a_missing_tile_leaves_its_own_pixels_unseen() -> None:
    grid = TileGrid.cover((300, 300), 64)
    parts = [
        (t.row, t.column, np.ones((4, 4), np.float32))
        for row in range(grid.shape[0])
        for t in grid.row(row)
        if (t.row, t.column) != (2, 2)
    ]
    blended, seen = blend(grid, (0, 0, 300, 300), parts)
    x0, y0, x1, y1 = grid.tile(2, 2).territory
    half = grid.down.overlap // 2
    assert not seen[y0 + half : y1 - half, x0 + half : x1 - half].any()
    assert (~seen).sum() == (y1 - y0 - 2 * half) * (x1 - x0 - 2 * half)
    assert np.allclose(blended[seen], 1.0)


def merged(mask: np.ndarray, step: int) -> tuple[np.ndarray, SeamMerger]:
    """Label a mask in square blocks and join them."""
    seams, ids = SeamMerger(), np.zeros(mask.shape, np.uint32)
    height, width = mask.shape
    for y in range(0, height, step):
        for x in range(0, width, step):
            part = mask[y : y + step, x : x + step]
            ids[y : y + step, x : x + step] = seams.label(part, np.full(part.shape, 0.75, np.float32), x, y)
            if x:
                seams.join(ids[y : y + step, x - 1], ids[y : y + step, x])
        if y:
            seams.join(ids[y - 1], ids[y])
    return ids, seams


@pytest.mark.parametrize("share", [0.1, 0.42, 0.6])
def test_blocks_merge_into_the_components_of_the_whole(share: float) -> None:
    mask = np.random.default_rng(1).random((150, 170)) < share
    ids, seams = merged(mask, 32)
    things = seams.merge(min_area=1)
    numbers = things.number[ids]
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    assert len(things) == count
    assert len(np.unique(np.stack([numbers[mask], labels[mask]]), axis=1).T) == count
    areas = np.bincount(numbers[mask], minlength=count + 1)[1:]
    assert np.array_equal(areas, things.area)
    assert (np.diff(things.area) <= 0).all()
    for n in (1, count):
        rows, columns = np.nonzero(numbers == n)
        assert tuple(things.boxes[n - 1]) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert things.centres[n - 1] == pytest.approx((columns.mean() + 0.5, rows.mean() + 0.5))
    assert np.allclose(things.scores, 0.75)


def test_specks_are_dropped_unless_nothing_else_is_there() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[3, 3] = True
    _, seams = merged(mask, 16)
    assert len(seams.merge(min_area=4)) == 1
    mask[20:30, 20:30] = True
    ids, seams = merged(mask, 16)
    things = seams.merge(min_area=4)
    assert list(things.area) == [100]
    assert things.number[ids][3, 3] == 0


def test_nothing_at_all_merges_to_nothing() -> None:
    _, seams = merged(np.zeros((20, 20), np.bool_), 16)
    assert len(seams.merge(min_area=4)) == 0


def test_pieces_that_no_tile_takes_for_one_stay_apart() -> None:
    seams = SeamMerger(separate=True)
    block = np.ones((10, 10), np.bool_)
    sure = np.ones((10, 10), np.float32)
    own = np.repeat([[1], [2]], 5, axis=0) * np.ones((1, 10), int)
    left = seams.label(block, sure, 0, 0, own)
    right = seams.label(block, sure, 10, 0, own)
    seams.join(left[:, -1], right[:, 0], np.repeat([1.0, 0.0], 5).astype(np.float32))
    things = seams.merge(min_area=1)
    assert list(things.area) == [100, 50, 50]
    assert things.number[left[0, 0]] == things.number[right[0, 0]]
    assert things.number[left[9, 0]] != things.number[right[9, 0]]


@pytest.fixture
def stored(tmp_path) -> tuple[np.ndarray, MaskFile]:
    """A mask as an array and as a file: the ids 70,000 of 70,000 that fit into no smaller type, and a part unseen."""
    rng = np.random.default_rng(0)
    ids = rng.choice(np.array([0, 0, 70_000, 256, UNSEEN], np.uint32), (1500, 700))
    with IdWriter(tmp_path / "ids.tif", ImageInfo(width=700, height=1500)) as writer:
        for top in range(0, 1500, 97):
            writer.write(ids[top : top + 97])
    found = np.zeros_like(ids)
    for left, top, piece in read_ids(tmp_path / "ids.tif", columns=300):
        found[top : top + len(piece), left : left + piece.shape[1]] = piece
    assert np.array_equal(found, ids)
    on = (ids == 256) | (ids == 70_000)
    return on[100:1400, 50:650], MaskFile(tmp_path / "ids.tif", (50, 100, 650, 1400))


def test_a_mask_on_disk_answers_like_an_array(stored: tuple[np.ndarray, MaskFile]) -> None:
    array, file = stored
    assert (file.shape, file.ndim, file.dtype, file.size) == (array.shape, 2, array.dtype, array.size)
    assert np.array_equal(np.asarray(file), array)
    assert np.array_equal(file.astype(np.uint8), array.astype(np.uint8))
    assert file.sum() == array.sum()
    assert file.any() and not file.all()
    for axis in (0, 1):
        assert np.array_equal(file.any(axis=axis), array.any(axis=axis))
    for key in [np.s_[10:20], np.s_[:, 30:40], np.s_[5:1200, 7:9], np.s_[::7, ::5], np.s_[1:1200:3, 2:], np.s_[-9:]]:
        assert np.array_equal(file[key], array[key])
    assert np.array_equal(file[3], array[3])
    assert np.array_equal(file[5:5], array[5:5])
    assert np.array_equal(~file, ~array)
    assert np.array_equal(array & file, array)
    picture = np.zeros(array.shape)
    picture[file] = 1
    assert picture.sum() == array.sum()


def test_one_object_of_a_mask_on_disk(stored: tuple[np.ndarray, MaskFile]) -> None:
    _, file = stored
    one = MaskFile(file.path, file.window, low=70_000, high=70_000)
    other = MaskFile(file.path, file.window, low=256, high=256)
    assert one.sum() + other.sum() == file.sum()
    assert not (np.asarray(one) & np.asarray(other)).any()
