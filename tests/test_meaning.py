"""Answers that name another class than their question means are written once more."""

import pytest
from oracle import blank, oracle_predictor, paint_box

from geoagent.meaning import noun_meant
from geoagent.model.requests import Draft, DraftTarget, Request


def draft(*phrases, meant="storage tank"):
    return Draft("", tuple(DraftTarget(phrase, 0.9, None) for phrase in phrases), tokens=3, meant=meant)


@pytest.mark.parametrize(
    ("question", "answer", "noun"),
    [
        ("Where is fuel kept?", draft("silos"), "storage tanks"),
        ("Where is fuel kept?", draft("storage tanks"), ""),
        ("Where is fuel kept?", draft("oil tanks"), ""),  # another name of the same
        ("Where is fuel kept?", draft("silos", meant=""), ""),
        ("Where is fuel kept?", draft(), ""),
        ("Where are fuel and grain kept?", draft("storage tanks", "silos", meant="road"), ""),
        ("Which silo is full?", draft("silos"), ""),
        ("Where are the grain elevators?", draft("grain elevators"), ""),
        ("What stands beside the storage tank?", draft("silos"), ""),
        ("What stands beside the river and holds fuel?", draft("silos"), "storage tanks"),
        ("Show the silo's contents, please", draft("silos"), ""),
        ("Mark the tanks", draft("silos"), ""),  # what data sets call them
        ("What is red?", draft("red silos"), ""),
        ("What is kept furthest north?", draft("the northernmost silo"), ""),
        ("What comes with the tide?", draft("thingummies"), ""),
        ("What is wet?", draft("silos", meant="water"), "water"),
    ],
)
def test_what_is_named_instead(question, answer, noun):
    assert noun_meant(Request(None, (9, 9), question), answer) == noun


def test_who_hears_an_answer_hears_no_other_than_the_last():
    pixels = blank(64, 64)
    paint_box(pixels, "storage tanks", 10, 10, 30, 30)
    for meant, phrase in (("storage tank", "storage tanks"), ("ship", "ships")):
        predictor, _ = oracle_predictor(overview_phrases=["ships"], meant=meant)
        heard = []
        prediction = predictor.open(pixels).ask("Where is fuel kept?", tell=heard.append)
        assert prediction.candidates[0].phrase == phrase
        assert heard == [prediction.marked_answer]


def test_of_many_questions_only_some_are_answered_again():
    pixels = blank(64, 64)
    paint_box(pixels, "storage tanks", 10, 10, 30, 30)
    predictor, oracle = oracle_predictor(overview_phrases=["ships"], meant="storage tank")
    questions = ["Where is fuel kept?", "Mark the cars.", "What smells of oil?"]
    answers = predictor.open(pixels).ask_many(questions)
    assert [a.candidates[0].phrase for a in answers] == ["storage tanks", "cars", "storage tanks"]
    assert [a.tokens for a in answers] == [6, 3, 6]
    assert oracle.asked == 5


def test_a_predictor_answers_again_about_what_is_meant():
    pixels = blank(64, 64)
    paint_box(pixels, "storage tanks", 10, 10, 30, 30)
    paint_box(pixels, "ships", 40, 40, 60, 60)
    for meant, phrase, times in (("storage tank", "storage tanks", 2), ("ship", "ships", 1), ("", "ships", 1)):
        predictor, oracle = oracle_predictor(overview_phrases=["ships"], meant=meant)
        prediction = predictor.segment(pixels, "Where is fuel kept?")
        assert [target.phrase for target in prediction.targets] == [phrase]
        assert prediction.marked_answer == f"<p>{phrase}</p><seg>"
        assert prediction.targets[0].pixel_count == 400
        assert oracle.asked == times
