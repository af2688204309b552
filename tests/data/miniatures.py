"""Miniature copies of published datasets in their layouts, for the tests of the readers."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from geoagent.data.rle import encode
from geoagent.types import Mask


def picture(path: Path, width: int = 40, height: int = 30, seed: int = 0) -> Path:
    """A picture file of noise; lossless, so that its pixels tell two apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def block(width: int = 40, height: int = 30, box: tuple[int, int, int, int] = (5, 6, 15, 20)) -> Mask:
    """A mask with one rectangle."""
    mask = np.zeros((height, width), dtype=np.bool_)
    x0, y0, x1, y1 = box
    mask[y0:y1, x0:x1] = True
    return mask


def mask_file(path: Path, mask: Mask | None = None, value: int = 255) -> Path:
    """A grey PNG or TIFF of a mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((block() if mask is None else mask).astype(np.uint8) * value).save(path)
    return path


def write_json(path: Path, content: Any) -> Path:
    """A JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def write_pickle(path: Path, content: Any, protocol: int = 2) -> Path:
    """A pickle as the datasets publish it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def earthreason(root: Path, split: str = "train", *, nested: bool = False) -> Path:
    """Two images: one with a target and two questions, one without target."""
    base = root / split / split if nested else root / split
    for number, (name, answer) in enumerate([("a", ["The helipad on the roof."]), ("b", [])]):
        picture(base / "images" / f"{name}.jpg", seed=number)
        mask_file(base / "labels" / f"{name}.png", block() if answer else np.zeros((30, 40), dtype=np.bool_), value=1)
        write_json(base / "QAs" / f"{name}.json", {"questions": ["Where to land?", "And now?"], "answer": answer})
    return root


def rrsisd(root: Path, image_size: tuple[int, int] = (40, 30)) -> Path:
    """One image with two sentences in train, one in test; masks are 40 x 30 whatever the image."""
    width, height = image_size
    for name in ("00001", "00002"):
        picture(root / "images" / "rrsisd" / "JPEGImages" / f"{name}.jpg", width, height, seed=int(name))
    rle = encode(block())
    annotations = [
        {
            "id": 7 + number,
            "image_id": number,
            "category_id": 2,
            "bbox": [5, 6, 15, 20],
            "area": -1,
            "segmentation": [rle],
        }
        for number in (1, 2)
    ]
    categories = [{"id": 2, "name": "Expressway-toll-station"}]
    write_json(root / "rrsisd" / "instances.json", {"images": [], "annotations": annotations, "categories": categories})
    refs = [
        {
            "ref_id": number,
            "ann_id": 7 + number,
            "image_id": number,
            "category_id": 2,
            "split": split,
            "file_name": f"0000{number}.jpg",
            "sentences": [{"raw": text, "sent": text.lower()} for text in texts],
        }
        for number, split, texts in [
            (1, "train", ["The toll station", "A station on the left"]),
            (2, "test", ["The toll"]),
        ]
    ]
    write_pickle(root / "rrsisd" / "refs(unc).p", refs)
    return root


def coco(root: Path, **changes: Any) -> Path:
    """Three objects on two images: a polygon, a derived mask and a box."""
    picture(root / "images" / "one.png")
    picture(root / "images" / "two.png", seed=1)
    polygon = [[5.0, 6.0, 15.0, 6.0, 15.0, 20.0, 5.0, 20.0]]
    content: dict[str, Any] = {
        "images": [
            {"id": 1, "file_name": "one.png", "width": 40, "height": 30, "split": "train", "group": "a", "flag": True},
            {"id": 2, "file_name": "two.png", "width": 40, "height": 30, "split": "val", "group": "b"},
        ],
        "categories": [{"id": 1, "name": "storage_tank"}, {"id": 2, "name": "small vehicle"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "bbox": [5, 6, 10, 14],
                "segmentation": polygon,
                "shape": "mask",
            },
            {
                "id": 2,
                "image_id": 1,
                "category_id": 2,
                "bbox": [20, 6, 10, 14],
                "segmentation": [[20, 6, 30, 6, 30, 20, 20, 20]],
                "shape": "derived mask",
            },
            {"id": 3, "image_id": 2, "category_id": 1, "bbox": [10, 10, 12, 8], "shape": "box"},
        ],
    }
    write_json(root / "annotations.json", content | changes)
    return root
