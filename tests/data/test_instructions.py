"""Questions and answers about scenes: their form."""

import re
from collections import Counter

import numpy as np
import pytest
from handmade import MARK, crowded, scene

from geoagent.data.classes import CLASSES
from geoagent.data.instructions import KINDS, make_samples, phrasing
from geoagent.data.knowledge import load
from geoagent.types import GeoAgentError


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
