"""Where each known class is in a scene, as far as the labels say: the truth of the dense auxiliary loss."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from geoagent.data.classes import CLASSES, is_complete, lookalikes, members
from geoagent.model.auxiliary import UNKNOWN_CLASS, ClassMaps
from geoagent.types import AnnotatedScene, SceneObject

CLASS_NAMES: tuple[str, ...] = tuple(CLASSES)
THING_NAMES = tuple(name for name in CLASS_NAMES if CLASSES[name].kind == "thing")
"""Classes whose objects are told apart, without parts."""
_NUMBER = {name: number for number, name in enumerate(CLASS_NAMES)}
_INSIDE = {name: [_NUMBER[c] for c in CLASS_NAMES if name in members(c)] for name in CLASS_NAMES}
"""Maps that an object of a class is drawn into: a bus is a large vehicle and a vehicle too."""
_UNSURE = {name: [_NUMBER[c] for c in CLASS_NAMES if name in lookalikes(c)] for name in CLASS_NAMES}
"""Maps in which an object of a class is left unjudged: a greenhouse on the map of buildings."""


def class_number(name: str | None) -> int:
    """The index of a class in `CLASS_NAMES`, `UNKNOWN_CLASS` where there is none."""
    return UNKNOWN_CLASS if name is None else _NUMBER.get(name, UNKNOWN_CLASS)


def class_maps(scenes: Sequence[AnnotatedScene | None], side: int) -> ClassMaps:
    """Class maps of B images, [B,K,side,side]; None is an image of which nothing is known."""
    count = len(CLASS_NAMES)
    cover = torch.zeros(len(scenes), count, side, side, dtype=torch.uint8)
    weight = torch.zeros_like(cover)
    for i, scene in enumerate(scenes):
        if scene is not None:
            cover[i], weight[i] = _one(scene, side)
    return ClassMaps(cover, weight)


def _one(scene: AnnotatedScene, side: int) -> tuple[Tensor, Tensor]:
    """Cover and weight uint8 [K,side,side] of a scene. Drawn at its own size, class by class, to stay small."""
    known = np.array([is_complete(name, scene.complete | scene.labelled) for name in CLASS_NAMES])
    cover = torch.zeros(len(CLASS_NAMES), side, side)
    weight = torch.from_numpy(known).float()[:, None, None].expand(-1, side, side).clone()
    drawn: dict[int, NDArray[np.uint8]] = {}
    unsure: dict[int, NDArray[np.uint8]] = {}
    for thing in _with_parts(scene.objects):
        for number in _INSIDE[thing.class_name]:
            _paint(drawn, number, scene.size, thing, thing.crop)
        for number in _UNSURE[thing.class_name]:
            _paint(unsure, number, scene.size, thing, thing.crop)
        if thing.ignore is not None:
            for number in _INSIDE[thing.class_name]:
                _paint(unsure, number, scene.size, thing, thing.ignore & ~thing.crop)
    for number, mask in unsure.items():
        weight[number][cover_of(mask, side) > 0.1] = 0
    for number, mask in drawn.items():
        cover[number] = cover_of(mask, side)
        weight[number][cover[number] > 0.5] = 1
    if scene.ignore is not None:
        weight[:, cover_of(scene.ignore.astype(np.uint8), side) > 0.5] = 0
    return (cover * 255).round().to(torch.uint8), weight.to(torch.uint8)


def _with_parts(objects: Sequence[SceneObject]) -> list[SceneObject]:
    return [thing for whole in objects for thing in (whole, *_with_parts(whole.parts))]


def _paint(
    maps: dict[int, NDArray[np.uint8]], number: int, size: tuple[int, int], thing: SceneObject, crop: NDArray[np.bool_]
) -> None:
    if number not in maps:
        maps[number] = np.zeros(size, dtype=np.uint8)
    x0, y0, x1, y1 = thing.box
    maps[number][y0:y1, x0:x1] |= crop


def cover_of(mask: NDArray[Any], side: int) -> Tensor:
    """Float [side,side]: the share of each cell that ``mask`` [H,W] covers."""
    height, width = mask.shape
    if height % side or width % side:
        return functional.adaptive_avg_pool2d(torch.from_numpy(mask)[None].float(), (side, side))[0]
    # The same numbers five times faster; loaders do little else.
    return torch.from_numpy(cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA))
