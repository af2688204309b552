"""What every labelled dataset offers, so that training, evaluation and inspection need to know only this.

The index determines the sample: no hidden randomness, no worker state. A reader checks its root when it is opened and
raises `GeoAgentError` naming the missing file or the bad record; it never replaces a bad sample by another one.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from geoagent.types import GeoAgentError, Sample


@runtime_checkable
class SegmentationDataset(Protocol):
    """Questions about images with their true answers, addressed by index."""

    name: str
    """Short name for reports: ``earthreason``, ``synth`` …"""
    split: str
    remarks: tuple[str, ...]
    """What the reader noticed on opening and a person should know: odd sizes, missing pairs, what was left out."""

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """The sample at ``index``, the same on every call."""
        ...

    def groups(self) -> list[list[int]]:
        """Indices of samples that share an image, image by image: training packs them into one sequence."""
        ...


class DatasetRecord(Protocol):
    """One sample before its pixels are read."""

    @property
    def image_key(self) -> str:
        """Equal for samples of the same image."""
        ...


Record = TypeVar("Record", bound=DatasetRecord)


class RecordDataset(ABC, Generic[Record]):
    """A dataset whose samples are known as light records on opening; pixels and masks are read when asked for."""

    def __init__(self, name: str, split: str, records: Sequence[Record], remarks: Sequence[str] = ()) -> None:
        self.name = name
        self.split = split
        self.records = tuple(records)
        self.remarks = tuple(remarks)

    @abstractmethod
    def read(self, record: Record) -> Sample:
        """Read the pixels and masks of ``record``."""

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        return self.read(self.records[checked_index(index, len(self.records), self.name)])

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def groups(self) -> list[list[int]]:
        """Indices of samples that share an image, in order of first occurrence."""
        return group_indices([record.image_key for record in self.records])


class Subset:
    """Some samples of a dataset, in a given order."""

    def __init__(self, dataset: SegmentationDataset, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = tuple(indices)
        self.name, self.split, self.remarks = dataset.name, dataset.split, dataset.remarks

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.dataset[self.indices[checked_index(index, len(self.indices), self.name)]]

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def groups(self) -> list[list[int]]:
        """Indices, counted within the subset, that share an image."""
        place = {original: position for position, original in enumerate(self.indices)}
        kept = ([place[i] for i in group if i in place] for group in self.dataset.groups())
        return [group for group in kept if group]


def spread(dataset: SegmentationDataset, limit: int | None) -> SegmentationDataset:
    """At most ``limit`` samples, evenly spread over the dataset, because many lists are sorted by class or subset."""
    if limit is None or limit >= len(dataset):
        return dataset
    if limit < 1:
        raise GeoAgentError(f"a limit of {limit} samples leaves nothing of {dataset.name}: give at least 1")
    return Subset(dataset, [number * len(dataset) // limit for number in range(limit)])


def group_indices(keys: Sequence[str]) -> list[list[int]]:
    """Indices of equal ``keys`` together, in order of first occurrence."""
    found: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        found.setdefault(key, []).append(index)
    return list(found.values())


def checked_index(index: int, length: int, name: str) -> int:
    """``index`` counted from the front; IndexError outside, so that iterating over a dataset ends."""
    if not -length <= index < length:
        raise IndexError(f"{name} has {length} samples, there is no number {index}")
    return index % length


def require(path: Path, what: str) -> Path:
    """``path`` if it exists, otherwise an error that says what should be there."""
    if not path.exists():
        raise GeoAgentError(f"{path} is missing: {what}")
    return path


def read_json(path: Path) -> Any:
    """The content of a JSON file, or an error that names it."""
    try:
        return json.loads(require(path, "the annotations belong there").read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise GeoAgentError(f"{path} is not valid JSON ({error}): copy it again") from error


def inside(root: Path, name: str, what: str) -> Path:
    """The file ``name`` below ``root``; annotations are untrusted, so a way out of the folder is refused."""
    path = root / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise GeoAgentError(f"{what} names {name!r}, which lies outside {root}: use a path inside the folder")
    return path


def require_split(split: str, known: Sequence[str], name: str) -> str:
    """``split`` if the dataset has it."""
    if split not in known:
        raise GeoAgentError(f"{name} has no split {split!r}: choose one of {', '.join(known)}")
    return split
