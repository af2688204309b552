"""The switchable parts from other systems, put together: what `docs/ablations.md` lists.

A part that is switched off has no parameters and costs nothing.
"""

from torch import Tensor, nn

from geoagent.model.compression import TokenCompression
from geoagent.model.configuration import GeoAgentConfig
from geoagent.model.description import DescriptionProjector
from geoagent.model.grounding import TargetQueries
from geoagent.model.interaction import FeatureInteraction
from geoagent.model.memory import LatentMemory
from geoagent.model.sam import PersonPrompts, level_widths
from geoagent.model.text_enhancement import TextEnhancement


class QueryParts(nn.ModuleDict):
    """What happens to the queries of targets before they are grounded: D-Projector, TATE, LKM, where switched on."""

    def forward(self, queries: TargetQueries, vision: Tensor, person: PersonPrompts | None) -> TargetQueries:
        """``vision`` [N,Hv,Wv,D] and ``person`` belong to the same N targets."""
        for part in self.values():
            queries = part(queries, vision, person)
        return queries


def query_parts(config: GeoAgentConfig) -> QueryParts:
    """The parts for queries that ``config`` switches on."""
    width, switches = config.grounding.width, config.switches
    parts = QueryParts()
    if config.answer.query == "description":
        parts["description"] = DescriptionProjector(
            config.text_width, width, config.grounding.heads, config.grounding.feed_ratio
        )
    if switches.enhancement:
        parts["enhancement"] = TextEnhancement(config.text_width, width)
    if switches.memory:
        parts["memory"] = LatentMemory(switches.memory, config.text_width)
    return parts


def feature_interaction(config: GeoAgentConfig) -> nn.Module:
    """IFIM and HFIM on SAM2's features, or nothing."""
    if not config.switches.interaction:
        return nn.Identity()
    # A quarter of SAM2's width: the finest map is large.
    return FeatureInteraction(level_widths(config.sam_config), config.sam_width // 4, heads=4)


def token_compression(config: GeoAgentConfig) -> nn.Module:
    """The connector for the vision tokens that grounding sees, or nothing."""
    if not config.switches.compression:
        return nn.Identity()
    return TokenCompression(config.text_width, config.grounding.width)
