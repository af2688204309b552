"""From samples to a batch: all questions of an image behind one reading of the image.

A sequence is ``[conversation up to the end of the image][question 1 … answer 1][question 2 … answer 2] …``. Each
question sees the image and itself, never the others, and its positions go on from the end of the image as if it were
alone: the losses equal those of separate runs, while the image is encoded once.

Shapes: B images, N targets over all of them, S tokens, m = a quarter of SAM2's square.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from geoagent.data.class_maps import cover_of
from geoagent.model import tokens as marks
from geoagent.model.description import as_description
from geoagent.model.instances import core_truth
from geoagent.model.mllm import query_input, token_positions
from geoagent.model.pipeline import ModelInputs, PackedText
from geoagent.model.processor import GeoAgentProcessor
from geoagent.model.sam import stack_prompts
from geoagent.model.tasks import Task, task_of
from geoagent.types import LabelledTarget, Sample


@dataclass(frozen=True)
class TargetTruth:
    """What the masks of N targets should be."""

    masks: Tensor
    """[N,m,m], the share of each cell that is covered."""
    weight: Tensor
    """[N,m,m], 0 where nobody knows."""
    present: Tensor
    """Bool [N]."""
    cores: Tensor
    """[N,m,m], the insides of single objects."""
    cores_known: Tensor
    """Bool [N]: whether the labels tell single objects apart."""
    class_names: tuple[str | None, ...]


@dataclass(frozen=True)
class Batch:
    """Inputs and truth of some images with all their questions."""

    inputs: ModelInputs
    truth: TargetTruth
    samples: tuple[Sample, ...]


@dataclass
class _Sequence:
    """One image and its questions while they are packed."""

    ids: list[int] = field(default_factory=list)
    positions: list[Tensor] = field(default_factory=list)
    block: list[int] = field(default_factory=list)
    answers: list[tuple[int, int]] = field(default_factory=list)
    """Place of the token before each answer token, and its id."""
    words: list[list[int]] = field(default_factory=list)
    """Places of each target's words, its decision last."""
    queries: list[int] = field(default_factory=list)
    """Place of each target's decision; -1: the words alone are the query."""
    asked: list[int] = field(default_factory=list)
    """Place of the token before the answer that each target is in."""
    tasks: list[Task] = field(default_factory=list)


def collate(
    images: Sequence[Sequence[Sample]], processor: GeoAgentProcessor, *, brief: Sequence[bool] | bool = False
) -> Batch:
    """Pack the questions of several images.

    Args:
        images: For each image its samples; they share the picture.
        processor: Of the model.
        brief: Whether answers are phrases only; one value, or one a sample in order. A description query has no marks
            and one style.
    """
    if processor.query == "description":
        images = [[as_description(sample) for sample in group] for group in images]
    tensors = processor.images([samples[0].image for samples in images])
    samples = [sample for group in images for sample in group]
    styles = [brief] * len(samples) if isinstance(brief, bool) else list(brief)
    sequences: list[_Sequence] = []
    style = iter(styles)
    for group, grid in zip(images, tensors.grid_thw, strict=True):
        sequence = _read_image(processor, grid)
        for number, sample in enumerate(group, start=1):
            _append_question(sequence, number, sample, processor, brief=next(style))
        sequences.append(sequence)
    text = _pack(sequences, processor)
    owners = [sample for sample in samples for _ in sample.targets]
    person = stack_prompts([s.prompts for s in owners], [s.image.shape[:2] for s in owners]) if owners else None
    inputs = ModelInputs(tensors.pixel_values, tensors.grid_thw, tensors.sam_pixels, text, person)
    side = processor.sizes.sam // 4
    return Batch(inputs, target_truth([t for s in samples for t in s.targets], side), tuple(samples))


def true_answer(sample: Sample, *, brief: bool) -> str:
    """The answer that the language model should write."""
    if brief or sample.answer is None:
        return marks.brief_answer(marks.MarkedPhrase(t.phrase, t.present) for t in sample.targets)
    return sample.answer


def _read_image(processor: GeoAgentProcessor, grid_thw: Tensor) -> _Sequence:
    ids = processor.prefix_ids(processor.image_tokens(grid_thw))
    image_token = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    positions, _ = token_positions(torch.tensor(ids), image_token, processor.grid(grid_thw))
    return _Sequence(ids, [positions], [0] * len(ids))


