"""Which known class a question means that names none: what the language model makes of it, and what its words say.

A large language model knows that fuel is kept in tanks. A small one that learned to read from some ten thousand
questions remembers those, and is easily led astray by one that is put otherwise; a sum over its words is not, and knows
no context. The two err differently: together they are right more often than either.

Shapes: N questions, D the language model's width, K classes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn

_PART = 4
"""Letters of the parts of words that count besides whole words."""
STEP = 0.2
"""Of the weights of pieces."""


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
    """How much each piece of a question speaks for each class; `train.words` learns it."""

    classes: tuple[str, ...]
    rows: Mapping[str, int]
    """The row of each piece."""
    weights: csr_matrix
    """int8 [pieces,K], in steps of `STEP`."""

    def scores(self, question: str) -> NDArray[np.float64]:
        """Class logits [K]; all 0 of a question of which no piece is known."""
        rows = [self.rows[piece] for piece in pieces(question) if piece in self.rows]
        scores: NDArray[np.float64] = self.weights[rows].toarray().sum(axis=0, dtype=np.float64)
        return scores * STEP / max(len(rows), 1) ** 0.5

    def clearest(self, question: str) -> tuple[str, float]:
        """The class that the words speak for, and how surely: the logarithm of its probability."""
        scores = self.scores(question)
        best = int(scores.argmax())
        return self.classes[best], float(scores[best] - np.logaddexp.reduce(scores))

    def save(self, path: Path) -> None:
        """Write a compressed file of numpy arrays."""
        names = (text.encode() for text in ("\n".join(self.classes), "\n".join(self.rows)))
        classes, rows = (np.frombuffer(name, dtype=np.uint8) for name in names)
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                classes=classes,
                pieces=rows,
                weights=self.weights.data,
                columns=self.weights.indices.astype(np.uint16),
                lengths=np.diff(self.weights.indptr).astype(np.uint16),
            )

    @classmethod
    def load(cls, path: Path) -> "WordMeanings":
        """Read what `save` wrote."""
        with np.load(path) as file:
            classes, names = (file[key].tobytes().decode().split("\n") for key in ("classes", "pieces"))
            starts = np.concatenate([[0], file["lengths"].cumsum(dtype=np.int64)])
            parts = (file["weights"], file["columns"].astype(np.int32), starts)
        weights = csr_matrix(parts, shape=(len(names), len(classes)))
        return cls(tuple(classes), {name: row for row, name in enumerate(names)}, weights)


def pieces(text: str) -> set[str]:
    """Words without a plural's s, pairs of neighbours, and parts of words."""
    words = [w.removesuffix("s") if len(w) > _PART else w for w in re.findall(r"[a-z]+", text.lower())]
    pairs = {f"{one} {two}" for one, two in pairwise(words)}
    return {*words, *pairs, *(f"#{w[i : i + _PART]}" for w in words for i in range(max(1, len(w) - _PART + 1)))}
