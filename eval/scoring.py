"""From one sample and one answer to the few numbers that every metric is made of.

Labels may not know all pixels (``ignore``) and may hold masks made by a machine (``scorable=False``): such pixels are
left out of every comparison, such targets are neither asked for nor held against an answer that has them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eval.conventions import Convention, MaskScore
from eval.matching import (
    InstanceCounts,
    Matrix,
    assign,
    components,
    count_instances,
    overlap,
    pair_phrases,
    target_ious,
    union_of,
)
from eval.records import PredictedTarget, SampleRecord
from geoagent.types import GeoAgentError, Instance, LabelledTarget, Mask, Sample

CORRECT_IOU = 0.5
"""A candidate is right, for calibration, when it overlaps a true target at least this much."""


@dataclass(frozen=True, kw_only=True)
class MaskScores:
    """How well one answer's masks fit one sample's labels."""

    has_target: bool
    answered: bool
    """Whether anything was accepted on pixels that the labels know."""
    intersection: int
    union: int
    iou: float
    """Union of targets against union of accepted predictions; without a target 1 if nothing was answered, else 0."""
    set_iou: float | None
    """Mean over matched targets, misses and surplus as 0; None without a target."""
    class_ious: tuple[tuple[str, float], ...]
    """Class and IoU of each present target whose class is known."""
    rejections: tuple[tuple[bool, bool], ...]
    """For each phrase asked for: whether it is absent, whether it was rejected."""
    instances: InstanceCounts | None
    """None where the labels do not know the single objects."""
    candidates: tuple[tuple[float, bool], ...]
    """Score of each phrase of the answer, accepted or not, and whether it was right."""
    conventions: Mapping[str, tuple[MaskScore, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SampleScore:
    """One row of the evaluation."""

    id: str
    index: int
    """Place in the dataset."""
    image_id: str
    groups: Mapping[str, tuple[str, ...]]
    """Which groups of each dimension the sample belongs to: ``{"type": ("implicit",), "class": ("ship", "car")}``."""
    masks: MaskScores | None
    """None where no target of the sample may be scored."""
    seconds: float | None
    tokens: int | None
    warnings: tuple[str, ...] = ()


def score_sample(
    sample: Sample, record: SampleRecord, index: int, conventions: Sequence[Convention] = ()
) -> SampleScore:
    """Score one answer; raises `GeoAgentError` where its masks are not those of the sample's image."""
    return SampleScore(
        id=sample.id,
        index=index,
        image_id=sample.image_id,
        groups=groups_of(sample),
        masks=score_masks(sample, record, conventions),
        seconds=record.seconds,
        tokens=record.tokens,
        warnings=record.warnings,
    )


def score_masks(sample: Sample, record: SampleRecord, conventions: Sequence[Convention] = ()) -> MaskScores | None:
    """The part of the score that looks at pixels; None where no target of the sample may be scored."""
    usable = [_usable(target) for target in sample.targets]
    if sample.targets and not any(usable):
        return None
    size = (int(sample.image.shape[0]), int(sample.image.shape[1]))
    candidates = record.candidates
    decoded = [_decode(candidate, record.id, size) for candidate in candidates]
    pairs = pair_phrases(sample.targets, [candidate.phrase for candidate in candidates], decoded)
    excused = {pairs[k] for k, yes in enumerate(usable) if not yes and k in pairs}

    truth = [target for target, yes in zip(sample.targets, usable, strict=True) if yes]
    present = [target for target in truth if target.present]
    unknown = _unknown_pixels(sample.targets, usable, present, size)
    judged = [k for k in range(len(candidates)) if k not in excused]
    masks = {k: decoded[k] if unknown is None else decoded[k] & ~unknown for k in judged}
    accepted_places = {candidate.index for candidate in record.pred}
    accepted = [k for k in judged if candidates[k].index in accepted_places and masks[k].any()]
    answer = [masks[k] for k in accepted]

    true_union = _known(union_of([target.mask for target in present], size), unknown)
    both = overlap(true_union, union_of(answer, size))
    iou = both.iou(empty=1.0)
    table = target_ious(present, answer)
    right = which_are_right(present, [masks[k] for k in judged])
    rejected = [k not in pairs or pairs[k] not in accepted for k in range(len(sample.targets))]
    return MaskScores(
        has_target=bool(present),
        answered=bool(answer),
        intersection=both.intersection,
        union=both.union,
        iou=iou,
        set_iou=sum(table[pair] for pair in assign(table)) / max(table.shape) if present else None,
        class_ious=_class_ious(present, table, iou),
        rejections=tuple(
            (not target.present, no) for target, no, yes in zip(sample.targets, rejected, usable, strict=True) if yes
        ),
        instances=_instance_counts(present, [candidates[k] for k in accepted], answer, unknown),
        candidates=tuple(zip([candidates[k].score for k in judged], right, strict=True)),
        conventions={
            convention.name: convention.score([_known(t.mask, unknown) for t in present], answer, size)
            for convention in conventions
            if convention.takes(question_number(sample) or 0)
        },
    )


