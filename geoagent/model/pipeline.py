"""The model: words and pixels in, masks out, in the order of the figure in ``docs/architecture.md``.

    language model → queries → grounding (ASCR) → prompts (GPG) → modulation (GMFE) → SAM2's decoder → cores

`forward` is what training calls (packed questions of many images); `segment_targets` is the second half of it, which a
predictor calls behind its cached image work.

Shapes: B images, N targets, S tokens of a packed sequence, D the language model's width.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel, Sam2Model

from geoagent.model import mllm as language
from geoagent.model import sam as segmenter
from geoagent.model import switches
from geoagent.model.configuration import GeoAgentConfig, ScoreConfig
from geoagent.model.description import mean_state
from geoagent.model.grounding import Ascr, Grounding, TargetQueries
from geoagent.model.instances import CoreHead
from geoagent.model.marks import MarkMap
from geoagent.model.meaning import QuestionMeaning
from geoagent.model.modulation import Gmfe
from geoagent.model.pixel_map import PixelMap
from geoagent.model.prompting import Gpg, GroundedPrompts
from geoagent.model.recognition import ObjectRecognition
from geoagent.model.sight import SharedSight
from geoagent.model.spatial_attention import seg_attention, watch_attention

_PEAK = 8
"""Cells of a mask that tell how sure it is at best: about as many as a small object has."""


@dataclass(frozen=True)
class ImageFeatures:
    """What is computed once an image."""

    vision: language.VisionTokens
    sam: segmenter.SamFeatures
    pixels: Tensor | None = None
    """[B,E,4He,4We], see `geoagent.model.pixel_map`; None without a pixel map."""


@dataclass(frozen=True)
class PackedText:
    """The questions of B images, packed behind their images (see `geoagent.data.collate`)."""

    input_ids: Tensor
    """int64 [B,S]."""
    position_ids: Tensor
    """int64 [3,B,S]."""
    attention_mask: Tensor
    """Bool [B,1,S,S], True where the row may look at the column."""
    answer_index: Tensor
    """int64 [T,2]: sequence and place of the token *before* each answer token."""
    answer_labels: Tensor
    """int64 [T]."""
    word_index: Tensor
    """int64 [N,Nt]: places of each target's words, padded with -1 at the end; the last one is its <seg> or <rej>."""
    query_index: Tensor
    """int64 [N]: place of each target's <seg> or <rej>; -1: its state is the mean of its words."""
    asked_index: Tensor
    """int64 [N]: place of the last token before the answer to each target's question."""
    image: Tensor
    """int64 [N]: image (= sequence) of each target."""
    task: Tensor
    """int64 [N]: see `geoagent.model.tasks.Task`."""


@dataclass(frozen=True)
class ModelInputs:
    """A batch."""

    pixel_values: Tensor
    """Patches of all images, as the language model's image processor cuts them."""
    grid_thw: Tensor
    """int64 [B,3]."""
    sam_pixels: Tensor
    """[B,3,S,S]."""
    text: PackedText
    person: segmenter.PersonPrompts | None = None


@dataclass(frozen=True)
class SegmentedTargets:
    """Masks of N targets with all that losses and explanations need."""

    masks: segmenter.DecodedMasks
    cores: Tensor
    """[N,4He,4We] logits of object cores."""
    coarse: tuple[Tensor | None, ...]
    """Per target [Hv,Wv] logits."""
    grounding: tuple[tuple[Tensor, Grounding], ...]
    """Per group of targets of one shape: their indices and their grounding."""


@dataclass(frozen=True)
class ModelOutputs:
    """What `GeoAgentModel.forward` returns."""

    states: Tensor
    """[B,S,D] of the language model."""
    answer_logits: Tensor
    """[T,V]."""
    targets: SegmentedTargets
    features: ImageFeatures
    queries: TargetQueries
    seg_attention: tuple[Tensor, ...] | None = None
    """Per target [Hv,Wv]: where its <seg> looks, summing to 1; None unless ``switches.spatial_layers`` are given."""


