"""What a run starts from: weights, adapters, and which parameters are trained."""

from dataclasses import dataclass

import peft
import torch

from geoagent.model import checkpoint
from geoagent.model.pipeline import GeoAgentModel
from geoagent.model.processor import GeoAgentProcessor
from geoagent.types import GeoAgentError
from train.adapters import lay_adapters
from train.bases import load_base
from train.config import TrainConfig


@dataclass(frozen=True)
class Start:
    """A model ready to be trained."""

    model: GeoAgentModel
    processor: GeoAgentProcessor
    adapter: peft.PeftModel | None
    """The same networks as ``model`` as peft sees them, where they are trained by LoRA."""
    knows_words: bool = False
    """Whether the model has a pixel map that was trained before."""


def build_start(config: TrainConfig, precision: str = "no") -> Start:
    """The model of a run with the right parameters trainable; weights that stay frozen take half the memory."""
    torch.manual_seed(config.seed)
    base = config.model
    halved = base.lora is not None and precision == "bf16"
    model, processor = load_base(base, dtype=torch.bfloat16 if halved else torch.float32, quantize=base.quantize)
    adapter = None
    if base.lora:
        adapter = lay_adapters(model, processor, base.lora)
    else:
        checkpoint.freeze(model, base.trained)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise GeoAgentError(f"{config.name}: model.trained names no parameter: {', '.join(base.trained)}")
    if base.scratch and model.meaning is not None and not config.loss.asked:
        raise GeoAgentError(
            f"{config.name}: loss.asked 0 leaves what questions mean to chance: set meaning.classes to []"
        )
    if config.loss.spatial and not model.config.switches.spatial_layers:
        raise GeoAgentError(f"{config.name}: loss.spatial needs the layers to supervise: set switches.spatial_layers")
    if config.gradient_checkpointing:
        model.mllm.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if not torch.cuda.is_available():
        # PyTorch's fused attention takes four times as long for small windows on a CPU as two products and a softmax.
        model.sam.vision_encoder.backbone.config._attn_implementation = "eager"
    knows_words = model.pixel_map is not None and not base.scratch and not base.mllm
    return Start(model, processor, adapter, knows_words)
