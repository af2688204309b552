"""The benchmark of agents: exact answers, reached with oracle masks; grades against ones worked out by hand."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from eval.agent_bench import _right_arguments, _subsequence, last_number, run_task, summary
from eval.agent_oracle import OracleSegmenter
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


@pytest.mark.slow
def test_a_model_is_graded_beside_the_oracle(monkeypatch, tmp_path, capsys):
    """The stand-in misses every second object: what that costs shows, family by family."""
    from eval import agent_bench

    class Halved(OracleSegmenter):
        name = "halved"
        asked = 0

        def open(self, image, /):
            session = super().open(image)
            whole = session.ask

            def ask(text="", **pointing):
                self.__class__.asked += 1
                answer = whole(text, **pointing)
                targets = [
                    replace(t, mask=np.any([i.mask for i in t.instances[::2]], axis=0), instances=t.instances[::2])
                    for t in answer.candidates
                ]
                return replace(answer, candidates=tuple(targets))

            return SimpleNamespace(ask=ask)

    tasks = make_tasks(4)
    monkeypatch.setattr(agent_bench, "named_segmenter", lambda name: Halved([i for t in tasks for i in t.images]))
    agent_bench.main(["--segmenter", "halved", "--limit", "4", "--output", str(tmp_path / "grades.json")])
    told = capsys.readouterr().out
    assert "| family | tasks | oracle | halved | median error |" in told
    assert "| `count` | 1 | 100% | 0% |" in told
    saved = json.loads((tmp_path / "grades.json").read_text())
    assert saved["summaries"]["oracle"]["right"] == 1.0
    assert 0.3 < saved["summaries"]["halved"]["families"]["count"]["median_error"] <= 0.5
    assert Halved.asked == len({(t.images[0].id, t.family == "area") for t in tasks})  # nothing is asked twice


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
