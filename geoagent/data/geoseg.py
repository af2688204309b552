"""GeoSeg-1M and GeoSeg-Bench: referring, interactive and reasoning segmentation (UniGeoSeg).

    root/{split}.json      a list of {img, mask, json}, paths relative to root

The JSON of a sample holds the lists ``question`` and ``reason``; masks are 0/255. The task stands in the path:
``/ref/`` or
``/referring/``, ``/intera/`` or ``/interactive/``, otherwise reasoning. Interactive prompts stand in the question, as
``x0,y0=[a,b], x1,y1=[c,d]`` for a box and one to three ``[x,y]`` for points, all between 0 and 1.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from geoagent.data.classes import find_canonical
from geoagent.data.dataset import RecordDataset, inside, read_json, require
from geoagent.data.images import fit_mask, read_mask, read_rgb
from geoagent.data.phrases import known_name, marked_answer, noun_phrase
from geoagent.types import GeoAgentError, LabelledTarget, Prompts, Sample

Task = Literal["referring", "interactive", "reasoning"]

_NUMBER = r"\s*(-?\d*\.?\d+)\s*"
_PAIR = rf"\[{_NUMBER},{_NUMBER}\]"
_BOX = re.compile(rf"x0\s*,\s*y0\s*=\s*{_PAIR}\s*[,;]?\s*x1\s*,\s*y1\s*=\s*{_PAIR}", re.IGNORECASE)
_POINT = re.compile(_PAIR)
_TYPES: dict[Task, str] = {"referring": "reference", "interactive": "interactive", "reasoning": "reasoning"}


@dataclass(frozen=True, kw_only=True)
class _Record:
    image: Path
    mask: Path
    image_name: str
    """As the list writes it."""
    key: str
    task: Task
    number: int
    question: str
    reason: str

    @property
    def image_key(self) -> str:
        return str(self.image)


class GeoSeg(RecordDataset[_Record]):
    """One sample a question.

    Args:
        root: The dataset as published.
        split: Name of the list without ``.json``.
        task: Only this task; None reads all three.
    """

    def __init__(self, root: Path, split: str = "train", task: Task | None = None) -> None:
        if task is not None and task not in _TYPES:
            raise GeoAgentError(f"GeoSeg has no task {task!r}: choose one of {', '.join(_TYPES)}")
        lists = sorted(path.stem for path in root.glob("*.json"))
        file = require(
            root / f"{split}.json", f"GeoSeg lists its samples there (found: {', '.join(lists) or 'no list'})"
        )
        entries = read_json(file)
        if not isinstance(entries, list):
            raise GeoAgentError(f"{file} must hold a list of samples")
        records: list[_Record] = []
        for position, entry in enumerate(entries):
            where = f"{file}, entry {position}"
            lacking = [key for key in ("img", "mask", "json") if key not in entry]
            if lacking:
                raise GeoAgentError(f"{where} lacks {', '.join(lacking)}")
            if task in (None, task_of(entry["json"])):
                records.extend(_read_entry(root, entry, where))
        super().__init__("geoseg", split, records)

    def read(self, record: _Record) -> Sample:
        """Read image and mask of one question."""
        image = read_rgb(record.image)
        mask = fit_mask(read_mask(record.mask, above=127), image.shape[:2], str(record.mask))
        prompts = Prompts()
        class_name = answer = None
        if record.task == "reasoning":
            answer, phrase = marked_answer(record.reason, present=bool(mask.any()))
        else:
            name = known_name(record.question)
            phrase = noun_phrase(record.question)
            class_name = find_canonical(name) if name else None
        if record.task == "interactive":
            prompts = parse_prompts(record.question, (image.shape[1], image.shape[0]))
            phrase = name or "object pointed at"
            if not prompts:
                raise GeoAgentError(f"{record.key}: no point or box in {record.question!r}")
        return Sample(
            id=f"geoseg/{self.split}/{record.key}#{record.number}",
            image_id=f"geoseg/{record.image_name}",
            image=image,
            instruction=record.question,
            targets=(LabelledTarget(phrase=phrase, mask=mask, class_name=class_name),),
            answer=answer,
            type=_TYPES[record.task],
            source=self.name,
            prompts=prompts,
        )


def task_of(path: str) -> Task:
    """The task that a path of the list stands for."""
    folders = f"/{path}".replace("\\", "/").lower()
    if "/ref/" in folders or "/referring/" in folders:
        return "referring"
    if "/intera/" in folders or "/interactive/" in folders:
        return "interactive"
    return "reasoning"


def parse_prompts(question: str, size: tuple[int, int]) -> Prompts:
    """Boxes and points written into a question, from fractions of ``(width, height)`` to pixels."""
    width, height = size

    def scaled(x: str, y: str) -> tuple[float, float]:
        across, down = float(x), float(y)
        if not (0.0 <= across <= 1.0 and 0.0 <= down <= 1.0):
            raise GeoAgentError(f"the prompt [{x},{y}] is not between 0 and 1 in {question!r}")
        return across * width, down * height

    boxes = []
    for x0, y0, x1, y1 in _BOX.findall(question):
        (left, top), (right, bottom) = scaled(x0, y0), scaled(x1, y1)
        boxes.append((left, top, right, bottom))
    points = [(*scaled(x, y), True) for x, y in _POINT.findall(_BOX.sub(" ", question))]
    return Prompts(boxes=tuple(boxes), points=tuple(points))


def _read_entry(root: Path, entry: dict[str, str], where: str) -> list[_Record]:
    image = require(inside(root, entry["img"], where), f"{where} names it")
    mask = require(inside(root, entry["mask"], where), f"{where} names it")
    file = inside(root, entry["json"], where)
    content = read_json(file)
    questions, reasons = content.get("question"), content.get("reason", [])
    if not isinstance(questions, list) or not questions or not isinstance(reasons, list):
        raise GeoAgentError(f"{file} needs the list 'question' (not empty), and 'reason' must be a list")
    return [
        _Record(
            image=image,
            mask=mask,
            image_name=entry["img"],
            key=Path(entry["json"]).with_suffix("").as_posix(),
            task=task_of(entry["json"]),
            number=number,
            question=str(question).strip(),
            reason=str(reasons[number % len(reasons)]).strip() if reasons else "",
        )
        for number, question in enumerate(questions)
    ]
