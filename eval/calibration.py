"""Whether a score of 0.8 is right eight times out of ten."""

from collections.abc import Iterable
from dataclasses import dataclass

BINS = 10


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The phrases whose score lies in one tenth of the scale."""

    low: float
    high: float
    count: int
    confidence: float | None
    """Mean score; None where the bin is empty."""
    accuracy: float | None
    """Share that was right."""


def bin_of(score: float) -> int:
    """Number of the bin of a score; scores outside 0…1 fall into the outermost ones."""
    return min(max(int(score * BINS), 0), BINS - 1)


def reliability(candidates: Iterable[tuple[float, bool]]) -> tuple[Bin, ...]:
    """All bins in order of score, for a reliability diagram; ``candidates`` are scores and whether each was right."""
    members: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for score, right in candidates:
        members[bin_of(score)].append((score, right))
    return tuple(
        Bin(
            low=number / BINS,
            high=(number + 1) / BINS,
            count=len(inside),
            confidence=sum(score for score, _ in inside) / len(inside) if inside else None,
            accuracy=sum(right for _, right in inside) / len(inside) if inside else None,
        )
        for number, inside in enumerate(members)
    )
