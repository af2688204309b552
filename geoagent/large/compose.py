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
    """A phrase while its raster is being written."""

    def __init__(self, index: int, grid: TileGrid, threshold: float, writer: IdWriter, *, separate: bool) -> None:
        self.index, self.grid, self.threshold, self.writer = index, grid, threshold, writer
        self.seams = SeamMerger(separate=separate)
        self._above: Ids | None = None
        self._above_votes: Sequence[NDArray[np.uint16]] = ()
        self._best, self._weighted, self._pixels = 0.0, 0.0, 0

    def add_row(self, row: int, rows: dict[int, Row], seen_row: Sequence[Mask]) -> None:
        """Compose the territories of a row of tiles and write them."""
        tiles = self.grid.row(row)
        blocks = [self._block(tile, rows, seen) for tile, seen in zip(tiles, seen_row, strict=True)]
        for left, right, ids, others in zip(tiles, tiles[1:], blocks, blocks[1:], strict=False):
            votes = self._votes_across(left, right, rows[row]) if self.seams.separate else None
            self.seams.join(ids[:, -1], others[:, 0], votes)
        band = np.concatenate(blocks, axis=1)
        top_votes = self._lines(tiles, rows[row], bottom=False) if self.seams.separate else ()
        if self._above is not None:
            votes = _votes(self._above_votes, top_votes) if self.seams.separate else None
            self.seams.join(self._above, band[0], votes)
        self._above = band[-1].copy()
        self._above_votes = self._lines(tiles, rows[row], bottom=True) if self.seams.separate else ()
        for n, seen in enumerate(seen_row):
            blocks[n][~seen] = UNSEEN
        self.writer.write(np.concatenate(blocks, axis=1))

    def finish(self) -> tuple[Things, float]:
        """The objects, and the score of the phrase: that of the tiles that show it, by their share of it."""
        return self.seams.merge(MIN_AREA), self._weighted / self._pixels if self._pixels else self._best

    def _block(self, tile: Tile, rows: dict[int, Row], seen: Mask) -> Ids:
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
        return self.seams.label(mask, probability, x0, y0, self._own(tile, rows[tile.row], seen))

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

    # ------------------------------------------------------------------------------------------- separate objects

    def _own(self, tile: Tile, row: Row, seen: Mask) -> Labels | None:
        """The labels that a tile gave to the objects in its territory."""
        if not self.seams.separate:
            return None
        (x0, y0, x1, y1), (left, top, _, _) = tile.territory, tile.window
        labels = self._labels(tile, row)
        return np.zeros(seen.shape, np.uint16) if labels is None else labels[y0 - top : y1 - top, x0 - left : x1 - left]

    def _labels(self, tile: Tile, row: Row) -> Labels | None:
        answer = row[tile.column]
        return answer.phrases[self.index].labels if answer.state == "answered" else None

    def _votes_across(self, left: Tile, right: Tile, row: Row) -> NDArray[np.float32]:
        """Per pixel of the seam between two tiles of a row: the part of them that see one object on both sides."""
        _, y0, cut, y1 = left.territory
        lines = []
        for tile in (left, right):
            labels = self._labels(tile, row)
            at, rows = cut - tile.window[0], slice(y0 - tile.window[1], y1 - tile.window[1])
            empty = np.zeros((y1 - y0, 2), np.uint16)
            lines.append(empty if labels is None else labels[rows, at - 1 : at + 1])
        return _votes(list(lines[0].T), list(lines[1].T))

    def _lines(self, tiles: Sequence[Tile], row: Row, *, bottom: bool) -> list[Labels]:
        """The labels just inside and outside a row of territories, along its lower or upper edge: two lines [W]."""
        lines: list[Labels] = []
        for tile in tiles:
            x0, y0, x1, y1 = tile.territory
            labels = self._labels(tile, row)
            at, columns = (y1 if bottom else y0) - tile.window[1], slice(x0 - tile.window[0], x1 - tile.window[0])
            edge = labels is None or at - 1 < 0 or at >= labels.shape[0]
            lines.append(
                np.zeros((2, x1 - x0), np.uint16) if labels is None or edge else labels[at - 1 : at + 1, columns]
            )
        return list(np.concatenate(lines, axis=1))


def compose(
    grid: TileGrid,
    read_row: Callable[[int], Row],
    info: ImageInfo,
    paths: Sequence[Path],
    threshold: float,
) -> tuple[list[ComposedPhrase], int]:
    """Blend, label and merge every phrase, and write its labels to ``paths``.

    Three rows of answers are held at a time, and one row of pixels for each phrase.

    Returns:
        What was composed, and the number of pixels that were looked at.
    """
    looked = 0
    separate = _told_apart(grid, read_row, len(paths))
    with ExitStack() as stack:
        writers = [stack.enter_context(IdWriter(path, info)) for path in paths]
        runs = [_PhraseRun(k, grid, threshold, writer, separate=separate[k]) for k, writer in enumerate(writers)]
        rows: dict[int, Row] = {}
        for row in range(grid.shape[0]):
            about = grid.rows_about(row)
            rows = {r: rows[r] if r in rows else read_row(r) for r in about}
            seen = [_seen(grid, tile, rows) for tile in grid.row(row)]
            looked += sum(int(np.count_nonzero(part)) for part in seen)
            for run in runs:
                run.add_row(row, rows, seen)
        finished = [run.finish() for run in runs]
    composed = [ComposedPhrase(path, things, score) for path, (things, score) in zip(paths, finished, strict=True)]
    return composed, looked


def _told_apart(grid: TileGrid, read_row: Callable[[int], Row], phrases: int) -> list[bool]:
    """For each phrase, whether any tile brings its own division into objects."""
    found = [False] * phrases
    for row in range(grid.shape[0]):
        for answer in read_row(row):
            for k, phrase in enumerate(answer.phrases):
                found[k] |= phrase.labels is not None
        if all(found):
            break
    return found


def _seen(grid: TileGrid, tile: Tile, rows: dict[int, Row]) -> Mask:
    """bool [h,w] of a territory: pixels that hold a picture and that some tile answered about."""
    (x0, y0, x1, y1), (left, top, _, _) = tile.territory, tile.window
    own = rows[tile.row][tile.column]
    valid = np.ones((y1 - y0, x1 - x0), dtype=np.bool_)
    if own.state == "empty":
        return ~valid
    if own.valid is not None:
        valid &= own.valid[y0 - top : y1 - top, x0 - left : x1 - left]
    if own.state == "failed":
        nothing = np.zeros((1, 1), dtype=np.float32)
        others = [(r, c, nothing) for r, c in grid.neighbours(tile) if rows[r][c].state == "answered"]
        valid &= blend(grid, tile.territory, others)[1]
    return valid


def _votes(first: Sequence[Labels], second: Sequence[Labels]) -> NDArray[np.float32]:
    """Mean opinion of two tiles, each with its labels on both sides of a seam, whether a pixel pair is one object."""
    opinions = [(line[0] == line[1]) & (line[0] > 0) for line in (first, second)]
    return np.mean(opinions, axis=0, dtype=np.float32)


def _logit(share: float) -> float:
    share = min(max(share, 1e-4), 1 - 1e-4)
    return float(np.log(share / (1 - share)))
