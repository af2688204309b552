"""Puts the numbers of a run together and writes ``report.json``, ``report.md`` and ``report.html``."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.bootstrap import LEVEL, RESAMPLES, SEED, estimate
from eval.calibration import reliability
from eval.conventions import Convention
from eval.markdown import to_markdown
from eval.metrics import METRICS, Metric, class_metric, convention_metrics
from eval.page import to_html
from eval.pictures import Case
from eval.published import published_for
from eval.scoring import SampleScore
from geoagent.data.dataset import SegmentationDataset

Json = dict[str, Any]

DIMENSIONS = ("type", "class", "source", "granularity", "targets", "reasoning", "wording", "question")
"""What results are broken down by, where the dataset knows it."""


def build_report(
    scores: Sequence[SampleScore],
    dataset: SegmentationDataset,
    configuration: Mapping[str, Any],
    conventions: Sequence[Convention] = (),
    resamples: int = RESAMPLES,
) -> Json:
    """Everything that ``report.json`` holds: values, intervals, definitions and configuration."""
    scored = [score.masks for score in scores if score.masks is not None]
    return {
        "configuration": dict(configuration),
        "dataset": {
            "name": dataset.name,
            "split": dataset.split,
            "remarks": list(dataset.remarks),
            "samples": len(scores),
            "images": len({score.image_id for score in scores}),
            "with_target": sum(masks.has_target for masks in scored),
            "without_target": sum(not masks.has_target for masks in scored),
            "not_scorable": len(scores) - len(scored),
        },
        "warnings": dict(Counter(text for score in scores for text in score.warnings).most_common()),
        "overall": _block(scores, METRICS, resamples),
        "by": _breakdown(scores, resamples),
        "conventions": {
            convention.name: {
                "definition": convention.words,
                "overall": _block(scores, convention_metrics(convention), resamples),
                "by_type": {
                    name: _block(members, convention_metrics(convention), resamples)
                    for name, members in _members(scores, "type").items()
                },
            }
            for convention in conventions
        },
        "published": [
            {**asdict(row), "values": dict(row.values)} for row in published_for(dataset.name, dataset.split)
        ],
        "calibration": [asdict(one) for one in reliability(pair for masks in scored for pair in masks.candidates)],
        "definitions": {metric.name: metric.definition for metric in METRICS},
        "intervals": f"{LEVEL:.0%} percentile bootstrap over images, {resamples} resamples, seed {SEED}; "
        "none where there are fewer than two images",
    }


def write_report(report: Json, cases: Sequence[Case], folder: Path) -> None:
    """Write the three forms of a report into ``folder``."""
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    (folder / "report.md").write_text(to_markdown(report), encoding="utf-8")
    (folder / "report.html").write_text(to_html(report, cases), encoding="utf-8")


def _block(scores: Sequence[SampleScore], metrics: Sequence[Metric], resamples: int) -> Json:
    """Number of samples and every metric; those that no sample says anything about are null."""
    found = estimate(scores, metrics, resamples=resamples)
    return {"samples": len(scores), **{name: one.to_json() for name, one in found.items()}}


def _breakdown(scores: Sequence[SampleScore], resamples: int) -> Json:
    blocks: Json = {}
    for dimension in DIMENSIONS:
        groups = _members(scores, dimension)
        if groups:
            blocks[dimension] = {
                name: _block(members, _metrics_for(dimension, name), resamples) for name, members in groups.items()
            }
    return blocks


def _metrics_for(dimension: str, group: str) -> tuple[Metric, ...]:
    """Within a class the mean over classes is replaced by the IoU of that class alone."""
    if dimension != "class":
        return METRICS
    return tuple(class_metric(group) if metric.name == "mIoU" else metric for metric in METRICS)


def _members(scores: Sequence[SampleScore], dimension: str) -> dict[str, list[SampleScore]]:
    """Samples of each group, groups in alphabetical order; a sample that asks for two classes is in both."""
    groups: dict[str, list[SampleScore]] = {}
    for score in scores:
        for name in score.groups.get(dimension, ()):
            groups.setdefault(name, []).append(score)
    return dict(sorted(groups.items()))
