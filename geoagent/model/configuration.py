"""The sizes and switches of a geoagent model.

`GeoAgentConfig` holds the configurations of its two stock models (``mllm_config``: Qwen3-VL or Qwen2.5-VL,
``sam_config``: SAM2) and one small dataclass for each stage of ours. Combinations that cannot work are refused here.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from transformers import AutoConfig, PreTrainedConfig, Sam2Config

from geoagent.config import from_mapping, to_mapping

MLLM_FAMILIES = ("qwen3_vl", "qwen2_5_vl")


@dataclass(frozen=True, kw_only=True)
class GroundingConfig:
    """ASCR: how the words and the vision tokens find each other."""

    width: int = 256
    heads: int = 8
    feed_ratio: int = 4
    context_tokens: int = 6
    """Ng, the grounding cues. Needed by GMFE."""
    clsm: bool = True
    """Self-attention over words and context tokens."""
    bcmi: bool = True
    """Both directions of attention; False: one-way, text-guided (the ablation)."""
    scr: bool = True
    """Compute what the structural consistency loss compares. Needs BCMI."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"grounding.width {self.width} is not a multiple of grounding.heads {self.heads}")
        if self.clsm and self.context_tokens < 1:
            raise ValueError("grounding.clsm needs at least one context token")
        if self.scr and not (self.bcmi and self.clsm):
            raise ValueError("grounding.scr compares the attention maps of CLSM and BCMI: switch both on, or scr off")


@dataclass(frozen=True, kw_only=True)
class PromptingConfig:
    """GPG: learned tokens that turn the grounding into prompts for SAM2."""

    sparse_tokens: int = 9
    blocks: int = 2
    heads: int = 8
    feed_ratio: int = 4
    dense: bool = True
    query_map: bool = True
    """Add ⟨MLP(state at <seg>), vision tokens⟩ to the coarse map: one step from a word to the pixels."""
    pixel_map: int = 0
    """Width of the vectors whose product with ⟨MLP(state at <seg>)⟩ is added to SAM2's masks; 0: none."""
    refined_map: bool = False
    """Refine those vectors by convolutions of their own, for small things."""
    place_map: int = 0
    """Channels of a code of where each pixel is, whose product with ⟨MLP(state at <seg>)⟩ is added too; 0: none."""
    mark_map: bool = False
    """Draw what a person points at as a map, see `geoagent.model.marks`."""
    shared_sight: bool = False
    """Show the language model what SAM2's encoder sees, see `geoagent.model.sight`."""

    def __post_init__(self) -> None:
        needs = [name for name in ("refined_map", "place_map", "mark_map", "shared_sight") if getattr(self, name)]
        if needs and not self.pixel_map:
            raise ValueError(f"prompting.{needs[0]} needs the pixel map: give prompting.pixel_map a width")


@dataclass(frozen=True, kw_only=True)
class ModulationConfig:
    """GMFE: SAM2's feature maps attend to the grounding cues."""

    levels: tuple[int, ...] = (0, 1, 2)
    """0 the finest (stride 4), 2 the coarsest (stride 16); empty: off."""

    def __post_init__(self) -> None:
        if not set(self.levels) <= {0, 1, 2}:
            raise ValueError(f"modulation.levels are among 0, 1 and 2, not {self.levels}")


@dataclass(frozen=True, kw_only=True)
class InstanceConfig:
    """How the mask of a target is split into objects."""

    split: Literal["cores", "components"] = "components"
    """``cores``: a predicted map of object interiors separates objects that touch (once it is trained)."""
    width: int = 32