class GeoAgentModel(PreTrainedModel):
    """Qwen-VL and SAM2 of transformers, joined by SGSRF's three stages."""

    config_class = GeoAgentConfig
    config: GeoAgentConfig
    base_model_prefix = "geoagent"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ("Qwen3VLTextDecoderLayer", "Qwen2_5_VLDecoderLayer", "Sam2MultiScaleBlock")
    _tied_weights_keys: dict[str, str] = {}  # noqa: RUF012 (set per instance where the language model ties its head)

    def __init__(self, config: GeoAgentConfig) -> None:
        super().__init__(config)
        segmenter.prepare_sam(config.sam_config)
        d = config.grounding.width
        widths = segmenter.level_widths(config.sam_config)
        self.mllm = language.build_mllm(config.mllm_config)
        self.sam = Sam2Model(config.sam_config)
        self.grounding = Ascr(config.grounding, config.text_width)
        self.prompting = Gpg(config.prompting, d, config.text_width, config.sam_width)
        self.modulation = Gmfe(config.modulation, d, widths)
        drawn = config.prompting
        self.pixel_map = (
            PixelMap(widths, drawn.pixel_map, config.text_width, drawn.place_map, refined=drawn.refined_map)
            if drawn.pixel_map
            else None
        )
        self.marks = MarkMap(config.text_width) if drawn.mark_map else None
        self.sight = SharedSight(drawn.pixel_map, config.text_width) if drawn.shared_sight else None
        self.cores = CoreHead(config.instances, widths[0])
        known = config.meaning.classes
        self.meaning = QuestionMeaning(config.text_width, len(known)) if known else None
        self.recognition = (
            ObjectRecognition(config.recognition, drawn.pixel_map) if config.recognition.classes else None
        )
        self.query_parts = switches.query_parts(config)
        self.interaction = switches.feature_interaction(config)
        self.compression = switches.token_compression(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The language model's."""
        return self.mllm.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        """The language model's."""
        return self.mllm.get_output_embeddings()

    def _init_weights(self, module: nn.Module) -> None:
        """Stages of ours reset themselves; the stock models initialise their own parts."""
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()  # type: ignore[operator]

    # ---------------------------------------------------------------------------------------------------- the figure

    def forward(self, inputs: ModelInputs) -> ModelOutputs:
        """Answers and masks for packed questions whose answers are given (training)."""
        features = self.encode_images(inputs.pixel_values, inputs.grid_thw, inputs.sam_pixels)
        with watch_attention(self.mllm, self.config.switches.spatial_layers) as seen:
            states = self.read_packed(inputs.text, features.vision)
        queries = collect_queries(states, inputs.text)
        targets = self.segment_targets(queries, features, inputs.person)
        answer_logits = self.answer_logits(states, inputs.text)
        looks = seg_attention(seen, inputs.text, features.vision.grids, int(self.mllm.config.image_token_id))
        return ModelOutputs(states, answer_logits, targets, features, queries, looks)

    def encode_images(self, pixel_values: Tensor, grid_thw: Tensor, sam_pixels: Tensor) -> ImageFeatures:
        """The work that is done once an image."""
        sam, pixels = self.encode_pixels(sam_pixels)
        return ImageFeatures(self.encode_tokens(pixel_values, grid_thw, pixels), sam, pixels)

    def encode_pixels(self, sam_pixels: Tensor) -> tuple[segmenter.SamFeatures, Tensor | None]:
        """SAM2's half of it: its features and, of a model with a pixel map, the vectors of their pixels."""
        # Convolutions are faster where the channels of a pixel are side by side, as SAM2's blocks have them anyway.
        sam_pixels = sam_pixels.to(self.sam.dtype, memory_format=torch.channels_last)
        sam = self.interaction(segmenter.encode_images(self.sam, sam_pixels))
        return sam, None if self.pixel_map is None else self.pixel_map.embed(sam, sam_pixels)

    def encode_tokens(self, pixel_values: Tensor, grid_thw: Tensor, pixels: Tensor | None) -> language.VisionTokens:
        """The language model's half, which may see the pixel vectors as well."""
        vision = language.encode_images(self.mllm, pixel_values, grid_thw)
        return vision if self.sight is None or pixels is None else self.sight(vision, pixels)

    def read_packed(self, text: PackedText, vision: language.VisionTokens) -> Tensor:
        """States [B,S,D] of packed questions."""
        dtype: torch.dtype = self.mllm.get_input_embeddings().weight.dtype
        additive = torch.zeros(text.attention_mask.shape, dtype=dtype, device=text.attention_mask.device)
        additive.masked_fill_(~text.attention_mask, torch.finfo(dtype).min)
        return language.read_text(self.mllm, text.input_ids, text.position_ids, additive, vision=vision)

    def answer_logits(self, states: Tensor, text: PackedText) -> Tensor:
        """Logits [T,V] of each answer token, from the states [B,S,D]."""
        logits: Tensor = self.mllm.lm_head(states[text.answer_index.unbind(1)])
        return logits

    def segment_targets(
        self, queries: TargetQueries, features: ImageFeatures, person: segmenter.PersonPrompts | None = None
    ) -> SegmentedTargets:
        """Grounding, prompts, modulation and decoding of N targets, those of one shape at a time."""
        size = features.sam.size
        order: list[Tensor] = []
        decoded: list[tuple[segmenter.DecodedMasks, Tensor]] = []
        coarse: list[Tensor | None] = [None] * len(queries)
        grounded: list[tuple[Tensor, Grounding]] = []
        for targets, some, pointed, grounding in self._ground(queries, features.vision, person):
            fine = self._fine_map(features.pixels, some, pointed)
            prompts = self.prompting(grounding, some.state, size, fine)
            sam_features = self.modulation(features.sam.pick(some.image), grounding.cues)
            sparse, dense = self._with_person(prompts, pointed, size)
            masks = segmenter.decode_masks(self.sam, sam_features, sparse, dense)
            if fine is not None:
                masks = replace(masks, logits=masks.logits + fine)
            decoded.append((masks, self.cores(sam_features.fine, masks.logits)))
            order.append(targets)
            grounded.append((targets, grounding))
            _put(coarse, targets, prompts.coarse)
        masks, cores = _in_order(order, decoded, features.sam)
        return SegmentedTargets(masks, cores, tuple(coarse), tuple(grounded))

    def locate_targets(
        self, queries: TargetQueries, vision: language.VisionTokens
    ) -> tuple[tuple[Tensor | None, ...], tuple[tuple[Tensor, Grounding], ...]]:
        """Coarse maps and grounding of N targets, as in `SegmentedTargets`, without SAM2."""
        coarse: list[Tensor | None] = [None] * len(queries)
        grounded: list[tuple[Tensor, Grounding]] = []
        for targets, some, _, grounding in self._ground(queries, vision, None):
            grounded.append((targets, grounding))
            _put(coarse, targets, self.prompting.locate(grounding, some.state))
        return tuple(coarse), tuple(grounded)

    def _ground(
        self, queries: TargetQueries, vision: language.VisionTokens, person: segmenter.PersonPrompts | None
    ) -> Iterator[tuple[Tensor, TargetQueries, segmenter.PersonPrompts | None, Grounding]]:
        """Targets of one shape at a time: their indices, their queries, what points at them, their grounding."""
        tokens = [self.compression(merged) for merged in vision.merged]
        for targets in _alike(queries.image, vision.grids, person):
            some = queries.pick(targets)
            seen = _of_each(tokens, some.image)
            pointed = None if person is None else person.pick(targets.to(person.points.device))
            some = self.query_parts(some, seen, pointed)
            yield targets, some, pointed, self.grounding(some, seen)

    def _fine_map(
        self, pixels: Tensor | None, queries: TargetQueries, pointed: segmenter.PersonPrompts | None
    ) -> Tensor | None:
        """The pixel map and, of what a person pointed at, the mark map."""
        if self.pixel_map is None or pixels is None:
            return None
        seen = pixels[queries.image]
        logits: Tensor = self.pixel_map(seen, queries.state)
        if self.marks is not None and pointed is not None:
            logits = logits + self.marks(seen, queries.state, pointed)
        return logits

    def _with_person(
        self,
        prompts: GroundedPrompts,
        pointed: segmenter.PersonPrompts | None,
        size: tuple[int, int],
    ) -> tuple[Tensor, Tensor | None]:
        """GPG's prompts and, behind them, what a person pointed at."""
        if pointed is None:
            return prompts.sparse, prompts.dense
        sparse, change = segmenter.embed_prompts(self.sam, pointed, size)
        sparse = torch.cat([prompts.sparse, sparse.to(prompts.sparse.dtype)], dim=1)
        if change is None or prompts.dense is None:
            return sparse, prompts.dense if change is None else change
        return sparse, prompts.dense + change


def collect_queries(states: Tensor, text: PackedText) -> TargetQueries:
    """Gather each target's words and its own state from the states [B,S,D]."""
    mask = text.word_index >= 0
    words = states[text.image[:, None], text.word_index.clamp(min=0)] * mask[..., None]
    own = states[text.image, text.query_index.clamp(min=0)]
    state = torch.where((text.query_index < 0)[:, None], mean_state(words, mask), own)
    return TargetQueries(words, mask, state, text.image, text.task)


def _of_each(tokens: list[Tensor], image: Tensor) -> Tensor:
    """The tokens [N,Hv,Wv,D] of the images [N]; those of all images, which mostly are of one size, are stacked once."""
    if len({t.shape for t in tokens}) == 1:
        return torch.stack(tokens)[image]
    return torch.stack([tokens[i] for i in image.tolist()])


def _alike(image: Tensor, grids: list[tuple[int, int]], person: segmenter.PersonPrompts | None) -> list[Tensor]:
    """Indices of targets that share a vision grid and a number of marks (in training nearly always all of them)."""
    marks = [0] * len(image) if person is None else person.counts
    groups: dict[tuple[tuple[int, int], int], list[int]] = {}
    for target, i in enumerate(image.tolist()):
        groups.setdefault((grids[i], marks[target]), []).append(target)
    return [torch.tensor(group, device=image.device) for group in groups.values()]


def _put(maps: list[Tensor | None], targets: Tensor, found: Tensor | None) -> None:
    """Each target's map in its place."""
    if found is not None:
        for target, one in zip(targets.tolist(), found.unbind(), strict=True):
            maps[target] = one


def _in_order(
    order: list[Tensor], parts: list[tuple[segmenter.DecodedMasks, Tensor]], features: segmenter.SamFeatures
) -> tuple[segmenter.DecodedMasks, Tensor]:
    """Put the groups back into the order of the targets."""
    if not parts:
        height, width = (4 * side for side in features.size)
        nothing = features.coarse.new_zeros(0)
        maps = features.coarse.new_zeros(0, height, width)
        return segmenter.DecodedMasks(maps, nothing, nothing), maps
    if len(parts) == 1:
        return parts[0]
    back = torch.cat(order).argsort()
    masks = segmenter.DecodedMasks(
        torch.cat([m.logits for m, _ in parts])[back],
        torch.cat([m.iou for m, _ in parts])[back],
        torch.cat([m.objectness for m, _ in parts])[back],
    )
    return masks, torch.cat([c for _, c in parts])[back]


def score_clues(token: Tensor, masks: segmenter.DecodedMasks) -> Tensor:
    """[N,4]: logits of P(<seg>), of SAM2's object score, of its IoU score, and of its mask where that is surest."""
    iou = torch.logit(masks.iou.float().clamp(1e-3, 1 - 1e-3))
    cells = masks.logits.float().flatten(1)
    peak = cells.topk(min(_PEAK, cells.shape[1]), dim=1).values.mean(dim=1)
    return torch.stack([token.float(), masks.objectness.float(), iou, peak], dim=1)


def combined_score(config: ScoreConfig, clues: Tensor) -> Tensor:
    """The calibrated probability [N] that a target is there, from its clues [N,4]: see `ScoreConfig`."""
    weights = clues.new_tensor([config.token, config.object, config.iou, config.peak])
    return torch.sigmoid(config.bias + clues @ weights)


AutoModel.register(GeoAgentConfig, GeoAgentModel)
