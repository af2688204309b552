"""Questions about what was just found ("which of those is largest?"): answered from the objects, without the model."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from geoagent.cli.words import area, length
from geoagent.geo.georef import is_measurable
from geoagent.geo.measure import mask_area, mask_area_m2, mask_length
from geoagent.types import ImageInfo, Instance, Prediction, Target

_BACK = r"\b(those|these|them|they|it|ones?)\b"
_ORDERS: tuple[tuple[str, str, bool, Callable[[Instance, ImageInfo], float]], ...] = (
    (r"largest|biggest|greatest", "largest", True, lambda i, info: mask_area(i.crop, info, i.box)),
    (r"smallest|tiniest|least", "smallest", False, lambda i, info: mask_area(i.crop, info, i.box)),
    (r"longest", "longest", True, lambda i, info: mask_length(i.crop, info, i.box)),
    (r"shortest", "shortest", False, lambda i, info: mask_length(i.crop, info, i.box)),
    (r"surest|most (certain|confident)|best", "most certain", True, lambda i, info: i.score),
    (r"least (certain|confident)|unsurest", "least certain", False, lambda i, info: i.score),
    (r"leftmost|furthest left", "leftmost", False, lambda i, info: i.box[0] + i.box[2]),
    (r"rightmost|furthest right", "rightmost", True, lambda i, info: i.box[0] + i.box[2]),
    (r"topmost|uppermost", "topmost", False, lambda i, info: i.box[1] + i.box[3]),
    (r"lowest|bottommost", "lowest", True, lambda i, info: i.box[1] + i.box[3]),
)


def answer_from_objects(question: str, earlier: Prediction) -> Prediction | None:
    """An answer about the objects of an earlier one; None where the question needs the model."""
    words = question.lower()
    objects = [(target, instance) for target in earlier.targets for instance in target.instances]
    if not objects or not re.search(_BACK, words):
        return None
    for pattern, name, most, value in sorted(_ORDERS, key=lambda order: -len(order[1])):
        if re.search(rf"\b({pattern})\b", words):
            return _extreme(question, earlier, objects, name, most, value)
    if re.search(r"\bhow (many|much|large|big|long)\b|\bcount\b|\btotal\b|\barea\b", words):
        return _summed_up(question, earlier)
    return None


def _extreme(
    question: str,
    earlier: Prediction,
    objects: Sequence[tuple[Target, Instance]],
    name: str,
    most: bool,
    value: Callable[[Instance, ImageInfo], float],
) -> Prediction:
    info = earlier.image
    target, instance = (max if most else min)(objects, key=lambda one: value(one[1], info))
    phrase = f"{name} of {len(objects)} {target.phrase}" if len(earlier.targets) == 1 else f"{name} object"
    size = area(mask_area_m2(instance.crop, info, instance.box), instance.area)
    along = mask_length(instance.crop, info, instance.box)
    extent = length(along) if is_measurable(info) else f"{along:,.0f} px"
    note = f"{size}, {extent} long, score {instance.score:.2f}"
    found = replace(target, phrase=phrase, mask=instance.mask, instances=(replace(instance, id=1),), coarse=None)
    return _reply(question, earlier, f"The <p>{phrase}</p><seg> measures {note}.", (found,))


def _summed_up(question: str, earlier: Prediction) -> Prediction:
    parts = []
    for target in earlier.targets:
        size = area(mask_area_m2(target.mask, earlier.image), target.pixel_count)
        parts.append(f"{max(1, len(target.instances))} <p>{target.phrase}</p><seg> with {size} together")
    return _reply(question, earlier, f"There are {_listed(parts)}.", earlier.targets)


def _reply(question: str, earlier: Prediction, marked: str, targets: tuple[Target, ...]) -> Prediction:
    plain = re.sub(r"</?p>|<seg>|<rej>", "", marked)
    return replace(
        earlier, answer=plain, marked_answer=marked, candidates=targets, instruction=question, tokens=0, warnings=()
    )


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
