"""Two processes on one device train like one that accumulates two batches."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from lessons import losses_of, tiny_run

from geoagent.config import to_mapping
from train.checkpoints import checkpoints
from train.finetune import finetune
from train.sharing import crowded

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.component
def test_two_processes_on_one_device(tiny_folder, tmp_path):
    config = tiny_run(tiny_folder, out=str(tmp_path), evaluate_every=0)
    finetune(replace(config, name="one", accumulate=2))
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(to_mapping(config)))

    def launch(*overrides):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command += [str(Path(__file__).with_name("sharing_ranks.py")), "--config", str(tmp_path / "run.yaml")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        command += ["name=two", *overrides]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)

    first = launch("minutes=0.000001")  # one step, then the time is up
    assert first.returncode == 0, first.stderr[-2000:]
    assert len(checkpoints(tmp_path / "two")) == 1
    second = launch()
    assert second.returncode == 0, second.stderr[-2000:]
    one, two = (losses_of(replace(config, name=name)) for name in ("one", "two"))
    assert list(two) == list(one) == [1, 2, 3, 4, 5, 6]
    assert all(two[step] == pytest.approx(one[step], rel=1e-4) for step in one)


@pytest.mark.parametrize(("gpus", "processes", "shared"), [(1, "3", True), (2, "2", False), (0, "2", False)])
def test_a_gpu_is_shared_where_processes_outnumber_gpus(monkeypatch, gpus, processes, shared):
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert crowded() == shared
