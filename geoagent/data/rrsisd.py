"""RRSIS-D: referring segmentation on 800 px scenes of DIOR (RMSIN, Liu et al. 2024).

    root/**/rrsisd/refs(unc).p, instances.json     places vary by copy: searched
    root/images/rrsisd/JPEGImages/*.jpg

An annotation's ``segmentation`` is a list that holds one compressed RLE; ``bbox`` is really xyxy and ``area`` wrong, so
neither is used. Some images are 800 x 801, 801 x 800 or 800 x 787 under masks of 800 x 800: the mask is stretched to
the image. 12,181 / 1,740 / 3,481 expressions, 20 classes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoagent.data.classes import find_canonical
from geoagent.data.dataset import RecordDataset, read_json, require, require_split
from geoagent.data.images import fit_mask, read_rgb
from geoagent.data.rle import decode_any_size
from geoagent.data.safe_pickle import load_plain_pickle
from geoagent.types import GeoAgentError, LabelledTarget, Sample

SPLITS = ("train", "val", "test")

_JOINED = re.compile(r"^(baseball|basketball|tennis|golf|storage|train|ground ?track)(field|court|tank|station)$")
"""DIOR's habit of writing some class names as one word."""


@dataclass(frozen=True, kw_only=True)
class _Record:
    id: str
    image: Path
    sentence: str
    category: str
    segmentation: Sequence[Any] | Mapping[str, Any]

    @property
    def image_key(self) -> str:
        return str(self.image)


class RRSISD(RecordDataset[_Record]):
    """One sample a sentence.

    Args:
        root: Any folder above the two annotation files and the images.
        split: ``train``, ``val`` or ``test``.
    """

    def __init__(self, root: Path, split: str = "train") -> None:
        require_split(split, SPLITS, "RRSIS-D")
        refs = load_refs(find_file(root, "refs(unc).p", "RRSIS-D keeps its expressions in it"))
        instances_file = find_file(root, "instances.json", "RRSIS-D keeps its masks in it")
        instances = read_json(instances_file)
        annotations = {entry["id"]: entry for entry in instances["annotations"]}
        categories = {entry["id"]: str(entry["name"]) for entry in instances["categories"]}
        folder = _image_folder(root)
        records: list[_Record] = []
        for ref in refs:
            if ref["split"] != split:
                continue
            annotation = annotations.get(ref["ann_id"])
            if annotation is None or not annotation.get("segmentation"):
                raise GeoAgentError(
                    f"{instances_file} has no mask for annotation {ref['ann_id']} of ref {ref['ref_id']}"
                )
            image = require(folder / image_name(ref["file_name"]), f"ref {ref['ref_id']} of RRSIS-D names it")
            records.extend(
                _Record(
                    id=f"rrsis-d/{split}/{ref['ref_id']}#{number}",
                    image=image,
                    sentence=sentence_text(sentence),
                    category=categories[ref["category_id"]],
                    segmentation=annotation["segmentation"],
                )
                for number, sentence in enumerate(ref["sentences"])
            )
        super().__init__("rrsis-d", split, records)

    def read(self, record: _Record) -> Sample:
        """Read the image of one sentence and decode its mask."""
        image = read_rgb(record.image)
        raw = decode_any_size(record.segmentation, image.shape[:2])
        label = spoken_category(record.category)
        target = LabelledTarget(
            phrase=label,
            mask=fit_mask(raw, image.shape[:2], record.id),
            class_name=find_canonical(label) or label,
        )
        return Sample(
            id=record.id,
            image_id=f"rrsis-d/{record.image.stem}",
            image=image,
            instruction=record.sentence,
            targets=(target,),
            type="reference",
            source=self.name,
            extra={"mask_size": raw.shape} if raw.shape != target.mask.shape else {},
        )


def spoken_category(name: str) -> str:
    """A category as one says it: ``Expressway-toll-station``, ``storagetank``, ``groundtrackfield`` taken apart."""
    words = " ".join(name.replace("_", " ").replace("-", " ").lower().split())
    apart = _JOINED.sub(r"\1 \2", words)
    return apart.replace("groundtrack", "ground track")


def load_refs(path: Path) -> list[dict[str, Any]]:
    """The list of refs of a RefCOCO-style pickle, read without running code, its keys checked."""
    refs = load_plain_pickle(path)
    if not isinstance(refs, list) or not refs or not all(isinstance(ref, dict) for ref in refs):
        raise GeoAgentError(f"{path} must hold a list of refs")
    needed = ("split", "sentences", "file_name", "ref_id")
    for ref in refs:
        lacking = [key for key in needed if key not in ref]
        if lacking:
            raise GeoAgentError(f"{path}: ref {ref.get('ref_id', '?')} lacks {', '.join(lacking)}")
    return refs


def sentence_text(sentence: Mapping[str, Any] | str) -> str:
    """The words of an entry of ``sentences``."""
    if isinstance(sentence, str):
        return sentence.strip()
    return str(sentence.get("raw") or sentence.get("sent") or "").strip()


def find_file(root: Path, name: str, what: str) -> Path:
    """The only file of that name anywhere below ``root``."""
    require(root, "there is no such folder")
    found = sorted(root.rglob(name))
    if not found:
        raise GeoAgentError(f"{root} holds no {name!r} at any depth: {what}")
    if len(found) > 1:
        raise GeoAgentError(f"{root} holds several {name!r} ({found[0]}, {found[1]}): point at the folder of one copy")
    return found[0]


def image_name(file_name: object) -> str:
    """The bare file name: refs may hold a path of the machine on which they were made."""
    return Path(str(file_name).replace("\\", "/")).name


def _image_folder(root: Path) -> Path:
    folders = [folder for folder in sorted(root.rglob("JPEGImages")) if folder.is_dir()]
    if not folders:
        raise GeoAgentError(f"{root} holds no folder JPEGImages at any depth: RRSIS-D keeps its pictures in it")
    return folders[0]
