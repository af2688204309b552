"""Pointing at something in a large image: a window about the place is enough."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from geoagent.geo.mask_file import BLOCK, Ids, IdWriter, MaskFile
from geoagent.large.finishing import is_held
from geoagent.large.source import Windows
from geoagent.predictor import Predictor
from geoagent.types import Box, ImageInfo, Instance, Mask, Prediction, Prompts, Target

_ROOM = 1.5
"""The window is so many times as large as what was pointed at, and never smaller than a tile."""


def segment_pointed(
    predictor: Predictor,
    scene: Windows,
    text: str,
    prompts: Prompts,
    *,
    brief: bool = False,
    threshold: float | None = None,
) -> Prediction:
    """Answer about what a person pointed at; the rest of the image counts as not looked at.

    Args:
        predictor: The model.
        scene: The image.
        text: The question; may be empty.
        prompts: In pixels of the image.
        brief: Phrases only.
        threshold: Score from which on something counts as found; None: that of the model.
    """
    info = scene.info
    prompts.check_inside(info.width, info.height)
    window = _window(prompts, info, predictor.model.config.image.tile_side)
    near = predictor.open(scene.read(window)).ask(text, prompts=prompts.within(window), brief=brief)
    keep = None if is_held(info) else tempfile.TemporaryDirectory(prefix="geoagent-large-")
    folder = None if keep is None else Path(keep.name)
    targets = [
        _placed(target, window, info, None if folder is None else folder / f"target-{n}.tif", keep)
        for n, target in enumerate(near.candidates, start=1)
    ]
    looked = np.ones((window[3] - window[1], window[2] - window[0]), np.bool_) if near.valid is None else near.valid
    seen_path = None if folder is None else folder / "looked-at.tif"
    return replace(
        near,
        candidates=tuple(targets),
        image=info,
        threshold=near.threshold if threshold is None else threshold,
        pixels=None,
        valid=_in_whole(looked.astype(np.uint32), window, info, seen_path, keep),
    )


def _window(prompts: Prompts, info: ImageInfo, side: int) -> Box:
    """A window about everything pointed at, with room around it, and at least as large as a tile."""
    x0, y0, x1, y1 = prompts.extent() or (0, 0, info.width, info.height)
    wanted = max(side, int(np.ceil(_ROOM * max(x1 - x0, y1 - y0))))
    return prompts.window(wanted, info.size)


def _placed(target: Target, window: Box, info: ImageInfo, path: Path | None, keep: object) -> Target:
    x, y = window[:2]
    instances = tuple(
        Instance(
            id=i.id,
            box=(i.box[0] + x, i.box[1] + y, i.box[2] + x, i.box[3] + y),
            crop=i.crop,
            score=i.score,
            image_size=info.size,
        )
        for i in target.instances
    )
    mask = _in_whole(target.mask.astype(np.uint32), window, info, path, keep)
    return replace(target, mask=mask, instances=instances)


def _in_whole(ids: Ids, window: Box, info: ImageInfo, path: Path | None, keep: object) -> Mask:
    """The mask of a window as one of the whole image, in memory or (with a path) on disk."""
    x0, y0, x1, y1 = window
    if path is None:
        mask = np.zeros(info.size, dtype=np.bool_)
        mask[y0:y1, x0:x1] = ids > 0
        return mask
    with IdWriter(path, info) as writer:
        for top in range(0, info.height, BLOCK):
            band = np.zeros((min(BLOCK, info.height - top), info.width), dtype=np.uint32)
            first, last = max(y0, top), min(y1, top + len(band))
            if first < last:
                band[first - top : last - top, x0:x1] = ids[first - y0 : last - y0]
            writer.write(band)
    whole = (0, 0, info.width, info.height)
    return MaskFile(path, whole, count=int(np.count_nonzero(ids)), keep=keep)  # type: ignore[return-value]
