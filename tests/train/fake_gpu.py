"""A GPU for machines without one: tensors remember that they were moved, and mixing them with others fails.

Everything is computed on the CPU. What is caught is what fails on a first run on real hardware: a tensor made without
``device=``, ``.numpy()`` of a tensor on the GPU, and types that differ under CUDA's autocast only, which keeps norms
and sums in float32 where the CPU's does not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from accelerate.state import AcceleratorState, PartialState
from torch import Tensor
from torch.amp.autocast_mode import autocast
from torch.overrides import TorchFunctionMode

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
_MAY_MIX = {"to", "copy_", "type_as", "view_as", "expand_as", "reshape_as", "__set__"}
_MAY_MIX |= {"_has_compatible_shallow_copy_type"}
_NO_SCALARS = {"stack", "gather", "scatter", "embedding", "index_select", "_foreach_lerp_"}
_FLOAT32 = {"layer_norm", "group_norm", "softmax", "log_softmax", "sum", "norm", "pow", "exp", "log", "cumsum", "prod"}
_FLOAT32 |= {"normalize", "cosine_similarity", "rsqrt", "softplus", "reciprocal"}


def on_gpu(value: object) -> bool:
    """Whether a tensor was moved."""
    return getattr(value, "_on_gpu", False)


class FakeGpu(TorchFunctionMode):
    """See above."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run ``func`` on the CPU, with the device that its result would have."""
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if name == "_parse_to":
            return func(*args, **kwargs)
        if func == Tensor.device.__get__ and on_gpu(args[0]):
            return CUDA
        if func == Tensor.is_cuda.__get__:
            return on_gpu(args[0])
        tensors = [x for x in _flat((args, kwargs)) if isinstance(x, Tensor)]
        moved = any(map(on_gpu, tensors))
        if name in ("numpy", "__array__") and moved:
            raise RuntimeError("numpy() of a tensor on the GPU")
        if name not in _MAY_MIX and moved:
            self._refuse_mixed(name, args, tensors)
        where, args, kwargs = _destination(name, args, kwargs, moved)
        if moved and name in _FLOAT32 and torch.is_autocast_enabled("cpu"):
            args = tuple(x.float() if isinstance(x, Tensor) and x.dtype == torch.bfloat16 else x for x in args)
        result = func(*args, **kwargs)
        if name == "__set__" and len(tensors) == 2 and func == Tensor.data.__set__:
            tensors[0]._on_gpu = on_gpu(tensors[1])
        return _tagged(result, where, args)

    def _refuse_mixed(self, name: str, args: Any, tensors: list[Tensor]) -> None:
        """An index may stay on the CPU, and so may a number."""
        if name in ("__getitem__", "__setitem__", "index_put_", "index_put") and on_gpu(args[0]):
            tensors = [x for x in (args[0], *args[2:]) if isinstance(x, Tensor)]
        if not all(on_gpu(x) or (x.ndim == 0 and name not in _NO_SCALARS) for x in tensors):
            where = [f"{'cuda' if on_gpu(x) else 'cpu'}{list(x.shape)}" for x in tensors]
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found {', '.join(where)}")


def _destination(name: str, args: Any, kwargs: Any, moved: bool) -> tuple[bool, Any, Any]:
    """Whether the result is on the GPU, and the arguments with the CPU in its place."""
    if name in ("cuda", "cpu"):
        return name == "cuda", args[:1], {}
    if name in ("to", "type_as") and len(args) > 1 and isinstance(args[1], Tensor):
        return on_gpu(args[1]), args, kwargs
    is_device = [isinstance(x, torch.device) or x in ("cpu", "cuda", "cuda:0") for x in _hashable(args)]
    named = [a for a, yes in zip(args, is_device, strict=True) if yes] + [kwargs.get("device")]
    device = next((torch.device(d) for d in named if d is not None), None)
    args = tuple(CPU if yes else a for a, yes in zip(args, is_device, strict=True))
    if kwargs.get("device") is not None:
        kwargs = {**kwargs, "device": CPU}
    return moved if device is None else device.type == "cuda", args, kwargs


def _hashable(args: Any) -> list[Any]:
    return [a if isinstance(a, str | torch.device) else None for a in args]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _flat(part)
    else:
        yield value


def _tagged(result: Any, where: bool, args: Any) -> Any:
    if isinstance(result, Tensor):
        if result is not None and any(result is a for a in args) and on_gpu(result) != where:
            result = result.view_as(result)  # what stayed where it was is another tensor from now on
        result._on_gpu = where
    elif isinstance(result, list | tuple):
        parts = [_tagged(part, where, args) for part in result]
        return parts if isinstance(result, list) else result if hasattr(result, "_fields") else type(result)(parts)
    return result


@contextmanager
def fake_gpu() -> Iterator[None]:
    """Accelerate finds a GPU, and autocast for it is the CPU's."""
    begin = autocast.__init__

    def begin_on_cpu(self: autocast, device_type: str, *args: Any, **kwargs: Any) -> None:
        begin(self, "cpu" if device_type == "cuda" else device_type, *args, **kwargs)

    with patch.object(autocast, "__init__", begin_on_cpu), FakeGpu():
        for state in (PartialState, AcceleratorState):
            state._shared_state["device"] = CUDA
        yield
