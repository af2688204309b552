"""How far words alone carry an implicit question: a bag of words, with and without what goes with each class.

    python -m tools.word_ceiling

Learns from the implicit questions, reasons and names that training may use, and is asked the held-out questions: the
class among all, and among eight of which one is meant. What such a classifier cannot tell, a model that starts from
nothing will not tell either.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from geoagent.data.associations import associations
from geoagent.data.instructions import phrasing
from geoagent.data.knowledge import available, load, plain_implicit

_IN_VIEW = 8
_DRAWS = 5
_PART = 4
"""Letters of the parts of words that count besides whole words."""
_SMOOTH = 0.05


def pieces(text: str) -> set[str]:
    """Words without a plural's s, pairs of neighbours, and parts of words."""
    words = [w.removesuffix("s") if len(w) > _PART else w for w in re.findall(r"[a-z]+", text.lower())]
    pairs = {f"{one} {two}" for one, two in pairwise(words)}
    return {*words, *pairs, *(f"#{w[i : i + _PART]}" for w in words for i in range(max(1, len(w) - _PART + 1)))}


def scores(known: Sequence[Sequence[str]], questions: Sequence[str]) -> NDArray[np.float64]:
    """[questions,classes]: for each piece how much more often it goes with a class than by chance, rare ones most."""
    counts = [Counter(piece for text in texts for piece in pieces(text)) for texts in known]
    total: Counter[str] = sum(counts, Counter())
    found = np.zeros((len(questions), len(known)))
    for row, question in enumerate(questions):
        for piece in pieces(question) & total.keys():
            share = np.array([count[piece] for count in counts]) + _SMOOTH
            found[row] += np.log(share / (total[piece] / len(known) + _SMOOTH)) / (1 + 0.1 * total[piece])
    return found


def main() -> None:
    """Print both figures, without and with associations."""
    names = available()
    asked = [(text, n) for n, name in enumerate(names) for text in phrasing.implicit(name, "test")]
    meant = np.array([n for _, n in asked])
    for told in ("without associations", "with associations"):
        known = []
        for name in names:
            entry = load(name)
            texts = [
                *phrasing.implicit(name, "train"),
                *plain_implicit(name),
                *(r.replace("{phrase}", "") for r in entry.reasons),
            ]
            texts += [n.singular for n in entry.names]
            known.append(texts if told.startswith("without") else [*texts, *associations(name)])
        of = scores(known, [text for text, _ in asked])
        rng = np.random.default_rng(0)
        among = []
        for row, right in enumerate(meant):
            for _ in range(_DRAWS):
                others = rng.choice(np.delete(np.arange(len(names)), right), _IN_VIEW - 1, replace=False)
                among.append(bool((of[row, others] < of[row, right]).all()))
        print(
            f"{told}: {(of.argmax(axis=1) == meant).mean():.0%} of all classes, {np.mean(among):.0%} of eight in view"
        )


if __name__ == "__main__":
    main()
