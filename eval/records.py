"""What a run leaves behind: one JSON line a sample, enough to score it again without the model.

A line holds ``id``, ``type``, ``source``, ``instruction``, ``answer``, ``pred`` (accepted targets only), ``absent``
(phrases that were not accepted), ``iou``, ``seconds``, ``tokens``, ``warnings``, ``image_id``, and every unknown key
of the sample's annotation. A target is ``{phrase, score, mask, index, instances}``: the mask is COCO run-length code
at the image's own size, ``index`` its place in the answer, and each instance ``{box, score, mask}`` with the mask
inside its box.

Other systems' predictions need only ``id`` and ``pred`` with ``phrase``, ``score`` and ``mask``.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from geoagent.data import rle
from geoagent.types import GeoAgentError, Instance, Mask, Prediction, Sample, Target

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PredictedTarget:
    """A phrase of an answer with its mask, still encoded: thousands of records fit in memory."""

    phrase: str
    score: float
    mask: Json
    """COCO run-length code."""
    index: int
    """Place in the answer, counted over accepted and rejected phrases together."""
    instances: tuple[Json, ...] | None = None
    """None: the system does not tell objects apart."""

    def decode(self) -> Mask:
        """bool [H,W]."""
        return np.ascontiguousarray(rle.decode(self.mask))

    def decode_instances(self) -> tuple[Instance, ...] | None:
        """The single objects, None where the system does not tell them apart."""
        if self.instances is None:
            return None
        height, width = self.mask["size"]
        return tuple(
            Instance(
                id=number,
                box=(int(code["box"][0]), int(code["box"][1]), int(code["box"][2]), int(code["box"][3])),
                crop=rle.decode(code["mask"]),
                score=float(code.get("score", self.score)),
                image_size=(int(height), int(width)),
            )
            for number, code in enumerate(self.instances, start=1)
        )

    def to_json(self) -> Json:
        """The target as it stands in a line."""
        line: Json = {"phrase": self.phrase, "score": self.score, "mask": self.mask, "index": self.index}
        if self.instances is not None:
            line["instances"] = list(self.instances)
        return line

    @classmethod
    def from_json(cls, line: Mapping[str, Any], index: int) -> "PredictedTarget":
        """Read one entry of ``pred`` or ``absent``; ``index`` stands in where it has none."""
        return cls(
            phrase=str(line["phrase"]),
            score=float(line["score"]),
            mask=dict(line["mask"]),
            index=int(line.get("index", index)),
            instances=tuple(line["instances"]) if line.get("instances") is not None else None,
        )

    @classmethod
    def of(cls, target: Target, index: int) -> "PredictedTarget":
        """Encode what a predictor found."""
        codes = tuple(
            {"box": list(one.box), "score": round(one.score, 6), "mask": rle.encode(one.crop)}
            for one in target.instances
        )
        return cls(
            phrase=target.phrase,
            score=round(float(target.score), 6),
            mask=rle.encode(target.mask),
            index=index,
            instances=codes or None,
        )


@dataclass(frozen=True, kw_only=True)
class SampleRecord:
    """What a system answered to one sample."""

    id: str
    pred: tuple[PredictedTarget, ...]
    """Accepted targets, in the order of the answer."""
    absent: tuple[PredictedTarget, ...] = ()
    answer: str = ""
    seconds: float | None = None
    tokens: int | None = None
    iou: float | None = None
    """None: nothing about the sample could be scored."""
    warnings: tuple[str, ...] = ()
    """What the system itself remarked on its answer."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What the dataset knows of the sample: type, source, instruction, unknown keys of its annotation."""

    @property
    def candidates(self) -> tuple[PredictedTarget, ...]:
        """Accepted and rejected phrases in the order of the answer."""
        return tuple(sorted((*self.pred, *self.absent), key=lambda target: target.index))

    def decided_at(self, threshold: float) -> "SampleRecord":
        """The same answer with its phrases accepted from another score on; empty masks are never accepted."""
        candidates = self.candidates
        accepted = [one.score >= threshold and one.decode().any() for one in candidates]
        return replace(
            self,
            pred=tuple(one for one, yes in zip(candidates, accepted, strict=True) if yes),
            absent=tuple(one for one, yes in zip(candidates, accepted, strict=True) if not yes),
        )

    def with_sample(self, sample: Sample) -> "SampleRecord":
        """The same answer with what the dataset knows of its question."""
        own: Json = {"id": sample.id, "type": sample.type, "source": sample.source, "instruction": sample.instruction}
        reserved = {*own, "answer", "pred", "absent", "iou", "seconds", "tokens", "warnings", "extra"}
        unknown = {key: value for key, value in sample.extra.items() if key not in reserved}
        clashing = {key: value for key, value in sample.extra.items() if key in reserved}
        image = {"image_id": sample.image_id}
        return replace(self, about={**image, **unknown, **own, **({"extra": clashing} if clashing else {})})

    def to_line(self) -> str:
        """One line of JSON."""
        line = {
            **self.about,
            "id": self.id,
            "answer": self.answer,
            "pred": [target.to_json() for target in self.pred],
            "absent": [target.to_json() for target in self.absent],
            "iou": self.iou,
            "seconds": self.seconds,
            "tokens": self.tokens,
            "warnings": list(self.warnings),
        }
        return json.dumps(line, ensure_ascii=False, allow_nan=False, default=_plain)

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> "SampleRecord":
        """Read one line; KeyError, TypeError or ValueError where it is not of this form."""
        pred, absent = line["pred"], line.get("absent", [])
        known = {"answer", "pred", "absent", "iou", "seconds", "tokens", "warnings"}
        return cls(
            id=str(line["id"]),
            pred=tuple(PredictedTarget.from_json(target, index) for index, target in enumerate(pred)),
            absent=tuple(PredictedTarget.from_json(target, len(pred) + k) for k, target in enumerate(absent)),
            answer=str(line.get("answer") or ""),
            seconds=line.get("seconds"),
            tokens=line.get("tokens"),
            iou=line.get("iou"),
            warnings=tuple(str(text) for text in line.get("warnings") or ()),
            about={key: value for key, value in line.items() if key not in known},
        )

    @classmethod
    def of(cls, sample: Sample, prediction: Prediction, seconds: float) -> "SampleRecord":
        """Encode a predictor's answer to ``sample``."""
        accepted = {id(target) for target in prediction.targets}
        coded = [(id(t) in accepted, PredictedTarget.of(t, k)) for k, t in enumerate(prediction.candidates)]
        record = cls(
            id=sample.id,
            pred=tuple(target for yes, target in coded if yes),
            absent=tuple(target for yes, target in coded if not yes),
            answer=prediction.answer,
            seconds=round(seconds, 4),
            tokens=prediction.tokens,
            warnings=prediction.warnings,
        )
        return record.with_sample(sample)


