"""The tools under the names and arguments of ThinkGeo (and AgentLego before it), for agents that were trained on those.

Images are named by their id or by the file name an agent was given; a name is only ever looked up in the workspace,
never opened. Boxes are text, ``(x1, y1, x2, y2)`` in pixels, and answers are plain text. Nothing is computed here.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import Field

from geoagent.agent.answers import LIMIT, number
from geoagent.agent.calculator import evaluate
from geoagent.agent.schema import arguments_of, description_of, repair_hint
from geoagent.agent.segmenter import Segmenter
from geoagent.agent.store import SceneStore
from geoagent.agent.toolbox import Toolbox, guarded
from geoagent.data.classes import CLASSES
from geoagent.types import Box, GeoAgentError, Instance

Image = Annotated[str, Field(description="the image: its id or its file name", max_length=300)]
Text = Annotated[str, Field(description="the object description in English", max_length=500)]
BoxText = Annotated[str, Field(description="the bbox in the format of `(x1, y1, x2, y2)`", max_length=100)]

DETECTED = ("airplane", "ship", "vehicle", "building", "storage tank", "tennis court", "soccer field", "swimming pool",
            "bridge", "harbor")  # fmt: skip
"""What `ThinkGeoTools.ObjectDetection` looks for, which is given no words."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def make_thinkgeo_tools(store: SceneStore, model: Segmenter) -> list[BaseTool]:
    """ThinkGeo's perception tools as LangChain tools."""
    return [_as_langchain(name, function) for name, function in ThinkGeoTools(Toolbox(store, model)).functions.items()]


