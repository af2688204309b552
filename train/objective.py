"""The training objective: every loss as a sum and what to divide it by, weighted into one number.

Sums are divided by counts over all ranks and accumulated batches, so that one rank with ten targets and another with
none do what a single rank with ten would.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import torch
from torch import Tensor, nn

from geoagent.data.class_maps import CLASS_NAMES
from geoagent.model import losses
from geoagent.model.auxiliary import UNKNOWN_CLASS, AuxiliaryHeads, class_loss, class_map_loss, class_vector_loss
from geoagent.model.grounding import Grounding
from geoagent.model.mllm import encode_images
from geoagent.model.pipeline import GeoAgentModel, ModelOutputs, collect_queries
from geoagent.model.tasks import Task
from train.batches import TrainBatch
from train.config import LossConfig


@dataclass(frozen=True)
class Counts:
    """What the sums are divided by."""

    tokens: float = 0.0
    targets: float = 0.0
    present: float = 0.0
    cores: float = 0.0
    classes: float = 0.0
    asked: float = 0.0
    batches: float = 1.0

    @classmethod
    def of(cls, batch: TrainBatch) -> "Counts":
        """Known from the batch before anything is run."""
        truth = batch.batch.truth
        return cls(
            tokens=len(batch.batch.inputs.text.answer_labels),
            targets=len(truth.present),
            present=float(truth.present.sum()),
            cores=float((truth.present & truth.cores_known).sum()),
            classes=float((batch.classes != UNKNOWN_CLASS).sum()),
            asked=float((_asked_classes(batch) != UNKNOWN_CLASS).sum()),
        )

    def tensor(self) -> Tensor:
        """float64 [7], to be summed over ranks."""
        return torch.tensor([getattr(self, f.name) for f in fields(self)], dtype=torch.float64)

    @classmethod
    def from_tensor(cls, values: Tensor) -> "Counts":
        """Back from `tensor`."""
        return cls(*values.tolist())


def _asked_classes(batch: TrainBatch) -> Tensor:
    """int64 [N]: the classes of targets that words ask for; what is pointed at no word tells."""
    return batch.classes.masked_fill(batch.batch.inputs.text.task == Task.INTERACTIVE, UNKNOWN_CLASS)


_DIVISOR: Mapping[str, str] = {
    "answer": "tokens",
    "bce": "present",
    "dice": "present",
    "coarse": "targets",
    "consistency": "targets",
    "objectness": "targets",
    "iou": "targets",
    "cores": "cores",
    "spatial": "present",
    "classes": "classes",
    "asked": "asked",
    "class_vectors": "classes",
    "class_maps": "batches",
}


_TOKENS_FIRST = 100
"""Steps in which a head that begins anew learns from a tower that knows its classes already, and not the reverse."""


class TrainedModule(nn.Module):
    """Model and auxiliary heads as one module: what Accelerate wraps. Its forward gives the sums of all losses."""

    def __init__(self, model: GeoAgentModel, *, auxiliary: bool, class_vectors: Tensor | None = None) -> None:
        """``class_vectors``: what is known already of the heads, see `train.recalling`."""
        super().__init__()
        self.recalled = class_vectors is not None
        self.model = model
        if model.config.meaning.classes and model.config.meaning.classes != CLASS_NAMES:
            raise ValueError("meaning.classes must be the table of classes, whose questions are trained on")
        self.heads = AuxiliaryHeads(model.config, len(CLASS_NAMES)) if auxiliary else None
        if self.heads is not None and class_vectors is not None:
            self.heads.set_class_vectors(class_vectors)

    def forward(self, batch: TrainBatch) -> dict[str, Tensor]:
        """Sum of each loss over this batch."""
        if batch.stage.towers_only:
            return self._towers(batch)
        if batch.stage.words_only:
            return self._words(batch)
        if batch.stage.reading_only:
            return self._reading(batch)
        output: ModelOutputs = self.model(batch.batch.inputs)
        sums = target_losses(output, batch)
        sums["answer"] = losses.answer_tokens(output.answer_logits, batch.batch.inputs.text.answer_labels).sum()
        sums |= self._asked(output.states, batch)
        if self.heads is not None:
            logits = self.heads(output.features, output.queries.state, teach_tokens=self._teaches(batch))
            sums["classes"] = class_loss(logits.classes, batch.classes).sum()
            maps = batch.maps
            sums["class_maps"] = class_map_loss(logits.fine, maps) + class_map_loss(logits.tokens, maps)
        return sums

    def _towers(self, batch: TrainBatch) -> dict[str, Tensor]:
        if self.heads is None:
            raise ValueError("towers_only trains on class maps, which need the auxiliary heads")
        inputs = batch.batch.inputs
        features = self.model.encode_images(inputs.pixel_values, inputs.grid_thw, inputs.sam_pixels)
        nothing = features.vision.merged[0].new_zeros(0, self.model.config.text_width)
        logits = self.heads(features, nothing, teach_tokens=self._teaches(batch))
        return {"class_maps": class_map_loss(logits.fine, batch.maps) + class_map_loss(logits.tokens, batch.maps)}

    def _words(self, batch: TrainBatch) -> dict[str, Tensor]:
        inputs = batch.batch.inputs
        # A picture of four tokens teaches a vision tower nothing, and the optimizer would take it as seriously as any.
        with torch.no_grad():
            vision = encode_images(self.model.mllm, inputs.pixel_values, inputs.grid_thw)
        states = self.model.read_packed(inputs.text, vision)
        state = collect_queries(states, inputs.text).state
        return self._said(states, batch) | self._asked(states, batch) | self._meant(state, batch)

    def _reading(self, batch: TrainBatch) -> dict[str, Tensor]:
        inputs, truth = batch.batch.inputs, batch.batch.truth
        pixels = None
        if self.model.sight is not None:
            with torch.no_grad():
                _, pixels = self.model.encode_pixels(inputs.sam_pixels)
        vision = self.model.encode_tokens(inputs.pixel_values, inputs.grid_thw, pixels)
        states = self.model.read_packed(inputs.text, vision)
        queries = collect_queries(states, inputs.text)
        coarse, grounding = self.model.locate_targets(queries, vision)
        sums = self._said(states, batch) | self._asked(states, batch) | self._meant(queries.state, batch)
        sums["coarse"] = _coarse(coarse, grounding, truth.masks, truth.weight)
        sums["consistency"] = _consistency(grounding, queries.state)
        if self.heads is not None:
            logits = self.heads.classify_tokens(vision, teach=self._teaches(batch))
            sums["class_maps"] = class_map_loss(logits, batch.maps)
        return sums

    def _teaches(self, batch: TrainBatch) -> bool:
        """Whether the head of the vision tower's tokens knows enough: of those that are recalled it alone does not."""
        return not self.recalled or batch.step >= _TOKENS_FIRST

    def _said(self, states: Tensor, batch: TrainBatch) -> dict[str, Tensor]:
        text = batch.batch.inputs.text
        return {"answer": losses.answer_tokens(self.model.answer_logits(states, text), text.answer_labels).sum()}

    def _asked(self, states: Tensor, batch: TrainBatch) -> dict[str, Tensor]:
        """Which class each question asks for, before a word of its answer stands, of which one or two would say it."""
        if self.model.meaning is None:
            return {}
        text = batch.batch.inputs.text
        logits = self.model.meaning(states[text.image, text.asked_index])
        return {"asked": class_loss(logits, _asked_classes(batch)).sum()}

    def _meant(self, state: Tensor, batch: TrainBatch) -> dict[str, Tensor]:
        """Which class each target's state [N,D] means, and whether its vector would find the pixels of that."""
        if self.heads is None:
            return {}
        sums = {"classes": class_loss(self.heads.classify_state(state), batch.classes).sum()}
        if self.model.pixel_map is not None:
            vectors = self.model.pixel_map.to_vector(state)
            sums["class_vectors"] = class_vector_loss(vectors, self.heads.class_vectors, batch.classes).sum()
        return sums