def _append_question(
    sequence: _Sequence, number: int, sample: Sample, processor: GeoAgentProcessor, *, brief: bool
) -> None:
    described = processor.query == "description"
    written = sample.answer or "" if described else true_answer(sample, brief=brief)
    answer = processor.answer_ids(written)
    question = processor.instruction_ids(sample.instruction, sample.prompts, sample.image.shape[:2])
    turn = processor.turn_ids()
    start = len(sequence.ids)
    words = list(range(start, start + len(question)))
    first = start + len(question) + len(turn)
    if described:
        sequence.words.append(words)
        sequence.queries.append(-1)
    else:
        spans = marks.phrase_spans(answer, processor.ids)
        if len(spans) != len(sample.targets):
            raise ValueError(
                f"{sample.id}: the answer marks {len(spans)} phrases but there are {len(sample.targets)} targets: "
                f"{written!r}"
            )
        sequence.words += [[*words, *(first + i for i in phrase), first + decision] for phrase, decision in spans]
        sequence.queries += [first + decision for _, decision in spans]
    sequence.asked += [first - 1] * len(sample.targets)
    sequence.tasks += [task_of(sample.type, sample.prompts)] * len(sample.targets)
    sequence.answers += [(first + i - 1, token) for i, token in enumerate(answer)]
    block = [*question, *turn, *(query_input(token, processor.ids) for token in answer)]
    follow = int(sequence.positions[0].max()) + 1
    sequence.ids += block
    sequence.positions.append((follow + torch.arange(len(block))).expand(3, -1))
    sequence.block += [number] * len(block)


def _pack(sequences: Sequence[_Sequence], processor: GeoAgentProcessor) -> PackedText:
    count, longest = len(sequences), max(len(s.ids) for s in sequences)
    input_ids = torch.full((count, longest), processor.ids.stops[0])
    positions = torch.zeros(3, count, longest, dtype=torch.long)
    block = torch.full((count, longest), -1)
    for row, sequence in enumerate(sequences):
        length = len(sequence.ids)
        input_ids[row, :length] = torch.tensor(sequence.ids)
        positions[:, row, :length] = torch.cat(sequence.positions, dim=1)
        block[row, :length] = torch.tensor(sequence.block)
    words = [places for sequence in sequences for places in sequence.words]
    word_index = torch.full((len(words), max((len(w) for w in words), default=0)), -1)
    for target, places in enumerate(words):
        word_index[target, : len(places)] = torch.tensor(places)
    answers = [(row, place, token) for row, s in enumerate(sequences) for place, token in s.answers]
    index = torch.tensor(answers, dtype=torch.long).view(-1, 3)
    return PackedText(
        input_ids=input_ids,
        position_ids=positions,
        attention_mask=block_mask(block),
        answer_index=index[:, :2],
        answer_labels=index[:, 2],
        word_index=word_index,
        query_index=torch.tensor([place for s in sequences for place in s.queries], dtype=torch.long),
        asked_index=torch.tensor([place for s in sequences for place in s.asked], dtype=torch.long),
        image=torch.tensor([row for row, s in enumerate(sequences) for _ in s.words], dtype=torch.long),
        task=torch.tensor([task for s in sequences for task in s.tasks], dtype=torch.long),
    )


def block_mask(block: Tensor) -> Tensor:
    """Who may look at whom, bool [B,1,S,S], from the block of each token [B,S]: 0 the image, 1… questions, -1 padding.

    A token sees the image and its own question up to itself; padding sees only itself, so that no row is empty.
    """
    rows, columns = block[:, :, None], block[:, None, :]
    order = torch.arange(block.shape[1])
    causal = order[:, None] >= order[None, :]
    allowed = causal & ((columns == 0) | (columns == rows)) & (rows >= 0)
    return (allowed | torch.eye(block.shape[1], dtype=torch.bool))[:, None]


def target_truth(targets: Sequence[LabelledTarget], side: int) -> TargetTruth:
    """Masks, weights and cores of targets on the grid of SAM2's low-resolution masks, [N,side,side]."""
    masks = [cover_of(t.mask, side) for t in targets]
    weights = [
        torch.ones(side, side) if t.ignore is None else (cover_of(t.ignore, side) < 0.5).float() for t in targets
    ]
    cores = [cover_of(core_truth(t.instances), side) if t.instances else torch.zeros(side, side) for t in targets]
    empty = torch.zeros(0, side, side)
    return TargetTruth(
        masks=torch.stack(masks) if masks else empty,
        weight=torch.stack(weights) if weights else empty,
        present=torch.tensor([t.present for t in targets], dtype=torch.bool),
        cores=torch.stack(cores) if cores else empty,
        cores_known=torch.tensor([bool(t.instances) for t in targets], dtype=torch.bool),
        class_names=tuple(t.class_name for t in targets),
    )
