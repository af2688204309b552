"""Looks through a dataset: counts, splits, classes, problems, and a contact sheet of what its masks and words say.

python -m tools.inspect_data rrsis-d PATH
python -m tools.inspect_data folder my_data --samples 2000 --sheet my_data.png
"""

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from geoagent.data.dataset import SegmentationDataset, spread
from geoagent.data.registry import SYNTH, describe, open_dataset, splits_of
from geoagent.types import GeoAgentError, Sample
from tools.contact_sheet import draw_sheet

_SHOWN = 12
"""Problems of one kind that are printed; the rest is counted."""


@dataclass
class Findings:
    """What was seen in one split."""

    split: str
    samples: int = 0
    images: int = 0
    read: int = 0
    types: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    targets: Counter[str] = field(default_factory=Counter)
    remarks: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)
    contents: dict[str, str] = field(default_factory=dict)
    """Digest of the pixels of each image read, with its id: for leaks between splits."""
    shown: list[Sample] = field(default_factory=list)
    """Samples for the contact sheet."""


def inspect_split(dataset: SegmentationDataset, split: str, *, samples: int, shown: int) -> Findings:
    """Read up to ``samples`` samples, evenly spread, and note what they hold and what is wrong with them."""
    found = Findings(split, len(dataset), len(dataset.groups()), remarks=dataset.remarks)
    looked_at = spread(dataset, samples)
    picked = {number * len(looked_at) // shown for number in range(shown)} if shown else set()
    for index in tqdm(range(len(looked_at)), desc=split, leave=False, disable=None):
        try:
            sample = looked_at[index]
        except GeoAgentError as error:
            found.problems.append(f"unreadable: {error}")
            continue
        _note(sample, found)
        if index in picked:
            found.shown.append(sample)
    return found


def leaks(splits: Sequence[Findings]) -> list[str]:
    """Images whose very pixels occur in two splits (among those that were read)."""
    home: dict[str, tuple[str, str]] = {}
    found = []
    for split in splits:
        for digest, image in split.contents.items():
            before = home.setdefault(digest, (split.split, image))
            if before[0] != split.split:
                found.append(f"same pixels in {before[0]} ({before[1]}) and {split.split} ({image})")
    return found


def report(name: str, root: Path | None, splits: Sequence[Findings]) -> Iterator[str]:
    """The findings as lines of text."""
    yield f"{name}{f' in {root}' if root else ''}"
    for found in splits:
        yield f"\n{found.split}: {found.samples} samples about {found.images} images, {found.read} samples read"
        yield f"  types    {_counts(found.types)}"
        yield f"  targets  {_counts(found.targets)}"
        yield f"  classes  {_counts(found.classes, 40) or 'unknown'}"
        yield f"  sizes    {_counts(Counter({f'{w}x{h}': n for (h, w), n in found.sizes.items()}), 6)}"
        yield from (f"  remark   {remark}" for remark in found.remarks)
        yield from (f"  PROBLEM  {problem}" for problem in found.problems[:_SHOWN])
        if len(found.problems) > _SHOWN:
            yield f"  PROBLEM  and {len(found.problems) - _SHOWN} more"
    shared = leaks(splits)
    yield from (f"\nLEAK  {leak}" for leak in shared[:_SHOWN])
    if len(shared) > _SHOWN:
        yield f"LEAK  and {len(shared) - _SHOWN} more"
    problems = sum(len(found.problems) for found in splits)
    yield f"\n{problems} problems, {len(shared)} images shared between splits"


def main(arguments: Sequence[str] | None = None) -> int:
    """Inspect from the command line; exit code 1 when anything is wrong, 2 when the dataset cannot be opened."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.inspect_data",
        description=__doc__,
        epilog=f"Datasets:\n{describe()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="which layout to expect")
    parser.add_argument("root", metavar="ROOT", nargs="?", type=Path, help="folder of the dataset (none for synth)")
    parser.add_argument("--split", help="only this split; all by default")
    parser.add_argument("--samples", type=int, default=1000, metavar="N", help="read N samples a split (default 1000)")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="contact sheet (default NAME-sheet.png)")
    parser.add_argument("--shown", type=int, default=16, metavar="N", help="samples a split on the sheet (default 16)")
    chosen = parser.parse_args(arguments)
    try:
        findings = _inspect(chosen.name, chosen.root, chosen.split, chosen.samples, chosen.shown)
    except GeoAgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(report(chosen.name, chosen.root, findings)))
    samples = [sample for found in findings for sample in found.shown]
    if samples:
        print(f"contact sheet: {draw_sheet(samples, chosen.sheet or Path(f'{chosen.name}-sheet.png'))}")
    return 1 if any(found.problems for found in findings) or leaks(findings) else 0


def _inspect(name: str, root: Path | None, split: str | None, samples: int, shown: int) -> list[Findings]:
    splits = [split] if split else splits_of(name, root)
    found = []
    for each in splits:
        spec = f"{name}:{root or ''}" if name != SYNTH else name
        found.append(inspect_split(open_dataset(spec, split=each), each or "all", samples=samples, shown=shown))
    return found


def _note(sample: Sample, found: Findings) -> None:
    found.read += 1
    found.types[sample.type] += 1
    found.sizes[sample.image.shape[:2]] += 1
    present = sum(target.present for target in sample.targets)
    found.targets["none" if not present else "1" if present == 1 else "several"] += 1
    found.classes.update(target.class_name for target in sample.targets if target.class_name)
    digest = hashlib.blake2b(sample.image.tobytes() + str(sample.image.shape).encode(), digest_size=16).hexdigest()
    found.contents.setdefault(digest, sample.image_id)
    found.problems.extend(f"{sample.id}: {problem}" for problem in problems_of(sample))


def problems_of(sample: Sample) -> Iterator[str]:
    """What looks wrong with a sample although it could be read."""
    if not sample.instruction.strip() and not sample.prompts:
        yield "no instruction and no prompt"
    height, width = sample.image.shape[:2]
    if "mask_size" in sample.extra:
        rows, columns = sample.extra["mask_size"]
        yield f"the mask is {columns} x {rows}, the image {width} x {height}: stretched"
    if sample.answer is not None:
        marks = sample.answer.count("<seg>") + sample.answer.count("<rej>")
        if marks != len(sample.targets):
            yield f"{marks} marks in the answer, {len(sample.targets)} targets"
    for target in sample.targets:
        if target.mask.all():
            yield f"{target.phrase!r} covers the whole image"
        elif 0 < target.mask.sum() < 4:
            yield f"{target.phrase!r} has only {int(target.mask.sum())} pixels"


def _counts(counter: Counter[str], shown: int = 12) -> str:
    listed = ", ".join(f"{key} {number}" for key, number in counter.most_common(shown))
    return listed + (f" and {len(counter) - shown} more" if len(counter) > shown else "")


if __name__ == "__main__":
    sys.exit(main())
