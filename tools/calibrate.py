"""Fit the scores of a model folder to how often its masks are right, and write them into its ``config.json``.

    python -m tools.calibrate runs/nano/model --data synth:val --data imagery:PATH --limit 300

Every phrase of every answer counts, accepted or not: a logistic regression from its clues (the language model's
opinion, SAM2's object and IoU scores, its mask where that is surest) to whether what is asked for is there, scaled to
how often its mask overlaps a true one by half. The threshold is the highest that keeps 97 % of the gIoU. Use validation
data, never the test.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from tqdm import tqdm

import geoagent
from eval.scoring import which_are_right
from geoagent.data.dataset import SegmentationDataset
from geoagent.data.registry import open_dataset
from geoagent.geo.raster import picture_of
from geoagent.model.configuration import GeoAgentConfig, ScoreConfig
from geoagent.model.pipeline import combined_score
from geoagent.predictor import Predictor
from geoagent.types import GeoAgentError, Prediction, Sample

Floats = NDArray[np.float64]
_SHRINK = 1e-3
"""Keeps the weights of clues that say nothing near zero."""
_THRESHOLDS = np.arange(2, 97) / 100
_KEPT = 0.97
"""Of the gIoU without any threshold."""


@dataclass(frozen=True)
class Answered:
    """One question with what became of it."""

    clues: Floats
    """[candidates,4]."""
    right: NDArray[np.bool_]
    """[candidates]."""
    has_target: bool
    weight: float
    """Each dataset counts the same."""
    overlap: float = 1.0
    """IoU of all that was found with all that was meant, where anything was."""


def collect(predictor: Predictor, dataset: SegmentationDataset) -> Iterator[Answered]:
    """Ask a whole dataset; questions whose labels leave anything open are passed over."""
    weight = 1 / len(dataset)
    progress = tqdm(total=len(dataset), unit="sample", desc=f"{dataset.name}:{dataset.split}")
    for group in dataset.groups():
        session = predictor.open(picture_of(dataset[group[0]]))
        for sample in (dataset[index] for index in group):
            progress.update()
            if all(target.scorable for target in sample.targets):
                # As it is drawn: what is measured afterwards has the clues of what was drawn.
                asked = [(session, sample.instruction, sample.prompts)]
                yield judge(predictor.answer(asked, measured=False)[0], sample, weight)
    progress.close()


def judge(prediction: Prediction, sample: Sample, weight: float = 1.0) -> Answered:
    """Which phrases of an answer are right; pixels that the labels do not know count as not answered."""
    present = [target for target in sample.targets if target.present]
    unknown = np.zeros(sample.image.shape[:2], dtype=np.bool_)
    for target in sample.targets:
        if target.ignore is not None:
            unknown |= target.ignore
    told = [(c.mask, c.evidence.clues) for c in prediction.candidates if c.evidence and c.evidence.clues]
    masks = [np.asarray(mask) & ~unknown for mask, _ in told]
    clues = [(of.token, of.object, of.iou, of.peak) for _, of in told]
    meant = np.any([target.mask for target in present], axis=0) if present else np.zeros_like(unknown)
    shown = np.any(masks, axis=0) if masks else np.zeros_like(unknown)
    return Answered(
        clues=np.array(clues, dtype=np.float64).reshape(-1, 4),
        right=np.array(which_are_right(present, masks), dtype=np.bool_),
        has_target=bool(present),
        weight=weight,
        overlap=float((meant & shown).sum() / max((meant & ~unknown | shown).sum(), 1)),
    )


def fit(answers: Sequence[Answered]) -> ScoreConfig:
    """The score that orders answers by whether what they are about is there, and says how often masks are right.

    Order and probability are learned apart: how good a mask is says little about whether there is anything to mask. No
    clue may count against what it speaks for.
    """
    clues = np.concatenate([a.clues for a in answers])
    right = np.concatenate([a.right for a in answers]).astype(np.float64)
    there = np.concatenate([np.full(len(a.right), float(a.has_target)) for a in answers])
    weight = np.concatenate([np.full(len(a.right), a.weight) for a in answers])
    if not 0 < right.sum() < len(right):
        raise GeoAgentError(f"{int(right.sum())} of {len(right)} phrases are right: nothing can be learned from that")
    if there.all():
        order = _logistic(clues, right, weight)[:-1]
    else:
        # What is absent is asked for less often, and matters as much.
        share = (weight * there).sum() / weight.sum()
        order = _logistic(clues, there, weight * np.where(there > 0, 1 - share, share))[:-1]
    slope, bias = _logistic((clues @ order)[:, None], right, weight)
    token, thing, iou, peak = (float(value) for value in slope * order)
    config = ScoreConfig(token=token, object=thing, iou=iou, peak=peak, bias=float(bias))
    return replace(config, threshold=best_threshold(config, answers))


def _logistic(clues: Floats, truth: Floats, weight: Floats) -> Floats:
    """Weights of clues [n,k], none below zero, and a bias: [k+1]."""

    def loss(values: Floats) -> float:
        logits = clues @ values[:-1] + values[-1]
        entropy = np.logaddexp(0, logits) - truth * logits
        return float((weight * entropy).sum() / weight.sum() + _SHRINK * (values[:-1] ** 2).sum())

    count = clues.shape[1]
    bounds = [(0, None)] * count + [(None, None)]
    found: Floats = minimize(loss, np.array([0.5] * count + [0.0]), method="L-BFGS-B", bounds=bounds).x
    return found


def best_threshold(config: ScoreConfig, answers: Sequence[Answered]) -> float:
    """The highest that keeps nearly all of the overlap between what is found and what was meant.

    The threshold at which most answers are right about *whether* something is there tells a weak model to show nothing:
    a mask that hardly overlaps what was meant is then a loss like a good one.
    """
    there = [a for a in answers if a.has_target]
    best = np.array([score_of(config, a.clues).max(initial=0.0) for a in there])
    overlap = np.array([a.weight * a.overlap for a in there])
    kept = np.array([overlap[best >= threshold].sum() for threshold in _THRESHOLDS])
    return float(_THRESHOLDS[kept >= _KEPT * overlap.sum()].max(initial=_THRESHOLDS[0]))


def score_of(config: ScoreConfig, clues: Floats) -> Floats:
    """Scores [n] of clues [n,4], as answers will have them."""
    scores: Floats = combined_score(config, torch.from_numpy(clues)).numpy()
    return scores


def main() -> int:
    """Parse, ask, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the model; its config.json is changed")
    parser.add_argument("--data", action="append", required=True, metavar="SPEC", help="as for eval.run, repeatable")
    parser.add_argument("--split", default="val")
    parser.add_argument("--limit", type=int, default=300, help="questions of each dataset (default: %(default)s)")
    given = parser.parse_args()
    try:
        predictor = geoagent.load(str(given.model))
        answers = [
            answered
            for spec in given.data
            for answered in collect(predictor, open_dataset(spec, split=given.split, limit=given.limit))
        ]
        score = fit(answers)
    except GeoAgentError as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 2
    config = GeoAgentConfig.from_pretrained(given.model)
    config.score = score
    config.save_pretrained(given.model)
    print(f"{given.model / 'config.json'}: {score}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
