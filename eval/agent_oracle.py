"""A segmentation model that knows the truth of some scenes: what is wrong in an answer is then not its fault."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geoagent.agent.dates import warp_raster
from geoagent.agent.grids import same_grid, warp_mask
from geoagent.data.classes import find_canonical, members
from geoagent.data.scenes import instance_from_mask
from geoagent.geo.georef import has_place
from geoagent.geo.raster import Raster
from geoagent.types import AnnotatedScene, GeoAgentError, ImageInfo, Instance, Prediction, Target

_LONGEST_NAME = 3
_ALIKE = 40.0
"""Mean difference of pixel values below which a picture can be that of a scene."""


class OracleSegmenter:
    """Answers like `geoagent.predictor.Predictor`, from the labels of ``scenes``.

    It recognises a scene by its place and its pixels, so windows of it and pictures warped to another grid work too.
    """

    name = "oracle"

    def __init__(self, scenes: Sequence[AnnotatedScene]) -> None:
        self.scenes = tuple(scenes)

    def open(self, image: Any, /) -> "OracleSession":
        """Recognise the scene of a `Raster`."""
        assert isinstance(image, Raster)
        differences = [(_difference(image, scene), number) for number, scene in enumerate(self.scenes)]
        least, number = min(differences)
        if least > _ALIKE:
            raise GeoAgentError("the oracle does not know this picture")
        return OracleSession(image, self.scenes[number])


@dataclass(frozen=True)
class OracleSession:
    """A picture whose scene was recognised."""

    raster: Raster
    scene: AnnotatedScene

    def ask(
        self,
        text: str = "",
        *,
        points: Sequence[Sequence[float]] = (),
        boxes: Sequence[Sequence[float]] = (),
        brief: bool = False,
    ) -> Prediction:
        """The labels of every class that the text names."""
        names = class_names(text)
        targets = tuple(self._target(name) for name in names)
        return Prediction(
            answer=", ".join(names),
            marked_answer=" ".join(f"<p>{name}</p>" for name in names),
            candidates=targets,
            image=self.raster.info,
            instruction=text,
            model="oracle",
            pixels=self.raster.pixels,
            valid=self.raster.valid,
        )

    def _target(self, name: str) -> Target:
        wanted = members(name)
        mask = np.zeros(self.raster.info.size, dtype=np.bool_)
        instances: list[Instance] = []
        for thing in (thing for thing in self.scene.objects if thing.class_name in wanted):
            here = _on_grid(self.scene.union([thing]), _info_of(self.scene), self.raster.info)
            if self.raster.valid is not None:
                here &= self.raster.valid
            if here.any():
                mask |= here
                instances.append(instance_from_mask(len(instances) + 1, here))
        return Target(phrase=name, score=1.0 if instances else 0.0, mask=mask, instances=tuple(instances))


def class_names(text: str) -> list[str]:
    """The classes that a text names, in its order; the longest name wins ("parking lot", not "lot")."""
    words = re.findall(r"[a-z-]+", text.lower())
    found: list[str] = []
    start = 0
    while start < len(words):
        for length in range(min(_LONGEST_NAME, len(words) - start), 0, -1):
            name = find_canonical(" ".join(words[start : start + length]))
            if name is not None:
                found.append(name)
                start += length
                break
        else:
            start += 1
    return list(dict.fromkeys(found))


def _info_of(scene: AnnotatedScene) -> ImageInfo:
    height, width = scene.size
    return scene.info or ImageInfo(width=width, height=height, gsd_m=scene.gsd_m)


def _difference(raster: Raster, scene: AnnotatedScene) -> float:
    """How much a picture differs from that of a scene where both are; infinite where they have nothing in common."""
    info, grid = _info_of(scene), raster.info
    pixels, valid = scene.image, raster.valid
    if has_place(info) and has_place(grid) and not same_grid(info, grid):
        warped = warp_raster(Raster(pixels=pixels, valid=None, info=info), grid)
        pixels = warped.pixels
        there = np.ones(grid.size, np.bool_) if warped.valid is None else warped.valid
        valid = there if valid is None else valid & there
    if pixels.shape != raster.pixels.shape:
        return float("inf")
    apart = np.abs(pixels.astype(np.int16) - raster.pixels)
    chosen = apart if valid is None else apart[valid]
    return float(chosen.mean()) if chosen.size else float("inf")


def _on_grid(mask: Any, info: ImageInfo, grid: ImageInfo) -> Any:
    if not (has_place(info) and has_place(grid)) or same_grid(info, grid):
        return mask
    return warp_mask(mask, info, grid)
