"""What a phrase singles out, measured in an image that is seen at one look.

"The largest ship", "buildings within 50 m of the river": a language model that writes such a phrase has understood the
question, but measuring is not its strength, and least of all a small one's. So the phrase is parted (`geoagent.plan`),
all objects that it speaks of are looked for by their names, and its conditions are judged on those, just as in images
that are seen tile by tile (`geoagent.selection`). What cannot be parted or measured stays as the model drew it, and so
do the words of the answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from geoagent.geo.georef import is_measurable
from geoagent.geo.seams import Things
from geoagent.plan import Query, plan_phrase
from geoagent.selection import Place, SceneObjects, Selection
from geoagent.types import ImageInfo, Instance, Mask, Pixels, Prediction, Target

_SURE = 0.7
"""Objects less probable count only where there are no others: a guess at the edge is not the leftmost ship."""


@dataclass(frozen=True)
class Singling:
    """The phrases of an answer that have to be measured, by their places in it."""

    queries: Mapping[int, Query]
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, prediction: Prediction) -> "Singling":
        """Those that are drawn or believed in, and set conditions which this image allows to measure."""
        queries, warnings = {}, []
        for place, target in enumerate(prediction.candidates):
            query = plan_phrase(target.phrase)
            if not query.conditions or not (target.mask.any() or target.score >= prediction.threshold):
                continue
            if {"m", "m2"} & set(query.units()) and not is_measurable(prediction.image):
                warnings.append(f"{target.phrase!r} could not be measured: the image has no ground size")
                continue
            queries[place] = query
        return cls(queries, tuple(warnings))

    @property
    def nouns(self) -> tuple[str, ...]:
        """All that has to be looked for."""
        return tuple(dict.fromkeys(noun for query in self.queries.values() for noun, _ in query.nouns()))

    def choose(self, prediction: Prediction, seen: Mapping[str, Target]) -> Prediction:
        """The prediction with the objects that are meant, out of those that were ``seen`` under each noun."""
        info, place = prediction.image, Place(prediction.image)
        found = {n: _sure(t.instances) if t.score >= prediction.threshold else () for n, t in seen.items()}
        for number, query in self.queries.items():
            # By its name alone nothing was seen: then it is among what was drawn for the phrase.
            found[query.noun] = found[query.noun] or _sure(prediction.candidates[number].instances)
        objects = {noun: _scene_objects(some, place, prediction.pixels) for noun, some in found.items()}
        selection = Selection(objects, place, max(info.size))
        candidates, warnings = list(prediction.candidates), list(self.warnings)
        for number, query in self.queries.items():
            meant = [found[query.noun][i] for i in selection.choose(query)]
            if meant:
                candidates[number] = replace(candidates[number], mask=_union(meant, info), instances=_numbered(meant))
            elif candidates[number].mask.any():
                warnings.append(f"{candidates[number].phrase!r} could not be measured and is shown as it was drawn")
        told = dict.fromkeys((*prediction.warnings, *selection.remarks, *warnings))
        return replace(prediction, candidates=tuple(candidates), warnings=tuple(told))


def _sure(instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
    """Without what may be nothing; all where nothing else is there."""
    return tuple(one for one in instances if one.score >= _SURE) or instances


def _scene_objects(instances: tuple[Instance, ...], place: Place, pixels: Pixels | None) -> SceneObjects:
    labels = np.zeros(place.info.size, dtype=np.uint32)
    centres = np.zeros((len(instances), 2))
    for number, one in enumerate(instances, start=1):
        x0, y0, x1, y1 = one.box
        labels[y0:y1, x0:x1][one.crop] = number
        rows, columns = np.nonzero(one.crop)
        centres[number - 1] = x0 + columns.mean() + 0.5, y0 + rows.mean() + 0.5
    things = Things(
        number=np.arange(len(instances) + 1, dtype=np.uint32),
        area=np.array([one.area for one in instances], dtype=np.int64),
        boxes=np.array([one.box for one in instances], dtype=np.int64).reshape(-1, 4),
        centres=centres,
        scores=np.array([one.score for one in instances]),
    )
    return SceneObjects(things, lambda _: [(0, 0, labels)], place, None if pixels is None else lambda _: pixels)


def _union(instances: list[Instance], info: ImageInfo) -> Mask:
    mask = np.zeros(info.size, dtype=np.bool_)
    for one in instances:
        x0, y0, x1, y1 = one.box
        mask[y0:y1, x0:x1] |= one.crop
    return mask


def _numbered(instances: list[Instance]) -> tuple[Instance, ...]:
    return tuple(replace(one, id=number) for number, one in enumerate(instances, start=1))