class ThinkGeoTools:
    """ThinkGeo's tools over ours."""

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox = toolbox

    @property
    def functions(self) -> dict[str, Callable[..., str]]:
        """The tools by ThinkGeo's names."""
        return {
            "TextToBbox": self.text_to_bbox,
            "ObjectDetection": self.object_detection,
            "CountGivenObject": self.count_given_object,
            "SegmentObjectPixels": self.segment_object_pixels,
            "RegionAttributeDescription": self.region_attribute_description,
            "ImageDescription": self.image_description,
            "ChangeDetection": self.change_detection,
            "DrawBox": self.draw_box,
            "Calculator": self.calculator,
        }

    def text_to_bbox(
        self,
        image: Image,
        text: Text,
        top1: Annotated[bool, Field(description="only the object with the highest score")] = True,
    ) -> str:
        """Detect the object location according to description."""
        found = sorted(self._objects(image, text), key=lambda one: -one.score)
        lines = [f"{_written(one.box)}, score {100 * one.score:.0f}" for one in found[: 1 if top1 else None]]
        return _cut(lines) or f"no {text} found"

    def object_detection(self, image: Image) -> str:
        """Detect all common objects in the image."""
        lines = [
            f"{phrase}: {_written(one.box)}, score {100 * one.score:.0f}"
            for phrase, one in self._named_objects(image, ", ".join(CLASSES[name].plural for name in DETECTED))
        ]
        return _cut(lines) or "no objects found"

    def count_given_object(self, image: Image, text: Text, bbox: BoxText | None = None) -> str:
        """Count the number of a certain object in the image."""
        return str(len(self._objects(image, text, bbox)))

    def segment_object_pixels(
        self,
        image: Image,
        text: Text,
        flag: Annotated[bool, Field(description="true: pixels of each object; false: of all together")] = False,
    ) -> str:
        """Segment the described object and return its number of pixels."""
        masks = self._masks(image, text)
        if flag:
            return str([one.area for mask in masks for one in self._toolbox.store.mask(mask).pieces])[:LIMIT]
        return str(sum(self._toolbox.store.mask(mask).target.pixel_count for mask in masks))

    def region_attribute_description(
        self, image: Image, bbox: BoxText, attribute: Annotated[str, Field(description="the attribute to describe")]
    ) -> str:
        """Describe the attribute of a region of the input image."""
        answer = self._toolbox.segment(self._id(image), attribute, region=list(_box(bbox))).answer
        parts = [answer.get("answer", "")]
        for found in answer.get("found", ()):
            area = f"{found['area_m2']} m²" if "area_m2" in found else f"{found['area_px']} pixels"
            share = 100 * found["share_of_image"]
            parts.append(f"{found['phrase']}: {found['objects']} object(s), {area}, {share:.3g} % of the region")
        return _cut([part for part in parts if part]) or f"nothing found about {attribute}"

    def image_description(self, image: Image) -> str:
        """Describe the image briefly."""
        return self._toolbox.tell(self._id(image), "What is this place?") or "no description"

    def change_detection(self, pre_image: Image, post_image: Image, text: Text) -> str:
        """Describe what changed between two images of a place."""
        answer = self._toolbox.compare(self._id(pre_image), self._id(post_image), text).answer
        parts = [
            f"{what}: {answer[what]['objects']}" + (f" ({_area(answer[what])})" if answer[what]["objects"] else "")
            for what in ("before", "after", "appeared", "disappeared", "stayed")
        ]
        return _cut([*parts, *answer.get("warnings", ())])

    def draw_box(
        self,
        image: Image,
        bbox: BoxText,
        annotation: Annotated[str | None, Field(description="what to write at the box")] = None,
    ) -> str:
        """Draw a box on the image, for the user to look at."""
        return str(self._toolbox.outline_box(self._id(image), _box(bbox), annotation or "").answer["file_id"])

    def calculator(self, expression: Annotated[str, Field(description="an arithmetic expression")]) -> str:
        """Calculate an arithmetic expression."""
        return str(number(evaluate(expression)))

    # ---------------------------------------------------------------------------------------------------- inside

    def _id(self, name: str) -> str:
        """The id of an image that is called by its id, its name, or a path that ends in its name."""
        known = self._toolbox.store.images()
        if any(name == image_id for image_id, _ in known):
            return name
        tail = name.replace("\\", "/").rpartition("/")[2]
        matches = [image_id for image_id, file in known if file == name or file.rpartition("/")[2] == tail]
        if len(matches) > 1:
            raise GeoAgentError(f"several images are called {tail[:60]!r}: use one of the ids {', '.join(matches[:5])}")
        return matches[0] if matches else name

    def _masks(self, image: str, text: str, bbox: str | None = None) -> list[str]:
        region = None if bbox is None else list(_box(bbox))
        found = self._toolbox.segment(self._id(image), text, region=region).answer.get("found", ())
        return [entry["mask_id"] for entry in found]

    def _named_objects(self, image: str, text: str, bbox: str | None = None) -> list[tuple[str, Instance]]:
        """Objects with their names; boxes in pixels of the whole image."""
        found: list[tuple[str, Instance]] = []
        for mask_id in self._masks(image, text, bbox):
            stored = self._toolbox.store.mask(mask_id)
            found += [(stored.target.phrase, stored.in_image(one)) for one in stored.pieces]
        return found

    def _objects(self, image: str, text: str, bbox: str | None = None) -> list[Instance]:
        return [one for _, one in self._named_objects(image, text, bbox)]


def _as_langchain(name: str, function: Callable[..., str]) -> BaseTool:
    def call(**arguments: Any) -> str:
        try:
            return guarded(name, function, arguments)
        except GeoAgentError as error:
            raise ToolException(str(error)) from error

    return StructuredTool.from_function(
        func=call,
        name=name,
        description=description_of(function),
        args_schema=arguments_of(name, function),
        handle_tool_error=lambda error: f"Error: {str(error)[:600]}",
        handle_validation_error=lambda error: f"Error: {repair_hint(name, function, error)}",
    )


def _box(text: str) -> Box:
    numbers = [float(part) for part in _NUMBER.findall(text)]
    if len(numbers) != 4:
        raise GeoAgentError(f"{text[:60]!r} is not a bbox: write (x1, y1, x2, y2) in pixels")
    x0, y0, x1, y1 = (round(value) for value in numbers)
    return x0, y0, x1, y1


def _written(box: Box) -> str:
    return f"({box[0]}, {box[1]}, {box[2]}, {box[3]})"


def _area(entry: dict[str, Any]) -> str:
    return f"{entry['area_m2']} m²" if "area_m2" in entry else f"{entry['area_px']} pixels"


def _cut(lines: list[str]) -> str:
    """Lines as far as an answer may be long, with how many are left off."""
    kept = list(lines)
    while len("\n".join(kept)) > LIMIT - 40:
        kept.pop()
    if len(kept) < len(lines):
        kept.append(f"… and {len(lines) - len(kept)} more")
    return "\n".join(kept)