def read_records(path: Path) -> dict[str, SampleRecord]:
    """All records of a file by id; raises `GeoAgentError` for a line that is not one or an id that comes twice."""
    records: dict[str, SampleRecord] = {}
    for number, text in _lines(path):
        try:
            record = SampleRecord.from_json(json.loads(text))
        except (KeyError, TypeError, ValueError) as error:
            raise GeoAgentError(
                f"{path}, line {number} is not a prediction ({type(error).__name__}: {error}): "
                "expected one JSON object with id and pred, a list of {phrase, score, mask}"
            ) from error
        if record.id in records:
            raise GeoAgentError(f"{path}, line {number}: the id {record.id!r} was there before; keep one line a sample")
        records[record.id] = record
    return records


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                if text.strip():
                    yield number, text
    except FileNotFoundError as error:
        raise GeoAgentError(f"{path} is missing: give a file with one JSON line a sample") from error


def cut_torn_line(path: Path) -> bool:
    """Remove an unfinished last line, as an interrupted run leaves it; True if there was one."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole == len(content):
        return False
    with path.open("r+b") as file:
        file.truncate(whole)
    return True


def write_records(path: Path, records: Iterable[SampleRecord]) -> None:
    """Write all ``records`` anew."""
    path.write_text("".join(f"{record.to_line()}\n" for record in records), encoding="utf-8")


def _plain(value: object) -> Any:
    """Values of a sample's unknown keys that JSON has no word for."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON: {value!r}")
