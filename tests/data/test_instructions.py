import re
from collections import Counter
from string import Formatter

import numpy as np
import pytest
from handmade import crowded, rectangle, scene

from geoagent.data.classes import CLASSES
from geoagent.data.instructions import KINDS, SceneIndex, all_wordings, make_one, make_samples, phrasing
from geoagent.data.instructions.draft import Draw
from geoagent.data.instructions.language import Noun, article_for, as_typed, join, misspell, tidy
from geoagent.data.instructions.relation import lies_between, lies_beyond
from geoagent.data.instructions.single import colour_match, heading_match, pick
from geoagent.data.instructions.whole import join_questions, reason_phrase
from geoagent.data.knowledge import Name, load, more_implicit, plain_implicit
from geoagent.data.knowledge.rules import MAX_SHARED, content_words, says_name, shared
from geoagent.types import GeoAgentError

MARK = re.compile(r"<p>([^<>]+)</p><(seg|rej)>")
KINDS_BY_REQUEST = ("position", "size", "relation", "attribute", "instance", "part", "several", "reference")


@pytest.fixture(scope="module")
def asked():
    """Many samples of every kind, in both splits, with the scenes they are about."""
    found = {"train": [], "test": []}
    for split, samples in found.items():
        for seed in range(8):
            index = SceneIndex(crowded(seed))
            rng = np.random.default_rng([seed, split == "test"])
            for kind in KINDS:
                made = (make_one(index, kind, rng, number, split=split) for number in range(10))
                samples += [sample for sample in made if sample is not None]
    return found


def draw_from(a_scene, seed=0, split="train"):
    return Draw(SceneIndex(a_scene), np.random.default_rng(seed), split)


# ------------------------------------------------------------------------------ form of the samples


def test_every_kind_can_be_asked(asked):
    for samples in asked.values():
        assert set(KINDS) == {sample.type for sample in samples}


def test_marks_match_the_targets_in_order(asked):
    for sample in asked["train"] + asked["test"]:
        marks = MARK.findall(sample.answer)
        assert [phrase for phrase, _ in marks] == [target.phrase for target in sample.targets], sample.answer
        assert [verdict == "seg" for _, verdict in marks] == [target.present for target in sample.targets]
        rest = MARK.sub("", sample.answer)
        assert not re.search(r"[<>{}]", rest + sample.instruction), sample.answer
        assert not sample.answer[0].islower()
        assert sample.answer[-1] in ".!?"


def test_phrases_are_built_from_names(asked):
    names = [re.escape(form) for c in CLASSES for n in load(c).names for form in (n.singular, n.plural)]
    shorts = [re.escape(s) for c in CLASSES if CLASSES[c].kind == "part" for s in phrasing.part_short_name(c)]
    known = re.compile(rf"\b({'|'.join(sorted(names + shorts, key=len, reverse=True))})\b")
    for sample in asked["train"]:
        for target in sample.targets:
            assert known.search(target.phrase) or sample.type == "interactive", target.phrase


def test_what_is_pointed_at_is_named_only_where_the_text_names_it(asked):
    seen = set()
    for sample in asked["train"]:
        if sample.type == "interactive" and sample.extra["granularity"] == "instance":
            (target,) = sample.targets
            names = [form for n in load(target.class_name).names for form in (n.singular, n.plural)]
            named = target.phrase != "what you marked"
            assert named == (target.phrase in names)
            assert sample.instruction or not named
            seen.add(named)
    assert seen == {True, False}


def test_several_targets_are_answered_in_the_order_asked(asked):
    for sample in asked["train"]:
        if sample.type != "several":
            continue
        text = sample.instruction.lower()
        stems = [target.phrase.lower().split()[-1][:4] for target in sample.targets]
        assert 2 <= len(sample.targets) <= 4
        if len(set(stems)) == len(stems) and all(text.count(stem) == 1 for stem in stems):
            assert [text.index(stem) for stem in stems] == sorted(text.index(stem) for stem in stems)


