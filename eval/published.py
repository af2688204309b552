"""What the papers report, to stand beside our numbers on the same dataset.

In per cent. ``approximate`` marks figures taken at second hand (printed with ≈): verify before quoting. Where a
paper's convention is known (see `eval.conventions`), compare with our row of that name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from eval.conventions import THRESHOLDS


@dataclass(frozen=True, kw_only=True)
class PublishedResult:
    """One row of a paper's table."""

    system: str
    dataset: str
    """Name of the dataset's reader."""
    split: str
    subset: str = ""
    """Part of the split where the paper reports parts."""
    values: Mapping[str, float]
    convention: str = ""
    """Name in `eval.conventions` where the paper's way of scoring is known."""
    approximate: bool = False


def _sgsrf(dataset: str, precisions: tuple[float, ...], ciou: float, giou: float) -> PublishedResult:
    named = {f"Pr@{threshold:g}": value for threshold, value in zip(THRESHOLDS, precisions, strict=True)}
    return PublishedResult(system="SGSRF", dataset=dataset, split="test", values={"gIoU": giou, "cIoU": ciou, **named})


def _row(
    system: str,
    dataset: str,
    giou: float,
    ciou: float | None = None,
    *,
    split: str = "test",
    subset: str = "",
    convention: str = "",
    approximate: bool = False,
) -> PublishedResult:
    return PublishedResult(
        system=system,
        dataset=dataset,
        split=split,
        subset=subset,
        values={"gIoU": giou} | ({} if ciou is None else {"cIoU": ciou}),
        convention=convention,
        approximate=approximate,
    )


def _lasers(subset: str, giou: float, ciou: float) -> PublishedResult:
    return _row("SegEarth-R2", "lasers", giou, ciou, subset=subset, convention="segearth-r2", approximate=True)


def _geoseg(system: str, interactive: float, referring: float, reasoning: float) -> list[PublishedResult]:
    parts = {"interactive": interactive, "referring": referring, "reasoning": reasoning}
    return [
        _row(system, "geoseg", giou, subset=subset, convention="unigeoseg", approximate=True)
        for subset, giou in parts.items()
    ]


PUBLISHED: tuple[PublishedResult, ...] = (
    _sgsrf("refsegrs", (88.06, 82.94, 73.80, 59.60, 37.15), 83.55, 77.85),
    _sgsrf("rrsis-d", (80.93, 76.07, 66.27, 51.02, 31.14), 79.37, 69.67),
    _sgsrf("risbench", (79.48, 76.03, 71.36, 63.95, 50.68), 75.74, 73.30),
    _row("SegEarth-R1", "earthreason", 68.60, 64.13, split="val", convention="segearth-r1"),
    _row("SegEarth-R1", "earthreason", 70.75, 68.25, convention="segearth-r1"),
    _row("PSALM", "earthreason", 68.30, 64.61, convention="segearth-r1"),
    _row("SegEarth-R1", "rrsis-d", 66.40, 78.01, convention="segearth-r1"),
    _row("SegEarth-R1", "refsegrs", 72.45, 79.00, convention="segearth-r1"),
    _lasers("part", 64.8, 68.3),
    _lasers("single", 55.1, 69.2),
    _lasers("multiple", 38.3, 56.2),
    _lasers("implicit", 42.8, 59.7),
    _lasers("average", 57.2, 67.9),
    _row("GeoPixel", "lasers", 49.2, subset="multiple", convention="segearth-r2", approximate=True),
    _row("FIRM", "lasers", 70.5, 80.5, subset="average", approximate=True),
    _row("SegEarth-R2", "earthreason", 72.3, split="val"),
    _row("SegEarth-R2", "earthreason", 73.5),
    _row("Think2Seg-RS", "earthreason", 73.36, 75.60, approximate=True),
    _row("SegEarth-R2", "rrsis-d", 67.9),
    _row("SegEarth-R2", "refsegrs", 74.8),
    _row("SegEarth-R2", "risbench", 70.5),
    _row("RSRefSeg2", "refsegrs", 77.36, 81.21, approximate=True),
    _row("RSRefSeg2", "rrsis-d", 69.06, 79.66, approximate=True),
    _row("GeoPixel", "rrsis-d", 67.3),
    *_geoseg("UniGeoSeg", 75.56, 74.58, 53.12),
    *_geoseg("SegEarth-R1 (fine-tuned)", 75.00, 72.98, 51.56),
    _row("MRSNet", "nwpu-refer", 44.86, 63.59, approximate=True),
    _row("RMSIN", "nwpu-refer", 41.75, 62.66, approximate=True),
)


def published_for(dataset: str, split: str) -> tuple[PublishedResult, ...]:
    """The papers' numbers on one split of a dataset."""
    return tuple(row for row in PUBLISHED if row.dataset == dataset and row.split == split)
