"""Objects of a large image, labelled block by block and merged where blocks meet.

Every block numbers its objects onwards from the last; what belongs together over a seam is noted as a pair, and at the
end the connected groups of pairs are the objects of the whole image. Only numbers are held, never pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components
from skimage.segmentation import watershed

from geoagent.geo.mask_file import UNSEEN, Ids
from geoagent.types import Mask

_EIGHT = np.ones((3, 3), dtype=np.bool_)
_AGREED = 0.5
"""Two pieces are one object where the tiles on both sides say so about this part of their contact."""

Floats = NDArray[np.float64]
Labels = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Things:
    """The objects of one phrase in the whole image, largest first: arrays over N objects."""

    number: Ids
    """uint32 [labels + 1]: which object (from 1) a label of the raster belongs to; 0: none, a speck."""
    area: NDArray[np.int64]
    """[N] pixels."""
    boxes: NDArray[np.int64]
    """[N,4]."""
    centres: Floats
    """[N,2] x and y of the middle of its pixels."""
    scores: Floats
    """[N] mean probability of its pixels."""

    def __len__(self) -> int:
        return len(self.area)


class SeamMerger:
    """Collects labelled blocks and their contacts.

    Args:
        separate: Labels come from each tile's own splitting, so that contact alone does not make two pieces one.
    """

    def __init__(self, *, separate: bool = False) -> None:
        self.separate = separate
        self._count = 0
        self._sizes: list[Floats] = []
        self._boxes: list[NDArray[np.int64]] = []
        self._pairs: list[NDArray[np.int64]] = []

    def label(
        self, mask: Mask, probability: NDArray[np.float32], left: int, top: int, own: Labels | None = None
    ) -> Ids:
        """Number the objects of a block.

        Args:
            mask: bool [h,w] of the block.
            probability: float32 [h,w].
            left: Its first column in the image.
            top: Its first row.
            own: The tile's own labels [h,w], for separate objects.
        """
        if not mask.any():
            return np.zeros(mask.shape, dtype=np.uint32)
        local = ndimage.label(mask, structure=_EIGHT)[0] if own is None else _divided(mask, own)
        places = ndimage.find_objects(local)
        rows, columns = np.nonzero(local)
        labels = local[rows, columns] - 1
        weights = (None, columns + left + 0.5, rows + top + 0.5, probability[rows, columns].astype(np.float64))
        self._sizes.append(np.stack([np.bincount(labels, w, minlength=len(places)) for w in weights], axis=1))
        self._boxes.append(np.array([(x.start + left, y.start + top, x.stop + left, y.stop + top) for y, x in places]))
        ids = np.where(local > 0, local + self._count, 0).astype(np.uint32)
        self._count += len(places)
        if self._count >= UNSEEN:
            raise OverflowError("more pieces than a raster of ids can number")
        return ids

    def join(self, first: Ids, second: Ids, agreement: NDArray[np.float32] | None = None) -> None:
        """Note what touches over a seam between two lines of ids [n].

        Args:
            first: The last line on one side.
            second: The first line on the other.
            agreement: float32 [n], for separate objects: the part of the tiles that see one object in both pixels.
        """
        if agreement is None:
            steps = (0, 1, -1)
            lines = [
                (first[max(0, -s) : len(first) - max(0, s)], second[max(0, s) : len(second) + min(0, s)]) for s in steps
            ]
            pairs = np.concatenate([np.stack(line, axis=1) for line in lines])
            pairs = np.unique(pairs[_labelled(pairs)], axis=0)
        else:
            pairs = _agreed(np.stack([first, second], axis=1), agreement)
        if len(pairs):
            self._pairs.append(pairs.astype(np.int64))

    def merge(self, min_area: int) -> Things:
        """The objects of the whole; those of fewer pixels than ``min_area`` are noise unless nothing else is there."""
        if not self._count:
            none, nowhere = np.zeros(0, np.int64), np.zeros((0, 4), np.int64)
            return Things(np.zeros(1, np.uint32), none, nowhere, np.zeros((0, 2)), np.zeros(0))
        pairs = np.concatenate([np.zeros((0, 2), np.int64), *self._pairs]) - 1
        links = sparse.coo_matrix((np.ones(len(pairs), np.bool_), pairs.T), shape=(self._count, self._count))
        count, group = connected_components(links, directed=False)
        pieces, corners = np.concatenate(self._sizes), np.concatenate(self._boxes)
        sums = np.stack([np.bincount(group, column, minlength=count) for column in pieces.T], axis=1)
        boxes = np.tile(np.array([np.iinfo(np.int64).max] * 2 + [0, 0]), (count, 1))
        for side, extreme in enumerate((np.minimum, np.minimum, np.maximum, np.maximum)):
            extreme.at(boxes[:, side], group, corners[:, side])
        area = sums[:, 0].round().astype(np.int64)
        order = np.lexsort((boxes[:, 0], boxes[:, 1], -area))
        kept = order[area[order] >= min_area] if (area >= min_area).any() else order[:1]
        number = np.zeros(count, dtype=np.uint32)
        number[kept] = np.arange(1, len(kept) + 1)
        means = sums[kept, 1:] / sums[kept, :1]
        return Things(
            np.concatenate([[0], number[group]]).astype(np.uint32), area[kept], boxes[kept], means[:, :2], means[:, 2]
        )


def _labelled(pairs: NDArray[np.integer]) -> Mask:
    return np.asarray(((pairs > 0) & (pairs != UNSEEN)).all(axis=1))


def _divided(mask: Mask, own: Labels) -> Labels:
    """A block's mask divided as its tile divides it; pixels that only the neighbours saw go to what they touch."""
    markers = np.where(mask, own, 0).astype(np.int32)
    components, count = ndimage.label(mask, structure=_EIGHT)
    marked = np.zeros(count + 1, dtype=np.bool_)
    marked[components[markers > 0]] = True
    alone = ~marked[components] & mask
    markers[alone] = components[alone] + markers.max()
    flooded = watershed(np.zeros(mask.shape, np.uint8), markers=markers, mask=mask, connectivity=2)
    dense = np.unique(np.append(flooded.ravel(), 0), return_inverse=True)[1][:-1]
    divided: Labels = dense.reshape(mask.shape)
    return divided


def _agreed(pairs: NDArray[np.integer], agreement: NDArray[np.float32]) -> NDArray[np.integer]:
    """Of touching pieces, those that the tiles take for one object, and each with the one it shares most with."""
    touching = _labelled(pairs)
    unique, where = np.unique(pairs[touching], axis=0, return_inverse=True)
    where = where.ravel()
    contact = np.bincount(where, minlength=len(unique))
    votes = np.bincount(where, agreement[touching], minlength=len(unique))
    same = votes >= _AGREED * contact
    unique, contact = unique[same], contact[same]
    best = np.ones(len(unique), dtype=np.bool_)
    for side in (0, 1):
        order = np.lexsort((-contact, unique[:, side]))
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = unique[order[1:], side] != unique[order[:-1], side]
        best[order[~first]] = False
    kept: NDArray[np.integer] = unique[best]
    return kept
