"""From the answers about tiles to one raster of labelled objects for each phrase, row of tiles by row of tiles."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoagent.geo.mask_file import UNSEEN, Ids, IdWriter
from geoagent.geo.seams import SeamMerger, Things
from geoagent.geo.tiling import Tile, TileGrid, blend
from geoagent.large.journal import TileAnswer
from geoagent.types import ImageInfo, Mask

MIN_AREA = 4
"""Objects of fewer pixels are noise unless nothing else is there, as `geoagent.model.instances` has it."""
Row = Sequence[TileAnswer]
Labels = NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class ComposedPhrase:
    """One phrase over the whole image."""

    path: Path
    """Raster of labels; `Things.number` says which object each belongs to."""
    things: Things
    score: float


class _PhraseRun:
    """A phrase while its raster is being written, tile by tile."""

    def __init__(self, index: int, grid: TileGrid, threshold: float, writer: IdWriter, *, separate: bool) -> None:
        self.index, self.grid, self.threshold, self.writer = index, grid, threshold, writer
        self.seams = SeamMerger(separate=separate)
        self._left: _Edge | None = None
        """What the tile before this one of the same row left at their seam."""
        self._above, self._top, self._bottom = (_Edge.empty(grid.size[1]) for _ in range(3))
        """The lower edge of the row of tiles above, and both edges of this one."""
        self._best, self._weighted, self._pixels = 0.0, 0.0, 0

    def add(self, tile: Tile, rows: dict[int, Row], seen: Mask) -> None:
        """Compose the territory of a tile, join it with what lies left and above, and write it."""
        (x0, y0, x1, y1), (left, top, _, _) = tile.territory, tile.window
        labels = self._labels(rows[tile.row][tile.column], tile) if self.seams.separate else None
        own = None if labels is None else labels[y0 - top : y1 - top, x0 - left : x1 - left]
        ids = self._block(tile, rows, seen, own)
        if self._left is not None:
            mine = _lines(labels, x0 - left, slice(y0 - top, y1 - top), axis=1)
            self.seams.join(self._left.ids, ids[:, 0], self._votes(self._left.labels, mine))
        lines = _lines(labels, x1 - left, slice(y0 - top, y1 - top), axis=1)
        self._left = _Edge(ids[:, -1].copy(), lines)
        columns = slice(x0 - left, x1 - left)
        self._top.enter(x0, ids[0], _lines(labels, y0 - top, columns, axis=0))
        self._bottom.enter(x0, ids[-1], _lines(labels, y1 - top, columns, axis=0))
        if x1 == self.grid.size[1]:
            self._end_row(first=tile.row == 0)
        ids[~seen] = UNSEEN
        self.writer.put(ids)

    def _end_row(self, *, first: bool) -> None:
        if not first:
            self.seams.join(self._above.ids, self._top.ids, self._votes(self._above.labels, self._top.labels))
        self._above, self._bottom, self._left = self._bottom, self._above, None

    def finish(self) -> tuple[Things, float]:
        """The objects, and the score of the phrase: that of the tiles that show it, by their share of it."""
        return self.seams.merge(MIN_AREA), self._weighted / self._pixels if self._pixels else self._best

    def _block(self, tile: Tile, rows: dict[int, Row], seen: Mask, own: Labels | None) -> Ids:
        parts = []
        for row, column in self.grid.neighbours(tile):
            answer = rows[row][column]
            if answer.state == "answered":
                parts.append((row, column, self._judged(answer)))
        if not any((logits > 0).any() for _, _, logits in parts):
            self._note(rows[tile.row][tile.column], 0)
            return np.zeros(seen.shape, dtype=np.uint32)
        logits, _ = blend(self.grid, tile.territory, parts)
        mask = (logits > 0) & seen
        self._note(rows[tile.row][tile.column], int(np.count_nonzero(mask)))
        x0, y0 = tile.territory[:2]
        probability = np.reciprocal(1.0 + np.exp(-logits)).astype(np.float32)
        return self.seams.label(mask, probability, x0, y0, own)

    def _judged(self, answer: TileAnswer) -> NDArray[np.float32]:
        """Logits of a tile; where it does not see the thing, it votes against it as firmly as its score says."""
        phrase = answer.phrases[self.index]
        logits = phrase.logits.astype(np.float32)
        doubt = _logit(phrase.score) - _logit(self.threshold)
        return np.minimum(logits, doubt) if doubt < 0 else logits

    def _note(self, answer: TileAnswer, pixels: int) -> None:
        if answer.state == "answered":
            score = answer.phrases[self.index].score
            self._best = max(self._best, score)
            if score >= self.threshold:
                self._weighted += score * pixels
                self._pixels += pixels

    def _labels(self, answer: TileAnswer, tile: Tile) -> Labels:
        """The labels that a tile gave to its objects, all 0 where it has none."""
        labels = answer.phrases[self.index].labels if answer.state == "answered" else None
        if labels is None:
            return np.zeros((tile.window[3] - tile.window[1], tile.window[2] - tile.window[0]), np.uint16)
        return labels.array()

    def _votes(self, first: Labels, second: Labels) -> NDArray[np.float32] | None:
        """Mean opinion of two tiles, each with its labels [2,n] on both sides of their seam: is it one object?"""
        if not self.seams.separate:
            return None
        opinions = [(lines[0] == lines[1]) & (lines[0] > 0) for lines in (first, second)]
        return np.mean(opinions, axis=0, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Edge:
    """What lies along one side of a seam."""

    ids: Ids
    """[n] of the last line of pixels."""
    labels: Labels
    """[2,n] that the tile gave to this line and to the one beyond the seam."""

    @classmethod
    def empty(cls, length: int) -> "_Edge":
        return cls(np.zeros(length, np.uint32), np.zeros((2, length), np.uint16))

    def enter(self, start: int, ids: Ids, labels: Labels) -> None:
        """The part of a tile."""
        self.ids[start : start + len(ids)], self.labels[:, start : start + len(ids)] = ids, labels


def _lines(labels: Labels | None, at: int, along: slice, *, axis: int) -> Labels:
    """A tile's labels [2,n] before and behind a line of its own; all 0 where one of them lies outside of it."""
    if labels is None or not 0 < at < labels.shape[axis]:
        return np.zeros((2, along.stop - along.start), np.uint16)
    return labels[at - 1 : at + 1, along] if axis == 0 else labels[along, at - 1 : at + 1].T


