"""ThinkGeo's tool names and arguments over ours."""

import pytest
from langchain_core.tools import ToolException
from world import NEW_TANK, TANKS

from geoagent.agent.thinkgeo import make_thinkgeo_tools


@pytest.fixture
def tools(toolbox):
    made = {tool.name: tool for tool in make_thinkgeo_tools(toolbox.store, toolbox._sight._model)}
    return lambda name, **arguments: made[name].invoke(arguments)


def test_argument_names_are_theirs(toolbox):
    shapes = {
        tool.name: tuple(tool.args_schema.model_fields)
        for tool in make_thinkgeo_tools(toolbox.store, toolbox._sight._model)
    }
    assert shapes == {
        "TextToBbox": ("image", "text", "top1"),
        "ObjectDetection": ("image",),
        "CountGivenObject": ("image", "text", "bbox"),
        "SegmentObjectPixels": ("image", "text", "flag"),
        "RegionAttributeDescription": ("image", "bbox", "attribute"),
        "ImageDescription": ("image",),
        "ChangeDetection": ("pre_image", "post_image", "text"),
        "DrawBox": ("image", "bbox", "annotation"),
        "Calculator": ("expression",),
    }


@pytest.mark.parametrize("name", ["before.tif", "image/before.tif", "C:\\data\\before.tif"])
def test_images_by_name(tools, name):
    assert tools("CountGivenObject", image=name, text="storage tanks") == "5"


def test_counting_and_boxes(tools, images):
    image = images["before"]
    assert tools("CountGivenObject", image=image, text="storage tanks", bbox="(40, 0, 130, 60)") == "1"
    assert tools("CountGivenObject", image=image, text="ships") == "0"
    boxes = tools("TextToBbox", image=image, text="storage tanks", top1=False).splitlines()
    assert boxes == ["({}, {}, {}, {}), score 100".format(*box) for box in TANKS]
    assert tools("TextToBbox", image=image, text="storage tanks") == boxes[0]
    assert tools("TextToBbox", image=image, text="ships") == "no ships found"
    assert "storage tank: (50, 10, 60, 20), score 100" in tools("ObjectDetection", image=image)


def test_pixels(tools, images):
    assert tools("SegmentObjectPixels", image=images["before"], text="storage tanks") == "1900"
    each = tools("SegmentObjectPixels", image=images["before"], text="storage tanks", flag=True)
    assert each == "[400, 100, 400, 900, 100]"


def test_regions_and_changes(tools, images):
    words = tools("RegionAttributeDescription", image="before.tif", bbox="(0, 140, 200, 200)", attribute="the river")
    assert "river: 1 object(s)" in words
    assert "33.3 % of the region" in words
    words = tools("ChangeDetection", pre_image="before.tif", post_image="later.tif", text="storage tanks")
    assert "appeared: 1" in words and "disappeared: 1" in words
    assert f"{(NEW_TANK[2] - NEW_TANK[0]) * (NEW_TANK[3] - NEW_TANK[1]) // 4}" in words
    assert tools("ImageDescription", image="before.tif")


def test_drawing_and_arithmetic(tools, toolbox):
    file = tools("DrawBox", image="before.tif", bbox="(10, 10, 30, 30)", annotation="tank")
    assert toolbox.store.file(file).path.read_bytes()[:4] == b"\x89PNG"
    assert tools("Calculator", expression="2 * (3 + 4)") == "14"


def test_errors_are_answers(tools):
    assert tools("CountGivenObject", image="/etc/passwd", text="x").startswith("Error: there is no image")
    assert "is not a bbox" in tools("CountGivenObject", image="before.tif", text="x", bbox="here")
    assert "expression: Field required" in tools("Calculator", term="1")


def test_they_raise_tool_exceptions_only(toolbox):
    (tool,) = [t for t in make_thinkgeo_tools(toolbox.store, toolbox._sight._model) if t.name == "Calculator"]
    with pytest.raises(ToolException):
        tool.func(expression="import os")
