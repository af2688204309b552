import subprocess
import sys

import pytest
from miniatures import coco, earthreason, rrsisd, write_json

from geoagent.data.dataset import SegmentationDataset
from geoagent.data.registry import REGISTRY, describe, open_dataset, splits_of
from geoagent.types import GeoAgentError


def test_specs_open_their_readers(tmp_path):
    earthreason(tmp_path / "er", "test")
    rrsisd(tmp_path / "rr")
    reasoning = open_dataset(f"earthreason:{tmp_path / 'er'}", questions="first")
    assert isinstance(reasoning, SegmentationDataset)
    assert (reasoning.name, reasoning.split, len(reasoning)) == ("earthreason", "test", 2)
    assert len(open_dataset(f"RRSIS-D:{tmp_path / 'rr'}", split="train")) == 2
    assert len(open_dataset(f"rrsis-d:{tmp_path / 'rr'}", split="train", limit=1)) == 1
    assert open_dataset(f"coco:{tmp_path / 'c'}" if coco(tmp_path / "c") else "").split == "all"


def test_synthetic_world_needs_no_folder():
    data = open_dataset("synth:val", limit=5)
    assert (data.name, data.split, len(data)) == ("synth", "val", 5)
    assert open_dataset("synth", split="train").split == "train"


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("rrsisd:x", {}, "did you mean rrsis-d"),
        ("nonsense:x", {}, "no dataset is called 'nonsense'"),
        ("folder:", {}, "write folder:PATH"),
        ("folder:/no/such/place", {}, "does not exist"),
        ("{root}", {}, "is a path: say what it holds"),
        ("folder:{root}", {}, r"annotations\.jsonl is missing"),
        ("earthreason:{root}", {"language": "zh"}, "earthreason has no option language: it knows questions, split"),
    ],
)
def test_mistakes_get_a_helpful_answer(tmp_path, spec, options, message):
    with pytest.raises(GeoAgentError, match=message):
        open_dataset(spec.format(root=tmp_path), **options)


def test_imagery_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("GEOAGENT_IMAGERY", raising=False)
    with pytest.raises(GeoAgentError, match="set GEOAGENT_IMAGERY"):
        open_dataset("imagery:")
    coco(tmp_path / "mine")
    monkeypatch.setenv("GEOAGENT_IMAGERY", str(tmp_path))
    assert open_dataset("imagery:", split="train", questions_per_image=3).groups() == [[0, 1, 2]]


def test_every_name_is_described_and_can_be_imported(tmp_path):
    for name in REGISTRY:
        assert name in describe()
        assert splits_of(name, tmp_path)
    write_json(tmp_path / "bench.json", [])
    assert splits_of("geoseg-bench", tmp_path) == ["bench"]
    assert splits_of("synth", None) == ["train", "val", "test"]


def test_readers_do_not_import_torch():
    code = "import sys, geoagent.data.registry as r; [r.splits_of(n, None) for n in r.REGISTRY]; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "geoagent.data.imagery" in run.stdout.split()
    assert "torch" not in run.stdout.split()
