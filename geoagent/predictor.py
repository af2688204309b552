"""From an image and a question to a `Prediction`: the only way anything else touches the models.

model = geoagent.load("nano")
model.segment("port.tif", "Where is fuel kept?")        # one question
scene = model.open("port.tif"); scene.ask("…"); scene.ask("…")   # the image is encoded once
model.segment_batch([("a.png", "…"), ("b.png", "…")])    # many images together
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geoagent.geo.raster import Raster, Scene, read_image
from geoagent.meaning import joined, left_out, noun_meant, two_questions
from geoagent.model.closer import closer_window, in_whole
from geoagent.model.instances import resize_logits, split_instances
from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.processor import GeoAgentProcessor
from geoagent.model.requests import Draft, DraftTarget, Grounder, Request
from geoagent.model.tokens import plain_answer
from geoagent.model.zoo import load_grounder
from geoagent.plan import plan_phrase, question_for
from geoagent.singling import Singling
from geoagent.types import GeoAgentError, Instance, Mask, Prediction, Prompts, Target

IMAGES_AT_ONCE = 8


def load(
    name: str = "nano",
    *,
    device: str | None = None,
    dtype: torch.dtype | str | None = None,
    quantize: str | None = None,
    grounding: str | None = None,
    mllm: str | None = None,
    sam: str | None = None,
) -> "Predictor":
    """Load a model.

    Args:
        name: A name that ``geoagent models`` lists, a folder, or a hub id of a geoagent checkpoint.
        device: ``cpu``, ``cuda``, ``cuda:1``…; None: a GPU where there is one.
        dtype: Of the weights, such as ``torch.bfloat16`` or ``"bfloat16"``; None: float32 on a CPU, bfloat16 on a GPU.
        quantize: ``4bit`` or ``8bit``, of the language model only.
        grounding: ``query`` (trained) or ``boxes`` (stock models, no training); None: what the model was made for.
        mllm: With ``sam``: a stock Qwen-VL checkpoint to use instead of a named model.
        sam: A stock SAM2 checkpoint.
    """
    grounder, label = load_grounder(
        name, device=device, dtype=dtype, quantize=quantize, grounding=grounding, mllm=mllm, sam=sam
    )
    return Predictor(grounder, label)


class Predictor:
    """A model with its way of grounding."""

    def __init__(self, grounder: Grounder, name: str) -> None:
        self.grounder = grounder
        self.name = name

    @property
    def model(self) -> GeoAgentModel:
        """The networks."""
        return self.grounder.model

    @property
    def processor(self) -> GeoAgentProcessor:
        """Their preprocessing."""
        return self.grounder.processor

    def open(self, image: Any, **reading: Any) -> "SceneSession":
        """Encode an image once, to ask it many questions; ``reading`` goes to `geoagent.geo.raster.read_image`."""
        raster = image if isinstance(image, Raster) else read_image(image, **reading)
        return SceneSession(self, raster, self.grounder.encode([raster.pixels])[0])

    def segment(
        self,
        image: Any,
        text: str = "",
        *,
        points: Sequence[Sequence[float]] = (),
        boxes: Sequence[Sequence[float]] = (),
        scribbles: Sequence[Sequence[Sequence[float]]] = (),
        masks: Sequence[Mask] = (),
        prompts: Prompts | None = None,
        brief: bool = False,
        tiled: bool | None = None,
        work: str | Path | None = None,
        threshold: float | None = None,
        **reading: Any,
    ) -> Prediction:
        """Ask one question about one image.

        Args:
            image: A path, PIL image, array, open rasterio dataset or DataArray.
            text: The question; may be empty when something is pointed at.
            points: ``(x, y)`` or ``(x, y, positive)`` in pixels.
            boxes: ``(x0, y0, x1, y1)`` in pixels.
            scribbles: Polylines of ``(x, y)`` in pixels.
            masks: bool [H,W], rough outlines.
            prompts: All four kinds of pointing in one, instead of them.
            brief: Phrases only, without sentences: faster.
            tiled: Look at the image tile by tile, see `geoagent.large`; None: where it is large or very long.
            work: Folder where a tiled run keeps what it has, to go on after it was stopped.
            threshold: Score from which on something counts as found; None: that of the model.
            reading: Bands, region, stretch …, see `geoagent.geo.raster.read_image`.
        """
        from geoagent.large import HeldImage, is_large, segment_large, segment_pointed

        prompts = prompts or make_prompts(points, boxes, scribbles, masks)
        with nullcontext(HeldImage(image)) if isinstance(image, Raster) else Scene(image, **reading) as scene:
            if not (is_large(scene.info, self.model.config.image) if tiled is None else tiled):
                prediction = self.open(scene.read()).ask(text, prompts=prompts, brief=brief)
                return prediction if threshold is None else prediction.with_threshold(threshold)
            if prompts:
                return segment_pointed(self, scene, text, prompts, brief=brief, threshold=threshold)
            return segment_large(self, scene, text, brief=brief, work=work, threshold=threshold)

    def segment_batch(self, questions: Sequence[tuple[Any, str]], *, brief: bool = False) -> list[Prediction]:
        """Answer many ``(image, text)`` at once: one pass of each network over up to eight of them."""
        predictions: list[Prediction] = []
        for start in range(0, len(questions), IMAGES_AT_ONCE):
            some = questions[start : start + IMAGES_AT_ONCE]
            began = time.perf_counter()
            rasters = [image if isinstance(image, Raster) else read_image(image) for image, _ in some]
            encoded = self.grounder.encode([raster.pixels for raster in rasters])
            sessions = [SceneSession(self, r, e) for r, e in zip(rasters, encoded, strict=True)]
            asked = [(s, text, Prompts()) for s, (_, text) in zip(sessions, some, strict=True)]
            predictions += self.answer(asked, brief=brief, began=began)
        return predictions

    def answer(
        self,
        asked: Sequence[tuple["SceneSession", str, Prompts]],
        *,
        brief: bool = False,
        began: float | None = None,
        tell: Callable[[str], None] | None = None,
        measured: bool = True,
    ) -> list[Prediction]:
        """Answer questions about open scenes together.

        Args:
            asked: Scenes with what is asked about them.
            brief: Phrases only.
            began: When the clock started; None: now.
            tell: With one question: hears the answer so far, marks included, each time a word was added.
            measured: Measure what phrases single out, where the model is one that wants that.
        """
        if tell is not None and len(asked) != 1:
            raise ValueError("only one answer at a time can be told while it is written")
        began = time.perf_counter() if began is None else began
        requests, windows = [], []
        for session, text, prompts in asked:
            if not text.strip() and not prompts:
                raise GeoAgentError("nothing was asked: give a text, or point at something")
            height, width = size = session.raster.info.size
            prompts.check_inside(width, height)
            encoded, window = session.encoded, closer_window(text, prompts, size, self.model.config.image.closer)
            if window is not None:
                x0, y0, x1, y1 = window
                encoded = self.grounder.encode([session.raster.pixels[y0:y1, x0:x1]])[0]
                prompts, size = prompts.within(window), (y1 - y0, x1 - x0)
            requests.append(Request(encoded, size, text, prompts, brief, tell=tell))
            windows.append(window)
        predictions = []
        for draft, window, (session, text, pointed) in zip(self._answers(requests), windows, asked, strict=True):
            whole = draft if window is None else in_whole(draft, window, session.raster.info.size)
            prediction = self._prediction(whole, session, text, pointed=bool(pointed))
            if measured and not pointed:
                prediction = self._singled_out(session, prediction)
            predictions.append(prediction)
        seconds = (time.perf_counter() - began) / max(len(asked), 1)
        return [replace(prediction, seconds=seconds) for prediction in predictions]

    def _answers(self, requests: Sequence[Request]) -> list[Draft]:
        """Drafts; where one does not fit its question, what `geoagent.meaning` asks instead is answered as well.

        An answer that somebody hears is read briefly and in silence first: no word of it is ever taken back.
        """
        heard = bool(self.model.config.meaning.classes) and any(r.tell for r in requests)
        first = [replace(r, brief=True, tell=None) for r in requests] if heard else requests
        drafts = self.grounder.answer(first)
        readings = [self._reading(r, d) for r, d in zip(requests, drafts, strict=True)]
        asked = [(i, r) for i, reading in enumerate(readings) for r in reading if heard or r is not requests[i]]
        if not asked:
            return drafts
        more = self._one_by_one([r for _, r in asked]) if heard else self.grounder.answer([r for _, r in asked])
        for i, reading in enumerate(readings):
            answers = [draft for (n, _), draft in zip(asked, more, strict=True) if n == i]
            if answers:
                kept = [drafts[i]] if len(answers) < len(reading) else []
                whole = joined([*kept, *answers], brief=requests[i].brief)
                drafts[i] = replace(whole, tokens=drafts[i].tokens + sum(a.tokens for a in answers))
        return drafts

    def _reading(self, request: Request, draft: Draft) -> tuple[Request, ...]:
        """What to ask, that the answers together answer ``request``: itself, where its ``draft`` fits it."""
        if not self.model.config.meaning.classes or request.prompts or request.phrase:
            return (request,)
        if noun := noun_meant(request, draft):
            return (replace(request, noun=noun),)
        if parts := two_questions(request, draft, self.processor.words):
            silent = self.grounder.answer([replace(part, brief=True, tell=None) for part in parts])
            if all(len(one.targets) == 1 for one in silent):
                return tuple(replace(p, noun=noun_meant(p, d)) for p, d in zip(parts, silent, strict=True))
        return (request, *left_out(request, draft))

    def _one_by_one(self, requests: Sequence[Request]) -> list[Draft]:
        """Answers that somebody hears as one."""
        drafts: list[Draft] = []
        for request in requests:
            before = "".join(f"{draft.marked_answer} " for draft in drafts)
            drafts += self.grounder.answer([replace(request, tell=partial(_tell_after, request.tell, before))])
        return drafts

    def _singled_out(self, session: "SceneSession", prediction: Prediction) -> Prediction:
        """The prediction with what its phrases single out measured; stock models draw single objects by themselves."""
        if not (self.model.config.answer.singling and self.grounder.needs_training):
            return prediction
        singling, size = Singling.of(prediction), session.raster.info.size
        if not singling.queries:
            return replace(prediction, warnings=(*prediction.warnings, *singling.warnings))
        requests = [Request(session.encoded, size, question_for(n), brief=True, phrase=n) for n in singling.nouns]
        drafts = self.grounder.answer(requests)
        seen = {n: self._finished(d.targets[0], session) for n, d in zip(singling.nouns, drafts, strict=True)}
        return singling.choose(prediction, seen)

    def caveats(self) -> tuple[str, ...]:
        """What to say with every answer of this model."""
        if self.model.config.trained or not self.grounder.needs_training:
            return ()
        return (f"{self.name} is not trained enough to be relied on: look at its masks before you use them",)

    def _finished(self, draft: DraftTarget, session: "SceneSession") -> Target:
        """A target at the image's size, without objects that seen as wholes are something else."""
        target, recognition = finish_target(draft, session.raster), self.model.recognition
        if recognition is None:
            return target
        return recognition.checked(target, plan_phrase(target.phrase).class_name, session.encoded.pixels[0])

    def _prediction(self, draft: Draft, session: "SceneSession", text: str, *, pointed: bool) -> Prediction:
        raster = session.raster
        targets = (finish_target(t, raster) if pointed else self._finished(t, session) for t in draft.targets)
        warnings = (*raster.info.extra.get("remarks", ()), *draft.warnings, *self.caveats())
        return Prediction(
            answer=plain_answer(draft.marked_answer),
            marked_answer=draft.marked_answer,
            candidates=tuple(targets),
            image=raster.info,
            instruction=text,
            model=self.name,
            threshold=self.model.config.score.threshold,
            tokens=draft.tokens,
            warnings=warnings,
            pixels=raster.pixels,
            valid=raster.valid,
        )


