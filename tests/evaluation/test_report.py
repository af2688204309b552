import json
import re
from dataclasses import replace

import numpy as np
import pytest
from toy_world import ToyDataset, box_mask, nothing, record, sample, target

from eval.conventions import CONVENTIONS
from eval.markdown import to_markdown
from eval.page import to_html
from eval.pictures import choose_cases, draw_cases
from eval.published import PUBLISHED, published_for
from eval.report import build_report, write_report
from eval.scoring import score_sample

SIZE = (64, 96)
SHIP = target("ship", box_mask(4, 4, 10, 10, size=SIZE), class_name="ship")


@pytest.fixture
def evaluated():
    """Thirteen answers: rising IoU, one false alarm, and an instruction that tries to be markup."""
    samples, records = [], []
    for number in range(11):
        shown = box_mask(4, 4, 10, 4 + number // 2 + 1, size=SIZE)
        words = "<script>alert(1)</script> | ships" if number == 0 else f"ships {number}"
        samples.append(sample(f"s{number}", SHIP, size=SIZE, instruction=words, source="drawn"))
        records.append(record(f"s{number}", ("ship", 0.5 + number / 25, shown), answer="Here & there."))
    samples.append(sample("none", target("helipad", nothing(SIZE)), size=SIZE, type="absent"))
    records.append(record("none", ("helipad", 0.8, SHIP.mask)))
    samples.append(sample("chat", size=SIZE, type="chat"))
    records.append(record("chat"))
    dataset = ToyDataset(samples)
    scores = [
        score_sample(one, answer, index, tuple(CONVENTIONS.values()))
        for index, (one, answer) in enumerate(zip(samples, records, strict=True))
    ]
    return dataset, scores, {one.id: one for one in records}


def report_of(evaluated, dataset="toy", conventions=()):
    toy, scores, _ = evaluated
    toy.name = dataset
    return build_report(scores, toy, {"system": "nano", "data": "toy:x"}, conventions, resamples=20)


def test_report_holds_values_intervals_definitions_and_configuration(evaluated, tmp_path):
    report = report_of(evaluated)
    write_report(report, [], tmp_path)
    read = json.loads((tmp_path / "report.json").read_text())
    assert read["dataset"] == {
        "name": "toy",
        "split": "test",
        "remarks": ["drawn by hand"],
        "samples": 13,
        "images": 13,
        "with_target": 11,
        "without_target": 2,
        "not_scorable": 0,
    }
    block = read["overall"]
    assert block["gIoU"]["low"] < block["gIoU"]["value"] < block["gIoU"]["high"]
    assert set(read["definitions"]) == set(block) - {"samples"}
    assert read["configuration"]["system"] == "nano"
    assert "20 resamples" in read["intervals"]
    assert sum(one["count"] for one in read["calibration"]) == 12


def test_samples_without_scorable_truth_are_told(evaluated):
    dataset, scores, _ = evaluated
    machine = sample("m", target("x", box_mask(0, 0, 4, 4, size=SIZE), scorable=False), size=SIZE)
    report = build_report([*scores, score_sample(machine, record("m"), 13)], dataset, {"system": "n"}, resamples=2)
    assert report["dataset"]["not_scorable"] == 1
    assert report["overall"]["gIoU"]["weight"] == 11


def test_warnings_of_the_system_stand_on_top(evaluated):
    dataset, scores, _ = evaluated
    warned = [replace(score, warnings=("weights are <untrained>",)) for score in scores[:3]]
    report = build_report([*warned, *scores[3:]], dataset, {"system": "nano"}, resamples=2)
    assert report["warnings"] == {"weights are <untrained>": 3}
    assert "> In 3 answers: weights are <untrained>." in to_markdown(report)
    assert "In 3 answers: weights are &lt;untrained&gt;." in to_html(report, [])


def test_papers_numbers_stand_beside_ours_on_their_dataset(evaluated):
    text = to_markdown(report_of(evaluated, "rrsis-d", [CONVENTIONS["rmsin"]]))
    assert re.search(r"\| SGSRF \|  \| 69\.67 \| 79\.37 \| 80\.93 \|", text)
    assert re.search(r"\| RSRefSeg2 \|  \| ≈ 69\.06 \| ≈ 79\.66 \|", text)
    assert re.search(r"\| \*\*nano\*\* \|  \| [\d.]+ \| .* \| own \|", text)
    assert re.search(r"\| \*\*nano\*\* \|  \| [\d.]+ \| .* \| rmsin \|", text)
    assert "Beside published numbers" not in to_markdown(report_of(evaluated))


def test_published_numbers():
    assert {row.dataset for row in PUBLISHED} == {
        "refsegrs",
        "rrsis-d",
        "risbench",
        "earthreason",
        "lasers",
        "geoseg",
        "nwpu-refer",
    }
    assert [row.values["gIoU"] for row in published_for("nwpu-refer", "test")] == [44.86, 41.75]
    assert all(row.approximate for row in published_for("lasers", "test"))
    assert not any(row.approximate for row in published_for("earthreason", "val"))
    assert all(row.convention in {"", *CONVENTIONS} for row in PUBLISHED)
    assert all(0 < value < 100 for row in PUBLISHED for value in row.values.values())


def test_markdown_tables_have_equal_columns(evaluated):
    text = to_markdown(report_of(evaluated, "lasers", tuple(CONVENTIONS.values())))
    tables = re.findall(r"(?:^\|.*\|$\n?)+", text, flags=re.M)
    assert len(tables) >= 5
    for rows in (table.strip().split("\n") for table in tables):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_cases_are_worst_median_best_and_false_alarms(evaluated):
    _, scores, _ = evaluated
    chosen = {kind: [score.id for score in members] for kind, members in choose_cases(scores, 2).items()}
    assert chosen == {
        "worst": ["s0", "s1"],
        "median": ["s4", "s5"],
        "best": ["s10", "s9"],
        "false alarm": ["none"],
    }


@pytest.mark.parametrize("count", [0, 1, 2, 4, 7])
def test_few_samples_are_shown_once(evaluated, count):
    _, scores, _ = evaluated
    chosen = [score.id for members in choose_cases(scores[:count], 6).values() for score in members]
    assert sorted(chosen) == sorted(score.id for score in scores[:count])


def test_the_page_is_self_contained_and_quotes_what_it_shows(evaluated):
    dataset, scores, records = evaluated
    cases = draw_cases(scores, dataset, records, each=3)
    page = to_html(report_of(evaluated, conventions=[CONVENTIONS["rmsin"]]), cases)
    assert page.count("<article") == 10
    assert page.count("data:image/jpeg;base64,") == 30
    assert not re.search(r"(?:src|href)=[\"'](?!data:)", page)
    assert "http" not in page
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "Here &amp; there." in page
    assert "Something seen where there is nothing" in page


def test_small_targets_are_shown_enlarged(evaluated):
    dataset, scores, records = evaluated
    case = draw_cases(scores, dataset, records, each=1)[0]
    assert case.enlarged
    assert [(phrase.text, phrase.shown, phrase.score) for phrase in case.found] == [("ship", True, 0.5)]
    assert case.found[0].colour == case.asked[0].colour


def test_nothing_random_in_a_report(evaluated):
    dataset, scores, records = evaluated
    pages = [to_html(report_of(evaluated), draw_cases(scores, dataset, records, each=2)) for _ in range(2)]
    assert pages[0] == pages[1]


def test_large_images_stay_small_on_the_page():
    size = (900, 1400)
    one = sample("big", target("ship", box_mask(0, 0, 900, 900, size=size)), size=size)
    answer = record("big", ("ship", 0.9, nothing(size) | box_mask(0, 0, 1, 1, size=size)))
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    one = replace(one, image=pixels)
    case = draw_cases([score_sample(one, answer, 0)], ToyDataset([one]), {"big": answer}, each=1)[0]
    assert not case.enlarged
    assert all(len(picture) < 150_000 for picture in case.pictures)
