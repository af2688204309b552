"""What words say of a question that names nothing, learned from what is known to be said of each class."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import picture, tiny_model

from geoagent.model.meaning import WordMeanings, pieces
from geoagent.model.processor import GeoAgentProcessor
from geoagent.model.querying import QueryGrounder
from geoagent.model.requests import Request
from geoagent.types import GeoAgentError, Prompts
from train.words import learn_words

KNOWN = {
    "storage tank": ["Where is fuel kept?", "What holds crude oil?", "Where does the refinery store its petrol?"],
    "ship": ["What sails to other ports?", "What is moored at the quay?", "Where are the sailors?"],
    "road": ["Where do drivers go?", "What leads to town?"],
}


@pytest.fixture(scope="module")
def words():
    return learn_words(KNOWN)


def meant(words, question):
    return words.classes[int(words.scores(question).argmax())]


def test_a_text_is_taken_apart():
    assert pieces("Two Ships!") == {"two", "ship", "two ship", "#two", "#ship"}
    assert {"#moor", "#oore", "#ored"} <= pieces("moored")


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("Which of these keep fuels?", "storage tank"),
        ("Show what could be sailing tomorrow.", "ship"),
        ("Anybody driving downtown?", "road"),
    ],
)
def test_new_questions_are_told_by_words_and_their_parts(words, question, name):
    assert meant(words, question) == name


def test_unknown_words_say_nothing_and_common_ones_little(words):
    assert np.array_equal(words.scores("Quo vadis"), np.zeros(3))
    assert np.ptp(words.scores("where")) < np.ptp(words.scores("refinery"))


def test_they_come_back_from_disk_as_they_were(words, tmp_path):
    words.save(tmp_path / "words.npz")
    again = WordMeanings.load(tmp_path / "words.npz")
    assert again.classes == words.classes
    for question in ("Where is fuel kept?", "What sails to town?"):
        assert np.array_equal(again.scores(question), words.scores(question))


def test_a_model_brings_its_words_along(words, tmp_path):
    model, processor = tiny_model(meaning={"classes": words.classes})
    processor.words = words
    model.config.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = GeoAgentProcessor.from_pretrained(tmp_path, model.config)
    assert again.words.classes == again.with_sizes(sam=64).words.classes == words.classes
    other = model.config.with_parts(meaning={"classes": ("ship", "road", "storage tank")})
    with pytest.raises(GeoAgentError, match="other classes"):
        GeoAgentProcessor.from_pretrained(tmp_path, other)
    (tmp_path / "words.npz").unlink()
    assert GeoAgentProcessor.from_pretrained(tmp_path, model.config).words is None


def test_state_and_words_decide_together(words):
    model, processor = tiny_model(
        meaning={"classes": words.classes}, answer={"max_new_tokens": 8, "max_phrase_tokens": 3}
    )
    processor.words = words
    grounder = QueryGrounder(model, processor)
    (encoded,) = grounder.encode([picture(64, 64)])
    fuel = Request(encoded, (64, 64), "Where is fuel kept?")
    head = model.meaning.classify[-1]
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))
        assert grounder.answer([fuel])[0].meant == "storage tank"
        head.bias[2] = 100.0
        assert grounder.answer([fuel])[0].meant == "road"
        assert grounder.answer([replace(fuel, instruction="Quo vadis")])[0].meant == ""  # words know nothing of it
    pointed = Request(encoded, (64, 64), "this", Prompts(points=((3.0, 3.0, True),)))
    assert grounder.answer([pointed])[0].meant == ""


def test_an_answer_is_written_about_what_it_has_to_name(words):
    grounder = QueryGrounder(*tiny_model(answer={"max_new_tokens": 24}))
    (encoded,) = grounder.encode([picture(64, 64)])
    for brief in (False, True):
        request = Request(encoded, (64, 64), "Where is fuel kept?", brief=brief, noun="storage tanks")
        draft = grounder.answer([request])[0]
        assert [target.phrase for target in draft.targets] == ["storage tanks"]
        assert draft.marked_answer.count("<p>storage tanks</p>") == 1
