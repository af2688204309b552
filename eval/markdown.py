"""The report as a text that reads well in a terminal and on a code host."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eval.metrics import METRICS

Json = Mapping[str, Any]

BREAKDOWN = ("gIoU", "cIoU", "Pr@0.5", "set_gIoU", "instance_F1@0.5", "N_acc", "T_acc")
"""Columns of the tables by group."""
COMPARED = ("gIoU", "cIoU", "Pr@0.5", "Pr@0.6", "Pr@0.7", "Pr@0.8", "Pr@0.9")
"""Columns beside the papers' numbers."""

_PERCENT = {metric.name: metric.percent for metric in METRICS} | {"class_IoU": True}


def to_markdown(report: Json) -> str:
    """The whole report."""
    configuration, dataset = report["configuration"], report["dataset"]
    parts = [
        f"# {configuration['system']} on {dataset['name']}:{dataset['split']}",
        summary(report),
        *(f"> {line}" for line in warning_lines(report)),
        table(("metric", "value", "interval", "over"), overall_rows(report["overall"])),
        "Shares and IoUs in per cent. `over` is the number of samples, phrases, objects or pixels behind a value. "
        f"Intervals: {report['intervals']}.",
    ]
    if report["published"] or report["conventions"]:
        parts += [
            "## Beside published numbers",
            table(("system", "part", *COMPARED, "scored as"), compared_rows(report)),
        ]
        parts.append(
            "≈ marks figures taken at second hand. Compare rows that are scored alike; *own* are this report's metrics."
        )
    for dimension, groups in report["by"].items():
        rows = ([name, str(block["samples"]), *(shown(block, m) for m in BREAKDOWN)] for name, block in groups.items())
        parts += [f"## By {dimension}", table((dimension, "samples", *BREAKDOWN), rows)]
    if report["conventions"]:
        parts.append("## Conventions")
        parts.append("\n".join(f"- **{name}**: {c['definition']}" for name, c in report["conventions"].items()))
    parts.append("## Definitions")
    parts.append("\n".join(f"- **{name}**: {words}" for name, words in report["definitions"].items()))
    parts.append("## Configuration")
    parts.append("\n".join(f"- {key}: `{value}`" for key, value in configuration.items()))
    parts += [f"- remark: {remark}" for remark in dataset["remarks"]]
    return "\n\n".join(parts) + "\n"


def summary(report: Json) -> str:
    """One sentence about what was evaluated."""
    data = report["dataset"]
    text = (
        f"{data['samples']} samples of {data['images']} images: {data['with_target']} with a target, "
        f"{data['without_target']} without"
    )
    return text + (f", {data['not_scorable']} not scorable." if data["not_scorable"] else ".")


def warning_lines(report: Json) -> list[str]:
    """What the system remarked on its own answers, most frequent first."""
    return [f"In {count} answers: {text}." for text, count in report["warnings"].items()]


def shown(block: Json, metric: str) -> str:
    """A value as it is printed: shares times 100; a dash where there is none."""
    value = block.get(metric, {}).get("value")
    return "–" if value is None else number(value, metric)


def number(value: float, metric: str) -> str:
    """One number in the unit of its metric."""
    return f"{100 * value:.2f}" if _PERCENT[metric] else f"{value:.3g}"


def interval(block: Json, metric: str) -> str:
    """The interval as it is printed, a dash where there is none."""
    found = block[metric]
    if found["low"] is None:
        return "–"
    return f"{number(found['low'], metric)} – {number(found['high'], metric)}"


def overall_rows(block: Json) -> list[list[str]]:
    """Metric, value, interval and what it rests on, for those that have a value."""
    return [
        [metric.name, shown(block, metric.name), interval(block, metric.name), f"{block[metric.name]['weight']:.0f}"]
        for metric in METRICS
        if block[metric.name]["value"] is not None
    ]


def compared_rows(report: Json) -> list[list[str]]:
    """Our numbers, scored our way and in each convention that was asked for, then the papers'."""
    system = f"**{report['configuration']['system']}**"
    rows = [[system, "", *(shown(report["overall"], m) for m in COMPARED), "own"]]
    for name, scored in report["conventions"].items():
        rows.append([system, "", *(shown(scored["overall"], m) for m in COMPARED), name])
        if any(row["subset"] for row in report["published"]):
            rows += [
                [system, part, *(shown(block, m) for m in COMPARED), name] for part, block in scored["by_type"].items()
            ]
    for row in report["published"]:
        mark = "≈ " if row["approximate"] else ""
        values = [f"{mark}{row['values'][m]:.2f}" if m in row["values"] else "–" for m in COMPARED]
        rows.append([row["system"], row["subset"], *values, row["convention"] or "not stated"])
    return rows


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars inside cells would end them and are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
