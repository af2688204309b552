"""Which objects a phrase singles out, in an image that is seen at one look.

"The largest ship", "buildings within 50 m of the river": a language model that writes such a phrase has understood the
question, but measuring is not its strength, and least of all a small one's. So the phrase is parted (`geoagent.plan`),
all objects that it speaks of are looked for by their names, and its conditions are judged on those, just as in images
that are seen tile by tile (`geoagent.selection`). What cannot be parted or measured stays as the model drew it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from geoagent.geo.georef import is_measurable
from geoagent.geo.seams import Things
from geoagent.plan import Query, plan_phrase
from geoagent.selection import Place, SceneObjects, Selection
from geoagent.types import ImageInfo, Instance, Mask, Prediction, Target

_SURE = 0.6
"""Objects less probable than this are not counted …"""
_SPECK = 0.03
"""… nor those so many times smaller than most of their mask is: a speck at the edge is not the leftmost ship."""
_VAGUE = frozenset({"large", "small"})
"""Where large begins only who sees the picture can say."""


@dataclass(frozen=True)
class Singled:
    """Targets of an answer whose objects have to be measured, by their places in it."""

    queries: Mapping[int, Query]

    @classmethod
    def of(cls, prediction: Prediction) -> "Singled":
        """Those that were found, and whose phrases set conditions that this image allows to measure."""
        found = {
            place: query
            for place, target in enumerate(prediction.candidates)
            if target.score >= prediction.threshold and (query := _measurable(target.phrase, prediction.image))
        }
        return cls(found)

    @property
    def nouns(self) -> tuple[str, ...]:
        """All that has to be looked for."""
        return tuple(dict.fromkeys(noun for query in self.queries.values() for noun, _ in query.nouns()))

    def choose(self, prediction: Prediction, seen: Mapping[str, Target]) -> Prediction:
        """The prediction with the objects that are meant, out of those that were ``seen`` of each noun."""
        info = prediction.image
        kept = {noun: _sure(target.instances) for noun, target in seen.items()}
        place = Place(info)
        objects = {noun: _scene_objects(some, place) for noun, some in kept.items()}
        selection = Selection(objects, place, max(info.size))
        candidates = list(prediction.candidates)
        for number, query in self.queries.items():
            chosen = [kept[query.noun][i] for i in selection.choose(query)]
            if chosen:
                candidates[number] = replace(candidates[number], mask=_union(chosen, info), instances=_numbered(chosen))
        return replace(prediction, candidates=tuple(candidates))


def _measurable(phrase: str, info: ImageInfo) -> Query | None:
    query = plan_phrase(phrase)
    kinds = {condition.kind for condition in query.conditions}
    if not kinds or kinds & _VAGUE or (not is_measurable(info) and not {"m", "m2"}.isdisjoint(query.units())):
        return None
    return query


def _sure(instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
    """Without what may be nothing; all where nothing else is there."""
    areas = np.array([one.area for one in instances], dtype=np.float64)
    least = _SPECK * np.average(areas, weights=areas) if len(areas) else 0.0
    return tuple(one for one in instances if one.score >= _SURE and one.area >= least) or instances


def _scene_objects(instances: tuple[Instance, ...], place: Place) -> SceneObjects:
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
    return SceneObjects(things, lambda _: [(0, 0, labels)], place)


def _union(instances: list[Instance], info: ImageInfo) -> Mask:
    mask = np.zeros(info.size, dtype=np.bool_)
    for one in instances:
        x0, y0, x1, y1 = one.box
        mask[y0:y1, x0:x1] |= one.crop
    return mask


def _numbered(instances: list[Instance]) -> tuple[Instance, ...]:
    return tuple(replace(one, id=number) for number, one in enumerate(instances, start=1))
