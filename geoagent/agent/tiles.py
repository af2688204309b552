"""Large images: looked at tile by tile through `geoagent.large`, with progress, and cancelled between two tiles."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geoagent.agent.progress import report
from geoagent.geo.raster import Raster
from geoagent.geo.tiling import TileGrid
from geoagent.types import Box, Prediction

if TYPE_CHECKING:
    from geoagent.large.source import Windows
    from geoagent.predictor import Predictor


def ask_tiles(
    model: "Predictor",
    windows: "Windows",
    text: str,
    *,
    points: Sequence[Sequence[float]] = (),
    boxes: Sequence[Sequence[float]] = (),
    brief: bool = True,
    min_score: float | None = None,
    work: Path | None = None,
) -> Prediction:
    """Answer about an image of any size; with ``work`` a run that was cancelled goes on where it stopped."""
    from geoagent.large import segment_large, segment_pointed
    from geoagent.predictor import make_prompts

    watched = WatchedWindows(windows)
    prompts = make_prompts(points, boxes)
    if prompts:
        report("looking at what was pointed at")
        return segment_pointed(model, watched, text, prompts, brief=brief, threshold=min_score)
    report("looking at the whole image")
    return segment_large(model, watched, text, brief=brief, work=work, threshold=min_score, progress=False)


class WatchedWindows:
    """An image that tells which of its tiles is being read."""

    def __init__(self, windows: "Windows") -> None:
        self._windows = windows
        self.info = windows.info

    def read(self, window: Box | None = None, size: tuple[int, int] | None = None) -> Raster:
        """See `geoagent.large.source.Windows.read`."""
        if window is not None and size is None:
            report(self._place(window))
        return self._windows.read(window, size)

    def _place(self, window: Box) -> str:
        """Which tile a window is, of how many: told by its size and corner, so also where a run goes on."""
        x0, y0, x1, y1 = window
        grid = TileGrid.cover(self.info.size, max(x1 - x0, y1 - y0))
        down, across = grid.down.starts, grid.across.starts
        if y0 not in down or x0 not in across:
            return "looking at a part of the image"
        place = down.index(y0) * len(across) + across.index(x0) + 1
        return f"looking at tile {place} of {len(down) * len(across)}"
