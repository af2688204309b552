"""Whole runs over a plain folder: what is written, resumed, refused."""

import json

import numpy as np
import pytest
from PIL import Image
from toy_world import Blank, Oracle, Shifted, box_mask

import geoagent
from eval.run import RunConfig, main, run
from geoagent.data import rle
from geoagent.data.registry import open_dataset
from geoagent.types import GeoAgentError

SIZE = (24, 32)


def rle_of(*box):
    return rle.encode(box_mask(*box, size=SIZE))


@pytest.fixture
def folder(tmp_path):
    """Three pictures with two questions each: a ship, a car and a ship, and something that is not there."""
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    lines = []
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        ship = {"phrase": "ship", "mask": rle_of(2, 2, 12, 12), "class": "ship"}
        car = {"phrase": "car", "mask": rle_of(16, 16, 20, 22), "class": "car"}
        pad = {"phrase": "helipad", "mask": rle_of(0, 0, 0, 0)}
        lines += [
            {"targets": [ship, car], "type": "several", "id": f"{number}-both", "instruction": "the ship and the car"},
            {"targets": [pad], "type": "absent", "id": f"{number}-none", "instruction": "where may it land?"},
        ]
        for line in lines[-2:]:
            line |= {"image": f"{number}.png", "source": "drawn", "difficulty": number}
    (root / "annotations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


@pytest.fixture
def loads(monkeypatch):
    """Make ``geoagent.load`` return a given system, and count how often it is asked."""

    def install(system):
        # Not setattr: looking up the old value would import torch.
        monkeypatch.setitem(vars(geoagent), "load", lambda name: system)
        return system

    return install


def samples_of(folder):
    dataset = open_dataset(f"folder:{folder}")
    return [dataset[index] for index in range(len(dataset))]


def config(folder, out, **more):
    more = {"model": "toy"} | more
    return RunConfig(data=f"folder:{folder}", out=out, resamples=20, **more)


def lines_of(out):
    return [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]


def without_time(report):
    return {**report["overall"], "seconds": None}


def test_the_truth_scores_full_marks(folder, loads, tmp_path):
    oracle = loads(Oracle(samples_of(folder)))
    report = run(config(folder, tmp_path / "out", conventions=("rmsin", "segearth-r2")))
    values = {name: block["value"] for name, block in report["overall"].items() if name not in ("samples", "seconds")}
    best = ("gIoU", "cIoU", "Pr@0.9", "gIoU_all", "mIoU", "N_acc", "T_acc", "set_gIoU")
    assert {name: values[name] for name in best} == dict.fromkeys(best, 1.0)
    assert values["reject_precision"] == values["reject_recall"] == 1.0
    assert values["ECE"] == pytest.approx(0.1)
    assert values["tokens"] == 7
    assert oracle.opened == 3  # six questions, three images
    assert report["conventions"]["segearth-r2"]["overall"]["gIoU"]["value"] == 1.0
    assert report["conventions"]["rmsin"]["overall"]["gIoU"]["value"] == 0.5  # nothing rightly found counts 0 there


def test_lines_carry_the_annotation_and_the_answer(folder, loads, tmp_path):
    loads(Oracle(samples_of(folder)))
    run(config(folder, tmp_path / "out"))
    line = next(line for line in lines_of(tmp_path / "out") if line["id"] == "2-both")
    assert (line["type"], line["source"], line["difficulty"], line["iou"]) == ("several", "drawn", 2, 1.0)
    assert line["answer"] == "Here: 2-both"
    assert [one["phrase"] for one in line["pred"]] == ["ship", "car"]
    assert (rle.decode(line["pred"][0]["mask"]) == box_mask(2, 2, 12, 12, size=SIZE)).all()
    empty = next(line for line in lines_of(tmp_path / "out") if line["id"] == "2-none")
    assert (empty["pred"], [one["phrase"] for one in empty["absent"]], empty["iou"]) == ([], ["helipad"], 1.0)


def test_a_blank_system(folder, loads, tmp_path):
    loads(Blank(samples_of(folder)))
    block = run(config(folder, tmp_path / "out"))["overall"]
    assert (block["gIoU"]["value"], block["gIoU_all"]["value"]) == (0.0, 0.5)
    assert (block["N_acc"]["value"], block["T_acc"]["value"]) == (1.0, 0.0)
    assert block["ECE"]["value"] is None


def test_a_shifted_system(folder, loads, tmp_path):
    loads(Shifted(samples_of(folder)))
    block = run(config(folder, tmp_path / "out"))["overall"]
    # The ship keeps 9 of 10 columns, the car 3 of 4.
    assert block["gIoU"]["value"] == pytest.approx((90 + 18) / (110 + 30))
    assert block["set_gIoU"]["value"] == pytest.approx((90 / 110 + 18 / 30) / 2)
    assert block["mIoU"]["value"] == pytest.approx((90 / 110 + 18 / 30) / 2)


def test_breakdowns(folder, loads, tmp_path):
    loads(Oracle(samples_of(folder)))
    by = run(config(folder, tmp_path / "out"))["by"]
    assert {name: block["samples"] for name, block in by["type"].items()} == {"absent": 3, "several": 3}
    assert set(by["class"]) == {"car", "ship"}
    assert by["class"]["car"]["class_IoU"]["value"] == 1.0
    assert by["source"]["drawn"]["samples"] == 6
    assert {name: block["samples"] for name, block in by["targets"].items()} == {"0": 3, "2": 3}


def test_an_interrupted_run_goes_on(folder, loads, tmp_path):
    class Breaks(Oracle):
        def answer(self, asked):
            if asked.id == "1-none":
                raise KeyboardInterrupt
            return super().answer(asked)

    loads(Breaks(samples_of(folder)))
    with pytest.raises(KeyboardInterrupt):
        run(config(folder, tmp_path / "out"))
    path = tmp_path / "out" / "samples.jsonl"
    with path.open("a") as file:
        file.write('{"id": "1-none", "pr')

    oracle = loads(Oracle(samples_of(folder)))
    resumed = run(config(folder, tmp_path / "out"))
    assert oracle.asked == ["1-none", "2-both", "2-none"]
    whole = run(config(folder, tmp_path / "whole"))
    assert without_time(resumed) == without_time(whole)
    stripped = [{**line, "seconds": 0} for line in lines_of(tmp_path / "out")]
    assert stripped == [{**line, "seconds": 0} for line in lines_of(tmp_path / "whole")]


def test_a_finished_run_asks_nothing_and_gives_the_same_report(folder, loads, tmp_path):
    loads(Shifted(samples_of(folder)))
    first = run(config(folder, tmp_path / "out"))
    before = (tmp_path / "out" / "samples.jsonl").read_bytes()
    again = loads(Shifted(samples_of(folder)))
    assert run(config(folder, tmp_path / "out")) == first
    assert again.asked == []
    assert (tmp_path / "out" / "samples.jsonl").read_bytes() == before


@pytest.mark.parametrize(("changed", "named"), [({"model": "other"}, "model"), ({"threshold": 0.3}, "threshold")])
def test_another_run_does_not_mix_with_the_first(folder, loads, tmp_path, changed, named):
    loads(Oracle(samples_of(folder)))
    run(config(folder, tmp_path / "out"))
    with pytest.raises(GeoAgentError, match=f"holds a run with {named} .* choose another --out"):
        run(config(folder, tmp_path / "out", **changed))


def test_retrained_weights_under_the_same_name_do_not_mix(folder, loads, tmp_path):
    torch = pytest.importorskip("torch")

    class Networks(torch.nn.Linear):
        class config:  # noqa: N801
            @staticmethod
            def to_dict():
                return {"threshold": 0.5}

    oracle = loads(Oracle(samples_of(folder)))
    oracle.model = Networks(4, 4)
    run(config(folder, tmp_path / "out"))
    run(config(folder, tmp_path / "out"))
    with torch.no_grad():
        oracle.model.weight += 1e-3
    with pytest.raises(GeoAgentError, match="holds a run with weights"):
        run(config(folder, tmp_path / "out"))


def test_predictions_are_scored_like_the_run_that_made_them(folder, loads, tmp_path):
    loads(Shifted(samples_of(folder)))
    made = run(config(folder, tmp_path / "out"))
    theirs = config(folder, tmp_path / "again", model="", predictions=tmp_path / "out" / "samples.jsonl")
    scored = run(theirs)
    assert scored["overall"] == made["overall"]
    assert scored["configuration"]["system"] == "samples"
    named = config(folder, tmp_path / "named", model="theirs", predictions=theirs.predictions)
    assert run(named)["configuration"]["system"] == "theirs"
    assert lines_of(tmp_path / "again") == lines_of(tmp_path / "out")


def test_predictions_can_be_decided_again(folder, loads, tmp_path):
    loads(Oracle(samples_of(folder)))
    run(config(folder, tmp_path / "out"))
    file = tmp_path / "out" / "samples.jsonl"
    strict = run(config(folder, tmp_path / "strict", model="", predictions=file, threshold=0.95))
    assert strict["overall"]["T_acc"]["value"] == 0.0
    assert all(line["pred"] == [] for line in lines_of(tmp_path / "strict"))


def test_a_missing_prediction_is_an_error(folder, tmp_path):
    file = tmp_path / "theirs.jsonl"
    file.write_text('{"id": "0-both", "pred": []}\n')
    with pytest.raises(GeoAgentError, match=r"theirs\.jsonl has no line for '0-none'"):
        run(config(folder, tmp_path / "out", model="", predictions=file))


def test_limit(folder, loads, tmp_path):
    loads(Oracle(samples_of(folder)))
    assert run(config(folder, tmp_path / "out", limit=2))["dataset"]["samples"] == 2
    assert len(lines_of(tmp_path / "out")) == 2
    # A larger limit goes on from there.
    assert run(config(folder, tmp_path / "out"))["dataset"]["samples"] == 6
    assert len(lines_of(tmp_path / "out")) == 6


def test_errors_of_the_model_name_the_sample(folder, loads, tmp_path):
    class Refuses(Oracle):
        def answer(self, asked):
            raise GeoAgentError("nothing was asked")

    loads(Refuses(samples_of(folder)))
    with pytest.raises(GeoAgentError, match="0-both: nothing was asked"):
        run(config(folder, tmp_path / "out"))


def test_command_line(folder, loads, tmp_path, capsys):
    loads(Oracle(samples_of(folder)))
    out = tmp_path / "out"
    arguments = ["--model", "toy", "--data", f"folder:{folder}", "--resamples", "5", "--out", str(out)]
    assert main([*arguments, "--convention", "all"]) == 0
    printed = capsys.readouterr()
    assert "6 samples of 3 images: 3 with a target, 3 without." in printed.out
    assert "sample/s" in printed.err or "samples/s" in printed.err
    assert {path.name for path in out.iterdir()} == {
        "config.json",
        "report.html",
        "report.json",
        "report.md",
        "samples.jsonl",
    }
    assert set(json.loads((out / "report.json").read_text())["conventions"]) == {
        "segearth-r1",
        "segearth-r2",
        "rmsin",
        "unigeoseg",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "toy", "--data", "folder:nowhere"], "nowhere"),
        (["--data", "folder:nowhere"], "there is nothing to evaluate"),
        (["--model", "toy", "--data", "nonsense:x"], "nonsense"),
        (["--model", "toy", "--data", "folder:x", "--threshold", "7"], "the threshold 7 is not a score"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, message, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
