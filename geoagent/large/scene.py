"""The answer about a large image, from the question to the `Prediction`."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from geoagent import __version__
from geoagent.geo.mask_file import read_ids
from geoagent.geo.opening import bounded_cache
from geoagent.geo.tiling import TileGrid
from geoagent.large.asking import TileAsker
from geoagent.large.compose import compose
from geoagent.large.finishing import finish, is_held, looked_at
from geoagent.large.journal import Journal, TileAnswer
from geoagent.large.source import Windows, fingerprint, overview
from geoagent.large.wording import Outcome, marked_words
from geoagent.large.zoom import choose_zoom
from geoagent.model.configuration import ImageSizeConfig
from geoagent.model.tokens import plain_answer
from geoagent.plan import Query, plan_phrase, plan_question, question_for
from geoagent.predictor import Predictor
from geoagent.selection import Place, SceneObjects, Selection, check_scale
from geoagent.types import Box, GeoAgentError, ImageInfo, Pixels, Prediction, Prompts

LARGE = 2048
"""Images with a longer side are tiled."""


def is_large(info: ImageInfo, sizes: ImageSizeConfig) -> bool:
    """Whether one look at all of an image would not do: it is large, or too long."""
    return max(info.size) > LARGE or max(info.size) > sizes.max_aspect * min(info.size)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    queries: tuple[Query, ...]
    overview: Prediction | None
    """The answer about the picture of the whole, where the question itself did not say what to look for."""

    @property
    def nouns(self) -> dict[str, str | None]:
        """What every tile is asked for, with its class."""
        return {noun: name for query in self.queries for noun, name in query.nouns()}


def segment_large(
    predictor: Predictor,
    scene: Windows,
    text: str,
    *,
    brief: bool = False,
    work: str | Path | None = None,
    threshold: float | None = None,
    progress: bool | None = None,
) -> Prediction:
    """Answer a question about an image of any size.

    Args:
        predictor: The model.
        scene: The image.
        text: The question.
        brief: Phrases only, without sentences.
        work: Folder for the answers about tiles: a run that was stopped goes on with what is there. None: a temporary
            one.
        threshold: Score from which on a tile counts as showing something; None: that of the model.
        progress: Show a bar; None: where there is a terminal.
    """
    began = time.perf_counter()
    if not text.strip():
        raise GeoAgentError("nothing was asked: give a text, or point at something")
    config = predictor.model.config
    threshold = config.score.threshold if threshold is None else threshold
    with bounded_cache():
        plan = _make_plan(predictor, scene, text)
        if not plan.queries:
            assert plan.overview is not None
            return _nothing_to_mark(plan.overview, scene.info, time.perf_counter() - began)
        run = _Run(predictor, scene, text, plan, work, threshold)
        run.ask(progress)
        prediction = run.answer(brief=brief)
    return replace(prediction, seconds=time.perf_counter() - began)


def _make_plan(predictor: Predictor, scene: Windows, text: str) -> _Plan:
    """What the question names, otherwise what a look at the whole brings up, found there or not."""
    config = predictor.model.config
    queries, seen = plan_question(text), None
    if not queries:
        session = predictor.open(overview(scene, config.image.max_aspect))
        seen = predictor.answer([(session, text, Prompts())], measured=False)[0]
        queries = tuple(plan_phrase(target.phrase) for target in seen.candidates)
    # A model whose phrases are measured is no judge of colours either.
    queries = tuple(dict.fromkeys(query.as_seen(colours=not config.answer.singling) for query in queries))
    for query in queries:
        for unit in query.units():
            check_scale(scene.info, unit)
    return _Plan(queries=queries, overview=seen)


def _nothing_to_mark(seen: Prediction, info: ImageInfo, seconds: float) -> Prediction:
    """Small talk and plain questions: what was said about the whole stands."""
    return replace(seen, image=info, candidates=(), pixels=None, valid=None, seconds=seconds)


class _Run:
    """One question about one image, with its folder."""

    def __init__(
        self, predictor: Predictor, scene: Windows, text: str, plan: _Plan, work: str | Path | None, threshold: float
    ) -> None:
        self.predictor, self.scene, self.text, self.plan, self.threshold = predictor, scene, text, plan, threshold
        sizes = predictor.model.config.image
        zoom = choose_zoom(plan.nouns.values(), scene.info.gsd_m)
        side = round(sizes.tile_side * zoom)
        self.grid = TileGrid.cover(scene.info.size, side, max_aspect=sizes.max_aspect)
        self.questions = {noun: question_for(noun) for noun in plan.nouns}
        self.keep = tempfile.TemporaryDirectory(prefix="geoagent-large-") if work is None else None
        self.folder = Path(self.keep.name if self.keep is not None else str(work))
        task = {
            "image": fingerprint(overview(scene, sizes.max_aspect), scene.info),
            "questions": list(self.questions.values()),
            "model": predictor.name,
            "version": __version__,
            "tiles": [*self.grid.shape, self.grid.down.tile, self.grid.across.tile],
        }
        self.journal = Journal(self.folder, task)

    def ask(self, progress: bool | None) -> None:
        """Ask about every tile that has not been answered yet."""
        asker = TileAsker(self.predictor, self.scene, self.grid, self.questions, self.threshold)
        asker.run(self.journal, progress=progress)

    def answer(self, *, brief: bool) -> Prediction:
        """Everything that follows from the journal."""
        info = self.scene.info
        summary = _Summary(self.grid)
        for row in range(self.grid.shape[0]):
            summary.add(row, self._row(row))
        if summary.failed and not summary.answered:
            raise GeoAgentError(f"no tile could be looked at: {summary.problem}")
        paths = [self.folder / f"labels-{k}.tif" for k in range(len(self.questions))]
        apart = [k in summary.told_apart for k in range(len(paths))]
        composed, looked = compose(self.grid, self._row, info, paths, self.threshold, apart)
        by_noun = dict(zip(self.plan.nouns, composed, strict=True))
        place = Place(info)
        objects = {
            noun: SceneObjects(one.things, partial(read_ids, one.path), place, self._look)
            for noun, one in by_noun.items()
        }
        selection = Selection(objects, place, self.grid.across.tile)
        targets, outcomes = [], []
        for number, query in enumerate(self.plan.queries, start=1):
            chosen = selection.choose(query)
            one = by_noun[query.noun]
            path = self.folder / f"target-{number}.tif"
            targets.append(finish(query.phrase, one.score, one, chosen, info, path, self.keep))
            outcomes.append(Outcome(query, len(chosen), len(one.things)))
        seen = self.plan.overview
        marked = marked_words(outcomes, brief=brief, overview="" if seen is None else seen.marked_answer)
        remarks = info.extra.get("remarks", ())
        mine = () if seen is None else (w for w in seen.warnings if w not in remarks)
        prediction = Prediction(
            answer=plain_answer(marked),
            marked_answer=marked,
            candidates=tuple(targets),
            image=info,
            instruction=self.text,
            model=self.predictor.name,
            threshold=self.threshold,
            tokens=summary.tokens + (0 if seen is None else seen.tokens),
            warnings=(*remarks, *mine, *self.predictor.caveats(), *selection.remarks, *summary.warnings()),
            valid=looked_at(composed[0], looked, info, self.keep),
            holes=tuple(summary.failed),
        )
        return self._with_pixels(prediction)

    def _look(self, window: Box) -> Pixels:
        return self.scene.read(window).pixels

    def _row(self, row: int) -> tuple[TileAnswer, ...]:
        answers = self.journal.read(row)
        if answers is None:
            raise GeoAgentError(f"the work folder {str(self.folder)!r} has lost row {row} of tiles: run again")
        return answers

    def _with_pixels(self, prediction: Prediction) -> Prediction:
        """The picture itself where no file holds it."""
        if self.scene.info.path is not None or not is_held(self.scene.info):
            return prediction
        return replace(prediction, pixels=self.scene.read().pixels)


class _Summary:
    """How the tiles fared."""

    def __init__(self, grid: TileGrid) -> None:
        self.grid = grid
        self.answered, self.tokens, self.problem = 0, 0, ""
        self.failed: list[Box] = []
        self.told_apart: set[int] = set()
        """Numbers of the phrases whose objects some tile divided itself."""

    def add(self, row: int, answers: Sequence[TileAnswer]) -> None:
        for tile, answer in zip(self.grid.row(row), answers, strict=True):
            self.answered += answer.state == "answered"
            self.tokens += answer.tokens
            self.told_apart.update(k for k, phrase in enumerate(answer.phrases) if phrase.labels is not None)
            if answer.state == "failed":
                self.failed.append(tile.territory)
                self.problem = self.problem or answer.problem

    def warnings(self) -> tuple[str, ...]:
        """What went wrong, in one sentence."""
        if not self.failed:
            return ()
        total = self.grid.shape[0] * self.grid.shape[1]
        verb = "tile" if len(self.failed) == 1 else "tiles"
        return (
            f"{len(self.failed)} {verb} of {total} could not be looked at and are holes in the result: {self.problem}",
        )
