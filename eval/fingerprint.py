"""Tells whether a model is still the one that began a run: its name stays the same when its weights are trained on."""

import hashlib
import json
from typing import Any

_VALUES = 64
"""Values looked at in each tensor, evenly spread: training moves nearly all of them, and billions need not be read."""


def fingerprint(predictor: object) -> str | None:
    """Short digest of a predictor's configuration and of some values of every tensor; None where it has no networks."""
    model: Any = getattr(predictor, "model", None)
    if model is None:
        return None
    digest = hashlib.sha256(json.dumps(model.config.to_dict(), sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.flatten()
        some = values[:: max(1, values.numel() // _VALUES)]
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(some.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
