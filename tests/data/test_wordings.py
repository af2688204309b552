"""Which wordings training may use, and how they read."""

import re
from string import Formatter

import numpy as np
import pytest
from handmade import draw_from, rectangle, scene

from geoagent.data.classes import CLASSES
from geoagent.data.instructions import SceneIndex, all_wordings, make_one, phrasing
from geoagent.data.instructions.language import Noun, article_for, as_typed, join, misspell, tidy
from geoagent.data.instructions.whole import join_questions, reason_phrase
from geoagent.data.knowledge import Name, load, more_implicit, plain_implicit
from geoagent.data.knowledge.rules import MAX_SHARED, content_words, says_name, shared

KINDS_BY_REQUEST = ("position", "size", "relation", "attribute", "instance", "part", "several", "reference")


def question_lists():
    return [(kind, key) for kind in phrasing.QUESTION_FILES for key in phrasing.keys(kind)]


@pytest.mark.parametrize(("kind", "key"), question_lists())
def test_a_fifth_of_each_list_is_for_testing_only(kind, key):
    train, test = (phrasing.wordings(kind, key, split) for split in ("train", "test"))
    listed, more = phrasing.contents(kind)[key], phrasing.contents(f"more/{kind}")[key]
    assert sorted(train + test) == sorted([*listed, *more])
    assert set(test) == phrasing.held_out(listed)
    assert len(test) == max(1, round(len(listed) / 5))
    normal = [phrasing.normal(text) for text in (*train, *test)]
    assert len(set(normal)) == len(normal), "two wordings differ in case or punctuation only"


@pytest.mark.parametrize(("kind", "key"), question_lists())
def test_wordings_for_training_alone_have_the_gaps_of_their_list(kind, key):
    def gaps(text):
        return {gap for _, gap, _, _ in Formatter().parse(text) if gap}

    listed = phrasing.contents(kind)[key]
    possible = set().union(*map(gaps, listed))
    needed = set.intersection(*map(gaps, listed))
    assert set(phrasing.contents(f"more/{kind}")) == set(phrasing.contents(kind))
    for text in phrasing.contents(f"more/{kind}")[key]:
        assert needed <= gaps(text) <= possible, text


@pytest.mark.parametrize("name", list(CLASSES))
def test_a_fifth_of_the_implicit_questions_is_for_testing_only(name):
    train, test = (phrasing.implicit(name, split) for split in ("train", "test"))
    assert len(test) == round(len(load(name).implicit) / 5)
    assert not {phrasing.normal(t) for t in train} & {phrasing.normal(t) for t in test}
    assert sorted(train + test) == sorted([*load(name).implicit, *more_implicit(name)])


@pytest.mark.parametrize("name", list(CLASSES))
def test_questions_for_training_alone_name_no_class_and_repeat_no_held_out_one(name):
    """A word of a name is no harm here: "Where can I park?" and "Where is fuel kept?" are what people ask."""
    more, plain = more_implicit(name), plain_implicit(name)
    tested = [content_words(text) for text in phrasing.implicit(name, "test")]
    assert len(more) >= 100
    assert len(plain) >= 50
    assert max(len(text.split()) for text in plain) <= 14
    for text in (*more, *plain):
        assert says_name(load(name), text) is None, text
        assert all(shared(content_words(text), other) < MAX_SHARED for other in tested), text


def test_the_choice_depends_on_the_words_only():
    texts = [f"wording number {n} about {{x}}" for n in range(25)]
    assert phrasing.held_out(texts) == phrasing.held_out(texts[::-1])
    assert len(phrasing.held_out(texts)) == 5
    moved = phrasing.held_out(texts) ^ phrasing.held_out([*texts, "one more"])
    assert len(moved) <= 2


def test_each_kind_has_twelve_wordings():
    for kind in phrasing.QUESTION_FILES:
        assert sum(len(phrasing.contents(kind)[key]) for key in phrasing.keys(kind)) >= 12, kind
    assert len(phrasing.contents("requests")["requests"]) >= 12


def test_no_question_of_the_test_is_asked_in_training(asked):
    train = {phrasing.normal(s.instruction) for s in asked["train"]}
    shared = {s.instruction for s in asked["test"] if s.instruction and phrasing.normal(s.instruction) in train}
    assert not shared


