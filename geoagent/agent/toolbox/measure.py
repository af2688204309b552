"""Sizes of what was found, and arithmetic."""

from typing import Annotated

import numpy as np
from pydantic import Field

from geoagent.agent import relations, sizes
from geoagent.agent.answers import Answer, number
from geoagent.agent.calculator import evaluate
from geoagent.agent.toolbox.base import MaskId, Outcome, Tools


class MeasureTools(Tools):
    """`measure` and `calculate`."""

    def measure(
        self,
        mask_id: MaskId,
        larger_than: Annotated[float | None, Field(description="keep objects above this area in m² (or px)")] = None,
        smaller_than: Annotated[float | None, Field(description="keep objects below this area in m² (or px)")] = None,
    ) -> Outcome:
        """Measure a mask: number of objects, area, length, place; its objects by size, the largest first.

        With larger_than or smaller_than only those objects count, and they get a mask id of their own.
        """
        stored = self.store.mask(mask_id)
        answer: Answer = {"mask_id": mask_id}
        if larger_than is not None or smaller_than is not None:
            low, high = larger_than if larger_than is not None else -np.inf, smaller_than or np.inf
            chosen = [one for one in stored.pieces if low < sizes.area_of(one, stored.info) < high]
            answer["objects_before"] = len(stored.pieces)
            stored = relations.of_objects(stored, chosen, f"chosen {stored.target.phrase}")
            answer["mask_id"] = mask_id = self.store.add_mask(stored)
        answer |= sizes.full(stored, mask_id)
        return Outcome(answer)

    def calculate(
        self,
        expression: Annotated[str, Field(description="such as 100 * 12.5 / (3 + 4); sqrt, min, max, mean …")],
    ) -> Outcome:
        """Calculate. Use it for every sum, share, ratio and conversion instead of doing them in your head."""
        return Outcome({"value": number(evaluate(expression))})
