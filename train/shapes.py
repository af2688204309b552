"""Batches in shapes that repeat.

A GPU's libraries make a plan for every shape that they have not met, which takes them longer than the work itself: with
as many targets as chance gave, an H200 trained 180 questions a second at 512 px, and 760 when the shapes repeated.

Shapes: N targets, S tokens of a packed sequence, K marks of a person.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn.functional import pad

from geoagent.data.collate import Batch, TargetTruth
from geoagent.model.pipeline import PackedText
from geoagent.model.sam import NO_MARK, NOT_A_POINT, PersonPrompts

FEW_MARKS, MANY_MARKS = 3, 9
"""Marks of a point or a box, and of the longest scribble, with SAM2's closing mark."""
_TOKENS, _WORDS, _ANSWERS = 128, 16, 256
"""Sequences, phrases and answers are as long as a multiple of these."""


def in_fixed_shapes(batch: Batch, targets: tuple[int, int, int], rng: Generator) -> Batch:
    """``batch`` with so many targets at which nobody points, with few marks, and with many.

    Which of them is drawn by chance, some twice where there are too few; a kind that is missing is left out. Marks are
    filled up with SAM2's closing mark. All questions and nearly all answer tokens stay.
    """
    inputs, person = batch.inputs, batch.inputs.person
    marks = torch.zeros(len(batch.truth.present), dtype=torch.long)
    if person is not None:
        marks = torch.tensor(person.counts)
        person = _filled_up(person, marks)
    groups = (marks == 0, (marks > 0) & (marks <= FEW_MARKS), (marks > FEW_MARKS) & (marks <= MANY_MARKS))
    drawn = [_drawn(group.nonzero()[:, 0], count, rng) for group, count in zip(groups, targets, strict=True)]
    chosen = torch.cat(drawn)
    text = _lengthened(_of_targets(inputs.text, chosen))
    if person is not None:
        masks = None if person.masks is None else person.masks[chosen]
        person = PersonPrompts(person.points[chosen], person.labels[chosen], masks)
    return replace(batch, inputs=replace(inputs, text=text, person=person), truth=_of_truth(batch.truth, chosen))


def _drawn(group: Tensor, count: int, rng: Generator) -> Tensor:
    """``count`` of a group, each once before any comes twice; none of none."""
    if not len(group):
        return group
    return group[torch.from_numpy(np.resize(rng.permutation(len(group)), count))]


def _filled_up(person: PersonPrompts, marks: Tensor) -> PersonPrompts:
    """Few marks become `FEW_MARKS`, more become `MANY_MARKS`; longer rows are cut, and never drawn."""
    missing = MANY_MARKS - person.labels.shape[1]
    points = pad(person.points, (0, 0, 0, missing))
    labels = pad(person.labels, (0, missing), value=NO_MARK)
    place = torch.arange(MANY_MARKS)
    wanted = torch.where(marks <= FEW_MARKS, FEW_MARKS, MANY_MARKS) * (marks > 0)
    closing = (place >= marks[:, None]) & (place < wanted[:, None])
    return PersonPrompts(points, labels.masked_fill(closing, NOT_A_POINT), person.masks)


def _of_targets(text: PackedText, chosen: Tensor) -> PackedText:
    return replace(
        text,
        word_index=text.word_index[chosen],
        query_index=text.query_index[chosen],
        asked_index=text.asked_index[chosen],
        image=text.image[chosen],
        task=text.task[chosen],
    )


def _of_truth(truth: TargetTruth, chosen: Tensor) -> TargetTruth:
    return TargetTruth(
        truth.masks[chosen],
        truth.weight[chosen],
        truth.present[chosen],
        truth.cores[chosen],
        truth.cores_known[chosen],
        tuple(truth.class_names[i] for i in chosen.tolist()),
    )


def _lengthened(text: PackedText) -> PackedText:
    """Sequences and phrases filled up, the last answer tokens cut off."""
    more = -text.input_ids.shape[1] % _TOKENS
    length = text.input_ids.shape[1] + more
    answers = max(1, len(text.answer_labels) // _ANSWERS) * _ANSWERS
    return replace(
        text,
        input_ids=pad(text.input_ids, (0, more)),
        position_ids=pad(text.position_ids, (0, more)),
        # What is behind the end sees itself, so that no row is empty.
        attention_mask=pad(text.attention_mask, (0, more, 0, more)) | torch.eye(length, dtype=torch.bool),
        answer_index=text.answer_index[:answers],
        answer_labels=text.answer_labels[:answers],
        word_index=pad(text.word_index, (0, -text.word_index.shape[1] % _WORDS), value=-1),
    )