@dataclass(frozen=True, kw_only=True)
class RecognitionConfig:
    """Objects seen as wholes, see `geoagent.model.recognition`. Needs the pixel map."""

    classes: tuple[str, ...] = ()
    """Those it knows, canonical names; empty: off."""
    width: int = 128
    least: float = -0.5
    """What its logit and that of the object's own score have to exceed together."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))  # a list, from a configuration file


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """The calibrated score: sigmoid(bias + token·logit P(<seg>) + object·logit + iou·logit(IoU score) + peak·logit).

    ``object`` is of SAM2's object score, ``peak`` of the surest cells of the mask.
    """

    token: float = 1.0
    object: float = 1.0
    iou: float = 0.0
    peak: float = 0.0
    bias: float = 0.0
    threshold: float = 0.5


@dataclass(frozen=True, kw_only=True)
class AnswerConfig:
    """What the language model may write."""

    query: Literal["token", "description"] = "token"
    """``token``: a <seg> or <rej> per target; ``description``: the instruction itself is the query (SegEarth-R1)."""
    max_targets: int = 32
    max_new_tokens: int = 192
    max_phrase_tokens: int = 32
    style: Literal["full", "brief"] = "full"
    singling: bool = False
    """Objects that a phrase tells apart by place, size or distance are measured, see `geoagent.singling`."""


@dataclass(frozen=True, kw_only=True)
class MeaningConfig:
    """A second opinion of what a question means that names nothing, see `geoagent.model.meaning`."""

    classes: tuple[str, ...] = ()
    """Those it knows, canonical names; empty: off."""
    word_weight: float = 4.0
    """What the score of its words counts beside the language model's log-probability, which is too sure of itself."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))  # a list, from a configuration file


@dataclass(frozen=True, kw_only=True)
class ImageSizeConfig:
    """At which sizes the two image encoders see the picture."""

    sam: int = 1024
    """Side of the square that SAM2 sees; a multiple of 32."""
    min_pixels: int = 256 * 256
    max_pixels: int = 1024 * 1024
    """Bounds of what the vision tower of the language model sees."""
    max_aspect: float = 3.0
    """Longer images are tiled."""
    tile: int = 0
    """Pixels of a tile's side where things are looked at as they are; 0: ``sam``."""
    closer: float = 0.0
    """What a box marks is looked at in a view so many times as large as the box; 0: in the whole image."""

    @property
    def tile_side(self) -> int:
        """Pixels of a tile's side where things are looked at as they are."""
        return self.tile or self.sam

    def __post_init__(self) -> None:
        if self.sam % 32:
            raise ValueError(f"image.sam must be a multiple of 32, not {self.sam}")


@dataclass(frozen=True, kw_only=True)
class SwitchConfig:
    """Parts of other systems, all off: see ``docs/ablations.md``."""

    spatial_layers: tuple[int, ...] = ()
    """Layers of the language model whose attention at <seg> is supervised (SegEarth-R2); negative: from the end."""
    enhancement: bool = False
    """TATE (UniGeoSeg): words enhanced by task."""
    memory: int = 0
    """LKM (UniGeoSeg): number of latent memory vectors, 4 in the paper."""
    interaction: bool = False
    """IFIM and HFIM (after MRSNet) on SAM2's feature maps."""
    compression: bool = False
    """Token compression (SegEarth-R1) of the vision tokens that grounding sees."""

    def __post_init__(self) -> None:
        if self.memory < 0:
            raise ValueError(f"switches.memory is a number of vectors, not {self.memory}")