def test_things_carry_their_instances_and_stuff_does_not(asked):
    for sample in asked["train"]:
        for target in sample.targets:
            if not target.present:
                assert not target.instances
            elif CLASSES[target.class_name].countable:
                union = np.zeros_like(target.mask)
                for instance in target.instances:
                    union |= instance.mask
                assert np.array_equal(union, target.mask)
                assert [i.id for i in target.instances] == list(range(1, len(target.instances) + 1))
                assert all(i.score == 1.0 for i in target.instances)
            else:
                assert target.instances is None


def test_ids_are_stable_and_the_image_is_shared():
    a_scene = crowded(3)
    samples = make_samples(a_scene, 12, np.random.default_rng(5))
    assert [s.id for s in samples] == [f"crowded-3:{k}" for k in range(12)]
    assert {s.image_id for s in samples} == {"crowded-3"}
    assert all(s.image is a_scene.image for s in samples)
    assert len({s.instruction for s in samples}) > 9


def test_the_generator_decides_everything():
    first, again, other = (make_samples(crowded(1), 20, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert [(s.instruction, s.answer, s.prompts) for s in first] == [
        (s.instruction, s.answer, s.prompts) for s in again
    ]
    assert [s.instruction for s in first] != [s.instruction for s in other]
    for one, two in zip(first, again, strict=True):
        for a, b in zip(one.targets, two.targets, strict=True):
            assert np.array_equal(a.mask, b.mask)


def test_extra_tells_the_dimensions(asked):
    values = {key: {s.extra[key] for s in asked["train"]} for key in ("granularity", "targets", "reasoning", "wording")}
    assert values["granularity"] == {"class", "instance", "part", "none"}
    assert values["targets"] == {"none", "single", "multiple"}
    assert values["reasoning"] == {"explicit", "implicit"}
    assert values["wording"] == {"short", "long"}
    for sample in asked["train"]:
        assert (sample.extra["reasoning"] == "implicit") == ("implicit" in sample.type)
        assert (sample.extra["targets"] == "none") == (not sample.targets)


def test_kinds_can_be_chosen_and_unknown_ones_are_refused():
    samples = make_samples(crowded(0), 10, np.random.default_rng(0), kinds={"count": 1.0, "part": 1.0, "chat": 0.0})
    assert {s.type for s in samples} == {"count", "part"}
    with pytest.raises(GeoAgentError, match="riddle"):
        make_samples(crowded(0), 1, np.random.default_rng(0), kinds={"riddle": 1.0})


def test_a_scene_without_anything_still_talks():
    samples = make_samples(scene(complete=()), 5, np.random.default_rng(0))
    assert samples
    assert {s.type for s in samples} == {"chat"}


def test_usual_shares_add_up():
    assert sum(KINDS.values()) == pytest.approx(1.0)
    drawn = Counter(s.type for seed in range(30) for s in make_samples(crowded(seed), 12, np.random.default_rng(seed)))
    assert drawn["reference"] > drawn["chat"]


# ------------------------------------------------------------------------------ wordings held out


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


# ------------------------------------------------------------------------------ language


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


# ------------------------------------------------------------------------------ geometry


def things(*objects, **fields):
    return SceneIndex(scene(*objects, **fields)).things


def test_measures_of_a_thing():
    (thing,) = things(rectangle("ship", 10, 20, 30, 60))
    assert thing.area == 800
    assert thing.centre == (20.0, 40.0)
    assert not thing.cut
    assert thing.share_in((0, 0, 20, 256)) == 0.5
    assert thing.share_in((0, 0, 256, 30)) == 0.25
    assert thing.share_in((0, 0, 256, 256)) == 1.0
    assert thing.share_in((100, 0, 256, 256)) == 0.0
    assert thing.covers(10, 20)
    assert not thing.covers(30, 60)
    assert things(rectangle("ship", 0, 20, 30, 60))[0].cut


def test_distances_are_between_outlines():
    ships = rectangle("ship", 10, 10, 20, 20), rectangle("ship", 60, 10, 70, 20)
    index = SceneIndex(scene(*ships, rectangle("car", 50, 10, 60, 20)))
    near, touching = index.distances(index.of("ship"), index.of("car"))
    assert near == pytest.approx(31, abs=1.5)
    assert touching == 0


def test_superlatives_need_a_margin():
    left, near_left, right = things(
        rectangle("ship", 10, 10, 30, 30),
        rectangle("ship", 14, 100, 36, 122),
        rectangle("ship", 200, 50, 260 - 10, 100),
    )
    draw = draw_from(scene())
    assert pick(draw, "left", [left, near_left, right]) is None
    assert pick(draw, "right", [left, near_left, right]) == (right, {})
    assert pick(draw, "left", [left, right]) == (left, {})
    assert pick(draw, "top", [left, right]) == (left, {})
    assert pick(draw, "largest", [left, near_left, right]) == (right, {})
    assert pick(draw, "smallest", [left, near_left, right]) is None


def test_the_smallest_is_not_one_that_the_border_cuts():
    cut, whole = things(rectangle("ship", 0, 10, 10, 20), rectangle("ship", 100, 100, 130, 130))
    draw = draw_from(scene())
    assert pick(draw, "smallest", [cut, whole]) is None
    assert pick(draw, "largest", [cut, whole]) == (whole, {})


def test_left_of_means_wholly_left():
    anchor, left, right, straddling = things(
        rectangle("bridge", 100, 100, 140, 120),
        rectangle("ship", 50, 10, 90, 30),
        rectangle("ship", 150, 10, 190, 30),
        rectangle("ship", 70, 10, 110, 30),
    )
    assert lies_beyond(left, anchor, 0, -1) is True
    assert lies_beyond(right, anchor, 0, -1) is False
    assert lies_beyond(straddling, anchor, 0, -1) is None
    assert lies_beyond(right, anchor, 0, 1) is True
    assert lies_beyond(left, anchor, 1, -1) is True


def test_between_means_in_the_middle_and_in_line():
    first, second, middle, aside, behind = things(
        rectangle("helipad", 10, 100, 30, 120),
        rectangle("stadium", 210, 100, 230, 120),
        rectangle("car", 115, 105, 125, 115),
        rectangle("car", 115, 220, 125, 230),
        rectangle("car", 245, 105, 255, 115),
    )
    assert lies_between(middle, first, second) is True
    assert lies_between(aside, first, second) is False
    assert lies_between(behind, first, second) is False


def test_colours_and_headings_leave_doubts_open():
    red, orange, blue = things(
        rectangle("ship", 0, 0, 9, 9, colour="red", heading_deg=10.0),
        rectangle("ship", 20, 0, 29, 9, colour="orange", heading_deg=30.0),
        rectangle("ship", 40, 0, 49, 9, colour="blue", heading_deg=180.0),
    )
    assert [colour_match(t, "red") for t in (red, orange, blue)] == [True, None, False]
    assert [heading_match(t, "north") for t in (red, orange, blue)] == [True, None, False]


def made(kind, a_scene, tries=60):
    index, rng = SceneIndex(a_scene), np.random.default_rng(0)
    return [s for number in range(tries) if (s := make_one(index, kind, rng, number)) is not None]


def test_position_takes_what_is_clearly_inside():
    in_left, in_right, on_the_line = (
        rectangle("ship", 20, 100, 60, 120),
        rectangle("ship", 180, 100, 220, 120),
        rectangle("ship", 110, 100, 150, 120),
    )
    samples = made("position", scene(in_left, in_right, on_the_line))
    lefts = [s for s in samples if "left half" in s.targets[0].phrase]
    assert lefts
    for sample in lefts:
        (target,) = sample.targets
        assert np.array_equal(target.mask, scene(in_left).union([in_left]))
        assert target.phrase == "ship in the left half" or "left half" in target.phrase
        assert target.ignore is not None
        assert target.ignore[110, 130]
        assert not target.ignore[110, 200]


def test_specks_are_not_asked_for():
    speck, ship = rectangle("car", 20, 20, 25, 25), rectangle("ship", 100, 100, 120, 140)
    for kind in ("reference", "implicit", "instance", "interactive", "count"):
        present = {t.class_name for s in made(kind, scene(speck, ship)) for t in s.targets if t.present}
        assert present == {"ship"}, kind


def test_some_of_a_class_leaves_out_a_fair_part_of_it():
    left = [rectangle("ship", 10, y, 40, y + 8) for y in range(0, 250, 10)]
    right = [rectangle("ship", 200, y, 230, y + 8) for y in range(0, 20, 10)]
    phrases = {s.targets[0].phrase for s in made("position", scene(*left, *right), 80)}
    assert "ships in the right half" in phrases
    assert "ships in the left half" not in phrases


def test_within_metres_uses_the_ground_size():
    pond = rectangle("lake", 100, 100, 120, 120)
    near, far = rectangle("car", 130, 105, 138, 110), rectangle("car", 220, 105, 228, 110)
    samples = [s for s in made("relation", scene(pond, near, far, gsd_m=2.0), 300) if " m of" in s.targets[0].phrase]
    within = [s for s in samples if "within" in s.targets[0].phrase]
    assert within
    for sample in within:
        metres = int(re.search(r"within (\d+) m", sample.targets[0].phrase)[1])
        assert 20 < metres < 200
        assert sample.targets[0].mask[107, 134]
        assert not sample.targets[0].mask[107, 224]
    without_scale = made("relation", scene(pond, near, far), 100)
    assert not [s for s in without_scale if re.search(r"\d+ m", s.targets[0].phrase)]


def test_inside_looks_at_what_surrounds_a_thing():
    ground = rectangle("forest", 0, 0, 120, 256)
    hut, house = rectangle("building", 40, 40, 60, 60), rectangle("building", 180, 40, 200, 60)
    samples = [s for s in made("relation", scene(ground, hut, house), 200) if " inside the" in s.targets[0].phrase]
    assert samples
    for sample in samples:
        assert sample.targets[0].mask[50, 50]
        assert not sample.targets[0].mask[50, 190]


def test_nearest_names_the_only_candidate():
    pad = rectangle("helipad", 20, 20, 40, 40)
    near, far = rectangle("car", 60, 25, 70, 32), rectangle("car", 200, 200, 210, 207)
    samples = [s for s in made("relation", scene(pad, near, far), 200) if "nearest to" in s.targets[0].phrase]
    assert [s for s in samples if s.targets[0].class_name == "car"]
    for sample in samples:
        if sample.targets[0].class_name == "car":
            assert sample.targets[0].mask[28, 65]
            assert not sample.targets[0].mask[203, 205]


def test_area_limits_are_in_square_metres():
    small, large = rectangle("building", 20, 20, 30, 30), rectangle("building", 100, 100, 140, 140)
    samples = [s for s in made("size", scene(small, large, gsd_m=1.0)) if "larger than" in s.targets[0].phrase]
    assert samples
    for sample in samples:
        assert 100 < int(re.search(r"than (\d+) ", sample.targets[0].phrase)[1]) < 1600
        assert sample.targets[0].mask[120, 120]
        assert not sample.targets[0].mask[25, 25]


def test_parts_are_those_of_the_plane_asked_for():
    planes = [
        rectangle("airplane", x, 40, x + size, 40 + size, [rectangle("airplane wing", x, 40, x + 5, 40 + size)])
        for x, size in ((20, 20), (120, 60))
    ]
    samples = made("part", scene(*planes), 80)
    largest = [s for s in samples if "largest" in s.targets[0].phrase]
    assert largest
    for sample in largest:
        assert sample.extra["granularity"] == "part"
        assert not sample.targets[0].mask[:, :100].any()
        assert sample.targets[0].mask[50, 122]
        assert not sample.targets[0].mask[50, 130]


# ------------------------------------------------------------------------------ what is known, and what is not


def test_absence_is_asked_of_complete_classes_only():
    a_scene = scene(rectangle("ship", 20, 20, 50, 40), complete={"ship", "helipad"})
    for kind in ("absent", "absent_implicit"):
        samples = made(kind, a_scene)
        missing = {t.class_name for s in samples for t in s.targets if not t.present}
        assert missing == {"helipad"}
    assert not made("absent", scene(rectangle("ship", 20, 20, 50, 40), complete={"ship"}))


def test_counts_are_asked_of_complete_classes_only():
    ships = [rectangle("ship", x, 20, x + 20, 40) for x in (20, 60, 100)]
    cars = [rectangle("car", x, 120, x + 20, 140) for x in (20, 60)]
    samples = made("count", scene(*ships, *cars, complete={"ship"}))
    assert {s.targets[0].class_name for s in samples} == {"ship"}
    assert all("3 <p>" in s.answer for s in samples)
    assert not made("count", scene(*ships, *cars, complete=()))


def test_nothing_is_counted_that_may_be_mistaken():
    houses = [rectangle("building", x, 20, x + 20, 40) for x in (20, 60)]
    glass = rectangle("greenhouse", 100, 100, 140, 120)
    counted = {s.targets[0].class_name for s in made("count", scene(*houses, glass)) if s.targets[0].present}
    assert counted == {"greenhouse"}


def test_numbers_of_all_need_complete_classes():
    ships = [rectangle("ship", x, 20, x + 20, 40) for x in (20, 60, 180, 220)]
    for sample in made("position", scene(*ships, complete=())):
        assert not re.search(r"\d", MARK.sub("", sample.answer))
    assert not made("instance", scene(*ships, complete=()))


def test_lookalikes_are_left_unjudged():
    house, glass = rectangle("building", 20, 20, 40, 40), rectangle("greenhouse", 100, 100, 140, 120)
    buildings = [s for s in made("reference", scene(house, glass)) if s.targets[0].class_name == "building"]
    assert buildings
    for sample in buildings:
        assert not sample.targets[0].mask[110, 120]
        assert sample.targets[0].ignore[110, 120]


def test_groups_take_in_their_members():
    a_scene = scene(rectangle("car", 20, 20, 30, 26), rectangle("bus", 100, 100, 130, 110))
    vehicles = [s for s in made("reference", a_scene, 200) if s.targets[0].class_name == "vehicle"]
    assert vehicles
    assert all(s.targets[0].mask[23, 25] and s.targets[0].mask[105, 110] for s in vehicles)


def test_what_a_machine_drew_is_not_scored_and_unknown_pixels_are_ignored():
    belt = np.zeros((30, 30), dtype=np.bool_)
    belt[:5] = True
    crop = np.zeros((30, 30), dtype=np.bool_)
    crop[10:20, 10:20] = True
    turbine = rectangle("wind turbine", 50, 50, 80, 80, scorable=False, ignore=belt)
    turbine = type(turbine)(**{**vars(turbine), "crop": crop})
    unknown = np.zeros((256, 256), dtype=np.bool_)
    unknown[200:, 200:] = True
    for sample in made("reference", scene(turbine, ignore=unknown), 10):
        (target,) = sample.targets
        assert not target.scorable
        assert target.ignore[52, 60]
        assert target.ignore[220, 220]
        assert not target.ignore[65, 65]


def test_clicks_hit_what_they_mean(asked):
    kinds = set()
    for sample in asked["train"] + asked["test"]:
        if sample.type != "interactive":
            continue
        height, width = sample.image.shape[:2]
        sample.prompts.check_inside(width, height)
        mask = sample.targets[0].mask
        hits = [(x, y) for x, y, positive in sample.prompts.points if positive]
        hits += [dot for line in sample.prompts.scribbles for dot in line]
        if sample.extra["granularity"] != "part":
            assert all(mask[int(y), int(x)] for x, y in hits)
            misses = [(x, y) for x, y, positive in sample.prompts.points if not positive]
            if sample.extra["granularity"] == "instance":
                assert not any(mask[int(y), int(x)] for x, y in misses)
        kinds |= {k for k in ("points", "boxes", "scribbles") if getattr(sample.prompts, k)}
        kinds.add("empty" if not sample.instruction else "text")
    assert kinds == {"points", "boxes", "scribbles", "empty", "text"}


def test_chat_marks_nothing(asked):
    for sample in asked["train"]:
        if sample.type == "chat":
            assert not sample.targets
            assert "<" not in sample.answer


def test_compass_words_need_to_know_where_north_is():
    ships = [rectangle("ship", x, 20 + x, x + 20, 40 + x) for x in (20, 80, 180)]
    words = re.compile(r"\b(north|south|east|west)")
    for kind in ("instance", "position", "relation"):
        for sample in made(kind, scene(*ships, rectangle("helipad", 10, 200, 30, 220))):
            assert not words.search(sample.instruction.lower()), sample.instruction


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
