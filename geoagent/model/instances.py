"""From the mask of a target to its single objects.

Objects that do not touch are connected components. For those that do, a small head predicts the *core* of each object
(its inside, away from the rim); the cores are the seeds of a watershed inside the mask. Without cores, a component is
parted where its outline is concave and the model is less sure of the seam than of either side.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import regionprops
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed
from torch import Tensor, nn
from torch.nn import functional

from geoagent.model.configuration import InstanceConfig
from geoagent.types import Instance, Mask

CORE_DEPTH = 0.5
"""A pixel is core when it lies deeper than this share of its object's greatest depth."""
_CONCAVE, _ROUND = 0.9, 0.85
"""Share of its convex hull below which a component may be several objects, and that parts have to fill of theirs."""
_SMALL = 12
"""Pixels of a component that is never parted."""
_DIP = 1.0
"""Logits by which a seam is less sure than either side of it."""
Labels = NDArray[np.signedinteger]
_EIGHT = np.ones((3, 3), dtype=bool)


class CoreHead(nn.Module):
    """Core logits [N,4He,4We] from the finest (modulated) features and the mask logits."""

    def __init__(self, config: InstanceConfig, fine_width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(fine_width + 1, config.width, kernel_size=3, padding=1),
            nn.GELU(),
            nn.Conv2d(config.width, config.width, kernel_size=3, padding=1),
            nn.GELU(),
            nn.Conv2d(config.width, 1, kernel_size=1),
        )

    def forward(self, fine: Tensor, mask_logits: Tensor) -> Tensor:
        """``fine`` [N,C,4He,4We], ``mask_logits`` [N,4He,4We] (taken as given: cores do not train masks)."""
        inside = mask_logits.detach().sigmoid()[:, None]
        cores: Tensor = self.layers(torch.cat([fine, inside.to(fine.dtype)], dim=1))[:, 0]
        return cores


def core_truth(instances: tuple[Instance, ...]) -> Mask:
    """Bool [H,W]: the cores of labelled objects."""
    height, width = instances[0].image_size
    cores = np.zeros((height, width), dtype=np.bool_)
    for instance in instances:
        inside = np.pad(instance.crop, 1).astype(np.uint8)
        depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
        x0, y0, x1, y1 = instance.box
        cores[y0:y1, x0:x1] |= depth > CORE_DEPTH * depth.max()
    return cores


def split_instances(
    mask: Mask, probability: NDArray[np.float32], cores: NDArray[np.float32] | None, *, min_area: int = 4
) -> tuple[Instance, ...]:
    """The objects of ``mask`` bool [H,W], largest first.

    Args:
        mask: Everything the target covers.
        probability: float [H,W] that each pixel belongs to the target; an object's score is its mean.
        cores: float [H,W] probability of being the core of an object; None: there are none.
        min_area: Smaller specks are noise, unless nothing else is there.
    """
    if not mask.any():
        return ()
    labels, count = ndimage.label(mask, structure=_EIGHT)
    if cores is not None:
        seeds, _ = ndimage.label((cores > 0.5) & mask, structure=_EIGHT)
        seeds, _ = _seed_every_component(labels, count, seeds)
        labels = watershed(-cores, markers=seeds, mask=mask)
    else:
        _part_concave(labels, count, probability)
    found = []
    for label, (rows, columns) in enumerate(_slices(labels), start=1):
        crop = labels[rows, columns] == label
        found.append((int(crop.sum()), rows, columns, crop))
    found.sort(key=lambda item: (-item[0], item[1].start, item[2].start))
    kept = [item for item in found if item[0] >= min_area] or found[:1]
    return tuple(
        Instance(
            id=number,
            box=(columns.start, rows.start, columns.stop, rows.stop),
            crop=crop,
            score=float(probability[rows, columns][crop].mean()),
            image_size=mask.shape,
        )
        for number, (_, rows, columns, crop) in enumerate(kept, start=1)
    )


def _seed_every_component(components: Labels, count: int, seeds: Labels) -> tuple[Labels, int]:
    """A component without any core is one object: it becomes its own seed."""
    seeded = np.zeros(count + 1, dtype=bool)
    seeded[np.unique(components[seeds > 0])] = True
    missing = ~seeded
    missing[0] = False
    offset = int(seeds.max())
    seeds = np.where(missing[components], components + offset, seeds)
    return seeds, int(seeds.max())


def _part_concave(labels: Labels, count: int, probability: NDArray[np.float32]) -> None:
    """Give the parts of ``count`` components numbers of their own, where they are several objects."""
    for region in regionprops(labels):
        if region.area < _SMALL or min(region.image.shape) < 3 or region.solidity >= _CONCAVE:
            continue
        inside = region.image
        sure = probability[region.slice].clip(1e-4, 1 - 1e-4)
        height = np.where(inside, np.log(sure / (1 - sure)), -np.float32(10))
        peaks = local_maxima(reconstruction(height - _DIP, height)) & inside
        seeds, tops = ndimage.label(peaks, structure=_EIGHT)
        if tops < 2:
            continue
        parts = watershed(-height, markers=seeds, mask=inside)
        if sum(part.area * part.solidity for part in regionprops(parts)) >= _ROUND * region.area:
            labels[region.slice][inside] = parts[inside] + count
            count += tops


def _slices(labels: Labels) -> list[tuple[slice, slice]]:
    """The bounding slices of labels 1…n; numbers are made dense first."""
    there = np.bincount(labels.ravel()) > 0
    there[0] = False
    labels[...] = np.cumsum(there)[labels] * there[labels]
    return [(rows, columns) for rows, columns in ndimage.find_objects(labels)]


def resize_logits(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Logits [N,h,w] at the image's own size [N,H,W]."""
    return functional.interpolate(logits[:, None].float(), size=size, mode="bilinear", align_corners=False)[:, 0]
