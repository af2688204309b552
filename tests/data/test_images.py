import numpy as np
import pytest
from PIL import Image

from geoagent.data.images import fit_mask, image_size, list_images, read_index, read_mask, read_rgb
from geoagent.types import GeoAgentError


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def save(pixels, path, mode=None, **options):
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def test_modes_become_rgb(tmp_path, pixels):
    np.testing.assert_array_equal(read_rgb(save(pixels, tmp_path / "rgb.png")), pixels)
    alpha = np.dstack([pixels, np.zeros((6, 8), dtype=np.uint8)])
    np.testing.assert_array_equal(read_rgb(save(alpha, tmp_path / "rgba.png")), pixels)
    np.testing.assert_array_equal(
        read_rgb(save(pixels[..., 0], tmp_path / "grey.png")), np.dstack([pixels[..., 0]] * 3)
    )
    assert set(np.unique(read_rgb(save(pixels[..., 0] > 127, tmp_path / "bits.png")))) <= {0, 255}


def test_palettes_are_resolved(tmp_path):
    picture = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode="P")
    picture.putpalette([9, 8, 7, 200, 100, 50])
    picture.save(tmp_path / "plain.png")
    picture.save(tmp_path / "clear.png", transparency=0)
    for name in ("plain.png", "clear.png"):
        assert read_rgb(tmp_path / name).tolist() == [[[9, 8, 7], [200, 100, 50]]]
    assert read_index(tmp_path / "plain.png").tolist() == [[0, 1]]


def test_exif_orientation_is_ignored(tmp_path, pixels):
    exif = Image.Exif()
    exif[274] = 6
    path = save(pixels, tmp_path / "turned.jpg", exif=exif)
    assert read_rgb(path).shape == (6, 8, 3)
    assert image_size(path) == (6, 8)


def test_sixteen_bits_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(GeoAgentError, match=r"deep\.png has more than 8 bits"):
        read_rgb(tmp_path / "deep.png")
    assert read_index(tmp_path / "deep.png").max() == 40_000


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_a_damaged_file_is_named(tmp_path, pixels, suffix):
    path = save(np.repeat(np.repeat(pixels, 40, 0), 40, 1), tmp_path / f"broken.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(GeoAgentError, match=rf"broken\.{suffix} cannot be read as an image"):
        read_rgb(path)


def test_what_is_no_picture_is_named(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(GeoAgentError, match=r"text\.png cannot be read"):
        read_rgb(tmp_path / "text.png")
    with pytest.raises(GeoAgentError, match=r"gone\.png is missing"):
        read_rgb(tmp_path / "gone.png")


def test_masks_of_all_modes(tmp_path):
    truth = np.zeros((6, 8), dtype=np.bool_)
    truth[2:4, 3:6] = True
    grey = truth.astype(np.uint8)
    coloured = np.dstack([grey * 0, grey * 255, grey * 0])
    only_alpha = np.dstack([np.full((6, 8, 3), 255, dtype=np.uint8), grey * 255])
    opaque = np.dstack([coloured, np.full((6, 8), 255, dtype=np.uint8)])
    for name, values in [
        ("one", grey),
        ("full", grey * 255),
        ("rgb", coloured),
        ("alpha", only_alpha),
        ("opaque", opaque),
    ]:
        np.testing.assert_array_equal(read_mask(save(values, tmp_path / f"{name}.png")), truth, err_msg=name)
    bits = save(truth, tmp_path / "bits.png")
    assert Image.open(bits).mode == "1"
    np.testing.assert_array_equal(read_mask(bits, above=127), truth)
    soft = save(grey * 100, tmp_path / "soft.png")
    assert not read_mask(soft, above=127).any()
    with pytest.raises(GeoAgentError, match=r"rgb\.png has 3 channels"):
        read_index(tmp_path / "rgb.png")


def test_masks_are_stretched_only_a_little():
    mask = np.zeros((80, 80), dtype=np.bool_)
    mask[40:, 40:] = True
    stretched = fit_mask(mask, (80, 81), "this")
    assert stretched.shape == (80, 81)
    assert stretched[79, 80]
    assert not stretched[39].any()
    with pytest.raises(GeoAgentError, match="this: the mask is 80 x 80, the image 81 x 60"):
        fit_mask(mask, (60, 81), "this")


def test_list_images_passes_over_other_files(tmp_path, pixels):
    for name in ("b.PNG", "a.jpg", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == ["a.jpg", "b.PNG"]
