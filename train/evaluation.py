"""Evaluation in the middle of a run, by the same code as `eval.run`: a report with pictures, the best model kept."""

import base64
import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray
from PIL import Image

from eval.loop import Journal, answer_all
from eval.pictures import Case, draw_cases
from eval.report import build_report, write_report
from geoagent.data.registry import open_dataset
from geoagent.model.processor import GeoAgentProcessor
from geoagent.model.querying import QueryGrounder
from geoagent.predictor import Predictor
from train.config import TrainConfig, expanded
from train.objective import TrainedModule

SHOWN = ("gIoU", "cIoU", "set_gIoU", "T_acc", "N_acc")
"""Metrics that go to the log."""


class Evaluator:
    """Evaluates a module on a few samples and keeps the best.

    Args:
        config: The run.
        processor: Of the model.
        accelerator: Whose trackers show the pictures.
        keep: Writes the model as it is now into a folder.
    """

    def __init__(
        self,
        config: TrainConfig,
        processor: GeoAgentProcessor,
        accelerator: Accelerator,
        keep: Callable[[Path], None],
    ) -> None:
        self.config = config
        self.processor = processor
        self.accelerator = accelerator
        self.keep = keep
        self.folder = Path(config.out) / config.name
        spec = expanded(config.evaluate_on)
        self.dataset = open_dataset(spec, split=config.evaluate_split, limit=config.evaluate_limit)

    def __call__(self, module: TrainedModule, step: int) -> dict[str, float]:
        """Values for the log; writes ``evaluations/step-N``, and ``best`` where gIoU was never higher."""
        folder = self.folder / "evaluations" / f"step-{step:07d}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        sizes = self.config.stage_at(step - 1).sizes
        processor = self.processor.with_sizes(**sizes) if sizes else self.processor
        predictor = Predictor(QueryGrounder(module.model, processor), f"{self.config.name} at step {step}")
        with self.accelerator.autocast():
            journal = Journal(folder / "samples.jsonl")
            scores = answer_all(self.dataset, predictor, journal)
        described = {"system": predictor.name, "data": self.config.evaluate_on, "step": step}
        report = build_report(scores, self.dataset, described, resamples=100)
        cases = draw_cases(scores, self.dataset, journal.records, each=3)
        write_report(report, cases, folder)
        self._show(cases, step)
        values = {f"evaluation/{name}": _value(report["overall"].get(name)) for name in SHOWN}
        known = {name: value for name, value in values.items() if value is not None}
        self._keep_best(known.get("evaluation/gIoU"), step)
        return known

    def _show(self, cases: Sequence[Case], step: int) -> None:
        """Picture, truth and answer side by side, in the trackers that can show images."""
        pictures = {f"{case.kind} {number}": _strip(case)[None] for number, case in enumerate(cases, start=1)}
        for tracker in self.accelerator.trackers:
            if pictures and hasattr(tracker, "log_images"):
                tracker.log_images(pictures, step=step, **_FORMAT.get(tracker.name, {}))

    def _keep_best(self, value: float | None, step: int) -> None:
        record = self.folder / "best.json"
        best = json.loads(record.read_text())["gIoU"] if record.exists() else -1.0
        if value is None or value <= best:
            return
        partial, target = self.folder / ".best.partial", self.folder / "best"
        shutil.rmtree(partial, ignore_errors=True)
        self.keep(partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        record.write_text(json.dumps({"step": step, "gIoU": value}) + "\n")


_FORMAT: dict[str, dict[str, str]] = {"tensorboard": {"dataformats": "NHWC"}}


def _value(metric: dict[str, Any] | None) -> float | None:
    return None if metric is None or metric["value"] is None else float(metric["value"])


def _strip(case: Case) -> NDArray[np.uint8]:
    """uint8 [H,W,3]: the three pictures of a case in a row."""
    decoded = [base64.b64decode(address.split(",", 1)[1]) for address in case.pictures]
    pictures = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in decoded]
    return np.concatenate(pictures, axis=1)
