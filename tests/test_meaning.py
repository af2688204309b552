"""Answers that name another class than their question means are written once more."""

import pytest
from oracle import blank, oracle_predictor, paint_box

from geoagent.meaning import left_out, noun_meant, two_questions
from geoagent.model.requests import Draft, DraftTarget, Request
from train.words import learn_words


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


@pytest.fixture(scope="module")
def words():
    return learn_words({
        "storage tank": ["Where is fuel kept?", "fuel and oil are stored here"],
        "ship": ["What sails the sea?", "captains steer them at sea"],
        "silo": ["Where is grain kept?", "grain is stored here"],
    })  # fmt: skip


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Where is fuel kept? What sails the sea?", ("Where is fuel kept?", "What sails the sea?")),
        ("where is fuel kept? and: what sails the sea", ("where is fuel kept?", "and: what sails the sea")),
        ("1) Where is fuel kept? 2) What sails?", ("1) Where is fuel kept?", "2) What sails?")),
        ("Oil! Where is fuel kept? Captains steer.", ("Oil! Where is fuel kept?", "Captains steer.")),
        ("Fuel and grain", ()),  # one sentence
        ("Fuel is stored here. Where is oil kept?", ()),  # one thing
        ("Where is fuel kept? Which ships bring it?", ()),  # one is named
    ],
)
def test_two_questions_in_one_text(words, text, parts):
    asked = two_questions(Request(None, (9, 9), text), draft("silos", "ships"), words)
    assert tuple(request.instruction for request in asked) == parts


def test_one_answer_is_one_question(words):
    text = "Where is fuel kept? What sails the sea?"
    assert two_questions(Request(None, (9, 9), text), draft("silos"), words) == ()
    assert two_questions(Request(None, (9, 9), text), draft("silos", "ships"), None) == ()


@pytest.mark.parametrize(
    ("question", "answer", "nouns"),
    [
        ("Highlight all airplanes along with the helicopters in view.", draft("airplanes"), ["helicopters"]),
        ("The highways, the cars, all vegetation and the ships?", draft("highway", "cars", "ship"), ["vegetation"]),
        ("The ships and the bus that lies most to the east", draft("ships"), ["bus that lies most to the east"]),
        ("The ships and the harbours there", draft("ships"), ["harbors"]),
        ("Trees, cars and car parks", draft("trees", "cars"), ["car parks"]),
        ("The cars and the unicorns", draft("cars"), []),
        ("Cars and buses, but not the trucks", draft("cars", "buses"), []),
        ("I see trees, where are the cars?", draft("cars"), []),
        ("Which cars are beside the trees?", draft("cars"), []),
        ("The buildings between the river and the road", draft("buildings between the river and the road"), []),
        ("What keeps fuel, and where are the cars?", draft("storage tanks"), []),  # what it names was not answered
        ("The cars and the vehicles", draft("vehicles"), []),
    ],
)
def test_what_an_answer_leaves_out_of_a_list(question, answer, nouns):
    assert [request.noun for request in left_out(Request(None, (9, 9), question), answer)] == nouns


def test_two_questions_are_answered_one_by_one(words):
    pixels = blank(64, 64)
    paint_box(pixels, "storage tanks", 10, 10, 30, 30)
    both, one, other = "Where is fuel kept? What sails the sea?", "Where is fuel kept?", "What sails the sea?"
    said = {both: ["cars", "rivers"], one: ["storage tanks"], other: ["ships"]}
    predictor, oracle = oracle_predictor(words=words, said=said)
    heard = []
    prediction = predictor.open(pixels).ask(both, tell=heard.append)
    marked = ["<p>storage tanks</p><seg>", "<p>storage tanks</p><seg> <p>ships</p><rej>"]
    assert heard == marked
    assert prediction.marked_answer == marked[-1]
    assert [(t.phrase, t.pixel_count) for t in prediction.targets] == [("storage tanks", 400)]
    assert prediction.candidates[1].phrase == "ships"
    oracle.said = {both: ["cars", "rivers"], one: ["storage tanks", "ships"], other: ["ships"]}
    stands = predictor.open(pixels).ask(both)  # the first question has two answers: who knows what it means
    assert [t.phrase for t in stands.candidates] == ["cars", "rivers"]


def test_what_was_left_out_is_said_after_the_rest(words):
    pixels = blank(64, 64)
    paint_box(pixels, "ships", 10, 10, 30, 30)
    text = "Mark the cars, the ships and the rivers."
    predictor, oracle = oracle_predictor(words=words, said={text: ["cars", "rivers"]})
    heard = []
    prediction = predictor.open(pixels).ask(text, tell=heard.append)
    assert heard[-1] == prediction.marked_answer == "<p>cars</p><rej> <p>rivers</p><rej> <p>ships</p><seg>"
    assert [(t.phrase, t.pixel_count) for t in prediction.targets] == [("ships", 400)]
    assert oracle.asked == 3
    assert len(predictor.segment(pixels, text, brief=True).candidates) == 3
    assert oracle.asked == 5
