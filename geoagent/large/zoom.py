"""How closely to look: source pixels for each pixel that the model sees, by what is looked for."""

from collections.abc import Iterable, Mapping

import numpy as np

from geoagent.data.classes import CLASSES

_EXTENT_M: Mapping[str, float] = {
    "car": 4.5, "truck": 8, "bus": 11, "vehicle": 4.5, "large vehicle": 8, "airplane": 25, "helicopter": 12, "ship": 15,
    "storage tank": 15, "silo": 6, "shipping container": 6, "crane": 20, "building": 10, "greenhouse": 15,
    "swimming pool": 8, "tennis court": 24, "basketball court": 28, "baseball diamond": 60, "soccer field": 90,
    "ground track field": 150, "stadium": 150, "roundabout": 30, "helipad": 15, "bridge": 30, "wind turbine": 40,
    "solar panel": 8, "solar farm": 100, "tree": 6, "palm tree": 6, "harbor": 40, "parking lot": 40, "lighthouse": 10,
    "road": 8, "unpaved road": 5, "railway": 5, "runway": 45, "apron": 80,
}  # fmt: skip
"""Metres across a small one of its kind."""
_OTHER_M: Mapping[str, float] = {"thing": 10.0, "stuff": 40.0, "part": 4.0}
_PIXELS = 16
"""Pixels across that a model should see of a small one."""
_RANGE: Mapping[str, tuple[float, float]] = {"thing": (0.5, 2.0), "stuff": (1.0, 4.0), "part": (0.5, 1.0)}
"""Closer shows nothing new, from further away outlines get coarse."""


def choose_zoom(classes: Iterable[str | None], gsd_m: float | None) -> float:
    """Source pixels for each pixel of the model, a power of two: what the smallest of the classes needs.

    Where the ground size or the class is not known, the pixels are taken as they are.
    """
    zooms = [_zoom(name, gsd_m) for name in classes]
    return min(zooms, default=1.0)


def _zoom(name: str | None, gsd_m: float | None) -> float:
    if name is None or gsd_m is None:
        return 1.0
    kind = CLASSES[name].kind
    wanted = _EXTENT_M.get(name, _OTHER_M[kind]) / (gsd_m * _PIXELS)
    low, high = _RANGE[kind]
    return float(np.clip(2.0 ** np.round(np.log2(wanted)), low, high))
