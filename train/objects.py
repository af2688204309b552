"""Learning to see objects as wholes: what class maps show in training images, and what it really is.

The objects are those that a model finds, its mistakes above all, and not those that the labels have: they are what
`geoagent.model.recognition` will be asked about.

Shapes: M objects, F what is pooled of each, K classes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from geoagent.data.class_maps import CLASS_NAMES, THING_NAMES, class_maps
from geoagent.model.auxiliary import ClassMaps
from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.processor import GeoAgentProcessor
from geoagent.model.recognition import ObjectRecognition, pool
from geoagent.types import AnnotatedScene, Box, Mask

VIEW = 512
"""Side of the views, which SAM2 sees as they are."""
_SIDE = VIEW // 2
"""Of the maps in which objects are looked for."""
_COLUMNS = [CLASS_NAMES.index(name) for name in THING_NAMES]
_MOST = 12
"""Objects of one class in one view: else most of all would be trees."""
_LEAST = 2
"""Pixels of a map that an object has at least."""
_BATCH, _RATE, _DECAY = 512, 2e-3, 0.1
_ASKED = 12.0
"""What the class that was asked for counts, beside those that nobody asked for."""
_DROPPED = 0.15
_EIGHT = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class FoundObjects:
    """Objects with what they are."""

    pooled: Tensor
    """float16 [M,F]."""
    labels: Tensor
    """int8 [M,K]: 1 or 0, -1 where the labels of the image do not tell."""
    asked: Tensor
    """int64 [M]: the class in whose map each was found."""

    @classmethod
    def joined(cls, some: Iterable["FoundObjects"]) -> "FoundObjects":
        """All of them."""
        parts = list(some)
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in ("pooled", "labels", "asked")))


@dataclass(frozen=True)
class LabelledView:
    """A view and where its classes are."""

    image: NDArray[np.uint8]
    maps: ClassMaps

    @classmethod
    def of(cls, scene: AnnotatedScene) -> "LabelledView":
        """Of a square scene."""
        return cls(np.ascontiguousarray(scene.image), class_maps([scene], _SIDE))


@torch.inference_mode()
def find_objects(
    model: GeoAgentModel, processor: GeoAgentProcessor, vectors: Tensor, view: LabelledView, rng: np.random.Generator
) -> FoundObjects:
    """What the class maps of a view show; ``vectors`` [K,E+1] are those of `train.recalling`."""
    _, pixels = model.encode_pixels(processor.with_sizes(sam=VIEW).images([view.image]).sam_pixels)
    assert pixels is not None
    some = vectors[_COLUMNS]
    maps = torch.einsum("ehw,ke->khw", pixels[0], some[:, :-1]) + some[:, -1, None, None]
    drawn = functional.interpolate(maps[None], size=(_SIDE, _SIDE), mode="bilinear")[0].numpy() > 0
    pooled = [torch.zeros(0, 3 * len(pixels[0]) + 3)]
    labels = [torch.zeros(0, len(THING_NAMES))]
    asked = []
    for number, where in enumerate(drawn):
        for box, crop in _components(where, rng):
            label = _what_it_is(view.maps, box, crop)
            if label[number] >= 0:
                pooled.append(pool(pixels[0], box, crop, (_SIDE, _SIDE))[None])
                labels.append(torch.from_numpy(label)[None])
                asked.append(number)
    return FoundObjects(
        torch.cat(pooled).half(), torch.cat(labels).to(torch.int8), torch.tensor(asked, dtype=torch.long)
    )


def _components(where: Mask, rng: np.random.Generator) -> Iterator[tuple[Box, Mask]]:
    """Some of the objects that a map shows."""
    components, count = ndimage.label(where, structure=_EIGHT)
    places = ndimage.find_objects(components)
    for number in rng.permutation(count)[:_MOST]:
        rows, columns = places[number]
        crop = components[rows, columns] == number + 1
        if crop.sum() >= _LEAST:
            yield (columns.start, rows.start, columns.stop, rows.stop), crop


def _what_it_is(maps: ClassMaps, box: Box, crop: Mask) -> NDArray[np.float32]:
    """Float32 [K]: 1 for classes that cover most of an object, 0 for others, -1 where nobody knows."""
    x0, y0, x1, y1 = box
    inside = torch.from_numpy(crop)
    cover, known = (m[0, _COLUMNS, y0:y1, x0:x1][:, inside].float().numpy() for m in (maps.cover, maps.weight))
    there = (cover * known).sum(axis=1) / 255 / known.sum(axis=1).clip(min=1)
    return np.where(known.mean(axis=1) < 0.5, -1, there > 0.5).astype(np.float32)


def learn_objects(recognition: ObjectRecognition, found: FoundObjects, steps: int, seed: int = 0) -> None:
    """Teach a network that knows `THING_NAMES` what the objects are that were ``found``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _learn(recognition, found, steps)


def _learn(recognition: ObjectRecognition, found: FoundObjects, steps: int) -> None:
    mean, spread = found.pooled.float().mean(dim=0), found.pooled.float().std(dim=0).clamp(min=1e-3)
    read, classify = recognition.read, recognition.classify
    read.reset_parameters()  # what was learned before is for inputs that are not normalised
    nn.init.xavier_uniform_(classify.weight)
    nn.init.zeros_(classify.bias)
    optimizer = torch.optim.AdamW(recognition.parameters(), lr=_RATE, weight_decay=_DECAY)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * (1 - step / steps)
        chosen = torch.randint(len(found.asked), (_BATCH,))
        inputs = functional.dropout((found.pooled[chosen].float() - mean) / spread, 0.5 * _DROPPED)
        logits = classify(functional.dropout(functional.gelu(read(inputs)), _DROPPED))
        labels = found.labels[chosen]
        weight = (labels >= 0).float()
        weight[torch.arange(_BATCH), found.asked[chosen]] *= _ASKED
        losses = functional.binary_cross_entropy_with_logits(logits, labels.clamp(min=0).float(), reduction="none")
        optimizer.zero_grad()
        ((losses * weight).sum() / weight.sum()).backward()
        optimizer.step()
    with torch.no_grad():  # what comes in is not normalised: the first layer does that
        read.weight.div_(spread)
        read.bias.sub_(read.weight @ mean)


def told_apart(recognition: ObjectRecognition, found: FoundObjects) -> float:
    """How often a right object has the higher logit of its class than a wrong one: the area under the ROC curve."""
    with torch.inference_mode():
        logits = recognition(found.pooled.float())
    rows = torch.arange(len(found.asked))
    own, right = logits[rows, found.asked].numpy(), found.labels[rows, found.asked].numpy() > 0
    rank = own.argsort().argsort()[right] + 1
    hits = int(right.sum())
    return float((rank.sum() - hits * (hits + 1) / 2) / max(hits * (len(own) - hits), 1))
