"""``geoagent ask``: with a scripted language model, without one, and once with nano."""

import json

import pytest
from test_langchain import five_steps
from world import make_scene, write_scene

from eval.agent_planner import Call, ScriptedPlanner
from geoagent import cli, demo


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GEOAGENT_LLM", raising=False)
    monkeypatch.setenv("GEOAGENT_HOME", str(tmp_path / "home"))
    write_scene(make_scene("before"), tmp_path / "before.tif")
    return tmp_path


@pytest.fixture
def oracle(monkeypatch):
    from eval.agent_oracle import OracleSegmenter
    from geoagent.cli import asking, loading

    model = OracleSegmenter([make_scene("before")])
    monkeypatch.setattr(loading, "load_model", lambda args: model)
    monkeypatch.setattr(asking, "lazy_model", lambda args: model)


@pytest.fixture
def planned(monkeypatch):
    """The language model of any name follows this plan."""

    def follow(plan):
        from geoagent.cli import asking

        monkeypatch.setattr(asking, "chat_model", lambda name, base_url: ScriptedPlanner.of(plan))

    return follow


def test_an_agent_answers_and_shows_its_steps(folder, oracle, planned, capsys):
    planned(five_steps())
    code = cli.main(["ask", "before.tif", "How many tanks are near the river?", "--llm", "any", "--show-steps"])
    out, err = capsys.readouterr()
    assert code == 0
    assert out == "2 tanks, 40 %\n"
    assert "> relate(" in err and "  = {" in err


def test_files_are_copied_and_never_over_others(folder, oracle, planned, capsys):
    def plan():
        listed = yield Call("list_images")
        found = yield Call("segment", image_id=listed["images"][0]["image_id"], text="storage tanks")
        yield Call("export", mask_id=found["found"][0]["mask_id"], format="geojson")
        return "done"

    for name in ("storage-tank.geojson", "storage-tank-2.geojson"):
        planned(plan())
        assert cli.main(["ask", ".", "Export the tanks", "--llm", "any"]) == 0
        assert name in capsys.readouterr().err
        assert len(json.loads((folder / name).read_text())["features"]) == 5


def test_a_conversation_goes_on(folder, oracle, planned, capsys):
    masks = []

    def first():
        listed = yield Call("list_images")
        found = yield Call("segment", image_id=listed["images"][0]["image_id"], text="storage tanks")
        masks.append(found["found"][0]["mask_id"])
        return "5 tanks"

    def second():
        answer = yield Call("measure", mask_id=masks[0])
        return f"{answer['area_m2']:.0f} m²"

    planned(first())
    assert cli.main(["ask", "before.tif", "How many tanks?", "--llm", "any", "--thread", "port"]) == 0
    planned(second())
    assert cli.main(["ask", "before.tif", "How large?", "--llm", "any", "--thread", "port"]) == 0
    assert capsys.readouterr().out == "5 tanks\n475 m²\n"


def test_without_a_language_model_it_answers_alone_and_says_what_is_missing(folder, monkeypatch, capsys):
    from geoagent.cli import loading

    class Alone:
        def segment(self, image, text, **reading):
            from eval.agent_oracle import OracleSegmenter
            from geoagent.geo.raster import read_image

            return OracleSegmenter([make_scene("before")]).open(read_image(image)).ask(text)

    monkeypatch.setattr(loading, "load_model", lambda args: Alone())
    assert cli.main(["ask", "before.tif", "storage tanks"]) == 0
    out, err = capsys.readouterr()
    assert "storage tank" in out and "5" in out
    for hint in ("--llm", "GEOAGENT_LLM", "--llm-url", "transformers:"):
        assert hint in err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["nowhere.tif", "what?", "--llm", "any"], "does not exist"),
        (["before.tif", "what?", "--llm", "no-such-model"], "not known"),
        (["before.tif", "what?", "--llm", "any", "-o", "nowhere"], "create it first"),
        (["before.tif", "what?", "--llm", "any", "--thread", "../x"], "needs a name of letters"),
        ([".", "what?"], "is a folder"),
    ],
)
def test_mistakes_are_one_line(folder, oracle, words, hint, capsys, monkeypatch):
    if "no-such-model" not in words:
        from geoagent.cli import asking

        monkeypatch.setattr(asking, "chat_model", lambda name, base_url: ScriptedPlanner.of(five_steps()))
    assert cli.main(["ask", *words]) == 2
    err = capsys.readouterr().err.strip()
    assert hint in err
    assert "\n" not in err


@pytest.mark.slow
def test_with_nano_from_end_to_end(folder, planned, capsys):
    """Its weights may be untrained: what is asserted is how the pieces fit, not what is found."""
    seen = {}

    def plan():
        listed = yield Call("list_images")
        image = listed["images"][0]["image_id"]
        seen["found"] = yield Call("segment", image_id=image, text="it", points=[[200, 200]], min_score=0.0)
        seen["picture"] = yield Call("render", ids=[image])
        return "looked"

    planned(plan())
    assert cli.main(["ask", str(demo.demo("port").path), "Where is fuel kept?", "--llm", "any"]) == 0
    assert capsys.readouterr().out == "looked\n"
    assert {"found", "absent"} & set(seen["found"])
    assert seen["picture"]["width_px"] == 640
    assert (folder / "picture.png").stat().st_size > 1000
