"""Small real datasets and systems to evaluate: truth is known, so every number can be worked out by hand."""

import numpy as np

from eval.records import PredictedTarget, SampleRecord
from geoagent.data import rle
from geoagent.data.dataset import group_indices
from geoagent.types import ImageInfo, Instance, LabelledTarget, Prediction, Prompts, Sample, Target

SIZE = (10, 10)


def box_mask(*box, size=SIZE):
    """bool [H,W]: pixels of ``x0, y0, x1, y1``; several boxes may follow each other."""
    mask = np.zeros(size, dtype=np.bool_)
    for x0, y0, x1, y1 in [box[i : i + 4] for i in range(0, len(box), 4)]:
        mask[y0:y1, x0:x1] = True
    return mask


def nothing(size=SIZE):
    return np.zeros(size, dtype=np.bool_)


def instance(*box, size=SIZE, id=1):
    x0, y0, x1, y1 = box
    return Instance(id=id, box=box, crop=np.ones((y1 - y0, x1 - x0), dtype=np.bool_), score=1.0, image_size=size)


def target(phrase, mask, **more):
    return LabelledTarget(phrase=phrase, mask=mask, **more)


def sample(id, *targets, image_id=None, size=SIZE, instruction=None, **more):
    shade = sum(id.encode()) % 200 if image_id is None else sum(image_id.encode()) % 200
    return Sample(
        id=id,
        image_id=image_id or f"image of {id}",
        image=np.full((*size, 3), shade, dtype=np.uint8),
        instruction=instruction or f"question {id}",
        targets=targets,
        **more,
    )


def record(id, *accepted, absent=(), **more):
    """An answer: ``(phrase, score, mask)`` for each accepted and each rejected phrase."""
    coded = [
        PredictedTarget(phrase=phrase, score=score, mask=rle.encode(mask), index=index)
        for index, (phrase, score, mask) in enumerate([*accepted, *absent])
    ]
    return SampleRecord(id=id, pred=tuple(coded[: len(accepted)]), absent=tuple(coded[len(accepted) :]), **more)


class ToyDataset:
    name = "toy"
    split = "test"
    remarks = ("drawn by hand",)

    def __init__(self, samples):
        self.samples = list(samples)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]

    def groups(self):
        return group_indices([one.image_id for one in self.samples])


class Oracle:
    """Answers with the truth."""

    def __init__(self, samples):
        self.known = {(one.image.tobytes(), one.instruction): one for one in samples}
        self.opened = 0
        self.asked = []

    def open(self, image):
        self.opened += 1
        return OracleSession(self, image.pixels)

    def answer(self, asked):
        return [(one.phrase, 0.9 if one.present else 0.1, one.mask) for one in asked.targets]


class OracleSession:
    def __init__(self, oracle, image):
        self.oracle, self.image = oracle, image

    def ask(self, text, *, prompts=Prompts()):  # noqa: B008 (frozen)
        asked = self.oracle.known[self.image.tobytes(), text]
        assert prompts == asked.prompts
        self.oracle.asked.append(asked.id)
        height, width = self.image.shape[:2]
        return Prediction(
            answer=f"Here: {asked.id}",
            marked_answer="",
            candidates=tuple(Target(phrase=p, score=s, mask=m) for p, s, m in self.oracle.answer(asked)),
            image=ImageInfo(width=width, height=height),
            instruction=text,
            model="oracle",
            tokens=7,
        )


class Blank(Oracle):
    """Sees nothing anywhere."""

    def answer(self, asked):
        return []


class Shifted(Oracle):
    """Sees everything a pixel too far to the right."""

    def answer(self, asked):
        return [(phrase, score, np.roll(mask, 1, axis=1)) for phrase, score, mask in super().answer(asked)]
