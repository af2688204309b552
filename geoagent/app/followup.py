"""Questions about what was just found ("which of those is largest?"): answered from the objects, without the model."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from geoagent.cli.words import area, length
from geoagent.geo.measure import Measurement, measure_object
from geoagent.types import Instance, Prediction, Target

_BACK = r"\b(those|these|them|they|it|ones?)\b"
_ORDERS: tuple[tuple[str, str, bool, Callable[[Instance, Measurement], float]], ...] = (
    (r"largest|biggest|greatest", "largest", True, lambda i, m: m.area),
    (r"smallest|tiniest|least", "smallest", False, lambda i, m: m.area),
    (r"longest", "longest", True, lambda i, m: m.length),
    (r"shortest", "shortest", False, lambda i, m: m.length),
    (r"surest|most (certain|confident)|best", "most certain", True, lambda i, m: i.score),
    (r"least (certain|confident)|unsurest", "least certain", False, lambda i, m: i.score),
    (r"leftmost|furthest left", "leftmost", False, lambda i, m: i.box[0] + i.box[2]),
    (r"rightmost|furthest right", "rightmost", True, lambda i, m: i.box[0] + i.box[2]),
    (r"topmost|uppermost", "topmost", False, lambda i, m: i.box[1] + i.box[3]),
    (r"lowest|bottommost", "lowest", True, lambda i, m: i.box[1] + i.box[3]),
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
    value: Callable[[Instance, Measurement], float],
) -> Prediction:
    info = earlier.image
    measured = [(t, i, measure_object(i.crop, info, i.box, phrase=t.phrase)) for t, i in objects]
    target, instance, measures = (max if most else min)(measured, key=lambda m: value(m[1], m[2]))
    phrase = f"{name} of {len(objects)} {target.phrase}" if len(earlier.targets) == 1 else f"{name} object"
    note = f"{_size(measures)}, {_extent(measures)}, score {instance.score:.2f}"
    found = replace(target, phrase=phrase, mask=instance.mask, instances=(replace(instance, id=1),), coarse=None)
    return _reply(question, earlier, f"The <p>{phrase}</p><seg> measures {note}.", (found,))


def _summed_up(question: str, earlier: Prediction) -> Prediction:
    parts = []
    for target, measures in zip(earlier.targets, earlier.measure(), strict=True):
        parts.append(f"{measures.count} <p>{target.phrase}</p><seg> with {_size(measures)} together")
    return _reply(question, earlier, f"There are {_listed(parts)}.", earlier.targets)


def _reply(question: str, earlier: Prediction, marked: str, targets: tuple[Target, ...]) -> Prediction:
    plain = re.sub(r"</?p>|<seg>|<rej>", "", marked)
    return replace(
        earlier, answer=plain, marked_answer=marked, candidates=targets, instruction=question, tokens=0, warnings=()
    )


def _size(measures: Measurement) -> str:
    return area(measures.area, None) if measures.unit == "m" else f"{measures.area:,.0f} px"


def _extent(measures: Measurement) -> str:
    return f"{length(measures.length)} long" if measures.unit == "m" else f"{measures.length:,.0f} px long"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
