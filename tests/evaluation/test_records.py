import json
from pathlib import Path

import numpy as np
import pytest
from toy_world import SIZE, box_mask, instance, nothing, record, sample, target

from eval.records import SampleRecord, cut_torn_line, read_records, write_records
from eval.scoring import score_sample
from geoagent.types import GeoAgentError, ImageInfo, Prediction, Target

SHIP = target("ship", box_mask(0, 0, 4, 4))


def prediction(*targets, threshold=0.5, warnings=()):
    return Prediction(
        answer="A ship.",
        marked_answer="A <p>ship</p><seg>.",
        candidates=targets,
        image=ImageInfo(width=SIZE[1], height=SIZE[0]),
        instruction="?",
        model="m",
        threshold=threshold,
        tokens=5,
        warnings=warnings,
    )


def ship(score=0.9, mask=SHIP.mask):
    return Target(phrase="ship", score=score, mask=mask, instances=(instance(0, 0, 4, 4),) if mask.any() else ())


def test_a_line_holds_what_was_asked_answered_and_found():
    one = sample("a", SHIP, type="position", source="harbour", extra={"licence": "CC0", "weight": np.float32(0.5)})
    line = json.loads(SampleRecord.of(one, prediction(ship(), ship(0.2)), seconds=0.25).to_line())
    assert {key: line[key] for key in ("id", "type", "source", "instruction", "answer", "seconds", "tokens")} == {
        "id": "a",
        "type": "position",
        "source": "harbour",
        "instruction": "question a",
        "answer": "A ship.",
        "seconds": 0.25,
        "tokens": 5,
    }
    assert (line["licence"], line["weight"], line["image_id"]) == ("CC0", 0.5, "image of a")
    assert [entry["score"] for entry in line["pred"]] == [0.9]
    assert [entry["score"] for entry in line["absent"]] == [0.2]
    assert line["pred"][0]["mask"]["size"] == [10, 10]
    assert line["pred"][0]["instances"][0]["box"] == [0, 0, 4, 4]


def test_pred_holds_accepted_targets_only():
    answer = SampleRecord.of(sample("a", SHIP), prediction(ship(0.49), ship(0.9, nothing()), ship(0.5)), 0.1)
    assert [one.index for one in answer.pred] == [2]
    assert [one.index for one in answer.absent] == [0, 1]
    assert [one.index for one in answer.candidates] == [0, 1, 2]


def test_records_survive_the_file(tmp_path):
    path = tmp_path / "samples.jsonl"
    one = sample("a", SHIP, source="s", extra={"note": "déjà vu", "path": Path("x/y")})
    written = SampleRecord.of(one, prediction(ship(), ship(0.1), warnings=("dim",)), 0.1)
    write_records(path, [written])
    read = read_records(path)["a"]
    assert read.pred == written.pred
    assert read.absent == written.absent
    assert (read.pred[0].decode() == SHIP.mask).all()
    assert read.pred[0].decode_instances()[0].box == (0, 0, 4, 4)
    assert score_sample(one, read, 0) == score_sample(one, written, 0)
    assert read.warnings == ("dim",)
    assert read.about["note"] == "déjà vu"


def test_keys_of_the_annotation_never_overwrite_the_result():
    one = sample("a", SHIP, extra={"iou": "mine", "pred": [1]})
    line = json.loads(SampleRecord.of(one, prediction(ship()), 0.1).to_line())
    assert line["extra"] == {"iou": "mine", "pred": [1]}
    assert line["iou"] is None
    assert len(line["pred"]) == 1


def test_another_threshold_decides_again_without_the_model():
    given = record("a", ("ship", 0.6, SHIP.mask), absent=[("car", 0.4, box_mask(6, 6, 8, 8)), ("pad", 0.4, nothing())])
    assert [one.phrase for one in given.decided_at(0.7).pred] == []
    assert [one.phrase for one in given.decided_at(0.3).pred] == ["ship", "car"]
    assert [one.phrase for one in given.decided_at(0.3).absent] == ["pad"]


def test_other_systems_need_only_id_and_pred(tmp_path):
    path = tmp_path / "theirs.jsonl"
    mask = {"size": [10, 10], "counts": [0, 4, 6, 4, 6, 4, 6, 4, 66]}
    path.write_text(json.dumps({"id": "a", "pred": [{"phrase": "ship", "score": 1, "mask": mask}]}))  # no line end
    answer = read_records(path)["a"]
    assert score_sample(sample("a", SHIP), answer, 0).masks.iou == 1.0


@pytest.mark.parametrize("tail", ['{"id": "c", "pr', "\x00\x00"])
def test_a_torn_last_line_is_cut(tmp_path, tail):
    path = tmp_path / "samples.jsonl"
    write_records(path, [record("a"), record("b")])
    whole = path.read_bytes()
    path.write_bytes(whole + tail.encode())
    assert cut_torn_line(path)
    assert path.read_bytes() == whole
    assert not cut_torn_line(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", "line 2 is not a prediction"),
        ('{"id": "b"}', "KeyError: 'pred'"),
        ('{"id": "b", "pred": [{"phrase": "x"}]}', "KeyError: 'score'"),
        ('{"id": "a", "pred": []}', "was there before"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    path = tmp_path / "theirs.jsonl"
    path.write_text('{"id": "a", "pred": []}\n' + line + "\n")
    with pytest.raises(GeoAgentError, match=message) as error:
        read_records(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(GeoAgentError, match=r"none\.jsonl is missing"):
        read_records(tmp_path / "none.jsonl")


def test_masks_of_another_size_are_refused():
    answer = record("a", ("ship", 0.9, nothing((5, 10))))
    with pytest.raises(GeoAgentError, match="for a is 10 x 5 pixels, its image 10 x 10"):
        score_sample(sample("a", SHIP), answer, 0)
