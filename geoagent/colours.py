"""Colours by the names that people give them, as objects show them from above.

Haze, shade and pixels that objects share with the ground make colours paler than paint is. So a name stands for what
objects of that paint look like in images: the medians of 2,300 objects in 150 rendered scenes of training, of which
three in four are nearest to their own.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

_LAB: Mapping[str, tuple[float, float, float]] = {
    "white": (82, -1, 0),
    "beige": (70, -1, 5),
    "grey": (55, 0, -1),
    "black": (30, 0, -2),
    "brown": (40, 6, 10),
    "red": (43, 32, 16),
    "orange": (57, 16, 30),
    "yellow": (73, -4, 44),
    "green": (48, -19, 10),
    "blue": (43, 4, -27),
}
"""CIE Lab of each."""
SIMILAR_COLOURS: Mapping[str, frozenset[str]] = {
    "white": frozenset({"beige", "grey"}),
    "beige": frozenset({"white", "yellow", "brown", "grey"}),
    "grey": frozenset({"white", "black", "beige"}),
    "black": frozenset({"grey", "brown"}),
    "brown": frozenset({"beige", "orange", "red", "black"}),
    "red": frozenset({"orange", "brown"}),
    "orange": frozenset({"red", "yellow", "brown"}),
    "yellow": frozenset({"orange", "beige"}),
    "blue": frozenset(),
    "green": frozenset(),
}
"""Colours that two people may call by either name: no question turns on telling them apart."""
_LIGHTNESS = 0.6
"""Weight of how light a colour is beside its hue: the same paint lies in the sun and in shade."""
_TASTE = 1.25
"""An alike colour may be nearer by this factor."""


def is_called(colours: NDArray[np.float64], name: str) -> NDArray[np.bool_]:
    """[N] whether colours [N,3] (RGB, 0…255) would be called by a name of `NAMES`."""
    if not len(colours):
        return np.zeros(0, dtype=np.bool_)
    scale = np.array([_LIGHTNESS, 1.0, 1.0])
    lab = cv2.cvtColor((colours[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0] * scale
    away = {other: np.hypot.reduce(lab - np.array(mean) * scale, axis=1) for other, mean in _LAB.items()}
    name = _SPELLINGS.get(name, name)
    fits = np.ones(len(colours), dtype=np.bool_)
    for other, distance in away.items():
        fits &= away[name] <= distance * (_TASTE if other in SIMILAR_COLOURS[name] else 1.0)
    return fits


_SPELLINGS = {"gray": "grey"}
NAMES = (*_LAB, *_SPELLINGS)
