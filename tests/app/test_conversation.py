"""The conversation behind the page, without a browser: asking, following up, deciding, taking away."""

import base64
import json
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from painted import GSD, SIDE, TANKS, painted_scene, write_scene

from geoagent.app.asking import Stopped, Worker
from geoagent.app.comparison import laid_over
from geoagent.app.conversation import Conversation
from geoagent.app.downloads import FORMATS, as_command, as_python, write_download
from geoagent.app.loading import LoadedOnce
from geoagent.app.pictures import picture_json
from geoagent.app.scene_view import answer_json
from geoagent.app.sessions import Sessions
from geoagent.app.steps import steps_of
from geoagent.app.wording import answer_html, question_text, words_html
from geoagent.geo.raster import read_image
from geoagent.types import Evidence, GeoAgentError, Prompts
from tools.oracle import Oracle


@pytest.fixture
def harbour(tmp_path: Path) -> Path:
    return write_scene(painted_scene(), tmp_path / "harbour.tif")


@pytest.fixture
def conversation(harbour: Path) -> Conversation:
    talk = Conversation(model=Oracle({harbour: painted_scene()}), worker=Worker())
    talk.add_image(harbour)
    return talk


def ask(talk: Conversation, text: str, prompts: Prompts | None = None) -> Conversation:
    list(talk.ask(text, prompts or Prompts()))
    return talk


def test_a_question_is_answered_with_objects(conversation: Conversation) -> None:
    ask(conversation, "Where is fuel kept?")
    (target,) = conversation.review.result.targets
    assert target.phrase == "storage tanks" and len(target.instances) == len(TANKS)
    assert "storage tanks" in answer_html(conversation.turn)


def test_the_image_is_encoded_once(conversation: Conversation) -> None:
    ask(conversation, "Where is fuel kept?")
    scene = conversation.image.scene
    ask(conversation, "Segment the ships.")
    assert conversation.image.scene is scene and len(conversation.turns) == 2


@pytest.mark.parametrize(
    ("question", "radius"),
    [("Which of those is the largest?", 22), ("and the smallest of them?", 12), ("Which one is topmost?", 22)],
)
def test_a_follow_up_is_answered_from_the_objects(conversation: Conversation, question: str, radius: int) -> None:
    ask(conversation, "Where is fuel kept?")
    asked = conversation.model.questions
    ask(conversation, question)
    (target,) = conversation.review.result.targets
    assert target.pixel_count == pytest.approx(3.14159 * radius**2, rel=0.08)
    assert conversation.model.questions == asked, "the model was asked again"


