"""NWPU-Refer: single-, multi- and non-object expressions in English and Chinese on 1024-2048 px scenes (MRSNet).

    root/image/*.jpg (or image/image/)
    root/new_instances.json, root/new_refs(unc).p     both also without ``new_``

A multi-object expression is one ref an annotation with the same words: refs that share image, sentence and split are
united. How "no such object" is written is unpublished: an empty segmentation and a null or unknown ``ann_id`` both
count, and are reported. 15,003 images, 49,745 targets.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from geoagent.data.classes import find_canonical
from geoagent.data.dataset import RecordDataset, read_json, require, require_split
from geoagent.data.images import fit_mask, read_rgb
from geoagent.data.phrases import known_name, noun_phrase
from geoagent.data.rle import decode_any_size
from geoagent.data.rrsisd import find_file, image_name, load_refs, sentence_text
from geoagent.data.scenes import instance_from_mask
from geoagent.types import GeoAgentError, LabelledTarget, Sample

SPLITS = ("train", "val", "test")

_CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True, kw_only=True)
class _Record:
    id: str
    image: Path
    sentence: str
    category: str | None
    segmentations: tuple[Any, ...]
    """One an object, none for an expression without object."""

    @property
    def image_key(self) -> str:
        return str(self.image)


class NWPURefer(RecordDataset[_Record]):
    """One sample an expression about an image.

    Args:
        root: The dataset as published.
        split: ``train``, ``val`` or ``test``.
        language: ``en``, ``zh``, or None for both.
    """

    def __init__(self, root: Path, split: str = "train", language: Literal["en", "zh"] | None = "en") -> None:
        require_split(split, SPLITS, "NWPU-Refer")
        instances_file = _newest(root, "instances.json")
        refs = [ref for ref in load_refs(_newest(root, "refs(unc).p")) if ref["split"] == split]
        instances = read_json(instances_file)
        annotations = {entry["id"]: entry for entry in instances["annotations"]}
        categories = {entry["id"]: str(entry["name"]) for entry in instances.get("categories", ())}
        folder = root / "image" / "image"
        folder = folder if folder.is_dir() else require(root / "image", "NWPU-Refer keeps its pictures there")
        united: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for ref in refs:
            for sentence in ref["sentences"]:
                text = sentence_text(sentence)
                if language is None or (language == "zh") == bool(_CHINESE.search(text)):
                    united.setdefault((image_name(ref["file_name"]), text), []).append(ref)
        if refs and not united:
            raise GeoAgentError(
                f"no expression of {root} ({split}) is in the language {language!r}: ask for the other one"
            )
        records: list[_Record] = []
        for (name, text), same in united.items():
            drawn = _segmentations(same, annotations)
            records.append(
                _Record(
                    id=f"nwpu-refer/{split}/{same[0]['ref_id']}#{len(records)}",
                    image=require(folder / name, f"ref {same[0]['ref_id']} of NWPU-Refer names it"),
                    sentence=text,
                    category=_common_category(same, categories),
                    segmentations=tuple(drawn),
                )
            )
        empty = sum(not record.segmentations for record in records)
        several = sum(len(record.segmentations) > 1 for record in records)
        remarks = [f"{empty} of {len(records)} expressions have no object, {several} have several"]
        super().__init__("nwpu-refer", split, records, remarks)

    def read(self, record: _Record) -> Sample:
        """Read the image of one expression and draw its objects."""
        image = read_rgb(record.image)
        size = image.shape[:2]
        masks = [fit_mask(decode_any_size(drawn, size), size, record.id) for drawn in record.segmentations]
        name = record.category or known_name(record.sentence)
        target = LabelledTarget(
            phrase=record.category or noun_phrase(record.sentence),
            mask=np.asarray(np.logical_or.reduce([np.zeros(size, dtype=np.bool_), *masks]), dtype=np.bool_),
            instances=tuple(instance_from_mask(number, mask) for number, mask in enumerate(masks, start=1)),
            class_name=find_canonical(name) if name else None,
        )
        return Sample(
            id=record.id,
            image_id=f"nwpu-refer/{record.image.stem}",
            image=image,
            instruction=record.sentence,
            targets=(target,),
            type="absent" if not masks else "several" if len(masks) > 1 else "reference",
            source=self.name,
        )


def _newest(root: Path, name: str) -> Path:
    renewed = root / f"new_{name}"
    return renewed if renewed.exists() else find_file(root, name, f"NWPU-Refer has new_{name} or {name}")


def _segmentations(refs: list[Mapping[str, Any]], annotations: Mapping[Any, Mapping[str, Any]]) -> list[Any]:
    """Segmentations of all annotations that the refs name, each once; refs of nothing add nothing."""
    named: dict[Any, None] = {}
    for ref in refs:
        ids = ref.get("ann_id")
        named.update(dict.fromkeys(ids if isinstance(ids, list) else [ids]))
    drawn = (annotations.get(number, {}).get("segmentation") for number in named)
    return [segmentation for segmentation in drawn if segmentation]


def _common_category(refs: list[Mapping[str, Any]], categories: Mapping[Any, str]) -> str | None:
    names = {categories.get(ref.get("category_id")) for ref in refs}
    only = names.pop() if len(names) == 1 else None
    return only.replace("_", " ").lower() if only else None
