"""Make the imagery collection small enough to travel to a borrowed machine: the same folders, pictures as WebP.

    python -m tools.pack_imagery $GEOAGENT_IMAGERY --out packed --megabytes 45 && tar czf packed.tar.gz packed
    tar xf packed.tar.gz && GEOAGENT_IMAGERY=packed python -m train.finetune --config train/configs/nano-gpu.yaml

Pictures whose shorter side is longer than ``--side`` are shrunk, with their labels; the quality of WebP is the highest
with which all of it fits. Sets without masks of objects or classes (captions, GeoTIFFs, pairs of dates) are left out.
The ground size that is stated of a set no longer holds for what was shrunk: this is for training, not for scoring. The
terms of the sets hold for the copy too.
"""

import argparse
import io
import json
import shutil
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from PIL import Image
from tqdm import tqdm

from geoagent.data.dataset import read_json
from geoagent.data.images import list_images, read_index, read_rgb
from geoagent.data.rle import as_polygons
from geoagent.types import GeoAgentError

QUALITIES = (80, 70, 60, 50, 42, 35, 28, 22, 16)
_READ = ("id", "image_id", "category_id", "segmentation", "iscrowd", "shape")
_FEW_CORNERS = 8
_TOLERANCE = 0.25
"""Pixels that an outline may lose."""
_EVERY = 12
"""One picture in so many is compressed to guess the size of all."""


@dataclass(frozen=True)
class Picture:
    """A picture with the factor by which it shrinks."""

    path: Path
    scale: float


@dataclass(frozen=True)
class PackedSet:
    """One folder of the collection with what of it travels."""

    folder: Path
    pictures: tuple[Picture, ...]
    labels: dict[str, Any]
    """Of ``annotations.json`` or ``classes.json``, cut to the wanted splits."""
    masks: tuple[Path, ...]
    """Index masks of the pictures, in their order; none where the labels are COCO's."""

    @property
    def label_file(self) -> str:
        """Name of the file that ``labels`` belong into."""
        return "classes.json" if self.masks else "annotations.json"

    @property
    def label_text(self) -> str:
        """``labels`` without a space too many."""
        return json.dumps(self.labels, separators=(",", ":"), ensure_ascii=False)


def choose(folder: Path, splits: Sequence[str], side: int) -> PackedSet | None:
    """What of a folder travels; None where it holds nothing to segment."""
    if (folder / "annotations.json").exists():
        return _coco(folder, splits, side)
    if (folder / "classes.json").exists() and (folder / "masks").is_dir():
        return _index(folder, splits, side)
    return None


def _coco(folder: Path, splits: Sequence[str], side: int) -> PackedSet:
    content = read_json(folder / "annotations.json")
    images = [entry for entry in content["images"] if entry.get("split", "train") in splits]
    scales = {entry["id"]: min(1.0, side / min(entry["width"], entry["height"])) for entry in images}
    pictures = tuple(Picture(folder / "images" / e["file_name"], scales[e["id"]]) for e in images)
    labels = {
        **content,
        "images": [_shrunk_entry(e, scales[e["id"]]) for e in images],
        "annotations": [
            _shrunk_annotation(a, scales[a["image_id"]]) for a in content["annotations"] if a["image_id"] in scales
        ],
    }
    return PackedSet(folder, pictures, labels, ())


def _shrunk_entry(entry: dict[str, Any], scale: float) -> dict[str, Any]:
    width, height = shrunk((entry["width"], entry["height"]), scale)
    name = str(Path(entry["file_name"]).with_suffix(".webp"))
    return {**entry, "file_name": name, "width": width, "height": height}


def _shrunk_annotation(annotation: dict[str, Any], scale: float) -> dict[str, Any]:
    """Places to a tenth of a pixel, outlines without needless corners; what nobody reads is dropped."""
    kept = {key: value for key, value in annotation.items() if key in _READ}
    kept["bbox"] = [round(value * scale, 1) for value in annotation["bbox"]]
    outlines = annotation.get("segmentation")
    if outlines:
        if not isinstance(outlines, list):
            raise GeoAgentError(f"annotation {annotation['id']}: only outlines can be shrunk, not run lengths")
        kept["segmentation"] = [_shrunk_outline(as_polygons([outline])[0], scale) for outline in outlines]
    return kept


def _shrunk_outline(outline: Sequence[float], scale: float) -> list[float]:
    corners = np.array(outline, dtype=np.float64).reshape(-1, 2) * scale
    if len(corners) > _FEW_CORNERS:
        simple = shapely.get_coordinates(shapely.simplify(shapely.Polygon(corners), _TOLERANCE))[:-1]
        corners = simple if len(simple) > _FEW_CORNERS // 2 else corners
    return [round(value, 1) for value in corners.ravel().tolist()]


