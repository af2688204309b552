"""Answers about images of any size, in bounded memory.

A plan says which classes to look for and which of their objects are meant (`geoagent.plan`). Every class is asked for
on every tile (`asking`), the answers are kept on disk (`journal`), blended and merged into objects of the whole image
(`compose`), the conditions are judged on those (`geoagent.selection`), and the result is a `Prediction` like any other
(`finishing`, `wording`).
"""

from geoagent.large.pointed import segment_pointed
from geoagent.large.scene import is_large, segment_large
from geoagent.large.source import HeldImage

__all__ = ["HeldImage", "is_large", "segment_large", "segment_pointed"]
