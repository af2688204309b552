"""EarthReason: geospatial pixel reasoning, questions that never name their target (SegEarth-R1, Li et al. 2025).

    root/{train,val,test}/{images,labels,QAs}/     jpg/jpeg/png, PNG (non-zero = target), JSON

Each JSON holds ``questions`` (five or six) and ``answer`` (a list despite its name; empty means no target). Some copies
nest the split folder a second time. 2,371 / 1,135 / 1,928 images.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from geoagent.data.dataset import RecordDataset, read_json, require, require_split
from geoagent.data.images import fit_mask, list_images, read_mask, read_rgb
from geoagent.data.phrases import marked_answer
from geoagent.types import GeoAgentError, LabelledTarget, Sample

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class _Record:
    image: Path
    label: Path
    question: str
    number: int
    answer: str | None
    """None: the annotators found no target."""

    @property
    def image_key(self) -> str:
        return str(self.image)


class EarthReason(RecordDataset[_Record]):
    """One sample a question.

    Args:
        root: The dataset as published.
        split: ``train``, ``val`` or ``test``.
        questions: ``all`` of an image (training, the stricter score) or only the ``first`` (the paper's score).
    """

    def __init__(self, root: Path, split: str = "train", questions: Literal["all", "first"] = "all") -> None:
        require_split(split, SPLITS, "EarthReason")
        folders = {kind: _find_folder(root, split, kind) for kind in ("images", "labels", "QAs")}
        triples, remarks = _pair(
            list_images(folders["images"]),
            list_images(folders["labels"]),
            sorted(p for p in folders["QAs"].iterdir() if p.suffix.lower() == ".json" and not p.name.startswith(".")),
        )
        records: list[_Record] = []
        for image, label, qa in triples:
            asked = _read_questions(qa, image, label)
            records.extend(asked if questions == "all" else asked[:1])
        super().__init__("earthreason", split, records, remarks)

    def read(self, record: _Record) -> Sample:
        """Read image and label of one question."""
        image = read_rgb(record.image)
        raw = read_mask(record.label)
        mask = fit_mask(raw, image.shape[:2], str(record.label))
        if record.answer is None and mask.any():
            raise GeoAgentError(f"{record.label} marks a target, but the answer to {record.image.stem} is empty")
        answer, phrase = marked_answer(record.answer or "", present=bool(mask.any()))
        return Sample(
            id=f"earthreason/{self.split}/{record.image.stem}#{record.number}",
            image_id=f"earthreason/{self.split}/{record.image.stem}",
            image=image,
            instruction=record.question,
            targets=(LabelledTarget(phrase=phrase, mask=mask),),
            answer=answer,
            type="reasoning",
            source=self.name,
            extra={"question": record.number} | ({"mask_size": raw.shape} if raw.shape != mask.shape else {}),
        )


def _find_folder(root: Path, split: str, kind: str) -> Path:
    candidates = (root / split / kind, root / split / split / kind, root / split / kind / split)
    # The innermost folder that exists: a nested copy has both root/split/kind and root/split/kind/split.
    for folder in reversed(candidates):
        if folder.is_dir():
            return folder
    return require(candidates[0], f"EarthReason keeps the {kind} of its {split} split there")


def _pair(images: list[Path], labels: list[Path], qas: list[Path]) -> tuple[list[tuple[Path, Path, Path]], list[str]]:
    stems = [{path.stem: path for path in files} for files in (images, labels, qas)]
    common = set(stems[0]) & set(stems[1]) & set(stems[2])
    everything = sorted(set().union(*stems))
    if not everything:
        raise GeoAgentError(
            "EarthReason's images, labels and QAs are all empty: point at the folder that holds the splits"
        )
    if len(common) == len(everything):
        return [(stems[0][stem], stems[1][stem], stems[2][stem]) for stem in everything], []
    if common:
        lonely = next(stem for stem in everything if stem not in common)
        have = ", ".join(kind for kind, files in zip(("image", "label", "QA"), stems, strict=True) if lonely in files)
        raise GeoAgentError(
            f"{lonely!r} of EarthReason has only its {have}: restore the missing file or remove this one"
        )
    if not len(images) == len(labels) == len(qas):
        raise GeoAgentError(
            f"EarthReason has {len(images)} images, {len(labels)} labels and {len(qas)} QAs with different names: "
            "they cannot be paired"
        )
    return list(zip(images, labels, qas, strict=True)), [
        "file names do not match: paired by sorted order, as the authors do"
    ]


def _read_questions(qa: Path, image: Path, label: Path) -> list[_Record]:
    content = read_json(qa)
    questions, answers = content.get("questions"), content.get("answer")
    if not isinstance(questions, list) or not questions or not isinstance(answers, list):
        raise GeoAgentError(f"{qa} needs the lists 'questions' (not empty) and 'answer'")
    return [
        _Record(
            image=image,
            label=label,
            question=str(question).strip(),
            number=number,
            answer=str(answers[number % len(answers)]).strip() if answers else None,
        )
        for number, question in enumerate(questions)
    ]
