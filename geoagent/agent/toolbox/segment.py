"""Finding things by words."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from geoagent.agent import sizes
from geoagent.agent.answers import Answer, quoted
from geoagent.agent.toolbox.base import ImageId, Outcome, Tools
from geoagent.geo.georef import is_measurable
from geoagent.types import Box, GeoAgentError, Prediction

LOW_CONFIDENCE = 0.5


class SegmentTools(Tools):
    """`segment`."""

    def segment(
        self,
        image_id: ImageId,
        text: Annotated[
            str, Field(description="what to find: a thing ('storage tanks') or a question about it", max_length=500)
        ],
        region: Annotated[
            list[int] | None, Field(description="look only here: [x0, y0, x1, y1] in pixels of the image")
        ] = None,
        points: Annotated[list[list[float]] | None, Field(description="[[x, y], …] in pixels on the thing")] = None,
        boxes: Annotated[
            list[list[float]] | None, Field(description="[[x0, y0, x1, y1], …] in pixels around the thing")
        ] = None,
        min_score: Annotated[
            float | None, Field(description="0 to 1; what scores lower counts as not found", ge=0, le=1)
        ] = None,
    ) -> Outcome:
        """Find something in an image by words. Gives a mask id, count and area for each thing that the text names.

        What is not in the image comes back under "absent". Ask for one kind of thing at a time.
        """
        if any(len(point) not in (2, 3) for point in points or ()) or any(len(box) != 4 for box in boxes or ()):
            raise GeoAgentError("a point is [x, y] and a box [x0, y0, x1, y1], in pixels of the image")
        asked = self._sight.ask(
            image_id, text, region=_box(region), points=points or (), boxes=boxes or (), min_score=min_score
        )
        with asked as seen:
            prediction = seen.prediction
            found = [
                {
                    "mask_id": self._sight.keep(image_id, target, prediction, seen.window),
                    **sizes.brief(target, prediction.image),
                    "score": round(target.score, 2),
                }
                for target in prediction.targets
            ]
        answer: Answer = {
            "answer": prediction.answer[:300],
            "found": found,
            "absent": [{"phrase": t.phrase[:80], "score": round(t.score, 2)} for t in prediction.absent],
            "warnings": warnings_of(prediction),
            "next": "measure, relate, buffer, render or export a mask_id"
            if found
            else "use other words, a region, or a lower min_score",
        }
        return Outcome({key: value for key, value in answer.items() if value not in ([], "")})


def warnings_of(prediction: Prediction, found: bool = True) -> list[str]:
    """What to say with an answer of the model."""
    warnings = [quoted(warning, 160) for warning in prediction.warnings]
    scores = [target.score for target in prediction.candidates]
    if scores and max(scores) < LOW_CONFIDENCE:
        warnings.insert(0, f"low confidence: best score {max(scores):.2f}")
    elif found and any(target.score < LOW_CONFIDENCE for target in prediction.targets):
        warnings.insert(0, "low confidence: some scores are below 0.5")
    if found and not is_measurable(prediction.image):
        warnings.append(sizes.NO_SCALE)
    return warnings


def _box(region: Sequence[int] | None) -> Box | None:
    if region is None:
        return None
    if len(region) != 4:
        raise GeoAgentError(f"a region is [x0, y0, x1, y1] in pixels, not {len(region)} numbers")
    x0, y0, x1, y1 = region
    return x0, y0, x1, y1
