"""Grade an agent on multi-step tasks over rendered scenes, whose answers are known exactly.

    python -m eval.agent_bench                                  scripted planner, oracle masks: the error of the tools
    python -m eval.agent_bench --segmenter nano                 the same with nano's masks beside it: what these add
    python -m eval.agent_bench --llm openai:gpt-5 --limit 45    a language model that plans itself

Families take turns, so ``--limit 45`` is three tasks of each.

Graded as ThinkGeo and Earth-Agent grade: were the right tools called (in any order; in order; exactly those), how many
arguments were right, is the answer within tolerance, and how many calls did it take.
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.messages import AIMessage
from tqdm import tqdm

from eval.agent_memory import Remembering
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


def run_task(task: Task, segmenter: Segmenter | None = None, llm: Any = None) -> Grade:
    """Let an agent do a task; None means the oracle, and the scripted planner."""
    return run_both(task, segmenter, llm)[-1]


def run_both(task: Task, segmenter: Segmenter | None = None, llm: Any = None) -> list[Grade]:
    """With the oracle and the scripted planner, whose calls are the expected ones; then with what is to be graded."""
    oracle = OracleSegmenter(task.images)
    expected, words = _run(task, oracle, ScriptedPlanner.of(task.plan()))
    grades = [_grade(task, expected, words, expected)]
    if segmenter is not None or llm is not None:
        calls, words = _run(task, segmenter or oracle, llm or ScriptedPlanner.of(task.plan()))
        grades.append(_grade(task, calls, words, expected))
    return grades


def _grade(task: Task, calls: Sequence[Made], words: str, expected: Sequence[Made]) -> Grade:
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
    """Means over all tasks; for each family the part of right answers and the median error."""
    families = {}
    for family in FAMILIES:
        own = [g for g in grades if g.family == family]
        if own:
            families[family] = {
                "tasks": len(own),
                "right": round(float(np.mean([g.right for g in own])), 3),
                "median_error": round(float(np.median([error_of(g) for g in own])), 3),
            }
    means = {
        key: round(float(np.mean([getattr(g, key) for g in grades])), 3)
        for key in ("right", "any_order", "in_order", "exact", "arguments", "calls", "expected_calls")
    }
    median = round(float(np.median([error_of(g) for g in grades])), 3)
    return {"tasks": len(grades), **means, "median_error": median, "families": families}


def error_of(grade: Grade) -> float:
    """How far an answer is from the truth, as a part of it; 1 where there is none, or where it is farther."""
    if grade.answer is None:
        return 1.0
    return min(1.0, abs(grade.answer - grade.truth) / max(abs(grade.truth), 1e-9))


def table(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Summaries side by side as Markdown: answers within tolerance, and the median error of the last."""
    last = list(runs)[-1]
    lines = [
        f"| family | tasks | {' | '.join(runs)} | median error |",
        f"|---|---|{'---|' * len(runs)}---|",
    ]
    for family, own in runs[last]["families"].items():
        right = " | ".join(f"{run['families'][family]['right']:.0%}" for run in runs.values())
        lines.append(f"| `{family}` | {own['tasks']} | {right} | {own['median_error']:.1%} |")
    right = " | ".join(f"{run['right']:.1%}" for run in runs.values())
    return "\n".join([*lines, f"| all | {runs[last]['tasks']} | {right} | {runs[last]['median_error']:.1%} |"])


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segmenter", default="oracle", help="oracle, or a model that geoagent.load knows")
    parser.add_argument("--llm", help="as for geoagent ask (default: a planner that knows the right calls)")
    parser.add_argument("--llm-url", help="a server that speaks OpenAI's protocol")
    parser.add_argument("--limit", type=int, default=200, help="number of tasks (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="write the summaries and every grade to this JSON file")
    args = parser.parse_args(argv)
    segmenter = None if args.segmenter == "oracle" else Remembering(named_segmenter(args.segmenter))
    llm = chat_model(args.llm, base_url=args.llm_url) if args.llm else None
    began = time.perf_counter()
    tasks = make_tasks(args.limit, args.seed)
    graded = [run_both(task, segmenter, llm) for task in tqdm(tasks, unit="task", leave=False)]
    names = ["oracle", " + ".join(filter(None, (args.segmenter, args.llm)))][: len(graded[0])]
    grades = {name: [both[n] for both in graded] for n, name in enumerate(names)}
    runs = {name: summary(own) for name, own in grades.items()}
    if args.output:
        rows = {name: [asdict(g) for g in own] for name, own in grades.items()}
        args.output.write_text(json.dumps({"summaries": runs, "grades": rows}, indent=2) + "\n")
    print(table(runs))
    last = runs[names[-1]]
    shares = ", ".join(f"{key.replace('_', ' ')} {last[key]:.0%}" for key in ("any_order", "in_order", "exact"))
    print(
        f"\nTools of {names[-1]}: {shares}, arguments {last['arguments']:.0%}, {last['calls']:.1f} calls a task "
        f"({last['expected_calls']:.1f} expected). {time.perf_counter() - began:.0f} s."
    )


if __name__ == "__main__":
    main()