def _index(folder: Path, splits: Sequence[str], side: int) -> PackedSet:
    table = read_json(folder / "classes.json")
    images = {path.stem: path for path in list_images(folder / "images")}
    parts = table.get("split") or dict.fromkeys(images, "train")
    kept = {stem: part for stem, part in parts.items() if part in splits}
    masks = tuple(folder / "masks" / f"{stem}.png" for stem in kept)
    pictures = tuple(Picture(images[stem], _scale_of(images[stem], side)) for stem in kept)
    return PackedSet(folder, pictures, {**table, "split": kept}, masks)


def _scale_of(path: Path, side: int) -> float:
    with Image.open(path) as picture:
        return min(1.0, side / min(picture.size))


def shrunk(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """``(width, height)`` after shrinking."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def compressed(picture: Picture, quality: int) -> bytes:
    """A picture as WebP."""
    buffer = io.BytesIO()
    pixels = Image.fromarray(read_rgb(picture.path))
    if picture.scale < 1:
        pixels = pixels.resize(shrunk(pixels.size, picture.scale), Image.Resampling.BOX)
    pixels.save(buffer, format="WEBP", quality=quality, method=4)
    return buffer.getvalue()


def write_mask(mask: Path, scale: float, target: Path) -> None:
    """An index mask as small as its picture."""
    values = Image.fromarray(read_index(mask).astype(np.uint8))
    values.resize(shrunk(values.size, scale), Image.Resampling.NEAREST).save(target, optimize=True)


def best_quality(sets: Sequence[PackedSet], budget: int) -> int:
    """The highest quality with which pictures, masks and compressed labels fit into ``budget`` bytes."""
    fixed = sum(
        len(zlib.compress(one.label_text.encode())) + sum(mask.stat().st_size for mask in one.masks) for one in sets
    )
    pictures = [picture for one in sets for picture in one.pictures]
    some = pictures[::_EVERY]
    for quality in QUALITIES:
        guess = sum(len(compressed(picture, quality)) for picture in some) * len(pictures) / len(some)
        if fixed + 1.03 * guess < budget:
            return quality
    raise GeoAgentError(
        f"{len(pictures)} pictures do not fit into {budget / 1e6:.0f} MB: labels alone take {fixed / 1e6:.0f}"
    )


def write(sets: Sequence[PackedSet], out: Path, quality: int) -> int:
    """Write the packed collection; how many bytes it takes."""
    progress = tqdm(total=sum(len(one.pictures) for one in sets), unit="picture")
    for one in sets:
        target = out / one.folder.name
        (target / "images").mkdir(parents=True)
        (target / one.label_file).write_text(one.label_text, encoding="utf-8")
        for picture in one.pictures:
            name = picture.path.relative_to(one.folder / "images").with_suffix(".webp")
            (target / "images" / name).parent.mkdir(parents=True, exist_ok=True)
            (target / "images" / name).write_bytes(compressed(picture, quality))
            progress.update()
        for mask, picture in zip(one.masks, one.pictures, strict=bool(one.masks)):
            (target / "masks").mkdir(exist_ok=True)
            write_mask(mask, picture.scale, target / "masks" / mask.name)
        if (one.folder / "SOURCE.md").exists():
            shutil.copy(one.folder / "SOURCE.md", target)
    progress.close()
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def pack(root: Path, out: Path, splits: Sequence[str], side: int, budget: int) -> str:
    """Choose, compress, write; what became of it."""
    if out.exists():
        raise GeoAgentError(f"{out} exists: choose a new folder")
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    sets = [one for folder in folders if (one := choose(folder, splits, side)) and one.pictures]
    if not sets:
        raise GeoAgentError(f"{root} holds no labelled pictures of {', '.join(splits)}")
    quality = best_quality(sets, budget)
    size = write(sets, out, quality)
    return f"{out}: {len(sets)} sets, {size / 1e6:.1f} MB before tar czf, WebP quality {quality}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 2 for a mistake of the user, which is told in one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="the imagery collection")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--megabytes", type=float, default=45.0, help="of the archive (default: %(default)s)")
    parser.add_argument("--side", type=int, default=448, help="of larger pictures, the shorter (default: %(default)s)")
    parser.add_argument("--splits", default="train", help="separated by commas (default: %(default)s)")
    given = parser.parse_args(arguments)
    try:
        told = pack(given.root, given.out, given.splits.split(","), given.side, int(given.megabytes * 1e6))
    except (GeoAgentError, OSError) as error:
        print(f"pack_imagery: {error}", file=sys.stderr)
        return 2
    print(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
