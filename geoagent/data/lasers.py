"""LaSeRS: language-guided segmentation over granularity, number, reasoning and wording (SegEarth-R2).

    root/{train,test}/images/
    root/{train,test}/annotations/*.json     lists of {id, image_name, description, answer, mask}

``answer`` holds ``[SEG]`` marks and phrases in ``<p>…</p>``; ``mask`` is a list of COCO RLE in the order of the marks,
absent where the truth is kept hidden. Each test file is one subset (part, single, multiple, implicit …) and becomes the
sample's type. 40,396 masks, 122 classes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from geoagent.data.classes import find_canonical
from geoagent.data.dataset import RecordDataset, inside, read_json, require, require_split
from geoagent.data.images import fit_mask, read_rgb
from geoagent.data.phrases import GENERIC, settle_marks
from geoagent.data.rle import decode
from geoagent.types import GeoAgentError, LabelledTarget, Sample

SPLITS = ("train", "test")

_DIMENSIONS = {
    "granularity": ("part", "instance", "semantic"),
    "reasoning": ("implicit", "explicit"),
    "wording": ("short", "long", "phrase", "sentence"),
}
"""What a subset's name says of its samples, by the dimension of the benchmark."""

_SEG = re.compile(r"\[SEG\]|<seg>", re.IGNORECASE)
_PHRASE = re.compile(r"<p>(.*?)</p>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class _Record:
    id: str
    image: Path
    subset: str
    description: str
    answer: str
    """With ``<p>…</p><seg>`` marks, one a target."""
    phrases: tuple[str, ...]
    masks: tuple[Mapping[str, Any], ...] | None
    """COCO RLE; None: hidden."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def image_key(self) -> str:
        return str(self.image)


class LaSeRS(RecordDataset[_Record]):
    """One sample an annotation. Hidden truth becomes targets whose every pixel is to be ignored.

    Args:
        root: The dataset as published.
        split: ``train`` or ``test``.
        subset: Only this annotation file (``part``, ``implicit`` …); None reads all of the split.
    """

    def __init__(self, root: Path, split: str = "train", subset: str | None = None) -> None:
        require_split(split, SPLITS, "LaSeRS")
        images = require(root / split / "images", f"LaSeRS keeps the {split} images there")
        folder = require(root / split / "annotations", f"LaSeRS keeps the {split} annotation files there")
        files = sorted(folder.glob("*.json"))
        if not files:
            raise GeoAgentError(f"{folder} holds no JSON file: LaSeRS has one a subset")
        if subset is not None:
            require_split(subset, [file.stem for file in files], f"LaSeRS {split}")
            files = [file for file in files if file.stem == subset]
        records = [record for file in files for record in _read_file(file, images)]
        hidden = sum(record.masks is None for record in records)
        remarks = [f"{hidden} of {len(records)} annotations have no mask (hidden truth): not scored"] if hidden else []
        super().__init__("lasers", split, records, remarks)

    def read(self, record: _Record) -> Sample:
        """Read the image of one annotation and decode its masks."""
        image = read_rgb(record.image)
        size = image.shape[:2]
        hidden = record.masks is None
        targets = []
        for number, phrase in enumerate(record.phrases):
            if record.masks is None:
                mask = np.zeros(size, dtype=np.bool_)
            else:
                mask = fit_mask(decode(record.masks[number]), size, f"LaSeRS {record.id}, mask {number}")
            targets.append(
                LabelledTarget(
                    phrase=phrase,
                    mask=mask,
                    ignore=np.ones(size, dtype=np.bool_) if hidden else None,
                    class_name=find_canonical(phrase),
                    scorable=not hidden,
                )
            )
        return Sample(
            id=f"lasers/{self.split}/{record.subset}/{record.id}",
            image_id=f"lasers/{self.split}/{record.image.name}",
            image=image,
            instruction=record.description,
            targets=tuple(targets),
            answer=settle_marks(record.answer, [hidden or target.present for target in targets]),
            type=record.subset,
            source=self.name,
            extra=_dimensions(record.subset) | dict(record.extra),
        )


def marks_to_answer(answer: str, where: str) -> tuple[str, tuple[str, ...]]:
    """A published answer in our marks, with its phrases: every ``[SEG]`` becomes ``<p>phrase</p><seg>``.

    A phrase belongs to the mark of its rank ("the <p>ship</p> is [SEG]"); marks without any phrase get a generic one.
    """
    marks, phrases = len(_SEG.findall(answer)), [" ".join(p.split()) for p in _PHRASE.findall(answer)]
    if phrases and len(phrases) != marks:
        raise GeoAgentError(f"{where}: the answer has {marks} [SEG] but {len(phrases)} phrases in <p>…</p>")
    if phrases:
        bare = " ".join(_SEG.sub(" ", answer).split())
        text = _PHRASE.sub(lambda found: f"<p>{' '.join(found.group(1).split())}</p><seg>", bare)
    else:
        text = " ".join(_SEG.sub(f" <p>{GENERIC}</p><seg>", answer).split())
        phrases = [GENERIC] * marks
    return re.sub(r"\s+([.,;:!?])", r"\1", text), tuple(phrases)


def _dimensions(subset: str) -> dict[str, str]:
    words = re.split(r"[^a-z]+", subset.lower())
    return {name: value for name, values in _DIMENSIONS.items() for value in values if value in words}


def _read_file(file: Path, images: Path) -> list[_Record]:
    content = read_json(file)
    if not isinstance(content, list):
        raise GeoAgentError(f"{file} must hold a list of annotations")
    known = {"id", "image_name", "description", "answer", "mask"}
    records = []
    for position, entry in enumerate(content):
        where = f"{file}, entry {entry.get('id', position)}"
        lacking = [key for key in ("image_name", "description", "answer") if key not in entry]
        if lacking:
            raise GeoAgentError(f"{where} lacks {', '.join(lacking)}")
        answer, phrases = marks_to_answer(entry["answer"], where)
        masks = entry.get("mask")
        if masks is not None and len(masks) != len(phrases):
            raise GeoAgentError(f"{where}: {len(phrases)} [SEG] in the answer, {len(masks)} masks")
        image = inside(images, entry["image_name"], where)
        records.append(
            _Record(
                id=str(entry.get("id", position)),
                image=require(image, f"{where} names it"),
                subset=file.stem,
                description=entry["description"],
                answer=answer,
                phrases=phrases,
                masks=None if masks is None else tuple(masks),
                extra={key: value for key, value in entry.items() if key not in known},
            )
        )
    return records
