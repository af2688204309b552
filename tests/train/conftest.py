"""Training in one process, over and over: Accelerate keeps what it was told first, so each test begins without it."""

import os
from pathlib import Path

import lessons
import pytest
from accelerate.state import AcceleratorState, GradientState

for variable in ("LOCAL_RANK", "RANK", "WORLD_SIZE"):
    os.environ.pop(variable, None)


@pytest.fixture(autouse=True)
def fresh_accelerate():
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model and squares to find, on disk; runs of a test go to a folder of their own."""
    root = tmp_path_factory.mktemp("lesson")
    lessons.tiny_run(root)
    return root
