"""How a run meets the hardware: precision, processes, DeepSpeed."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DeepSpeedPlugin, InitProcessGroupKwargs, ProjectConfiguration

from geoagent.types import GeoAgentError
from train.config import TrainConfig
from train.sharing import SharedDevice, crowded

_BF16_FEATURES = ("avx512_bf16", "amx_bf16", "bf16")
"""Instructions as x86 and ARM name them. Whether oneDNN accepts bf16 says nothing: it emulates it, four times slower
than float32."""


def resolve_precision(precision: str) -> str:
    """``auto`` as what this machine computes fastest in."""
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    features = torch.cpu.get_capabilities()
    return "bf16" if any(features.get(name) for name in _BF16_FEATURES) else "no"


def make_accelerator(config: TrainConfig) -> Accelerator:
    """The processes of this run, with its DeepSpeed configuration if it has one."""
    folder = Path(config.out) / config.name
    precision = resolve_precision(config.precision)
    plugin = _deepspeed(config)
    gpu = torch.cuda.is_available()
    # cuDNN's attention makes a plan for every length of a sequence that it has not met.
    torch.backends.cuda.enable_cudnn_sdp(False)
    # Accelerate takes DeepSpeed for a matter of GPUs: on a CPU it must not be told that it is one.
    handlers = [InitProcessGroupKwargs(backend="gloo")] if plugin is not None and not gpu else None
    kind = SharedDevice if plugin is None and crowded() else Accelerator
    accelerator = kind(
        mixed_precision=precision,
        gradient_accumulation_steps=config.accumulate,
        log_with=list(config.trackers) or None,
        project_config=ProjectConfiguration(str(folder), logging_dir=str(folder)),
        deepspeed_plugin=plugin,
        cpu=not gpu and plugin is None,
        kwargs_handlers=handlers,
    )
    if config.trackers:
        accelerator.init_trackers("log")
    return accelerator


def _deepspeed(config: TrainConfig) -> DeepSpeedPlugin | None:
    """The file with what this run decides filled in; nothing for a single process that no launcher started."""
    path = config.deepspeed or os.environ.get("ACCELERATE_DEEPSPEED_CONFIG_FILE")
    if not path or "LOCAL_RANK" not in os.environ:
        return None
    try:
        settings: dict[str, Any] = json.loads(Path(path).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise GeoAgentError(f"{path} is not a DeepSpeed configuration: {error}") from None
    stage = settings.get("zero_optimization", {}).get("stage", 0)
    if stage == 3:
        raise GeoAgentError(
            f"{path}: ZeRO-3 takes weights away until their module is called, but the decoder reads SAM2's prompt "
            "embeddings directly: use train/deepspeed/zero2.json, and model.quantize where memory lacks"
        )
    settings |= {
        "gradient_clipping": config.clip,
        "gradient_accumulation_steps": config.accumulate,
        # Only for DeepSpeed's own throughput log: batches are made by us.
        "train_micro_batch_size_per_gpu": config.stages[0].images,
    }
    return DeepSpeedPlugin(hf_ds_config=settings, zero3_init_flag=False)
