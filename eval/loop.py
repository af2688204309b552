"""Asks every question of a dataset, image by image, and scores the answers as they come."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Protocol

from tqdm import tqdm

from eval.conventions import Convention
from eval.records import SampleRecord, cut_torn_line, read_records
from eval.scoring import SampleScore, score_sample
from geoagent.data.dataset import SegmentationDataset
from geoagent.geo.raster import Raster, picture_of
from geoagent.types import GeoAgentError, Prediction, Prompts, Sample


class Session(Protocol):
    """One opened image."""

    def ask(self, text: str, *, prompts: Prompts = ...) -> Prediction:
        """Answer one question about it."""
        ...


class Predictor(Protocol):
    """What is evaluated: `geoagent.load` returns one."""

    def open(self, image: Raster) -> Session:
        """Prepare an image once for many questions."""
        ...


@dataclass
class Journal:
    """The answers of a run: those that are there already, and a file to which new ones are added."""

    path: Path
    records: dict[str, SampleRecord] = field(default_factory=dict)

    @classmethod
    def resume(cls, path: Path) -> "Journal":
        """Go on where an interrupted run stopped; a torn last line is answered again."""
        if not path.exists():
            return cls(path)
        cut_torn_line(path)
        return cls(path, read_records(path))

    def add(self, record: SampleRecord) -> None:
        """Append one line; an interruption loses at most this one."""
        self.records[record.id] = record
        with self.path.open("a", encoding="utf-8") as file:
            file.write(record.to_line() + "\n")


def answer_all(
    dataset: SegmentationDataset,
    predictor: Predictor,
    journal: Journal,
    *,
    threshold: float | None = None,
    conventions: Sequence[Convention] = (),
) -> list[SampleScore]:
    """Ask what the journal does not hold yet and score everything; one session per image."""
    with _Tally(dataset, "answering") as tally:
        for group in dataset.groups():
            session: Session | None = None
            for index in group:
                sample = dataset[index]
                record = journal.records.get(sample.id)
                if record is None:
                    started = perf_counter()
                    if session is None:
                        session = predictor.open(picture_of(sample))
                    prediction = _ask(session, sample, threshold)
                    record = SampleRecord.of(sample, prediction, perf_counter() - started)
                    score = score_sample(sample, record, index, conventions)
                    journal.add(replace(record, iou=_rounded_iou(score)))
                else:
                    score = score_sample(sample, record, index, conventions)
                tally.add(score)
        return tally.scores


def score_all(
    dataset: SegmentationDataset,
    predictions: dict[str, SampleRecord],
    *,
    source: Path,
    threshold: float | None = None,
    conventions: Sequence[Convention] = (),
) -> tuple[list[SampleScore], dict[str, SampleRecord]]:
    """Score answers that were given elsewhere; raises `GeoAgentError` where one is missing."""
    records: dict[str, SampleRecord] = {}
    with _Tally(dataset, "scoring") as tally:
        for index in (index for group in dataset.groups() for index in group):
            sample = dataset[index]
            if sample.id not in predictions:
                raise GeoAgentError(
                    f"{source} has no line for {sample.id!r}: every sample needs one, "
                    'with "pred": [] where nothing was found'
                )
            record = predictions[sample.id].with_sample(sample)
            if threshold is not None:
                record = record.decided_at(threshold)
            score = score_sample(sample, record, index, conventions)
            tally.add(score)
            records[sample.id] = replace(record, iou=_rounded_iou(score))
        return tally.scores, records


def _ask(session: Session, sample: Sample, threshold: float | None) -> Prediction:
    try:
        prediction = session.ask(sample.instruction, prompts=sample.prompts)
    except GeoAgentError as error:
        raise GeoAgentError(f"{sample.id}: {error}") from error
    return prediction if threshold is None else prediction.with_threshold(threshold)


def _rounded_iou(score: SampleScore) -> float | None:
    return None if score.masks is None else round(score.masks.iou, 6)


class _Tally:
    """The rows so far, behind a progress bar with throughput and running gIoU."""

    def __init__(self, dataset: SegmentationDataset, what: str) -> None:
        self.scores: list[SampleScore] = []
        self._ids: set[str] = set()
        self._ious = [0.0, 0.0]
        title = f"{what} {dataset.name}:{dataset.split}"
        self._bar = tqdm(total=len(dataset), unit="sample", desc=title, dynamic_ncols=True)

    def __enter__(self) -> "_Tally":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def add(self, score: SampleScore) -> None:
        """Take a row; records are found again by id, so two samples with one id would share an answer."""
        if score.id in self._ids:
            raise GeoAgentError(f"the dataset gives the id {score.id!r} to two samples: make the ids unique")
        self._ids.add(score.id)
        self.scores.append(score)
        if score.masks is not None and score.masks.has_target:
            self._ious[0] += score.masks.iou
            self._ious[1] += 1
            self._bar.set_postfix_str(f"gIoU {100 * self._ious[0] / self._ious[1]:.1f}", refresh=False)
        self._bar.update()