def target_losses(output: ModelOutputs, batch: TrainBatch) -> dict[str, Tensor]:
    """Sums of the losses of targets. What is absent has an empty coarse map and object score 0, but no mask loss."""
    truth, found = batch.batch.truth, output.targets
    present = truth.present.float()
    masks, weight = truth.masks, truth.weight
    logits = found.masks.logits.float()
    cores = losses.mask_bce(found.cores.float(), truth.cores, weight) * (present * truth.cores_known)
    return {
        "bce": (losses.mask_bce(logits, masks, _balanced(masks, weight)) * present).sum(),
        "dice": (losses.mask_dice(logits, masks, weight) * present).sum(),
        "iou": (losses.iou_score(found.masks.iou.float(), logits, masks, weight) * present).sum(),
        "objectness": losses.object_score(found.masks.objectness.float(), truth.present).sum(),
        "cores": cores.sum(),
        "coarse": _coarse(found.coarse, found.grounding, masks, weight),
        "consistency": _consistency(found.grounding, output.queries.state),
        **({} if output.seg_attention is None else {"spatial": _spatial(output, output.seg_attention, masks)}),
    }


def _balanced(masks: Tensor, weight: Tensor) -> Tensor:
    """What is absent has no pixels to favour: its weights stay."""
    return losses.balanced_weight(masks.flatten(1), weight.flatten(1)).view_as(weight)


