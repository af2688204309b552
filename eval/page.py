"""The report as one self-contained page: numbers, groups, calibration, and the cases to look at."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from eval.markdown import BREAKDOWN, COMPARED, compared_rows, interval, overall_rows, shown, summary, warning_lines
from eval.pictures import Case, Phrase

Json = Mapping[str, Any]

_HEADLINE = ("gIoU", "cIoU", "Pr@0.5", "set_gIoU", "N_acc", "ECE")
_KINDS = {
    "worst": "Worst answers",
    "median": "Median answers",
    "best": "Best answers",
    "false alarm": "Something seen where there is nothing",
}
_STYLE = """
:root { --ink:#1d2733; --soft:#5d6b7a; --line:#dfe5ea; --paper:#fff; --ground:#f4f6f8; --mark:#1668b8; }
@media (prefers-color-scheme: dark) {
  :root { --ink:#e6ebf0; --soft:#9fb0c0; --line:#33404d; --paper:#1b232c; --ground:#12181f; --mark:#6db3f2; } }
* { box-sizing:border-box; }
body { margin:0; background:var(--ground); color:var(--ink); font:15px/1.5 system-ui, sans-serif; }
main { max-width:1120px; margin:0 auto; padding:28px 20px 60px; }
h1 { font-size:26px; margin:0 0 2px; } h2 { font-size:19px; margin:38px 0 10px; }
p { margin:4px 0 12px; } .soft { color:var(--soft); }
.warning { border-left:4px solid #d9822b; padding:4px 12px; background:var(--paper); }
.tiles { display:grid; grid-template-columns:repeat(auto-fit, minmax(150px, 1fr)); gap:12px; margin:20px 0; }
.tile, .case, .sheet { background:var(--paper); border:1px solid var(--line); border-radius:10px; }
.tile { padding:12px 16px; } .tile b { display:block; font-size:26px; line-height:1.25; }
.sheet { overflow-x:auto; } table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; }
th, td { padding:6px 12px; text-align:right; border-bottom:1px solid var(--line); white-space:nowrap; }
th { color:var(--soft); font-weight:600; font-size:13px; } tr:last-child td { border-bottom:0; }
th:first-child, td:first-child { text-align:left; } .own td { font-weight:600; color:var(--mark); }
.bar { display:inline-block; width:90px; height:8px; border-radius:4px; background:var(--line); margin-left:10px; }
.bar i { display:block; height:8px; border-radius:4px; background:var(--mark); }
.cases { display:grid; grid-template-columns:repeat(auto-fill, minmax(480px, 1fr)); gap:16px; }
.case { padding:14px; overflow:hidden; } .case h3 { font-size:15px; margin:0 0 8px; overflow-wrap:anywhere; }
.panels { display:grid; grid-template-columns:repeat(3, 1fr); gap:8px; }
figure { margin:0; } figure img { width:100%; border-radius:6px; display:block; }
figcaption { font-size:12px; color:var(--soft); } .case p { margin:8px 0 0; font-size:13px; overflow-wrap:anywhere; }
.no { text-decoration:line-through; color:var(--soft); } .swatch { font-size:16px; line-height:0; }
details { margin-top:30px; } dt { font-weight:600; } dd { margin:0 0 8px; }
svg text { fill:var(--soft); font-size:12px; }
@media (max-width:560px) { .cases { grid-template-columns:1fr; } }
"""


def to_html(report: Json, cases: Sequence[Case]) -> str:
    """The whole page; nothing is loaded from anywhere."""
    configuration, dataset = report["configuration"], report["dataset"]
    title = escape(f"{configuration['system']} on {dataset['name']}:{dataset['split']}")
    body = [
        f"<h1>{title}</h1><p class=soft>{escape(summary(report))}</p>",
        *(f"<p class=warning>{escape(line)}</p>" for line in warning_lines(report)),
        _tiles(report),
        *(_cases(kind, [case for case in cases if case.kind == kind]) for kind in _KINDS),
        "<h2>All metrics</h2>",
        _table(("metric", "value", "interval", "over"), overall_rows(report["overall"])),
        f"<p class=soft>Shares and IoUs in per cent. Intervals: {escape(report['intervals'])}.</p>",
        _compared(report),
        *(_group_table(dimension, groups) for dimension, groups in report["by"].items()),
        "<h2>Calibration</h2>",
        _reliability(report["calibration"]),
        _details("Definitions", report["definitions"]),
        _details("Conventions", {name: c["definition"] for name, c in report["conventions"].items()}),
        _details("Configuration", {**configuration, "remarks": "; ".join(dataset["remarks"]) or "none"}),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _tiles(report: Json) -> str:
    block = report["overall"]
    tiles = (
        f"<div class=tile>{name}<b>{shown(block, name)}</b><span class=soft>{interval(block, name)}</span></div>"
        for name in _HEADLINE
    )
    return f"<div class=tiles>{''.join(tiles)}</div>"


def _cases(kind: str, cases: Sequence[Case]) -> str:
    if not cases:
        return ""
    return f"<h2>{_KINDS[kind]}</h2><div class=cases>{''.join(_case(case) for case in cases)}</div>"


def _case(case: Case) -> str:
    where = "enlarged" if case.enlarged else "whole image"
    captions = ("image", f"truth, {where}", f"prediction, IoU {100 * case.iou:.1f}")
    panels = "".join(
        f'<figure><img src="{picture}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'
        for picture, caption in zip(case.pictures, captions, strict=True)
    )
    asked = ", ".join(
        f"{_swatch(phrase)}{escape(phrase.text)}{'' if phrase.shown else ' <i>(not there)</i>'}"
        for phrase in case.asked
    )
    found = ", ".join(
        f"{_swatch(phrase)}<span{'' if phrase.shown else ' class=no'}>{escape(phrase.text)}</span> {phrase.score:.2f}"
        for phrase in case.found
    )
    return (
        f"<article class=case><h3>{escape(case.instruction) or '<i>(a prompt without words)</i>'}</h3>"
        f"<div class=panels>{panels}</div><p>truth: {asked or 'nothing'}<br>found: {found or 'nothing'}</p>"
        f"<p>{escape(case.answer)}</p><p class=soft>{escape(case.type)} · {escape(case.id)}</p></article>"
    )


def _swatch(phrase: Phrase) -> str:
    if not phrase.shown:
        return ""
    red, green, blue = phrase.colour
    return f'<span class=swatch style="color:rgb({red},{green},{blue})">■</span> '


def _compared(report: Json) -> str:
    if not report["published"] and not report["conventions"]:
        return ""
    rows = compared_rows(report)
    ours = len(rows) - len(report["published"])
    plain = [[cell.replace("**", "") for cell in row] for row in rows]
    return (
        "<h2>Beside published numbers</h2>"
        + _table(("system", "part", *COMPARED, "scored as"), plain, own=ours)
        + "<p class=soft>≈ marks figures taken at second hand. Compare rows that are scored alike.</p>"
    )


def _group_table(dimension: str, groups: Json) -> str:
    header = "".join(f"<th>{name}</th>" for name in (dimension, "samples", *BREAKDOWN))
    rows = []
    for name, block in groups.items():
        value = block["gIoU"]["value"]
        bar = f"<span class=bar><i style='width:{100 * value:.0f}%'></i></span>" if value is not None else ""
        cells = "".join(f"<td>{shown(block, metric)}{bar if metric == 'gIoU' else ''}</td>" for metric in BREAKDOWN)
        rows.append(f"<tr><td>{escape(name)}</td><td>{block['samples']}</td>{cells}</tr>")
    return f"<h2>By {dimension}</h2><div class=sheet><table><tr>{header}</tr>{''.join(rows)}</table></div>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], own: int = 0) -> str:
    """``own`` first rows are set off as ours."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        f"<tr{' class=own' if number < own else ''}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for number, row in enumerate(rows)
    )
    return f"<div class=sheet><table><tr>{head}</tr>{body}</table></div>"


def _reliability(bins: Sequence[Json]) -> str:
    """Share of right phrases against their score; on the diagonal a score means what it says."""
    side, left, top = 220, 40, 10
    total = sum(one["count"] for one in bins)
    if not total:
        return "<p class=soft>No phrase was answered, so there is no score to judge.</p>"
    most = max(one["count"] for one in bins)
    bars = "".join(
        f'<rect x="{left + side * one["low"] + 1:.1f}" y="{top + side * (1 - one["accuracy"]):.1f}" '
        f'width="{side / len(bins) - 2:.1f}" height="{side * one["accuracy"]:.1f}" fill="var(--mark)" '
        f'opacity="{0.25 + 0.75 * one["count"] / most:.2f}"><title>{one["count"]} phrases, '
        f"mean score {one['confidence']:.2f}, right {one['accuracy']:.2f}</title></rect>"
        for one in bins
        if one["count"]
    )
    frame = f'<path d="M{left} {top}V{top + side}H{left + side}" fill="none" stroke="var(--soft)"/>'
    line = f'<path d="M{left} {top + side}L{left + side} {top}" stroke="var(--soft)" stroke-dasharray="4 4"/>'
    labels = (
        f'<text x="{left - 8}" y="{top + 10}" text-anchor="end">1</text>'
        f'<text x="{left - 8}" y="{top + side}" text-anchor="end">0</text>'
        f'<text x="{left + side}" y="{top + side + 18}" text-anchor="end">score 1</text>'
        f'<text x="{left}" y="{top + side + 18}">0</text>'
    )
    return (
        f'<svg width="{left + side + 20}" height="{top + side + 28}" role="img" aria-label="reliability diagram">'
        f"{bars}{frame}{line}{labels}</svg>"
        f"<p class=soft>Share of phrases that were right in each tenth of the score, over {total} phrases, accepted or "
        "not; the darker a bar, the more phrases. On the dashed line a score means what it says.</p>"
    )


def _details(title: str, entries: Mapping[str, Any]) -> str:
    if not entries:
        return ""
    items = "".join(f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>" for name, value in entries.items())
    return f"<details><summary>{title}</summary><dl>{items}</dl></details>"
