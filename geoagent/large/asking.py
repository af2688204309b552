"""Asking a model about every tile: in batches, each failure tried once more on its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from geoagent.geo.raster import Raster
from geoagent.geo.tiling import Tile, TileGrid
from geoagent.large.journal import Journal, Packed, PhraseAnswer, TileAnswer
from geoagent.large.source import Windows
from geoagent.model.requests import Draft, DraftTarget, Request
from geoagent.predictor import Predictor, finish_target
from geoagent.types import GeoAgentError, Instance

TILES_AT_ONCE = 4
_LIMIT = 16.0
"""Logits are cut to this: float16 holds them, and no tile shouts its neighbours down."""
FAILURES = (GeoAgentError, RuntimeError, ValueError, ArithmeticError, LookupError, OSError, MemoryError)
"""What a single tile may die of (no memory on the GPU, a damaged block of the file) without ending the run."""


class TileAsker:
    """Asks the same questions about the tiles of an image.

    Args:
        predictor: The model.
        scene: The image.
        grid: Its tiles.
        questions: For each noun that is looked for, the question about it.
        threshold: Score from which on a tile's own division into objects is kept.
    """

    def __init__(
        self, predictor: Predictor, scene: Windows, grid: TileGrid, questions: Mapping[str, str], threshold: float
    ) -> None:
        self.predictor, self.scene, self.grid = predictor, scene, grid
        self.questions, self.threshold = dict(questions), threshold

    def run(self, journal: Journal, *, progress: bool | None = None) -> None:
        """Answer every row that the journal lacks, and once more the tiles that failed.

        Args:
            journal: Where the answers go, row by row.
            progress: Show a bar with the time left; None: where there is a terminal.
        """
        rows, columns = self.grid.shape
        waiting = {row: known for row in range(rows) if (known := journal.read(row)) is None or _has_failed(known)}
        disable = None if progress is None else not progress
        done = (rows - len(waiting)) * columns
        bar: tqdm[Any]
        with tqdm(total=rows * columns, initial=done, unit="tile", disable=disable, smoothing=0.05, leave=False) as bar:
            for row, known in waiting.items():
                journal.write(row, self._row(row, known, bar))

    def _row(self, row: int, known: Sequence[TileAnswer] | None, bar: "tqdm[Any]") -> list[TileAnswer]:
        tiles = self.grid.row(row)
        answers: list[TileAnswer | None] = [None] * len(tiles)
        if known is not None:
            answers = [tile if tile.state != "failed" else None for tile in known]
        waiting = [tile for tile, answer in zip(tiles, answers, strict=True) if answer is None]
        bar.update(len(tiles) - len(waiting))
        for start in range(0, len(waiting), TILES_AT_ONCE):
            some = waiting[start : start + TILES_AT_ONCE]
            for tile, answer in zip(some, self._some(some), strict=True):
                answers[tile.column] = answer
            bar.update(len(some))
        return [answer for answer in answers if answer is not None]

    def _some(self, tiles: Sequence[Tile]) -> list[TileAnswer]:
        try:
            return self._ask(tiles)
        except FAILURES:
            return [self._again(tile) for tile in tiles]

    def _again(self, tile: Tile) -> TileAnswer:
        try:
            return self._ask([tile])[0]
        except FAILURES as error:
            return TileAnswer("failed", problem=" ".join(f"{type(error).__name__}: {error}".split())[:300])

    def _ask(self, tiles: Sequence[Tile]) -> list[TileAnswer]:
        rasters = [self.scene.read(tile.window) for tile in tiles]
        shown = [raster for raster in rasters if raster.valid is None or raster.valid.any()]
        encoded = self.predictor.grounder.encode([raster.pixels for raster in shown]) if shown else []
        requests = [
            Request(image, raster.info.size, question, brief=True, phrase=noun)
            for image, raster in zip(encoded, shown, strict=True)
            for noun, question in self.questions.items()
        ]
        drafts = iter(self.predictor.grounder.answer(requests) if requests else ())
        answers = []
        for raster in rasters:
            if raster.valid is not None and not raster.valid.any():
                answers.append(TileAnswer("empty"))
                continue
            mine = [next(drafts) for _ in self.questions]
            phrases = tuple(self._phrase(draft, raster) for draft in mine)
            valid = None if raster.valid is None else Packed.of(raster.valid)
            answers.append(TileAnswer("answered", phrases, valid, sum(draft.tokens for draft in mine)))
        return answers

    def _phrase(self, draft: Draft, raster: Raster) -> PhraseAnswer:
        """What a tile's answer says about the one thing it was asked for."""
        if not draft.targets:
            return PhraseAnswer(0.0, np.full((1, 1), -_LIMIT, dtype=np.float16))
        best = max(draft.targets, key=lambda target: target.score)
        found = [target for target in draft.targets if target.score >= self.threshold] or [best]
        logits = np.max([_logits(target) for target in found if target.logits.shape == best.logits.shape], axis=0)
        labels = None
        if best.cores is not None or best.objects is not None:
            instances = [
                instance
                for target in found
                if target.score >= self.threshold
                for instance in finish_target(target, raster).instances
            ]
            labels = Packed.of(_labels(instances, raster.info.size))
        return PhraseAnswer(best.score, logits, labels)


def _has_failed(tiles: Sequence[TileAnswer]) -> bool:
    return any(tile.state == "failed" for tile in tiles)


def _logits(target: DraftTarget) -> NDArray[np.float16]:
    cut: NDArray[np.float16] = target.logits.float().clamp(-_LIMIT, _LIMIT).half().cpu().numpy()
    return cut


def _labels(instances: Sequence[Instance], size: tuple[int, int]) -> NDArray[np.uint16]:
    """Objects as numbers; where they overlap, the smaller is on top."""
    labels = np.zeros(size, dtype=np.uint16)
    for number, instance in enumerate(sorted(instances, key=lambda i: -i.area)[: np.iinfo(np.uint16).max], start=1):
        x0, y0, x1, y1 = instance.box
        labels[y0:y1, x0:x1][instance.crop] = number
    return labels