class SceneSession:
    """An image that was encoded once; each question costs only its own words and masks."""

    def __init__(self, predictor: Predictor, raster: Raster, encoded: Any) -> None:
        self.predictor = predictor
        self.raster = raster
        self.encoded = encoded

    def ask(
        self,
        text: str = "",
        *,
        points: Sequence[Sequence[float]] = (),
        boxes: Sequence[Sequence[float]] = (),
        scribbles: Sequence[Sequence[Sequence[float]]] = (),
        masks: Sequence[Mask] = (),
        prompts: Prompts | None = None,
        brief: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> Prediction:
        """Ask a question, see `Predictor.segment`.

        ``prompts`` replaces the four kinds of pointing; ``tell`` hears the answer so far while it is written (its words
        come before its masks), `geoagent.model.tokens.plain_answer` takes its marks away.
        """
        pointed = prompts or make_prompts(points, boxes, scribbles, masks)
        return self.predictor.answer([(self, text, pointed)], brief=brief, tell=tell)[0]

    def ask_many(self, texts: Sequence[str], *, brief: bool = False) -> list[Prediction]:
        """Ask independent questions together."""
        return self.predictor.answer([(self, text, Prompts()) for text in texts], brief=brief)


def _tell_after(tell: Callable[[str], None] | None, before: str, answer: str) -> None:
    if tell is not None:
        tell(before + answer)


def make_prompts(
    points: Sequence[Sequence[float]] = (),
    boxes: Sequence[Sequence[float]] = (),
    scribbles: Sequence[Sequence[Sequence[float]]] = (),
    masks: Sequence[Mask] = (),
) -> Prompts:
    """Turn loose coordinates into `Prompts`, with a clear error for a malformed one."""
    for point in points:
        if len(point) not in (2, 3):
            raise GeoAgentError(f"a point is x, y or x, y, positive, not {tuple(point)}")
    for box in boxes:
        if len(box) != 4:
            raise GeoAgentError(f"a box is x0, y0, x1, y1, not {tuple(box)}")
    for scribble in scribbles:
        if not scribble or any(len(p) != 2 for p in scribble):
            raise GeoAgentError("a scribble is a list of x, y")
    return Prompts(
        points=tuple((float(p[0]), float(p[1]), bool(p[2]) if len(p) > 2 else True) for p in points),
        boxes=tuple((float(b[0]), float(b[1]), float(b[2]), float(b[3])) for b in boxes),
        scribbles=tuple(tuple((float(x), float(y)) for x, y in line) for line in scribbles),
        masks=tuple(np.asarray(mask, dtype=np.bool_) for mask in masks),
    )


def finish_target(draft: DraftTarget, raster: Raster) -> Target:
    """Bring a draft to the image's own size and tell its objects apart."""
    size = raster.info.size
    logits = resize_logits(draft.logits[None], size)[0]
    probability = logits.sigmoid().cpu().numpy()
    mask = (logits > 0).cpu().numpy()
    if raster.valid is not None:
        mask &= raster.valid
    if draft.objects is not None:
        instances = _decoded_instances(draft, raster)
    else:
        cores = None
        if draft.cores is not None:
            cores = resize_logits(draft.cores[None], size)[0].sigmoid().cpu().numpy()
        instances = split_instances(mask, probability, cores)
    coarse = None if draft.coarse is None else draft.coarse.sigmoid().float().cpu().numpy()
    return Target(
        phrase=draft.phrase,
        score=draft.score,
        mask=mask,
        instances=instances,
        coarse=coarse,
        evidence=draft.evidence,
    )


def _decoded_instances(draft: DraftTarget, raster: Raster) -> tuple[Instance, ...]:
    """Objects that were decoded one by one: each is what its own mask says."""
    instances: list[Instance] = []
    for thing in draft.objects or ():
        mask = (resize_logits(thing.logits[None], raster.info.size)[0] > 0).cpu().numpy()
        if raster.valid is not None:
            mask &= raster.valid
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if rows.size:
            box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
            crop = mask[box[1] : box[3], box[0] : box[2]]
            number = len(instances) + 1
            instances.append(Instance(id=number, box=box, crop=crop, score=thing.score, image_size=raster.info.size))
    return tuple(instances)
