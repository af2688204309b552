"""The benchmark of agents: exact answers, reached with oracle masks; grades against ones worked out by hand."""

import numpy as np
import pytest

from eval.agent_bench import _right_arguments, _subsequence, last_number, run_task, summary
from eval.agent_planner import Call, ScriptedPlanner
from eval.agent_tasks import FAMILIES, make_tasks


def test_there_are_enough_families():
    assert len(FAMILIES) >= 12


@pytest.mark.slow
def test_with_oracle_masks_every_answer_is_within_tolerance():
    grades = [run_task(task, None, None) for task in make_tasks(len(FAMILIES) * 2)]
    assert {g.family for g in grades} == set(FAMILIES)
    wrong = [(g.task, g.answer, g.truth) for g in grades if not g.right]
    assert wrong == []
    result = summary(grades)
    assert (result["exact"], result["arguments"], result["any_order"]) == (1.0, 1.0, 1.0)


@pytest.mark.slow
def test_tasks_are_reproducible_and_different():
    first, again = make_tasks(45), make_tasks(45)
    assert [(t.id, t.question, t.answer) for t in first] == [(t.id, t.question, t.answer) for t in again]
    assert len({(t.question, t.images[0].id) for t in first}) == 45


@pytest.mark.slow
def test_wrong_calls_are_graded_as_such():
    task = make_tasks(1)[0]

    def lazy():
        yield Call("list_images")
        return "about 12,345.5, I think"

    grade = run_task(task, None, ScriptedPlanner.of(lazy()))
    assert not grade.right
    assert (grade.answer, grade.calls, grade.expected_calls) == (12345.5, 1, 2)
    assert (grade.any_order, grade.in_order, grade.exact) == (0.5, 0.5, False)
    assert grade.arguments == 0.0


def test_grades_by_hand():
    assert last_number("of 5 tanks 2 are near: 40 %") == 40
    assert last_number("-1.5e3 m") == -1500
    assert last_number("none") is None
    assert _subsequence(["a", "x", "c", "b"], ["a", "b", "c"]) == 2
    wanted = [("segment", {"image_id": "img_aaaaaaaa", "text": "ships"}), ("buffer", {"metres": 10})]
    given = [("buffer", {"metres": 10.05}), ("segment", {"image_id": "img_bbbbbbbb", "text": "Ships "})]
    assert _right_arguments(given, wanted) == 1.0
    given = [("buffer", {"metres": 12}), ("segment", {"image_id": "port.tif", "text": "ships"})]
    assert np.isclose(_right_arguments(given, wanted), 1 / 3)