_Grounded: TypeAlias = Sequence[tuple[Tensor, Grounding]]
"""Of groups of targets, as in `SegmentedTargets`."""


def _coarse(coarse: Sequence[Tensor | None], grounded: _Grounded, masks: Tensor, weight: Tensor) -> Tensor:
    total = masks.new_zeros(())
    for targets, grounding in grounded:
        size = (int(grounding.visual.shape[1]), int(grounding.visual.shape[2]))
        maps = [coarse[i] for i in targets.tolist()]
        if maps and maps[0] is not None:
            logits = torch.stack([m for m in maps if m is not None]).float()
            known = losses.area_average(weight[targets], size)
            cover = losses.area_average(masks[targets] * weight[targets], size) / known.clamp(min=1e-6)
            known = (known > 0.5).float()
            total = total + losses.mask_bce(logits, cover, _balanced(cover, known)).sum()
            total = total + losses.mask_dice(logits, cover, known).sum()
    return total


def _consistency(grounded: _Grounded, state: Tensor) -> Tensor:
    total = state.new_zeros((), dtype=torch.float)
    for _, grounding in grounded:
        if grounding.word_attention is not None and grounding.word_overlap is not None:
            total = (
                total
                + losses.structural_consistency(
                    grounding.word_attention.float(), grounding.word_overlap.float(), grounding.mask
                ).sum()
            )
    return total


def _spatial(output: ModelOutputs, looks: Sequence[Tensor], masks: Tensor) -> Tensor:
    total = output.queries.state.new_zeros((), dtype=torch.float)
    for targets, _ in output.targets.grounding:
        attention = torch.stack([looks[i] for i in targets.tolist()])
        cover = losses.area_average(masks[targets], (int(attention.shape[1]), int(attention.shape[2])))
        # What is smaller than a token still has the token that it covers most.
        inside = cover / cover.amax(dim=(1, 2), keepdim=True).clamp(min=1e-6)
        total = total + losses.spatial_attention(attention.flatten(1), inside.flatten(1)).sum()
    return total


def weighted(sums: Mapping[str, Tensor], counts: Counts, config: LossConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """The number to minimise, and each loss divided by its count (for the log)."""
    means = {name: value / max(getattr(counts, _DIVISOR[name]), 1.0) for name, value in sums.items()}
    total = torch.stack([getattr(config, name) * value.float() for name, value in means.items()]).sum()
    return total, {name: value.detach() for name, value in means.items()}