class GeoAgentConfig(PreTrainedConfig):
    """Everything that a geoagent checkpoint is made of, saved as ``config.json`` beside its weights.

    Args:
        mllm_config: Configuration of the language model, Qwen3-VL or Qwen2.5-VL.
        sam_config: Configuration of SAM2.
        grounding: ASCR, see `GroundingConfig`.
        prompting: GPG, see `PromptingConfig`.
        modulation: GMFE, see `ModulationConfig`.
        instances: Splitting into objects, see `InstanceConfig`.
        recognition: Objects seen as wholes, see `RecognitionConfig`.
        score: Calibration, see `ScoreConfig`.
        answer: The answer language, see `AnswerConfig`.
        meaning: What questions mean that name nothing, see `MeaningConfig`.
        image: Sizes, see `ImageSizeConfig`.
        switches: Parts of other systems, see `SwitchConfig`.
        trained: Whether the stages between the two stock models were trained far enough to mean something; a predictor
            warns when not.
    """

    model_type = "geoagent"
    sub_configs: ClassVar[dict[str, type]] = {"mllm_config": AutoConfig, "sam_config": Sam2Config}

    _parts: ClassVar[dict[str, type]] = {
        "grounding": GroundingConfig,
        "prompting": PromptingConfig,
        "modulation": ModulationConfig,
        "instances": InstanceConfig,
        "recognition": RecognitionConfig,
        "score": ScoreConfig,
        "answer": AnswerConfig,
        "meaning": MeaningConfig,
        "image": ImageSizeConfig,
        "switches": SwitchConfig,
    }
    grounding: GroundingConfig
    prompting: PromptingConfig
    modulation: ModulationConfig
    instances: InstanceConfig
    recognition: RecognitionConfig
    score: ScoreConfig
    answer: AnswerConfig
    meaning: MeaningConfig
    image: ImageSizeConfig
    switches: SwitchConfig

    def __init__(
        self,
        mllm_config: PreTrainedConfig | dict[str, Any] | None = None,
        sam_config: Sam2Config | dict[str, Any] | None = None,
        *,
        trained: bool = False,
        **kwargs: Any,
    ) -> None:
        for name, cls in self._parts.items():
            value = kwargs.pop(name, None) or {}
            setattr(self, name, from_mapping(cls, value, f"{name}.") if isinstance(value, dict) else value)
        self.mllm_config = _sub_config(mllm_config if mllm_config is not None else {"model_type": "qwen3_vl"})
        self.sam_config = sam_config if isinstance(sam_config, Sam2Config) else Sam2Config(**(sam_config or {}))
        self.trained = trained
        self._refuse_impossible()
        # Adapters look here, and not in the language model's own configuration, for whether its head is its embeddings.
        kwargs["tie_word_embeddings"] = bool(self.mllm_config.tie_word_embeddings)
        super().__init__(**kwargs)

    def _refuse_impossible(self) -> None:
        if self.mllm_config.model_type not in MLLM_FAMILIES:
            raise ValueError(
                f"mllm_config is of type {self.mllm_config.model_type!r}; geoagent speaks {' and '.join(MLLM_FAMILIES)}"
            )
        if self.modulation.levels and not self.grounding.clsm:
            raise ValueError(
                "modulation (GMFE) attends to the context tokens of CLSM: switch clsm on or modulation off"
            )
        if self.recognition.classes and not self.prompting.pixel_map:
            raise ValueError("recognition pools the pixel map: give prompting.pixel_map a width")
        if self.prompting.query_map and self.answer.query == "description":
            raise ValueError("prompting.query_map reads the state at <seg>, which the description query does not have")
        if self.switches.spatial_layers and self.answer.query == "description":
            raise ValueError("switches.spatial_layers supervise the row of <seg>, which the description query lacks")
        depth = int(self.mllm_config.text_config.num_hidden_layers)
        if not all(-depth <= layer < depth for layer in self.switches.spatial_layers):
            raise ValueError(f"switches.spatial_layers {self.switches.spatial_layers}: there are {depth} layers")

    def with_parts(self, **parts: dict[str, Any]) -> "GeoAgentConfig":
        """A copy with settings of single stages replaced: ``config.with_parts(grounding={"scr": False})``."""
        changed = {name: replace(getattr(self, name), **values) for name, values in parts.items()}
        return GeoAgentConfig(
            self.mllm_config,
            self.sam_config,
            trained=self.trained,
            **{name: changed.get(name, getattr(self, name)) for name in self._parts},
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``config.json``."""
        output: dict[str, Any] = super().to_dict()
        for name in self._parts:
            output[name] = to_mapping(getattr(self, name))
        return output

    @property
    def text_width(self) -> int:
        """Width of the language model's states."""
        return int(self.mllm_config.text_config.hidden_size)

    @property
    def sam_width(self) -> int:
        """Width of SAM2's prompts and coarsest feature map."""
        return int(self.sam_config.prompt_encoder_config.hidden_size)


def _sub_config(value: PreTrainedConfig | dict[str, Any]) -> PreTrainedConfig:
    if isinstance(value, PreTrainedConfig):
        return value
    values = dict(value)
    return AutoConfig.for_model(values.pop("model_type"), **values)


AutoConfig.register("geoagent", GeoAgentConfig)
