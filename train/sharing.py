"""Several processes that train on one GPU.

While the Python of one process starts the thousands of operations of a step, the GPU has time for others. NCCL refuses
two processes on a GPU, and gloo carries gradients through main memory. Here every process writes its gradients into
memory of the GPU that all of them see, and reads the mean.
"""

import os
import pickle
from collections.abc import Iterable
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing  # teaches the pickler below how memory travels
from accelerate import Accelerator
from accelerate.state import PartialState
from torch import Tensor

_LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
"""What a launcher tells; Accelerate would give each process a GPU of its own."""


def crowded() -> bool:
    """Whether a launcher has started more processes on this machine than it has GPUs."""
    return 0 < torch.cuda.device_count() < int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


class SharedDevice(Accelerator):
    """One of several processes on one device. To Accelerate each of them is alone; here they agree."""

    def __init__(self, **settings: Any) -> None:
        dist.init_process_group("gloo")
        for name in _LAUNCHED:
            os.environ.pop(name, None)
        super().__init__(**settings)
        for state in (PartialState(), self.state):
            state.num_processes, state.process_index = dist.get_world_size(), dist.get_rank()
        self._gradients: Tensor | None = None
        self._turn = 0

    def clip_grad_norm_(self, parameters: Iterable[Tensor], max_norm: float, norm_type: float = 2) -> Any:
        """Put the mean over all processes into the gradients; then what it always does."""
        trained = list(parameters)
        self._average([parameter.grad for parameter in trained if parameter.grad is not None])
        return super().clip_grad_norm_(trained, max_norm, norm_type)

    def reduce(self, tensor: Tensor, reduction: str = "sum", scale: float = 1.0) -> Tensor:
        """Sum over the processes; few numbers, through main memory."""
        if reduction != "sum":
            raise ValueError(f"processes on one device add up, they know no {reduction!r}")
        together = tensor.detach().cpu().clone()
        dist.all_reduce(together)
        return together * scale

    def wait_for_everyone(self) -> None:
        """Go on when all processes are here."""
        dist.barrier()

    def _average(self, gradients: list[Tensor]) -> None:
        flat = torch.cat([gradient.flatten().float() for gradient in gradients])
        if self._gradients is None:
            self._gradients = self._common(2, dist.get_world_size(), len(flat))
        # Two pages, in turn: who is late still reads the one while who is early writes the other.
        page = self._gradients[self._turn]
        self._turn = 1 - self._turn
        page[dist.get_rank()] = flat
        if flat.is_cuda:
            torch.cuda.synchronize()
        dist.barrier()
        parts = page.mean(dim=0).split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(parts, gradients, strict=True)])

    def _common(self, *shape: int) -> Tensor:
        """Memory of the device that all processes see: the first one's, which it keeps to the end."""
        handle = [b""]
        memory = torch.empty(0)
        if dist.get_rank() == 0:
            memory = torch.zeros(shape, device=self.device)
            handle = [bytes(ForkingPickler.dumps(memory))]
        dist.broadcast_object_list(handle)
        if dist.get_rank() != 0:
            memory = pickle.loads(handle[0])
        dist.barrier()
        return memory
