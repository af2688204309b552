"""Scores that say how often they are right, and a threshold that answers whether there is anything."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny_model

import geoagent
from geoagent.data.folder import PlainFolderWriter
from geoagent.model.configuration import ScoreConfig
from geoagent.types import GeoAgentError, Instance, LabelledTarget, Sample
from tools import calibrate
from tools.calibrate import Answered, best_threshold, fit, judge, score_of


def made(weights, count=4000, seed=0):
    """Answers whose phrases are right exactly as often as a logistic model says."""
    rng = np.random.default_rng(seed)
    clues = rng.normal(0, 2, (count, 4))
    chance = 1 / (1 + np.exp(-(clues @ np.array(weights[:4]) + weights[4])))
    right = rng.random(count) < chance
    return [Answered(c[None], r[None], bool(r), 1.0) for c, r in zip(clues, right, strict=True)]


def test_the_weights_behind_the_truth_are_found():
    score = fit(made((0.8, 0.4, 0.0, 0.2, -0.5)))
    assert score.token == pytest.approx(0.8, abs=0.1)
    assert score.object == pytest.approx(0.4, abs=0.1)
    assert score.iou == pytest.approx(0.0, abs=0.1)
    assert score.peak == pytest.approx(0.2, abs=0.1)
    assert score.bias == pytest.approx(-0.5, abs=0.15)


def test_scores_are_right_as_often_as_they_say():
    answers = made((0.8, 0.4, 0.3, 0.1, -0.5), seed=1)
    score = fit(made((0.8, 0.4, 0.3, 0.1, -0.5)))
    scores = np.concatenate([score_of(score, a.clues) for a in answers])
    right = np.concatenate([a.right for a in answers])
    for low in (0.1, 0.4, 0.7):
        inside = (scores >= low) & (scores < low + 0.2)
        assert right[inside].mean() == pytest.approx(scores[inside].mean(), abs=0.05)


def test_no_clue_counts_against_what_it_speaks_for():
    assert fit(made((0.8, -0.6, 0.3, 0.1, 0.0))).object == 0.0


def test_datasets_count_the_same_however_many_questions_they_have():
    many = [Answered(np.ones((1, 4)), np.array([True]), True, 1 / 900)] * 900
    few = [Answered(np.ones((1, 4)), np.array([False]), False, 1 / 10)] * 10
    score = fit(many + few)
    assert score_of(score, np.ones((1, 4)))[0] == pytest.approx(0.5, abs=0.01)


def test_the_threshold_parts_what_is_there_from_what_is_not():
    config = ScoreConfig(token=1.0, object=0.0, iou=0.0, bias=0.0)

    def asked(logit, there):
        return Answered(np.array([[logit, 0.0, 0.0, 0.0]]), np.array([False]), there, 1.0)

    answers = [asked(-1.0, True), asked(0.5, True), asked(-3.0, False), asked(-2.0, False)]
    answers.append(Answered(np.zeros((0, 4)), np.zeros(0, dtype=bool), False, 1.0))  # small talk
    threshold = best_threshold(config, answers)
    assert 1 / (1 + np.exp(2.0)) < threshold < 1 / (1 + np.exp(1.0))


def test_a_mask_that_misses_is_no_reason_for_a_lower_threshold():
    config = ScoreConfig(token=1.0, object=0.0, iou=0.0, bias=0.0)

    def threshold(overlap):
        unsure = [Answered(np.array([[-2.0, 0, 0, 0]]), np.array([False]), True, 1.0, overlap)] * 2
        sure = Answered(np.array([[2.0, 0, 0, 0]]), np.array([True]), True, 1.0, 0.9)
        return best_threshold(config, [*unsure, sure])

    assert threshold(0.01) == pytest.approx(1 / (1 + np.exp(-2.0)), abs=0.01)
    assert threshold(0.1) == pytest.approx(1 / (1 + np.exp(2.0)), abs=0.01)


def test_nothing_can_be_learned_where_all_are_wrong():
    with pytest.raises(GeoAgentError, match="0 of 1 phrases are right"):
        fit([Answered(np.ones((1, 4)), np.array([False]), True, 1.0)])


def sample(mask, *, ignore=None, present=True):
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    return Sample(
        id="one",
        image_id="one",
        image=image,
        instruction="Where is fuel kept?",
        targets=(LabelledTarget(phrase="storage tanks", mask=mask, ignore=ignore),),
        type="reference" if present else "absent",
    )


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrate")
    model, processor = tiny_model()
    model.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    square = np.zeros((32, 32), dtype=np.bool_)
    square[4:20, 4:20] = True
    PlainFolderWriter(folder / "data").write([sample(square)], split="val")
    return folder


def test_unknown_pixels_are_not_held_against_a_mask(tiny_folder):
    predictor = geoagent.load(str(tiny_folder / "model"))
    asked = predictor.open(np.zeros((32, 32, 3), dtype=np.uint8)).ask(points=[(5, 5)])
    (target,) = asked.candidates
    true = np.zeros((32, 32), dtype=np.bool_)
    true[:4, :4] = True
    unknown = ~true
    everything = np.ones((32, 32), dtype=np.bool_)
    whole = Instance(id=1, box=(0, 0, 32, 32), crop=everything, score=0.5, image_size=(32, 32))
    answer = replace(asked, candidates=(replace(target, mask=everything, instances=(whole,)),))
    assert judge(answer, sample(true, ignore=unknown)).right.tolist() == [True]
    assert judge(answer, sample(true)).right.tolist() == [False]
    assert judge(answer, sample(true, ignore=unknown)).overlap == 1.0
    assert judge(answer, sample(true)).overlap == pytest.approx(16 / 1024)
    assert judge(answer, sample(true)).clues[0, 0] == 0.0  # pointed at: the language model has no say


def test_the_command_writes_the_configuration(tiny_folder, monkeypatch, capsys):
    """With the fit itself replaced only where a random model leaves nothing to learn."""
    monkeypatch.setattr(calibrate, "fit", lambda answers: ScoreConfig(token=0.25, threshold=0.125 * len(answers)))
    monkeypatch.setattr(
        sys, "argv", ["calibrate", str(tiny_folder / "model"), "--data", f"folder:{tiny_folder / 'data'}"]
    )
    assert calibrate.main() == 0
    written = json.loads((tiny_folder / "model" / "config.json").read_text())["score"]
    assert (written["token"], written["threshold"]) == (0.25, 0.125)
    again = geoagent.load(str(tiny_folder / "model"))
    assert again.model.config.score.token == 0.25
    assert "config.json" in capsys.readouterr().out


def test_a_mistake_is_one_line(tiny_folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["calibrate", str(tiny_folder / "model"), "--data", "folder:nowhere"])
    assert calibrate.main() == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("calibrate: nowhere does not exist")
