"""geoagent: reasoning segmentation for Earth observation.

    >>> import geoagent
    >>> model = geoagent.load("nano")
    >>> prediction = model.segment("port.tif", "Where is fuel kept?")
    >>> prediction.answer, prediction.targets[0].mask.shape

Importing this package is cheap: torch is imported only once a model is loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from geoagent.predictor import Predictor, SceneSession, load
    from geoagent.types import ImageInfo, Instance, Prediction, Prompts, Target

__all__ = [
    "ImageInfo",
    "Instance",
    "Prediction",
    "Predictor",
    "Prompts",
    "SceneSession",
    "Target",
    "__version__",
    "load",
]

_HOME = {
    **dict.fromkeys(("Predictor", "SceneSession", "load"), "geoagent.predictor"),
    **dict.fromkeys(("ImageInfo", "Instance", "Prediction", "Prompts", "Target"), "geoagent.types"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'geoagent' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
