"""What words say of questions that name nothing: one softmax over the sum of their pieces, learned in a minute.

Counting how often a piece goes with a class does as well for the pieces, and worse for their sums: those of one word
say the same several times. See `geoagent.model.meaning`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import nn
from torch.nn import functional

from geoagent.model.meaning import STEP, WordMeanings, pieces

_EPOCHS = 10
_BATCH = 256
_RATE = 0.3
_DROPPED = 0.15
"""Share of the pieces that a text is read without: one telling word must not hide the others."""
_SMOOTH = 0.05
"""Of the labels: many a question would fit a second class."""
_SAYS_NOTHING = 1.0
"""Weights below are left out."""


def learn_words(known: Mapping[str, Sequence[str]], seed: int = 0) -> WordMeanings:
    """Learn from what is ``known`` to be said of each class."""
    texts = [sorted(pieces(text)) for some in known.values() for text in some]
    classes = torch.arange(len(known)).repeat_interleave(torch.tensor([len(some) for some in known.values()]))
    rows: dict[str, int] = {}
    columns = [rows.setdefault(piece, len(rows)) for text in texts for piece in text]
    starts = np.cumsum([0, *map(len, texts)])
    read = csr_matrix((np.ones(len(columns), np.float32), columns, starts), shape=(len(texts), len(rows)))
    weights = nn.EmbeddingBag(len(rows), len(known), mode="sum", sparse=True)
    nn.init.zeros_(weights.weight)
    optimizer = torch.optim.Adagrad(weights.parameters(), lr=_RATE)
    rng = np.random.default_rng(seed)
    for _ in range(_EPOCHS):
        order = rng.permutation(len(texts))
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            batch = read[chosen]
            batch.data *= rng.random(len(batch.data)) >= _DROPPED
            pieces_left = np.maximum(batch.sum(axis=1), 1).reshape(-1, 1).astype(np.float32)
            sums = weights(
                torch.from_numpy(batch.indices).long(),
                torch.from_numpy(batch.indptr[:-1]).long(),
                per_sample_weights=torch.from_numpy(batch.data),
            )
            logits = sums / torch.from_numpy(np.asarray(pieces_left)).sqrt()
            loss = functional.cross_entropy(logits, classes[torch.from_numpy(chosen)], label_smoothing=_SMOOTH)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    learned = weights.weight.detach().numpy()
    learned = learned - np.median(learned, axis=1, keepdims=True)  # what is said of all classes alike says nothing
    steps = np.clip(np.rint(learned / STEP), -127, 127) * (np.abs(learned) >= _SAYS_NOTHING)
    return WordMeanings(tuple(known), rows, csr_matrix(steps.astype(np.int8)))
