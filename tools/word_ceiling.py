"""How far words alone carry an implicit question: a bag of words, with and without what goes with each class.

    python -m tools.word_ceiling

Reads the implicit questions, reasons and names that training may use (`geoagent.model.meaning`), and is asked the
held-out questions: the class among all, and among eight of which one is meant.
"""

import numpy as np

from geoagent.data.instructions import phrasing
from geoagent.data.knowledge import available
from tools.learn_words import known_texts
from train.words import learn_words

_IN_VIEW = 8
_DRAWS = 5


def main() -> None:
    """Print both figures, without and with associations."""
    names = available()
    asked = [(text, n) for n, name in enumerate(names) for text in phrasing.implicit(name, "test")]
    meant = np.array([n for _, n in asked])
    for told in ("without associations", "with associations"):
        words = learn_words(known_texts(names, associated=told.startswith("with ")))
        of = np.stack([words.scores(text) for text, _ in asked])
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
