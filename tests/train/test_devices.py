"""Training steps on a GPU that is only pretended: every tensor is where the others are."""

from dataclasses import replace

import pytest
import torch
from fake_gpu import CUDA, fake_gpu, on_gpu
from lessons import tiny_run
from torch.nn import functional

from train.batches import StepBatches
from train.config import LossConfig, ModelConfig, SourceConfig, StageConfig
from train.launching import make_accelerator
from train.loop import Trainer
from train.objective import TrainedModule
from train.starting import build_start

KINDS = {"several": 0.3, "absent": 0.2, "interactive": 0.3, "chat": 0.1, "implicit": 0.1}
STAGE = StageConfig(steps=1, side=64, images=2, questions=5, kinds=KINDS)


@pytest.mark.parametrize("only", [{"towers_only": True}, {"words_only": True}, {}], ids=["towers", "words", "all"])
def test_steps_of_each_stage_mix_no_devices(tiny_folder, tmp_path, only):
    config = tiny_run(
        tiny_folder,
        out=str(tmp_path),
        model=ModelConfig(start=str(tiny_folder / "tiny"), scratch=True, parts={"prompting": {"pixel_map": 16}}),
        sources=(SourceConfig(data="synth", size=96, pool=2),),
        stages=(replace(STAGE, **only),),
        loss=LossConfig(),
        optimizer="muon",
        precision="bf16",
    )
    start = build_start(config)
    batches = StepBatches(config, start.processor)
    batch = batches[0]
    assert batch.batch.inputs.person is not None or "towers_only" in only
    accelerator = make_accelerator(config)
    with fake_gpu():
        trainer = Trainer(config, TrainedModule(start.model, auxiliary=True), batches, accelerator)
        assert next(trainer.bare.parameters()).device == CUDA
        trainer.train_step([batch])
        trainer.save()
        assert trainer.resume()
        assert all(map(on_gpu, trainer.average.average.values()))


def test_what_fails_on_a_gpu_fails_on_the_pretended_one():
    with fake_gpu():
        here, there = torch.ones(3), torch.ones(3, device="cuda")
        assert (there * torch.tensor(2.0)).device == CUDA
        assert there[torch.tensor([0])].device == CUDA
        assert (there.cpu() + here).device == torch.device("cpu")
        assert not on_gpu(here)
        for mistake in (
            lambda: there + here,
            lambda: here[torch.tensor([0], device="cuda")],
            lambda: torch.stack([there.sum(), here.sum()]),
            lambda: functional.embedding(torch.tensor([0]), there[:, None]),
            lambda: there.numpy(),
        ):
            with pytest.raises(RuntimeError):
                mistake()
