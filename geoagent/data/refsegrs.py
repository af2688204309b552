"""RefSegRS: referring segmentation on 512 px aerial tiles (Yuan et al. 2024).

    root/images/<id>.tif, root/masks/<id>.tif, root/output_phrase_{train,val,test}.txt     line: <id> <phrase>

Copies circulate with ``images2``/``masks2`` and ``output_phrase_val3.txt``: taken where the plain name is missing.
Masks are 0/255 as far as known; other values are thresholded at 127 and reported. 2,172 / 431 / 1,817 phrases, 14
classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoagent.data.classes import find_canonical
from geoagent.data.dataset import RecordDataset, inside, require, require_split
from geoagent.data.images import fit_mask, read_mask, read_rgb
from geoagent.data.phrases import known_name, noun_phrase
from geoagent.types import GeoAgentError, LabelledTarget, Mask, Sample

SPLITS = ("train", "val", "test")

_THRESHOLD = 127


@dataclass(frozen=True, kw_only=True)
class PhraseRecord:
    """A line of a phrase list, with the files it names."""

    id: str
    image: Path
    mask: Path
    phrase: str

    @property
    def image_key(self) -> str:
        """The picture."""
        return str(self.image)


class RefSegRS(RecordDataset[PhraseRecord]):
    """One sample a line of the phrase list.

    Args:
        root: The dataset as published.
        split: ``train``, ``val`` or ``test``.
    """

    def __init__(self, root: Path, split: str = "train") -> None:
        require_split(split, SPLITS, "RefSegRS")
        remarks: list[str] = []
        images = _variant(root, "images", remarks)
        masks = _variant(root, "masks", remarks)
        phrases = _variant(root, f"output_phrase_{split}.txt", remarks)
        records = []
        for number, name, phrase in read_phrases(phrases):
            where = f"{phrases}, line {number}"
            stem = name.removesuffix(".tif")
            records.append(
                PhraseRecord(
                    id=f"refsegrs/{split}/{number}",
                    image=require(inside(images, f"{stem}.tif", where), f"{where} names it"),
                    mask=require(inside(masks, f"{stem}.tif", where), f"{where} names it"),
                    phrase=phrase,
                )
            )
        odd = _odd_mask_values(records)
        if odd:
            remarks.append(f"{odd} masks hold values other than 0 and 255: thresholded above {_THRESHOLD}")
        super().__init__("refsegrs", split, records, remarks)

    def read(self, record: PhraseRecord) -> Sample:
        """Read image and mask of one phrase."""
        return read_phrase_sample(record, self.name, read_mask(record.mask, above=_THRESHOLD))


def read_phrases(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, file id and phrase of each line of a phrase list; empty lines are passed over."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, _, phrase = line.strip().partition(" ")
        if not phrase.strip():
            raise GeoAgentError(f"{path}, line {number}: {line!r} has no phrase after the file name")
        yield number, name, phrase.strip()


def read_phrase_sample(record: PhraseRecord, source: str, mask: Mask) -> Sample:
    """The sample of a phrase whose mask has been read."""
    image = read_rgb(record.image)
    name = known_name(record.phrase)
    target = LabelledTarget(
        phrase=noun_phrase(record.phrase),
        mask=fit_mask(mask, image.shape[:2], str(record.mask)),
        class_name=find_canonical(name) if name else None,
    )
    return Sample(
        id=record.id,
        image_id=f"{source}/{record.image.stem}",
        image=image,
        instruction=record.phrase,
        targets=(target,),
        type="reference",
        source=source,
    )


def _variant(root: Path, name: str, remarks: list[str]) -> Path:
    path = root / name
    if path.exists():
        return path
    stem, suffix = Path(name).stem, Path(name).suffix
    others = sorted(other for other in root.glob(f"{stem}[0-9]{suffix}"))
    if len(others) != 1:
        raise GeoAgentError(
            f"{path} is missing, and {len(others)} variants {stem}N{suffix} were found: keep exactly one"
        )
    remarks.append(f"{name} is missing, its variant {others[0].name} was taken")
    return others[0]


def _odd_mask_values(records: list[PhraseRecord]) -> int:
    masks = sorted({record.mask for record in records})
    sampled = masks[:: max(1, len(masks) // 50)]
    return sum(not np.array_equal(read_mask(mask), read_mask(mask, above=254)) for mask in sampled)
