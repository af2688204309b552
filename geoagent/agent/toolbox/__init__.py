"""The ten tools, a file for each concern.

    images.py   list_images, describe_image        compare.py  compare
    segment.py  segment                            show.py     render, export
    measure.py  measure, calculate                 base.py     what they have in common
    relate.py   relate, buffer

Whoever offers them (LangChain, MCP, the shims) calls the methods of `Toolbox`: arithmetic and errors exist once.
Signatures and docstrings are what a language model reads. Nothing that comes from outside (file names, band names) may
enter them.
"""

from collections.abc import Callable, Mapping

from geoagent.agent.answers import LIMIT
from geoagent.agent.toolbox.base import Outcome, guarded
from geoagent.agent.toolbox.compare import CompareTools
from geoagent.agent.toolbox.images import ImageTools
from geoagent.agent.toolbox.measure import MeasureTools
from geoagent.agent.toolbox.relate import RelateTools
from geoagent.agent.toolbox.segment import SegmentTools
from geoagent.agent.toolbox.show import ShowTools

__all__ = ["Outcome", "Toolbox", "guarded"]


class Toolbox(ImageTools, SegmentTools, MeasureTools, RelateTools, CompareTools, ShowTools):
    """The tools of one conversation; see `geoagent.agent.toolbox.base.Tools` for what it is made from."""

    @property
    def functions(self) -> Mapping[str, Callable[..., Outcome]]:
        """The tools by name."""
        tools = (
            self.list_images,
            self.describe_image,
            self.segment,
            self.measure,
            self.relate,
            self.buffer,
            self.compare,
            self.render,
            self.export,
            self.calculate,
        )
        return {tool.__name__: tool for tool in tools}

    def tell(self, image_id: str, question: str) -> str:
        """What the segmentation model says of an image, in sentences; for programs around the tools."""
        with self._sight.ask(image_id, question, brief=False) as seen:
            return seen.prediction.answer[:LIMIT]
