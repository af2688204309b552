"""What appeared and disappeared between two dates."""

from contextlib import ExitStack
from typing import Annotated

import numpy as np
from pydantic import Field

from geoagent.agent import change, relations, sizes
from geoagent.agent.answers import Answer
from geoagent.agent.dates import CommonGrid, common_grid
from geoagent.agent.masks import StoredMask, without_path
from geoagent.agent.progress import report
from geoagent.agent.rows import Rows, mask_of_rows
from geoagent.agent.toolbox.base import Outcome, Tools
from geoagent.agent.toolbox.segment import warnings_of
from geoagent.types import Instance, Mask, Prediction, Target


class CompareTools(Tools):
    """`compare`."""

    def compare(
        self,
        image_a: Annotated[str, Field(description="id of the earlier image", max_length=80)],
        image_b: Annotated[str, Field(description="id of the later image", max_length=80)],
        text: Annotated[str, Field(description="what to look for: one kind of thing", max_length=500)],
    ) -> Outcome:
        """Find what appeared and disappeared between two dates: counts, areas and mask ids, on one grid."""
        report("reading both images")
        with ExitStack() as stack:
            first, second = (stack.enter_context(self._sight.open(image)) for image in (image_a, image_b))
            grid = common_grid(first, second)
            before = stack.enter_context(self._sight.ask_windows(grid.before, text))
            after = stack.enter_context(self._sight.ask_windows(grid.after, text))
            report("matching the objects")
            answer = self._changes(grid, before, after, image_a if grid.on_first else image_b, text)
        return Outcome(answer)

    def _changes(self, grid: CommonGrid, before: Prediction, after: Prediction, image_id: str, text: str) -> Answer:
        was, now = _joined(before, text), _joined(after, text)
        info = without_path(grid.info)
        base = StoredMask(
            image_id=image_id, target=now, info=info, window=grid.window, question=text, model=self._sight.model_name
        )
        answer: Answer = {
            "before": sizes.brief(was, info) if was.mask.any() else {"objects": 0},
            "after": sizes.brief(now, info) if now.mask.any() else {"objects": 0},
        }
        seen = [prediction.valid for prediction in (before, after) if prediction.valid is not None]
        if was.instances or now.instances:
            found = change.changed_objects(was.instances, now.instances, seen)
            changes = {
                "appeared": relations.of_objects(base, found.appeared, f"{text[:60]} that appeared"),
                "disappeared": relations.of_objects(base, found.disappeared, f"{text[:60]} that disappeared"),
                "stayed": relations.of_objects(base, found.stayed, f"{text[:60]} that stayed"),
            }
        else:
            a, b = was.mask, now.mask
            changes = {
                "appeared": _of_pixels(base, lambda y, z: b[y:z] & ~a[y:z], seen, f"{text[:60]} that appeared"),
                "disappeared": _of_pixels(base, lambda y, z: a[y:z] & ~b[y:z], seen, f"{text[:60]} that disappeared"),
                "stayed": _of_pixels(base, lambda y, z: a[y:z] & b[y:z], seen, f"{text[:60]} that stayed"),
            }
        for what, stored in changes.items():
            answer[what] = {"objects": 0}
            if stored.target.mask.any():
                answer[what] = {"mask_id": self.store.add_mask(stored), **sizes.brief(stored.target, info)}
        warnings = [*warnings_of(before, found=False), *warnings_of(after, found=False)]
        shift = change.misregistration(grid.before, grid.after)
        if shift is not None:
            dx, dy = shift
            warnings.insert(
                0,
                f"the images lie {np.hypot(dx, dy):.1f} pixels beside each other (x {dx:+.1f}, y {dy:+.1f}): "
                "small changes may be false",
            )
        if grid.remark:
            answer["remark"] = grid.remark
        if warnings:
            answer["warnings"] = list(dict.fromkeys(warnings))
        return answer


def _of_pixels(base: StoredMask, rows: Rows, seen: list[Mask], phrase: str) -> StoredMask:
    """A mask of the pixels that both dates show."""

    def comparable(top: int, bottom: int) -> Mask:
        mask = rows(top, bottom)
        for valid in seen:
            mask = mask & valid[top:bottom]
        return mask

    return base.with_target(mask_of_rows(base.info.size, comparable), (), phrase=phrase)


def _joined(prediction: Prediction, text: str) -> Target:
    """Everything that an answer found, as one target."""
    targets = prediction.targets
    objects: list[Instance] = [one for target in targets for one in target.instances]

    def rows(top: int, bottom: int) -> Mask:
        mask = np.zeros((bottom - top, prediction.image.width), dtype=np.bool_)
        for target in targets:
            mask |= target.mask[top:bottom]
        return mask

    mask = targets[0].mask if len(targets) == 1 else mask_of_rows(prediction.image.size, rows)
    score = max((target.score for target in targets), default=0.0)
    return Target(phrase=text[:60], score=score, mask=mask, instances=tuple(objects))