def compose(
    grid: TileGrid,
    read_row: Callable[[int], Row],
    info: ImageInfo,
    paths: Sequence[Path],
    threshold: float,
    separate: Sequence[bool],
) -> tuple[list[ComposedPhrase], int]:
    """Blend, label and merge every phrase, and write its labels to ``paths``.

    ``separate`` says of each phrase whether any tile brings its own division into objects.

    Three rows of answers are held at a time, but of the pixels only a tile and less than a row of blocks.

    Returns:
        What was composed, and the number of pixels that were looked at.
    """
    looked = 0
    with ExitStack() as stack:
        writers = [stack.enter_context(IdWriter(path, info)) for path in paths]
        runs = [_PhraseRun(k, grid, threshold, writer, separate=separate[k]) for k, writer in enumerate(writers)]
        rows: dict[int, Row] = {}
        for row in range(grid.shape[0]):
            about = grid.rows_about(row)
            rows = {r: rows[r] if r in rows else read_row(r) for r in about}
            for tile in grid.row(row):
                seen = _seen(grid, tile, rows)
                looked += int(np.count_nonzero(seen))
                for run in runs:
                    run.add(tile, rows, seen)
        finished = [run.finish() for run in runs]
    composed = [ComposedPhrase(path, things, score) for path, (things, score) in zip(paths, finished, strict=True)]
    return composed, looked


def _seen(grid: TileGrid, tile: Tile, rows: dict[int, Row]) -> Mask:
    """bool [h,w] of a territory: pixels that hold a picture and that some tile answered about."""
    (x0, y0, x1, y1), (left, top, _, _) = tile.territory, tile.window
    own = rows[tile.row][tile.column]
    valid = np.ones((y1 - y0, x1 - x0), dtype=np.bool_)
    if own.state == "empty":
        return ~valid
    if own.valid is not None:
        valid &= own.valid.array()[y0 - top : y1 - top, x0 - left : x1 - left]
    if own.state == "failed":
        nothing = np.zeros((1, 1), dtype=np.float32)
        others = [(r, c, nothing) for r, c in grid.neighbours(tile) if rows[r][c].state == "answered"]
        valid &= blend(grid, tile.territory, others)[1]
    return valid


def _logit(share: float) -> float:
    share = min(max(share, 1e-4), 1 - 1e-4)
    return float(np.log(share / (1 - share)))