def groups_of(sample: Sample) -> dict[str, tuple[str, ...]]:
    """The groups that the report breaks down by; a dimension about which the dataset says nothing is left out."""
    present = sum(target.present for target in sample.targets)
    classes = tuple(dict.fromkeys(target.class_name for target in sample.targets if target.class_name))
    groups: dict[str, tuple[str, ...]] = {"type": (sample.type,), "targets": (str(present) if present < 3 else "3+",)}
    if classes:
        groups["class"] = classes
    if sample.source:
        groups["source"] = (sample.source,)
    for dimension in ("granularity", "reasoning", "wording"):
        if sample.extra.get(dimension) is not None:
            groups[dimension] = (str(sample.extra[dimension]),)
    number = question_number(sample)
    if number is not None:
        groups["question"] = ("first" if number == 0 else "further",)
    return groups


def question_number(sample: Sample) -> int | None:
    """Which of several questions about one label this is, from 0; None where the dataset asks only one."""
    number = sample.extra.get("question")
    return number if isinstance(number, int) else None


def _usable(target: LabelledTarget) -> bool:
    """Whether the labels of a target can judge an answer: made by a person, and not wholly on unknown pixels."""
    known = target.mask if target.ignore is None else target.mask & ~target.ignore
    return target.scorable and (bool(known.any()) or not target.present)


def _unknown_pixels(
    targets: Sequence[LabelledTarget], usable: Sequence[bool], present: Sequence[LabelledTarget], size: tuple[int, int]
) -> Mask | None:
    """Pixels that no prediction is judged on; None where all are known."""
    doubtful = [target.ignore for target in targets if target.ignore is not None]
    doubtful += [target.mask for target, yes in zip(targets, usable, strict=True) if not yes]
    if not doubtful:
        return None
    certain = [t.mask if t.ignore is None else t.mask & ~t.ignore for t in present]
    return union_of(doubtful, size) & ~union_of(certain, size)


def _known(mask: Mask, unknown: Mask | None) -> Mask:
    return mask if unknown is None else mask & ~unknown


def _decode(target: PredictedTarget, sample_id: str, size: tuple[int, int]) -> Mask:
    mask = target.decode()
    if mask.shape != size:
        raise GeoAgentError(
            f"the prediction {target.phrase!r} for {sample_id} is {mask.shape[1]} x {mask.shape[0]} pixels, "
            f"its image {size[1]} x {size[0]}: give masks at the image's own size"
        )
    return mask


def _class_ious(present: Sequence[LabelledTarget], table: Matrix, iou: float) -> tuple[tuple[str, float], ...]:
    """A single target takes the IoU of the whole answer, several take the one each is matched with."""
    best = {row: float(table[row, column]) for row, column in assign(table)} if len(present) > 1 else {0: iou}
    return tuple((t.class_name, best.get(row, 0.0)) for row, t in enumerate(present) if t.class_name is not None)


def _instance_counts(
    present: Sequence[LabelledTarget], accepted: Sequence[PredictedTarget], masks: Sequence[Mask], unknown: Mask | None
) -> InstanceCounts | None:
    """Objects of all targets together, where the labels know every one of them."""
    if not present or any(target.instances is None for target in present):
        return None
    truth = [one for target in present for one in target.instances or ()]
    predicted: list[Instance] = []
    for target, mask in zip(accepted, masks, strict=True):
        objects = target.decode_instances()
        predicted.extend(components(mask) if objects is None else objects)
    return count_instances(truth, predicted, unknown)


def which_are_right(present: Sequence[LabelledTarget], masks: Sequence[Mask]) -> list[bool]:
    """For each predicted mask, whether it is matched with a true target that it overlaps by `CORRECT_IOU`."""
    table = target_ious(present, masks)
    right = {column for row, column in assign(table) if table[row, column] >= CORRECT_IOU}
    return [column in right for column in range(len(masks))]