def test_test_questions_fit_only_held_out_requests(asked):
    """What a test question says around its noun phrase is a held-out request, found from the text itself."""

    def skeletons(split):
        texts = phrasing.wordings("requests", "requests", split)
        return [re.compile(re.escape(phrasing.normal(t)).replace(r"\{x\}", "(.+)") + "$") for t in texts if t != "{x}"]

    plain = [s for s in asked["test"] if s.type in ("position", "size", "attribute", "relation")]
    assert plain
    for sample in plain:
        text = phrasing.normal(sample.instruction)
        assert any(skeleton.match(text) for skeleton in skeletons("test")), sample.instruction


def test_all_wordings_cover_questions_answers_and_names():
    lines = list(all_wordings())
    assert lines == list(all_wordings())
    assert not [line for line in lines if "{" in line or "}" in line]
    assert not [line for line in lines if re.search(r"\bthe the\b", line.lower())]
    text = "\n".join(lines)
    for name in CLASSES:
        assert load(name).names[-1].plural in text
        assert load(name).implicit[0] in text


def test_training_asks_plain_questions_and_tests_never_do():
    ships = SceneIndex(scene(*(rectangle("ship", x, 20, x + 20, 40) for x in (10, 60, 110))))
    plain = {phrasing.normal(text) for text in plain_implicit("ship")}

    def share(split):
        made = (make_one(ships, "implicit", np.random.default_rng(n), n, split=split) for n in range(150))
        return sum(phrasing.normal(sample.instruction) in plain for sample in made) / 150

    assert 0.25 < share("train") < 0.5  # four in ten, some of them mistyped
    assert share("test") == 0


def test_typos_are_rare_and_never_in_the_answer(asked):
    rng = np.random.default_rng(0)
    text = "Segment storage tanks"
    typed = [as_typed(text, rng, typos=True).lower() for _ in range(3000)]
    wrong = sum(t != text.lower() for t in typed)
    assert 0.03 < wrong / 3000 < 0.09
    assert all(as_typed(text, rng, typos=False).lower() == text.lower() for _ in range(300))
    known = {w for line in all_wordings() for w in re.findall(r"[a-z]+", line.lower())} | {"busy", "little"}
    for sample in asked["train"]:
        assert set(re.findall(r"[a-z]+", sample.answer.lower())) <= known, sample.answer


def test_a_slip_changes_one_spot_and_keeps_first_letters():
    rng = np.random.default_rng(1)
    for _ in range(200):
        slipped = misspell("the northernmost harbour", rng)
        assert abs(len(slipped) - len("the northernmost harbour")) <= 1
        assert [w[0] for w in slipped.split()] == ["t", "n", "h"]
    assert misspell("a b c", rng) == "a b c"


def test_nouns_agree():
    tank = Noun.of("storage tank", Name("storage tank", "storage tanks"))
    assert (tank.counted(1), tank.counted(2), tank.is_plural(1), tank.is_plural(2)) == (
        "storage tank", "storage tanks", False, True,
    )  # fmt: skip
    assert Noun.of("sea", Name("sea", "seas")).many == "sea"
    assert Noun.of("grass", Name("lawn", "lawns")).many == "lawns"
    assert Noun.of("grass", Name("lawn", "lawns")).plural
    assert not Noun.of("water", Name("water", "water")).plural


def test_small_words():
    assert join(["a", "b", "c"]) == "a, b and c"
    assert join(["a"]) == "a"
    assert tidy("all ships, large or small,.") == "all ships, large or small."
    assert (article_for("airplane"), article_for("ship")) == ("an ", "a ")
    assert join_questions("{a} Also, {b_low}", "where is fuel", "Who floats?") == "Where is fuel? Also, who floats?"


def test_reasons_read_right():
    referent = draw_from(scene(rectangle("silo", 10, 10, 30, 30))).index.of("silo")

    class One:
        things = referent

    noun = Noun.of("silo", Name("silo", "silos"))
    assert reason_phrase("Grain is kept in the {phrase}.", One, noun) == "silo"
    assert reason_phrase("The {phrase} keep grain dry.", One, noun) == "silos"
