"""A person's look at an answer: a score to filter by, objects taken out. Nothing of it runs the model again."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from geoagent.types import Instance, Mask, Prediction, Target

ObjectKey = tuple[int, int]
"""Place of the target among the candidates, from 0, and id of the object in it; 0 for a target without objects."""


@dataclass(frozen=True, kw_only=True)
class Review:
    """An answer as the model gave it, and what the person decided about it."""

    prediction: Prediction
    threshold: float
    rejected: frozenset[ObjectKey] = frozenset()
    drawn: dict[ObjectKey, dict[str, Any]] = field(default_factory=dict, compare=False, repr=False)
    """Outline and size of the objects shown so far. Every review of one answer shares them."""

    @classmethod
    def of(cls, prediction: Prediction) -> "Review":
        """Nothing decided yet."""
        return cls(prediction=prediction, threshold=prediction.threshold)

    def toggled(self, key: ObjectKey) -> "Review":
        """With an object rejected, or accepted again."""
        return replace(self, rejected=self.rejected ^ {key})

    def objects(self, number: int) -> tuple[Instance, ...]:
        """The objects of a candidate that score high enough, rejected ones included.

        Below the model's own threshold the slider decides about targets alone; above it, about single objects too.
        """
        target = self.prediction.candidates[number]
        if self.threshold <= self.prediction.threshold:
            return target.instances
        return tuple(i for i in target.instances if i.score >= self.threshold)

    @property
    def found(self) -> list[tuple[int, Target]]:
        """Candidates that count at this score, with their places, before anything was rejected."""
        return [
            (number, target)
            for number, target in enumerate(self.prediction.candidates)
            if target.score >= self.threshold
            and target.mask.any()
            and (not target.instances or bool(self.objects(number)))
        ]

    @property
    def result(self) -> Prediction:
        """The answer without what was filtered and rejected: what is drawn, measured and downloaded."""
        kept = tuple(self._kept(number, target) for number, target in enumerate(self.prediction.candidates))
        return replace(self.prediction, candidates=kept, threshold=self.threshold)

    def _kept(self, number: int, target: Target) -> Target:
        if not target.instances:
            return replace(target, mask=np.zeros_like(target.mask)) if (number, 0) in self.rejected else target
        staying = tuple(i for i in self.objects(number) if (number, i.id) not in self.rejected)
        if len(staying) == len(target.instances):
            return target
        return replace(target, mask=_without(target, staying), instances=staying)


def _without(target: Target, staying: tuple[Instance, ...]) -> Mask:
    """The mask less the objects that go; pixels that another object also covers stay."""
    mask = target.mask.copy()
    ids = {i.id for i in staying}
    for gone in target.instances:
        if gone.id not in ids:
            x0, y0, x1, y1 = gone.box
            mask[y0:y1, x0:x1] &= ~gone.crop
    for instance in staying:
        x0, y0, x1, y1 = instance.box
        mask[y0:y1, x0:x1] |= instance.crop & target.mask[y0:y1, x0:x1]
    return mask