def test_an_object_is_outlined_and_measured_once(conversation: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(conversation, "Where is fuel kept?")
    first = json.loads(answer_json(conversation))["objects"]

    def again(*_: object) -> None:
        raise AssertionError("worked out again, or for nothing")

    monkeypatch.setattr("geoagent.app.scene_view.svg_path", again)
    monkeypatch.setattr("geoagent.app.scene_view.mask_area_m2", again)
    monkeypatch.setattr("geoagent.types.Prediction.measure", again)
    conversation.filter(0.95)
    conversation.filter(conversation.review.prediction.threshold)
    assert json.loads(answer_json(conversation))["objects"] == first
    assert "storage tanks" in answer_html(conversation.turn)


def test_a_follow_up_counts_and_sums(conversation: Conversation) -> None:
    ask(conversation, "Where is fuel kept?")
    ask(conversation, "How many of them are there?")
    assert conversation.review.prediction.answer.startswith("There are 3 storage tanks")


def test_a_follow_up_leaves_rejected_objects_out(conversation: Conversation) -> None:
    ask(conversation, "Where is fuel kept?")
    conversation.toggle((0, 1))
    ask(conversation, "Which of those is largest?")
    assert conversation.review.result.targets[0].pixel_count == pytest.approx(3.14159 * 16**2, rel=0.08)


def test_rejecting_and_undoing(conversation: Conversation) -> None:
    ask(conversation, "Where is fuel kept?")
    whole = conversation.review.result.targets[0].pixel_count
    conversation.toggle((0, 1))
    rest = conversation.review.result.targets[0]
    assert [i.id for i in rest.instances] == [2, 3] and rest.pixel_count < whole
    conversation.undo()
    assert conversation.review.result.targets[0].pixel_count == whole and not conversation.can_undo


def test_filtering_runs_nothing(conversation: Conversation) -> None:
    ask(conversation, "Where is fuel kept?")
    scores = sorted(i.score for i in conversation.review.prediction.candidates[0].instances)
    asked = conversation.model.questions
    conversation.filter((scores[0] + scores[1]) / 2)
    assert len(conversation.review.result.targets[0].instances) == 2
    conversation.filter(0.99)
    assert not conversation.review.result.targets
    assert conversation.model.questions == asked


def test_nothing_found_says_the_best_score_and_what_to_try(conversation: Conversation) -> None:
    said = answer_html(ask(conversation, "Is there a helipad?").turn)
    assert "Nothing found: the best score was 0.07" in said and "point at an example" in said


def test_pointing_finds_what_lies_there(conversation: Conversation) -> None:
    row, column, _ = TANKS[2]
    ask(conversation, "", Prompts(points=((column, row, True),)))
    assert conversation.review.result.targets[0].phrase == "storage tank"


def test_pointing_outside_is_one_sentence(conversation: Conversation) -> None:
    with pytest.raises(GeoAgentError, match="outside the image"):
        ask(conversation, "this", Prompts(points=((SIDE + 9, 4, True),)))


def test_what_people_write_is_neither_html_nor_markdown(conversation: Conversation) -> None:
    shown = question_text("<img src=x onerror=alert(1)> **ships** [a](b) `c` <p>x</p><seg>", Prompts())
    assert not set("<>*[]`") & set(shown.replace("&#60;", "").replace("&#62;", ""))


@pytest.mark.parametrize("label", FORMATS)
def test_downloads_are_written_and_removed(conversation: Conversation, label: str) -> None:
    ask(conversation, "Where is fuel kept?")
    path = write_download(conversation, label)
    assert path.stat().st_size > 0 and path.name == f"harbour-answer{FORMATS[label]}"
    conversation.close()
    assert not path.exists()


def test_a_download_holds_what_was_kept(conversation: Conversation) -> None:
    ask(conversation, "Where is fuel kept?")
    conversation.toggle((0, 2))
    features = json.loads(write_download(conversation, "GeoJSON").read_text())["features"]
    assert len(features) == 2


def test_the_question_as_python_and_as_a_command(conversation: Conversation) -> None:
    ask(conversation, "Segment 'it'", Prompts(points=((60.0, 60.0, True),), boxes=((1.0, 2.0, 30.0, 40.0),)))
    compile(as_python(conversation), "copied", "exec")
    assert "points=[(60.0, 60.0, True)]" in as_python(conversation)
    assert "--point 60,60 --box 1,2,30,40" in as_command(conversation)


def test_the_copied_question_is_the_one_the_model_was_asked(conversation: Conversation) -> None:
    ask(conversation, "Where is fuel kept?")
    ask(conversation, "Which of those is largest?")
    assert "Where is fuel kept?" in as_python(conversation)


def test_what_the_browser_draws(conversation: Conversation) -> None:
    ask(conversation, "Segment the ships and the helipad.")
    conversation.toggle((0, 1))
    sent = json.loads(answer_json(conversation))
    assert [o["rejected"] for o in sent["objects"]] == [True, False]
    assert [a["phrase"] for a in sent["absent"]] == ["helipad"]
    assert dict(sent["facts"])["CRS"] == "EPSG:32633" and len(sent["steps"]) == 2
    west, north = sent["grid"][0][0]
    assert 13 < west < 14 and 48 < north < 49
    assert json.loads(picture_json("a", conversation.image.read().pixels))["source"].startswith("data:image/jpeg")


def test_garbage_is_one_sentence(conversation: Conversation, tmp_path: Path) -> None:
    (tmp_path / "bad.tif").write_bytes(b"II*\x00 not really")
    (tmp_path / "notes.txt").write_text("hello")
    for name in ("bad.tif", "notes.txt"):
        with pytest.raises(GeoAgentError) as caught:
            conversation.add_image(tmp_path / name)
        assert name in str(caught.value) and str(tmp_path) not in str(caught.value)
    assert len(conversation.images) == 1


def test_too_many_pixels_are_refused(
    conversation: Conversation, harbour: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geoagent.app.conversation.MAX_PIXELS", 100)
    other = Conversation(model=conversation.model, worker=conversation.worker)
    with pytest.raises(GeoAgentError, match="256 x 256 pixels"):
        other.add_image(harbour)


def test_the_words_come_before_the_answer(conversation: Conversation) -> None:
    conversation.model.seconds_a_word = 0.15
    progress = list(conversation.ask("Where is fuel kept?", Prompts()))
    words = list(dict.fromkeys(p.words for p in progress if p.words))
    assert len(words) > 2 and all(later.startswith(earlier) for earlier, later in pairwise(words))
    assert conversation.review.prediction.marked_answer.startswith(words[-1])
    assert progress[-1].stage == "Answering"


def test_an_unfinished_answer_is_shown_safely() -> None:
    assert "storage ta</span>" in words_html("Fuel is kept in the <p>storage ta")
    shown = words_html("the <p>tanks</p><seg>, <img src=x> **bold**")
    assert "<img" not in shown and "**" not in shown and ">tanks</span>" in shown and "seg" not in shown


def test_the_picture_does_not_wait_for_the_model(harbour: Path) -> None:
    talk = Conversation(model=Oracle({harbour: painted_scene()}), worker=Worker())
    talk.add_image(harbour)
    assert talk.image.scene is None
    sent = json.loads(answer_json(talk))
    assert sent["width"] == SIDE and not sent["targets"]


def test_what_answers_is_told_before_there_is_an_image(conversation: Conversation) -> None:
    empty = Conversation(model=conversation.model, worker=conversation.worker)
    assert dict(json.loads(answer_json(empty))["facts"]) == {"model": "oracle", "device": "cpu"}


def test_an_upload_goes_with_its_conversation(harbour: Path, tmp_path: Path) -> None:
    talk = Conversation(model=Oracle({harbour: painted_scene()}), worker=Worker())
    for _ in range(2):
        (tmp_path / "uploads").mkdir(exist_ok=True)
        upload = write_scene(painted_scene(), tmp_path / "uploads" / "mine.tif")
        talk.add_image(upload, upload=True)
        assert not upload.exists(), "an upload stays where the next person's may come to lie"
    assert len(talk.images) == 1 and talk.image.name == "mine.tif"
    ask(talk, "Where is fuel kept?")
    kept = talk.image.path
    talk.close()
    assert not kept.exists()


def test_a_broken_upload_leaves_nothing(conversation: Conversation, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG not really")
    with pytest.raises(GeoAgentError, match=r"bad\.png"):
        conversation.add_image(tmp_path / "bad.png", upload=True)
    assert not [path for path in conversation.folder.rglob("*") if path.is_file()]


def test_a_model_that_loads_says_so(harbour: Path) -> None:
    gate = threading.Event()

    def load() -> Oracle:
        gate.wait(60)
        return Oracle({harbour: painted_scene()})

    model = LoadedOnce("slow", load)
    talk = Conversation(model=model, worker=Worker())
    talk.worker.submit(lambda: model.predictor, threading.Event())
    progress = talk.load_model()
    assert next(progress).stage == "Loading the model"
    gate.set()
    assert {p.stage for p in progress} <= {"Loading the model", ""}
    talk.add_image(harbour)
    assert ask(talk, "Where is fuel kept?").turns


def test_a_second_date_is_laid_over_by_its_coordinates(harbour: Path, tmp_path: Path) -> None:
    first, shifted = read_image(harbour), read_image(write_scene(painted_scene(), tmp_path / "b.tif", shift=20 * GSD))
    pixels, how = laid_over(shifted, first.info)
    assert "by their coordinates" in how and pixels.shape == first.pixels.shape
    assert not pixels[:, :20].any(), "what the second does not show is black"
    assert np.abs(pixels[:, 24:].astype(int) - first.pixels[:, 4:-20].astype(int)).max() <= 2
    far = read_image(write_scene(painted_scene(), tmp_path / "c.tif", shift=90_000.0))
    assert "different places" in laid_over(far, first.info)[1]


def test_the_steps_explain_each_target(conversation: Conversation) -> None:
    ask(conversation, "Segment the ships and the helipad.")
    review = conversation.review
    ramp = np.linspace(0.1, 0.5, 12, dtype=np.float32).reshape(3, 4)
    flat = np.full((3, 4), 0.25, dtype=np.float32)
    evidence = Evidence(question=ramp, phrase=flat, seg=ramp, prompt=np.zeros((6, 6), dtype=np.float32))
    ships, helipad = review.prediction.candidates
    told = replace(
        review, prediction=replace(review.prediction, candidates=(replace(ships, evidence=evidence), helipad))
    )
    found, missed = steps_of(told)
    assert [m["title"] for m in found["maps"]] == ["The question", "The phrase", "Its mark", "First guess", "Prompt"]
    question, phrase, *_, prompt = found["maps"]
    assert "50%" in question["text"] and "10%" in question["text"]
    assert "singles nothing out" in phrase["text"] and "no place" in prompt["text"]
    values = base64.b64decode(question["values"])
    assert (question["width"], question["height"]) == (4, 3) and (values[0], values[-1]) == (0, 255)
    assert found["verdict"].startswith("Found") and missed["verdict"].startswith("Not found")
    assert found["mask"].startswith("data:image/png") and missed["mask"] is None


def test_stop_stops(harbour: Path) -> None:
    talk = Conversation(model=Oracle({harbour: painted_scene()}, seconds=30), worker=Worker())
    talk.add_image(harbour)
    began = time.perf_counter()
    with pytest.raises(Stopped):
        for _ in talk.ask("Where is fuel kept?", Prompts()):
            if time.perf_counter() - began > 0.5:
                talk.stop.set()
    assert time.perf_counter() - began < 10 and not talk.turns
    talk.model.seconds = 0
    assert ask(talk, "Where is fuel kept?").turns, "the model is free again"


def test_a_network_stops_between_layers() -> None:
    torch = pytest.importorskip("torch")
    stop, layers = threading.Event(), []
    layer = torch.nn.Linear(2, 2)

    def run() -> None:
        for _ in range(1000):
            layers.append(layer(torch.zeros(1, 2)))
            if len(layers) == 3:
                stop.set()

    with pytest.raises(Stopped):
        Worker().submit(run, stop).future.result(timeout=60)
    assert len(layers) == 3
    layer(torch.zeros(1, 2))


def test_the_queue_tells_ones_place() -> None:
    worker, gate = Worker(), threading.Event()
    first = worker.submit(gate.wait, threading.Event())
    second = worker.submit(lambda: 2, threading.Event())
    assert (first.before, second.before) == (0, 1)
    gate.set()
    assert second.future.result(timeout=10) == 2


def test_the_queue_tells_how_long() -> None:
    worker, gate = Worker(), threading.Event()
    first = worker.submit(gate.wait, threading.Event())
    assert first.wait is None, "a guess out of nothing"
    worker.took.extend([2.0, 4.0])
    second = worker.submit(lambda: 2, threading.Event())
    assert second.wait == pytest.approx(3.0)
    gate.set()
    second.future.result(timeout=10)


def test_sessions_do_not_see_each_other(harbour: Path) -> None:
    sessions = Sessions(Oracle({harbour: painted_scene()}))
    sessions.of("a").add_image(harbour)
    assert not sessions.of("b").images
    ask(sessions.of("a"), "Where is fuel kept?")
    written = write_download(sessions.of("a"), "PNG")
    sessions.end("a")
    assert not written.exists() and len(sessions) == 1
