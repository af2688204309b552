"""Grade an agent on multi-step tasks over rendered scenes, whose answers are known exactly.

    python -m eval.agent_bench                                  scripted planner, oracle masks: the error of the tools
    python -m eval.agent_bench --segmenter nano                 scripted planner, nano: what segmentation adds
    python -m eval.agent_bench --llm openai:gpt-5 --limit 50    a language model that plans itself

Graded as ThinkGeo and Earth-Agent grade: were the right tools called (in any order; in order; exactly those), how many
arguments were right, is the answer within tolerance, and how many calls did it take.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.messages import AIMessage

from eval.agent_oracle import OracleSegmenter
from eval.agent_planner import ScriptedPlanner
from eval.agent_tasks import FAMILIES, Task, make_tasks
from geoagent.agent.agent import create_agent, named_segmenter
from geoagent.agent.language_models import chat_model
from geoagent.agent.segmenter import Segmenter
from geoagent.agent.store import SceneStore
from geoagent.data.synth import write_geotiff

Made = tuple[str, dict[str, Any]]
"""A call that was made: the tool and its arguments."""
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
_IDS = re.compile(r"(?:img|mask|file)_[a-z0-9]{8}")


@dataclass(frozen=True, kw_only=True)
class Grade:
    """How one task went."""

    task: str
    family: str
    right: bool
    any_order: float
    """Part of the expected tools that were called at all."""
    in_order: float
    """Part of them that were called in the expected order."""
    exact: bool
    """Whether exactly the expected tools were called in exactly that order."""
    arguments: float
    """Part of the arguments of the expected calls that were given, ids aside."""
    calls: int
    expected_calls: int
    answer: float | None
    truth: float


def run_task(task: Task, segmenter: Segmenter | None, llm: Any) -> Grade:
    """Let an agent do a task; None means the oracle, and the scripted planner."""
    eyes = segmenter or OracleSegmenter(task.images)
    expected, _ = _run(task, OracleSegmenter(task.images), ScriptedPlanner.of(task.plan()))
    calls, words = _run(task, eyes, llm or ScriptedPlanner.of(task.plan()))
    names, wanted = [name for name, _ in calls], [name for name, _ in expected]
    value = last_number(words)
    return Grade(
        task=task.id,
        family=task.family,
        right=task.is_right(value),
        any_order=_common(names, wanted) / len(wanted),
        in_order=_subsequence(names, wanted) / len(wanted),
        exact=names == wanted,
        arguments=_right_arguments(calls, expected),
        calls=len(calls),
        expected_calls=len(wanted),
        answer=value,
        truth=task.answer,
    )


def _run(task: Task, segmenter: Segmenter, llm: Any) -> tuple[list[Made], str]:
    """The calls that were made, and the final words."""
    with tempfile.TemporaryDirectory(prefix="geoagent-bench-") as folder:
        images = Path(folder) / "images"
        images.mkdir()
        for scene in task.images:
            write_geotiff(scene, images / f"{scene.id}.tif")
        agent = create_agent(llm, store=SceneStore(Path(folder) / "work", [images]), segmenter=segmenter)
        messages = agent.invoke({"messages": [("user", task.question)]})["messages"]
    calls = [(c["name"], c["args"]) for m in messages if isinstance(m, AIMessage) for c in m.tool_calls]
    return calls, str(messages[-1].text)


def last_number(words: str) -> float | None:
    """The last number of an answer."""
    found = _NUMBER.findall(words)
    return float(found[-1].replace(",", "")) if found else None


def _common(names: Sequence[str], wanted: Sequence[str]) -> int:
    return sum(min(names.count(name), wanted.count(name)) for name in set(wanted))


def _subsequence(names: Sequence[str], wanted: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    lengths = np.zeros((len(names) + 1, len(wanted) + 1), dtype=np.int64)
    for i, name in enumerate(names):
        for j, other in enumerate(wanted):
            lengths[i + 1, j + 1] = lengths[i, j] + 1 if name == other else max(lengths[i, j + 1], lengths[i + 1, j])
    return int(lengths[-1, -1])


def _right_arguments(
    calls: Sequence[tuple[str, dict[str, Any]]], expected: Sequence[tuple[str, dict[str, Any]]]
) -> float:
    """Each expected call is matched with the best one left; ids are random, so any id stands for any."""
    left, right, total = list(calls), 0, 0
    for name, wanted in expected:
        total += len(wanted)
        candidates = [(sum(_same(given.get(k), v) for k, v in wanted.items()), n)
                      for n, (tool, given) in enumerate(left) if tool == name]  # fmt: skip
        if candidates:
            score, place = max(candidates)
            right += score
            left.pop(place)
    return right / total if total else 1.0


def _same(given: Any, wanted: Any) -> bool:
    if isinstance(given, str) and isinstance(wanted, str):
        if _IDS.search(given) and _IDS.search(wanted):
            return True
        return " ".join(given.lower().split()) == " ".join(wanted.lower().split())
    if isinstance(given, int | float) and isinstance(wanted, int | float):
        return bool(np.isclose(given, wanted, rtol=0.01))
    return bool(given == wanted)


def summary(grades: Sequence[Grade]) -> dict[str, Any]:
    """Means over all tasks, and the part of right answers of each family."""
    families = {
        family: round(float(np.mean([g.right for g in grades if g.family == family])), 3)
        for family in FAMILIES
        if any(g.family == family for g in grades)
    }
    means = {
        key: round(float(np.mean([getattr(g, key) for g in grades])), 3)
        for key in ("right", "any_order", "in_order", "exact", "arguments", "calls", "expected_calls")
    }
    return {"tasks": len(grades), **means, "families": families}


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segmenter", default="oracle", help="oracle, or a model that geoagent.load knows")
    parser.add_argument("--llm", help="as for geoagent ask (default: a planner that knows the right calls)")
    parser.add_argument("--llm-url", help="a server that speaks OpenAI's protocol")
    parser.add_argument("--limit", type=int, default=200, help="number of tasks (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="write every grade to this JSON file")
    args = parser.parse_args(argv)
    segmenter = None if args.segmenter == "oracle" else named_segmenter(args.segmenter)
    llm = chat_model(args.llm, base_url=args.llm_url) if args.llm else None
    grades = [run_task(task, segmenter, llm) for task in make_tasks(args.limit, args.seed)]
    result = summary(grades)
    if args.output:
        args.output.write_text(json.dumps({"summary": result, "grades": [asdict(g) for g in grades]}, indent=2))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
