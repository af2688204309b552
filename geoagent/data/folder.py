"""The plain folder: a user's own questions and masks, and what `tools.render_synth` writes.

    root/
      images/               the pictures
      annotations.jsonl     one JSON object a line

A line::

    {"image": "harbour.png", "instruction": "the two ships at the quay",
     "targets": [{"phrase": "ships", "mask": "masks/harbour_ships.png"}]}

``image``        path below ``images/`` (or below the root)
``instruction``  what a person asks
``targets``      a list; ``[]`` means that nothing fits. Each has a ``phrase`` (what the answer calls it) and a
                 ``mask``: the path of a picture (non-zero = target), a COCO RLE ``{"size": [H, W], "counts": …}``, or
                 polygons ``[[x0, y0, x1, y1, …], …]`` in pixels. An empty mask means: asked for, not there.
                 Optional: ``class``, ``ignore`` (a mask of unknown pixels), ``instances`` (masks), ``scorable``.
``answer``       optional: the full answer; phrases in ``<p>…</p>`` with ``<seg>`` (there) or ``<rej>`` (not there),
                 one a target and in their order. Without it an answer is made from the phrases.
``id``, ``type``, ``source``   optional, copied unchanged to the records of an evaluation
``split``        optional: ``train``, ``val`` …; a line without it belongs to every split
``prompts``      optional: ``{"points": [[x, y, true]], "boxes": [[x0, y0, x1, y1]], "scribbles": [[[x, y], …]]}``

Keys beside these are kept and copied to the records too.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from geoagent.data.classes import find_canonical
from geoagent.data.dataset import RecordDataset, inside, require
from geoagent.data.images import fit_mask, read_mask, read_rgb
from geoagent.data.rle import encode, segmentation_to_mask
from geoagent.data.scenes import instance_from_mask
from geoagent.types import GeoAgentError, LabelledTarget, Mask, Prompts, Sample

ANNOTATIONS = "annotations.jsonl"
_KNOWN = frozenset({"image", "instruction", "targets", "answer", "id", "type", "source", "prompts", "split"})


@dataclass(frozen=True, kw_only=True)
class _Record:
    id: str
    image: Path
    entry: Mapping[str, Any]
    where: str
    """File and line, for errors."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def image_key(self) -> str:
        return str(self.image)


