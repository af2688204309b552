"""What holds for every test: no network, few threads, and in CI no silent skips of the parts that users rely on."""

import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from geoagent.model.pipeline import GeoAgentModel
    from geoagent.model.processor import GeoAgentProcessor

# Before numpy and torch are imported. The tensors of the tests are tiny: more than two threads wait for each other.
THREADS = str(min(2, os.cpu_count() or 1))
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, THREADS)
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

CI = bool(os.environ.get("GEOAGENT_CI"))
IMAGERY = "GEOAGENT_IMAGERY"
"""Real imagery is not part of the project; modules of tests that need it skip where this variable names no folder."""


def _fail_instead(report: pytest.TestReport | pytest.CollectReport, what: str) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{what} must run in CI, but was skipped: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test of a named component is a failure."""
    report = yield
    if CI and report.skipped and item.get_closest_marker("component"):
        _fail_instead(report, "a test of a component")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In CI a module skips as a whole (``importorskip``) only for want of real imagery: its marks are not known yet."""
    report = yield
    if CI and report.skipped and IMAGERY not in str(report.longrepr):
        _fail_instead(report, "a module of tests")
    return report


# Tiny random models (see `tiny`): built once, shared by all tests, so no test may change their weights.
FAMILIES = ("qwen3_vl", "qwen2_5_vl")


@pytest.fixture(scope="session", params=FAMILIES)
def tiny_pair(request: pytest.FixtureRequest) -> "tuple[GeoAgentModel, GeoAgentProcessor]":
    """A model and its processor, in both families."""
    from tiny import tiny_model

    return tiny_model(request.param)


@pytest.fixture(scope="session")
def qwen3_pair() -> "tuple[GeoAgentModel, GeoAgentProcessor]":
    """A model and its processor, of the default family."""
    from tiny import tiny_model

    return tiny_model()


@pytest.fixture(scope="session")
def stock_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Stock checkpoints, (language model, SAM2), by family: tied with padded matrices, and untied without."""
    from tiny import write_stock_folders

    folder = tmp_path_factory.mktemp("stock")
    return {
        "qwen3_vl": write_stock_folders(folder / "a", "qwen3_vl", tied=True, padding=16),
        "qwen2_5_vl": write_stock_folders(folder / "b", "qwen2_5_vl", tied=False, padding=0),
    }
