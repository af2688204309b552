"""How masks lie to each other, and zones around them."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from geoagent.agent import relations, sizes
from geoagent.agent.answers import Answer, number
from geoagent.agent.grids import on_one_grid
from geoagent.agent.masks import StoredMask
from geoagent.agent.progress import report
from geoagent.agent.rows import Rows
from geoagent.agent.toolbox.base import MaskId, Outcome, Tools, check_scale
from geoagent.geo.georef import is_measurable
from geoagent.types import GeoAgentError

Relation = Literal["intersection", "difference", "union", "within", "nearest", "touching"]
_NEAREST_LISTED = 5


class RelateTools(Tools):
    """`relate` and `buffer`."""

    def relate(
        self,
        mask_a: MaskId,
        mask_b: MaskId,
        relation: Annotated[
            Relation,
            Field(
                description="within: objects of a inside b, or at most `metres` from b; nearest: distance from a to b; "
                "touching: objects of a that touch b; intersection, difference, union: of the areas"
            ),
        ],
        metres: Annotated[float | None, Field(description="for within: how far from b, edge to edge", ge=0)] = None,
    ) -> Outcome:
        """Relate two masks: what of a overlaps, lies within reach of, touches or is nearest to b. Gives a new mask."""
        first, second = on_one_grid(self.store.mask(mask_a), self.store.mask(mask_b))
        if metres is not None and relation != "within":
            raise GeoAgentError(f"metres is only for within: leave it out for {relation}")
        report("relating the masks")
        if relation == "nearest":
            return Outcome(_nearest(first, second, mask_a, mask_b))
        inside: Rows | None = None
        if relation == "within":
            check_scale(first, metres)
            reach = relations.within(first, second, metres)
            result, inside = reach.near, reach.inside
        else:
            result = {
                "intersection": relations.intersection,
                "difference": relations.difference,
                "union": relations.union,
                "touching": relations.touching,
            }[relation](first, second)
        answer: Answer = {"mask_id": self.store.add_mask(result), **sizes.brief(result.target, result.info)}
        answer |= {"of_a": sizes.share(result, first)}
        if inside is not None:
            answer["part_of_a_inside"] = sizes.share_of_area(inside, first)
        if not is_measurable(first.info):
            answer["warnings"] = [sizes.NO_SCALE]
        return Outcome(answer)

    def buffer(
        self,
        mask_id: MaskId,
        metres: Annotated[float, Field(description="how far around the mask; negative: off its edge")],
    ) -> Outcome:
        """Grow (or shrink) a mask by a distance on the ground. Gives a new mask, cut at the edge of the image."""
        stored = self.store.mask(mask_id)
        check_scale(stored, metres)
        report("growing the mask")
        grown = relations.buffered(stored, metres)
        return Outcome({"mask_id": self.store.add_mask(grown), **sizes.brief(grown.target, grown.info, count=False)})


def _nearest(first: StoredMask, second: StoredMask, id_a: str, id_b: str) -> Answer:
    plane = relations.GroundPlane(first.info)
    if not (first.target.mask.any() and second.target.mask.any()):
        raise GeoAgentError("one of the masks is empty: there is no distance to nothing")
    away = relations.distances(first.pieces, plane.of_mask(second.target.mask), plane)
    order = np.argsort(away, kind="stable")
    unit, base = f"distance_{plane.unit}", id_a.partition("#")[0]
    single = "#" in id_a
    answer: Answer = {
        unit: number(float(away.min())),
        "from": id_a,
        "to": id_b,
        "mean": number(float(away.mean())),
        "farthest": number(float(away.max())),
        "objects_by_distance": [
            {"id": id_a if single else f"{base}#{first.pieces[i].id}", unit: number(float(away[i]))}
            for i in order[:_NEAREST_LISTED]
        ],
    }
    if plane.unit == "px":
        answer["warnings"] = [sizes.NO_SCALE]
    return answer
