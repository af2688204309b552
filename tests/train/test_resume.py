"""A run that was stopped goes on as if it had not been: the same losses, the same weights, nothing twice in the log."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from accelerate.state import AcceleratorState, GradientState
from lessons import losses_of, tiny_run
from safetensors.torch import load_file

import geoagent
from geoagent.config import to_mapping
from geoagent.types import GeoAgentError
from train.checkpoints import checkpoints
from train.config import LoraConfig
from train.finetune import finetune
from train.loop import Trainer

ROOT = Path(__file__).parents[2]


def again():
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def same_weights(one, other):
    ours, theirs = load_file(one), load_file(other)
    return set(ours) == set(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)


class KilledError(Exception):
    pass


@pytest.mark.parametrize(
    ("lora", "optimizer"),
    [(None, "adamw"), (LoraConfig(rank=4, dropout=0.2), "adamw"), (None, "muon")],
    ids=["whole", "lora with dropout", "muon"],
)
def test_the_loss_curve_after_a_stop_is_the_uninterrupted_one(tiny_folder, tmp_path, monkeypatch, lora, optimizer):
    base = tiny_run(tiny_folder, out=str(tmp_path), evaluate_every=0, optimizer=optimizer)
    config = replace(base, model=replace(base.model, lora=lora))
    straight = replace(config, name="straight")
    finetune(straight)
    again()

    step = Trainer.train_step

    def dies(trainer, micro_batches):
        if trainer.step == 3:
            trainer.save()
        if trainer.step == 5:  # two steps after the checkpoint, both in the log
            raise KilledError
        return step(trainer, micro_batches)

    monkeypatch.setattr(Trainer, "train_step", dies)
    with pytest.raises(KilledError):
        finetune(config)
    assert list(losses_of(config)) == [1, 2, 3, 4, 5]
    monkeypatch.setattr(Trainer, "train_step", step)
    again()
    finetune(config)
    assert losses_of(config) == losses_of(straight)
    lines = (tmp_path / "lesson" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    one, other = (checkpoints(tmp_path / name)[-1] for name in ("lesson", "straight"))
    assert same_weights(one / "trained.safetensors", other / "trained.safetensors")
    assert same_weights(one / "average.safetensors", other / "average.safetensors")
    if lora:
        frozen = [name for name in load_file(one / "trained.safetensors") if "base_layer" in name]
        assert frozen == []  # a frozen base is not written again and again


def test_half_written_checkpoints_do_not_count(tmp_path):
    whole = tmp_path / "checkpoints" / "step-0000002"
    whole.mkdir(parents=True)
    (whole / "run.json").write_text("{}")
    (tmp_path / "checkpoints" / ".step-0000004.partial").mkdir()
    (tmp_path / "checkpoints" / "step-0000003").mkdir()
    assert checkpoints(tmp_path) == [whole]


def test_a_checkpoint_of_another_run_is_refused(tiny_folder, tmp_path):
    config = tiny_run(tiny_folder, out=str(tmp_path), stages=(replace(tiny_run(tiny_folder).stages[0], steps=1),))
    finetune(config)
    again()
    other = replace(config, model=replace(config.model, lora=LoraConfig(rank=4)))
    with pytest.raises(GeoAgentError, match="does not fit this run"):
        finetune(other)


def test_a_piece_of_a_run_leaves_a_model_in_files_of_the_wanted_size(tiny_folder, tmp_path):
    config = tiny_run(tiny_folder, out=str(tmp_path), minutes=1e-6, shard="150KB")
    folder = finetune(config)
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) > 1
    assert len(checkpoints(tmp_path / "lesson")) == 1
    predictor = geoagent.load(str(folder))
    average = load_file(checkpoints(tmp_path / "lesson")[0] / "average.safetensors")
    for name, value in predictor.model.named_parameters():
        torch.testing.assert_close(value, average[f"model.{name}"].half().float())


def test_the_best_model_is_kept_and_the_report_has_pictures(tiny_folder, tmp_path):
    config = tiny_run(tiny_folder, out=str(tmp_path), evaluate_every=3, trackers=("tensorboard",))
    finetune(config)
    folder = tmp_path / "lesson"
    values = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    evaluated = {line["step"]: line["evaluation/gIoU"] for line in values if "evaluation/gIoU" in line}
    assert list(evaluated) == [3, 6]
    best = json.loads((folder / "best.json").read_text())
    assert best["gIoU"] == max(evaluated.values())
    assert geoagent.load(str(folder / "best"), device="cpu").model.config.trained
    report = (folder / "evaluations" / "step-0000003" / "report.html").read_text()
    assert report.count("data:image/") >= 3
    assert list((folder / "log").glob("events.out.tfevents.*"))


def smoke(folder, model, *overrides):
    """The configuration of nano in miniature, with a model in miniature."""
    command = [sys.executable, "-m", "train.finetune", "--config", "train/configs/smoke.yaml", f"out={folder}"]
    command += [f"model.start={model}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen([*command, *overrides], cwd=ROOT, env=environment)


@pytest.mark.slow
def test_killed_for_real_resumed_evaluated_asked(tiny_folder, tmp_path):
    """What `make train-smoke` runs: the recipe of nano in miniature, kill -9 in the middle, a question at the end."""
    log = tmp_path / "smoke" / "log.jsonl"
    process = smoke(tmp_path, tiny_folder / "tiny")
    deadline = time.monotonic() + 400
    while not (log.exists() and log.read_text().count("\n") >= 5):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "smoke" / "model").exists()
    assert checkpoints(tmp_path / "smoke")
    assert smoke(tmp_path, tiny_folder / "tiny").wait(timeout=400) == 0
    assert (
        smoke(tmp_path, tiny_folder / "tiny", "name=straight", "save_minutes=9", "evaluate_every=0").wait(timeout=400)
        == 0
    )
    straight = [json.loads(line) for line in (tmp_path / "straight" / "log.jsonl").read_text().splitlines()]
    resumed = [json.loads(line) for line in log.read_text().splitlines()]
    curve = {line["step"]: line["loss"] for line in resumed if "loss" in line}
    # Other processes: what several threads sum may differ in the last bit. Within one process the curves are equal.
    assert curve == pytest.approx({line["step"]: line["loss"] for line in straight}, rel=1e-5)
    assert any("evaluation/N_acc" in line or "evaluation/gIoU" in line for line in resumed)
    prediction = geoagent.load(str(tmp_path / "smoke" / "model")).segment(
        torch.zeros(96, 96, 3, dtype=torch.uint8).numpy(), "Where is the water?"
    )
    assert isinstance(prediction.answer, str)


@pytest.mark.slow
@pytest.mark.component
def test_deepspeed_on_two_cpu_processes(tiny_folder, tmp_path):
    """ZeRO-2: the losses of one process that accumulates two batches; it saves, resumes and its adapter is merged."""
    pytest.importorskip("deepspeed")
    base = tiny_run(tiny_folder, out=str(tmp_path))
    config = replace(base, model=replace(base.model, lora=LoraConfig(rank=4, dropout=0.0)))
    finetune(replace(config, name="one", accumulate=2))
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(to_mapping(config)))

    def launch(*overrides):
        environment = {**os.environ, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command += ["-m", "train.finetune", "--config", str(tmp_path / "run.yaml"), "name=two"]
        command += ["deepspeed=train/deepspeed/zero2.json", *overrides]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)

    first = launch("minutes=0.000001")  # one step, then the time is up
    assert first.returncode == 0, first.stderr[-2000:]
    assert list(losses_of(replace(config, name="two"))) == [1]
    assert (checkpoints(tmp_path / "two")[-1] / "deepspeed").is_dir()
    assert (tmp_path / "two" / "adapter").is_dir()  # what it has so far can be used
    second = launch()
    assert second.returncode == 0, second.stderr[-2000:]
    one, two = (losses_of(replace(config, name=name)) for name in ("one", "two"))
    assert list(two) == list(one) == [1, 2, 3, 4, 5, 6]
    assert all(two[step] == pytest.approx(one[step], rel=1e-3) for step in one)
    from tools.merge_lora import main as merge

    merge([str(tmp_path / "two" / "adapter"), "--out", str(tmp_path / "merged")])
    merge([str(tmp_path / "one" / "adapter"), "--out", str(tmp_path / "merged-one")])
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("merged", "merged-one"))
    for name, value in ours.items():
        assert (value - theirs[name]).abs().mean() < 1e-3, name
