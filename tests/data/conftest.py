"""Samples that several modules look at."""

import numpy as np
import pytest
from handmade import crowded

from geoagent.data.instructions import KINDS, SceneIndex, make_one


@pytest.fixture(scope="session")
def asked():
    """Many samples of every kind, in both splits, with the scenes they are about."""
    found = {"train": [], "test": []}
    for split, samples in found.items():
        for seed in range(8):
            index = SceneIndex(crowded(seed))
            rng = np.random.default_rng([seed, split == "test"])
            for kind in KINDS:
                made = (make_one(index, kind, rng, number, split=split) for number in range(10))
                samples += [sample for sample in made if sample is not None]
    return found
