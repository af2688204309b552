import numpy as np
import pytest
from miniatures import block, mask_file, picture, write_json

from geoagent.data.geoseg import GeoSeg, parse_prompts, task_of
from geoagent.types import GeoAgentError

QUESTIONS = {
    "referring": {"question": ["the building on the left"], "reason": []},
    "intera": {"question": ["Segment x0,y0=[0.125, 0.2], x1,y1=[0.375,0.6667]", "what is at [0.25,0.5]"], "reason": []},
    "think": {"question": ["Where is fuel kept?"], "reason": ["Storage tanks hold fuel."]},
}


def write(root):
    entries = []
    for number, (task, content) in enumerate(QUESTIONS.items()):
        picture(root / "img" / f"{number}.jpg", seed=number)
        mask_file(root / "mask" / f"{number}.png")
        write_json(root / "json" / task / f"{number}.json", content)
        entries.append({"img": f"img/{number}.jpg", "mask": f"mask/{number}.png", "json": f"json/{task}/{number}.json"})
    write_json(root / "test.json", entries)
    return root


def test_tasks_come_from_the_path(tmp_path):
    data = GeoSeg(write(tmp_path), "test")
    assert [s.type for s in data] == ["reference", "interactive", "interactive", "reasoning"]
    assert data[3].answer == "<p>Storage tanks</p><seg> hold fuel."
    assert data[0].targets[0].class_name == "building"
    np.testing.assert_array_equal(data[0].targets[0].mask, block())
    assert len(GeoSeg(tmp_path, "test", task="interactive")) == 2
    assert [task_of(p) for p in ("a/ref/b.json", "interactive/b.json", "refined/b.json")] == [
        "referring",
        "interactive",
        "reasoning",
    ]


def test_prompts_stand_in_the_words(tmp_path):
    data = GeoSeg(write(tmp_path), "test")
    np.testing.assert_allclose(data[1].prompts.boxes, [(5, 6, 15, 20)], atol=0.01)
    assert data[1].prompts.points == ()
    assert data[2].prompts.points == ((10.0, 15.0, True),)


@pytest.mark.parametrize(
    ("text", "boxes", "points"),
    [
        ("x0,y0=[0.1,0.2],x1,y1=[0.3,0.4]", 1, 0),
        ("x0, y0 = [ .1 , .2 ] ,  x1 , y1 = [.3,1]", 1, 0),
        ("the roof at [0.5, 0.5], [0,1] and [1.0,0.25]", 0, 3),
        ("nothing here", 0, 0),
    ],
)
def test_spellings_of_prompts(text, boxes, points):
    prompts = parse_prompts(text, (100, 50))
    assert (len(prompts.boxes), len(prompts.points)) == (boxes, points)
    prompts.check_inside(100, 50)


def test_bad_records_are_named(tmp_path):
    with pytest.raises(GeoAgentError, match=r"train\.json is missing.*found: test"):
        GeoSeg(write(tmp_path), "train")
    with pytest.raises(GeoAgentError, match="not between 0 and 1"):
        parse_prompts("[12, 30]", (100, 50))
    with pytest.raises(GeoAgentError, match="no task 'chat'"):
        GeoSeg(tmp_path, "test", task="chat")
    write_json(tmp_path / "json" / "intera" / "1.json", {"question": ["no prompt"], "reason": []})
    with pytest.raises(GeoAgentError, match="no point or box"):
        GeoSeg(tmp_path, "test")[1]
    write_json(tmp_path / "json" / "think" / "2.json", {"reason": []})
    with pytest.raises(GeoAgentError, match=r"2\.json needs the list 'question'"):
        GeoSeg(tmp_path, "test")
    write_json(tmp_path / "test.json", [{"img": "img/0.jpg"}])
    with pytest.raises(GeoAgentError, match="entry 0 lacks mask, json"):
        GeoSeg(tmp_path, "test")
