"""RISBench: referring segmentation on 512 px scenes of DOTA and DIOR (CroBIM, Dong et al. 2024).

    root/img_rgb/, root/mask/, root/output_phrase_{train,val,test}.txt     line: <file.png> <sentence>

The mask has its picture's name. Pictures may be copies, one for each object: `tools.inspect_data` compares contents
when it looks for leaks between splits. 26,300 / 10,013 / 16,158 sentences, 26 classes.
"""

from pathlib import Path

from geoagent.data.dataset import RecordDataset, inside, require, require_split
from geoagent.data.images import read_mask
from geoagent.data.refsegrs import PhraseRecord, read_phrase_sample, read_phrases
from geoagent.types import Sample

SPLITS = ("train", "val", "test")


class RISBench(RecordDataset[PhraseRecord]):
    """One sample a line of the phrase list.

    Args:
        root: The dataset as published.
        split: ``train``, ``val`` or ``test``.
    """

    def __init__(self, root: Path, split: str = "train") -> None:
        require_split(split, SPLITS, "RISBench")
        images = require(root / "img_rgb", "RISBench keeps its pictures there")
        masks = require(root / "mask", "RISBench keeps its masks there")
        phrases = require(root / f"output_phrase_{split}.txt", f"RISBench lists its {split} sentences there")
        records = []
        for number, name, sentence in read_phrases(phrases):
            where = f"{phrases}, line {number}"
            records.append(
                PhraseRecord(
                    id=f"risbench/{split}/{number}",
                    image=require(inside(images, name, where), f"{where} names it"),
                    mask=require(inside(masks, name, where), f"{where} names it"),
                    phrase=sentence,
                )
            )
        super().__init__("risbench", split, records)

    def read(self, record: PhraseRecord) -> Sample:
        """Read image and mask of one sentence."""
        return read_phrase_sample(record, self.name, read_mask(record.mask))
