"""Which known class a question means that names none: what the language model makes of it, and what its words say.

A large language model knows that fuel is kept in tanks. A small one that learned to read from some ten thousand
questions remembers those, and is easily led astray by one that is put otherwise; counted words are not, and know no
context. The two err differently: together they are right more often than either.

Shapes: N questions, D the language model's width, K classes.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn

_PART = 4
"""Letters of the parts of words that count besides whole words."""
_SMOOTH = 0.05
"""Uses of each piece for each class that nobody has counted."""
_COMMON = 10.0
"""Uses of a piece from which on it counts half."""


class QuestionMeaning(nn.Module):
    """Class logits [N,K] from the states [N,D] at the ends of questions."""

    def __init__(self, text_width: int, classes: int) -> None:
        super().__init__()
        self.classify = nn.Sequential(nn.LayerNorm(text_width), nn.Linear(text_width, classes))

    def forward(self, states: Tensor) -> Tensor:
        """See the class."""
        logits: Tensor = self.classify(states)
        return logits


@dataclass(frozen=True)
class WordMeanings:
    """How often each piece of a question was used for each class."""

    classes: tuple[str, ...]
    rows: Mapping[str, int]
    """The row of each piece."""
    counts: csr_matrix
    """uint16 [pieces,K]."""

    @classmethod
    def learn(cls, known: Mapping[str, Sequence[str]]) -> "WordMeanings":
        """Count the pieces of what is known to be said of each class."""
        rows: dict[str, int] = {}
        cells: list[tuple[int, int, int]] = []
        for number, texts in enumerate(known.values()):
            counter = Counter(piece for text in texts for piece in sorted(pieces(text)))
            cells += [(rows.setdefault(piece, len(rows)), number, count) for piece, count in counter.items()]
        row, column, count = np.array(cells, dtype=np.int64).reshape(-1, 3).T
        counts = csr_matrix((count.astype(np.uint16), (row, column)), shape=(len(rows), len(known)))
        return cls(tuple(known), rows, counts)

    def scores(self, question: str) -> NDArray[np.float64]:
        """[K]: for each piece how much more often it goes with a class than by chance; rare ones say most."""
        found = self.counts[[self.rows[piece] for piece in pieces(question) if piece in self.rows]].toarray()
        total = found.sum(axis=1, keepdims=True, dtype=np.float64)
        likely = np.log((found + _SMOOTH) / (total / len(self.classes) + _SMOOTH))
        scores: NDArray[np.float64] = (likely / (1 + total / _COMMON)).sum(axis=0)
        return scores

    def save(self, path: Path) -> None:
        """Write a compressed file of numpy arrays."""
        names = (text.encode() for text in ("\n".join(self.classes), "\n".join(self.rows)))
        classes, rows = (np.frombuffer(name, dtype=np.uint8) for name in names)
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                classes=classes,
                pieces=rows,
                counts=self.counts.data,
                columns=self.counts.indices.astype(np.uint16),
                starts=self.counts.indptr,
            )

    @classmethod
    def load(cls, path: Path) -> "WordMeanings":
        """Read what `save` wrote."""
        with np.load(path) as file:
            classes, names = (file[key].tobytes().decode().split("\n") for key in ("classes", "pieces"))
            parts = (file["counts"], file["columns"].astype(np.int32), file["starts"])
        counts = csr_matrix(parts, shape=(len(names), len(classes)))
        return cls(tuple(classes), {name: row for row, name in enumerate(names)}, counts)


def pieces(text: str) -> set[str]:
    """Words without a plural's s, pairs of neighbours, and parts of words."""
    words = [w.removesuffix("s") if len(w) > _PART else w for w in re.findall(r"[a-z]+", text.lower())]
    pairs = {f"{one} {two}" for one, two in pairwise(words)}
    return {*words, *pairs, *(f"#{w[i : i + _PART]}" for w in words for i in range(max(1, len(w) - _PART + 1)))}