class PlainFolder(RecordDataset[_Record]):
    """One sample a line of ``annotations.jsonl``.

    Args:
        root: Folder in the layout above.
        split: Only lines of this ``split`` (or without one); None takes all.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        file = require(root / ANNOTATIONS, "a plain folder lists its samples there, one JSON object a line")
        self.root = root
        records: list[_Record] = []
        seen: dict[str, str] = {}
        for number, entry in _read_lines(file):
            where = f"{file}, line {number}"
            _check_entry(entry, where)
            identifier = str(entry.get("id", f"{Path(entry['image']).stem}#{number}"))
            if identifier in seen:
                raise GeoAgentError(f"{where}: the id {identifier!r} was used in {seen[identifier]}: ids must differ")
            seen[identifier] = f"line {number}"
            if split is not None and entry.get("split", split) != split:
                continue
            records.append(
                _Record(
                    id=identifier,
                    image=self._find_image(entry["image"], where),
                    entry=entry,
                    where=where,
                    extra={key: value for key, value in entry.items() if key not in _KNOWN},
                )
            )
        if not records:
            splits = f" of the split {split!r}" if split else ""
            raise GeoAgentError(f"{file} has no samples{splits}")
        super().__init__("folder", split or "all", records)

    def read(self, record: _Record) -> Sample:
        """Read the image of one line and draw its masks."""
        image = read_rgb(record.image)
        size = (image.shape[0], image.shape[1])
        entry = record.entry
        prompts = _read_prompts(entry.get("prompts", {}), record.where)
        prompts.check_inside(size[1], size[0])
        return Sample(
            id=record.id,
            image_id=str(record.image.relative_to(self.root)),
            image=image,
            instruction=str(entry["instruction"]),
            targets=tuple(self._target(target, size, record.where) for target in entry["targets"]),
            answer=entry.get("answer"),
            type=str(entry.get("type", "reference")),
            source=str(entry.get("source", self.name)),
            prompts=prompts,
            extra=record.extra,
        )

    def _find_image(self, name: str, where: str) -> Path:
        usual = inside(self.root / "images", name, where)
        if usual.exists():
            return usual
        direct = inside(self.root, name, where)
        return require(direct, f"{where} names it (looked below images/ as well)")

    def _target(self, target: Mapping[str, Any], size: tuple[int, int], where: str) -> LabelledTarget:
        where = f"{where}, target {target['phrase']!r}"
        instances = None
        if "instances" in target:
            drawn = [self._mask(each, size, where) for each in target["instances"]]
            instances = tuple(instance_from_mask(number, mask) for number, mask in enumerate(drawn, start=1))
        class_name = target.get("class")
        return LabelledTarget(
            phrase=str(target["phrase"]),
            mask=self._mask(target["mask"], size, where),
            ignore=self._mask(target["ignore"], size, where) if target.get("ignore") else None,
            instances=instances,
            class_name=(find_canonical(class_name) or class_name) if class_name else None,
            scorable=bool(target.get("scorable", True)),
        )

    def _mask(self, mask: Any, size: tuple[int, int], where: str) -> Mask:
        if isinstance(mask, str):
            path = require(inside(self.root, mask, where), f"{where} names it as its mask")
            return fit_mask(read_mask(path), size, str(path))
        try:
            return segmentation_to_mask(mask, size)
        except GeoAgentError as error:
            raise GeoAgentError(f"{where}: {error}") from error


class PlainFolderWriter:
    """Writes samples in the layout of a plain folder, masks as RLE; images that recur are written once."""

    def __init__(self, root: Path) -> None:
        (root / "images").mkdir(parents=True, exist_ok=True)
        self.root = root
        self._images: dict[str, str] = {}

    def write(self, samples: Iterable[Sample], *, split: str | None = None) -> int:
        """Append ``samples``; the number of lines written."""
        count = 0
        with (self.root / ANNOTATIONS).open("a", encoding="utf-8") as lines:
            for sample in samples:
                entry = sample_to_entry(sample, self._save_image(sample))
                lines.write(json.dumps(entry | ({"split": split} if split else {}), ensure_ascii=False) + "\n")
                count += 1
        return count

    def _save_image(self, sample: Sample) -> str:
        if sample.image_id not in self._images:
            name = "".join(c if c.isalnum() or c in "-_." else "_" for c in sample.image_id) + ".png"
            if name in self._images.values():
                name = f"{len(self._images)}_{name}"
            Image.fromarray(sample.image).save(self.root / "images" / name)
            self._images[sample.image_id] = name
        return self._images[sample.image_id]


def sample_to_entry(sample: Sample, image: str) -> dict[str, Any]:
    """The line of ``annotations.jsonl`` for a sample whose picture is ``images/{image}``."""
    entry: dict[str, Any] = {"id": sample.id, "image": image, "instruction": sample.instruction}
    entry["targets"] = [_target_entry(target) for target in sample.targets]
    if sample.answer is not None:
        entry["answer"] = sample.answer
    entry |= {"type": sample.type, "source": sample.source}
    if sample.prompts:
        drawn = {"points": sample.prompts.points, "boxes": sample.prompts.boxes, "scribbles": sample.prompts.scribbles}
        entry["prompts"] = {kind: value for kind, value in drawn.items() if value}
        if sample.prompts.masks:
            entry["prompts"]["masks"] = [encode(mask) for mask in sample.prompts.masks]
    return entry | {key: value for key, value in sample.extra.items() if key not in entry}


def _target_entry(target: LabelledTarget) -> dict[str, Any]:
    entry: dict[str, Any] = {"phrase": target.phrase, "mask": encode(target.mask)}
    if target.class_name:
        entry["class"] = target.class_name
    if target.ignore is not None:
        entry["ignore"] = encode(target.ignore)
    if target.instances is not None:
        entry["instances"] = [encode(instance.mask) for instance in target.instances]
    if not target.scorable:
        entry["scorable"] = False
    return entry


def _read_lines(file: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
            except json.JSONDecodeError as error:
                raise GeoAgentError(f"{file}, line {number} is not valid JSON ({error.msg})") from error
            if not isinstance(entry, dict):
                raise GeoAgentError(f"{file}, line {number} must be a JSON object")
            yield number, entry


def _check_entry(entry: Mapping[str, Any], where: str) -> None:
    lacking = [key for key in ("image", "instruction", "targets") if key not in entry]
    if lacking:
        raise GeoAgentError(f"{where} lacks {', '.join(lacking)}")
    if not isinstance(entry["targets"], list):
        raise GeoAgentError(f"{where}: 'targets' must be a list, [] where nothing fits")
    for target in entry["targets"]:
        if not isinstance(target, dict) or "phrase" not in target or "mask" not in target:
            raise GeoAgentError(f"{where}: each target needs a 'phrase' and a 'mask'")
    answer = entry.get("answer")
    marks = answer.count("<seg>") + answer.count("<rej>") if answer else 0
    if marks and marks != len(entry["targets"]):
        raise GeoAgentError(f"{where}: the answer marks {marks} phrases, there are {len(entry['targets'])} targets")


def _read_prompts(entry: Mapping[str, Any], where: str) -> Prompts:
    unknown = set(entry) - {"points", "boxes", "scribbles", "masks"}
    if unknown:
        raise GeoAgentError(f"{where}: prompts have no {', '.join(sorted(unknown))}: points, boxes, scribbles, masks")
    return Prompts(
        points=tuple((float(x), float(y), bool(positive)) for x, y, positive in entry.get("points", ())),
        boxes=tuple((float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in entry.get("boxes", ())),
        scribbles=tuple(tuple((float(x), float(y)) for x, y in line) for line in entry.get("scribbles", ())),
        masks=tuple(segmentation_to_mask(mask, tuple(mask["size"])) for mask in entry.get("masks", ())),
    )
