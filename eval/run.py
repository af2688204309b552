"""Evaluates a model, or predictions made elsewhere, on a labelled dataset.

    python -m eval.run --model nano --data synth:test --out runs/nano
    python -m eval.run --model runs/finetuned --data rrsis-d:PATH --split test --convention rmsin --out runs/rrsis
    python -m eval.run --predictions theirs.jsonl --data folder:PATH --out runs/theirs

Writes ``samples.jsonl`` (a line a sample), ``report.json``, ``report.md`` and ``report.html`` into the output folder.
Run the same command again to go on with an interrupted run.
"""

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import geoagent
from eval.bootstrap import RESAMPLES
from eval.conventions import CONVENTIONS, convention
from eval.fingerprint import fingerprint
from eval.loop import Journal, answer_all, score_all
from eval.markdown import overall_rows, summary, table
from eval.pictures import draw_cases
from eval.records import read_records, write_records
from eval.report import build_report, write_report
from geoagent.data.registry import open_dataset
from geoagent.types import GeoAgentError


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One evaluation."""

    data: str
    """``synth:test``, ``folder:PATH``, ``rrsis-d:PATH`` …"""
    out: Path
    model: str = ""
    """Name, folder or hub id; with ``predictions`` only a name for the report."""
    predictions: Path | None = None
    """Answers to score; no model is loaded then."""
    split: str | None = None
    limit: int | None = None
    """At most so many samples, spread over the dataset."""
    threshold: float | None = None
    """Score from which a phrase is accepted; None: the model's own."""
    conventions: tuple[str, ...] = ()
    resamples: int = RESAMPLES
    cases: int = 6
    """Pictures of each kind on the page."""

    def __post_init__(self) -> None:
        if not self.model and self.predictions is None:
            raise GeoAgentError("there is nothing to evaluate: give --model or --predictions")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise GeoAgentError(f"the threshold {self.threshold:g} is not a score: give a number from 0 to 1")
        for name in self.conventions:
            convention(name)

    @property
    def system(self) -> str:
        """What is evaluated, for headings."""
        return Path(self.model).name if self.model or self.predictions is None else self.predictions.stem

    def answers_depend_on(self) -> dict[str, Any]:
        """What must not change between an interrupted run and its continuation."""
        return {
            "model": self.model,
            "predictions": str(self.predictions) if self.predictions is not None else None,
            "data": self.data,
            "split": self.split,
            "threshold": self.threshold,
        }

    def resolved(self) -> dict[str, Any]:
        """Everything that a report should tell about how it came about."""
        return {
            "system": self.system,
            **self.answers_depend_on(),
            "limit": self.limit,
            "conventions": list(self.conventions),
            "resamples": self.resamples,
            "geoagent": geoagent.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        }


def run(config: RunConfig) -> dict[str, Any]:
    """Evaluate and write the report; returns it."""
    chosen = [CONVENTIONS[name] for name in config.conventions]
    dataset = open_dataset(config.data, split=config.split, limit=config.limit)
    weights = None
    if config.predictions is not None:
        given = read_records(config.predictions)
        _claim(config, weights)
        source, threshold = config.predictions, config.threshold
        scores, records = score_all(dataset, given, source=source, threshold=threshold, conventions=chosen)
        write_records(config.out / "samples.jsonl", records.values())
    else:
        predictor = geoagent.load(config.model)
        weights = fingerprint(predictor)
        _claim(config, weights)
        journal = Journal.resume(config.out / "samples.jsonl")
        scores = answer_all(dataset, predictor, journal, threshold=config.threshold, conventions=chosen)
        records = journal.records
    report = build_report(scores, dataset, config.resolved() | {"weights": weights}, chosen, config.resamples)
    write_report(report, draw_cases(scores, dataset, records, config.cases), config.out)
    return report


def _claim(config: RunConfig, weights: str | None) -> None:
    """Make the output folder this run's own, or see that it belongs to the same run."""
    config.out.mkdir(parents=True, exist_ok=True)
    path = config.out / "config.json"
    wanted = config.answers_depend_on() | {"weights": weights}
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key, value in wanted.items() if found.get(key) != value]
        if changed:
            key = changed[0]
            raise GeoAgentError(
                f"{config.out} holds a run with {key} {found.get(key)!r}, this one has {wanted[key]!r}: "
                "choose another --out or delete the folder"
            )
    path.write_text(json.dumps(wanted, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def parse(arguments: Sequence[str] | None = None) -> RunConfig:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m eval.run", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--model", default="", help="name, folder or hub id of the model (with --predictions: a name for the report)"
    )
    parser.add_argument("--predictions", type=Path, metavar="FILE", help="score these answers (JSON lines) instead")
    parser.add_argument("--data", required=True, metavar="SPEC", help="synth:test, folder:PATH, rrsis-d:PATH, …")
    parser.add_argument("--split", help="part of the dataset (default: its test part)")
    parser.add_argument(
        "--convention",
        action="append",
        default=[],
        choices=[*CONVENTIONS, "all"],
        help="also score as this paper does; may be repeated",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="at most N samples, spread over the dataset")
    parser.add_argument("--threshold", type=float, help="score from which a phrase is accepted (default: the model's)")
    parser.add_argument("--resamples", type=int, default=RESAMPLES, help="bootstrap resamples (default: %(default)s)")
    parser.add_argument(
        "--cases", type=int, default=6, metavar="N", help="pictures of each kind (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the report")
    given = vars(parser.parse_args(arguments))
    names = given.pop("convention")
    return RunConfig(**given, conventions=tuple(CONVENTIONS) if "all" in names else tuple(dict.fromkeys(names)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 2 for a mistake of the user, which is told in one line."""
    try:
        config = parse(arguments)
        report = run(config)
    except GeoAgentError as error:
        print(f"eval.run: {error}", file=sys.stderr)
        return 2
    print(summary(report))
    print(table(("metric", "value", "interval", "over"), overall_rows(report["overall"])))
    print(f"Report: {config.out / 'report.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
