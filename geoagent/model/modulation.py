"""GMFE: SAM2's feature maps attend to the grounding cues.

Z = F + Attention(Q = F, K = G, V = G) on each chosen level; the output starts at zero, so that SAM2 starts as it was.
"""

from torch import Tensor, nn

from geoagent.model.attention import CrossAttention, ZeroLinear
from geoagent.model.configuration import ModulationConfig
from geoagent.model.sam import SamFeatures


class LevelAttention(CrossAttention):
    """One head of attention from a feature map to the cues, with an output that starts at zero."""

    def __init__(self, width: int, cue_width: int) -> None:
        super().__init__(width, heads=1, context_width=cue_width)
        self.to_output = ZeroLinear(width, width)


class Gmfe(nn.Module):
    """The modulation stage."""

    def __init__(self, config: ModulationConfig, cue_width: int, level_widths: tuple[int, int, int]) -> None:
        super().__init__()
        self.config = config
        self.attend = nn.ModuleDict(
            {str(level): LevelAttention(level_widths[level], cue_width) for level in config.levels}
        )

    def forward(self, features: SamFeatures, cues: Tensor | None) -> SamFeatures:
        """Modulate the features of each target's image by its cues G [N,Ng,d]."""
        if not self.config.levels or cues is None:
            return features
        levels = list(features.levels)
        for name, attention in self.attend.items():
            level = levels[int(name)]
            tokens = level.flatten(2).transpose(1, 2)
            change = attention(tokens, cues.to(tokens.dtype))
            levels[int(name)] = level + change.transpose(1, 2).view_as(level)
        return SamFeatures(levels[0], levels[1], levels[2])
