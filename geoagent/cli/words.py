"""Answers and sizes in words, for people who read a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """The lines of a table; the columns ``right`` are flush right."""
    lines = [heads, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def answer_lines(result: Mapping[str, Any]) -> list[str]:
    """A prediction (as `Prediction.to_json` gives it): its answer, what was found, what was not."""
    lines = [result["answer"]] if result["answer"] else []
    if result["targets"]:
        rows = [
            (
                str(target["id"]),
                target["phrase"],
                f"{target['score']:.2f}",
                str(len(target["instances"])),
                area(target["area_m2"], target["pixel_count"]),
            )
            for target in result["targets"]
        ]
        lines += ["", *table(("#", "found", "score", "objects", "area"), rows, right=(0, 2, 3, 4))]
    if result["absent"]:
        missed = ", ".join(f"{target['phrase']} ({target['score']:.2f})" for target in result["absent"])
        lines += ["", f"not found: {missed}"]
    return lines


def area(square_metres: float | None, pixels: int | None) -> str:
    """An area in the unit that reads best; in pixels where the ground size is not known."""
    if square_metres is None:
        return "?" if pixels is None else f"{pixels:,} px"
    if square_metres >= 1e6:
        return f"{square_metres / 1e6:,.2f} km²"
    if square_metres >= 1e5:
        return f"{square_metres / 1e4:,.1f} ha"
    return f"{square_metres:,.0f} m²" if square_metres >= 100 else f"{square_metres:,.1f} m²"


def length(metres: float | None) -> str:
    """A length in the unit that reads best, nothing where there is none."""
    if metres is None:
        return ""
    if metres >= 1e4:
        return f"{metres / 1000:,.2f} km"
    return f"{metres:,.0f} m" if metres >= 100 else f"{metres:.1f} m"
