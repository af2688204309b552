"""The command line, with a model that answers from a script; nano itself answers once."""

import argparse
import io
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

import geoagent.cli as cli
from geoagent import demo
from geoagent.cli import parsing, words
from geoagent.model.configuration import AnswerConfig, MeaningConfig

HEIGHT, WIDTH = 60, 80
TANKS = ((10, 10, 20, 20), (40, 10, 55, 25))
"""Boxes of what the scripted model finds, in pixels: 100 and 225 of them."""


class Scripted:
    """A way of grounding that finds two tanks and no helipad, and notes what it was asked."""

    needs_training = False

    def __init__(self):
        score = SimpleNamespace(threshold=0.5)
        image = SimpleNamespace(max_aspect=3.0, closer=0.0)
        config = SimpleNamespace(trained=True, score=score, image=image, answer=AnswerConfig(), meaning=MeaningConfig())
        self.model = SimpleNamespace(config=config, recognition=None)
        self.encoded = 0
        self.requests = []

    def encode(self, images):
        self.encoded += len(images)
        return [None] * len(images)

    def answer(self, requests):
        import torch

        from geoagent.model.requests import Draft, DraftTarget

        self.requests += requests
        drafts = []
        for request in requests:
            tanks = torch.full(request.size, -8.0)
            for x0, y0, x1, y1 in TANKS:
                tanks[y0:y1, x0:x1] = 8.0
            found = DraftTarget(phrase="storage tanks", score=0.9, logits=tanks)
            missed = DraftTarget(phrase="helipad", score=0.2, logits=torch.full(request.size, -8.0))
            marked = "Fuel is kept in the <p>storage tanks</p><seg>, there is no <p>helipad</p><rej>."
            drafts.append(Draft(marked, (found, missed), tokens=12, warnings=("the sun is low",)))
        return drafts


@pytest.fixture
def scripted(monkeypatch):
    """Every model that the command line loads is the scripted one."""
    from geoagent import predictor

    grounder = Scripted()
    monkeypatch.setattr(predictor, "load", lambda name, **_: predictor.Predictor(grounder, name))
    return grounder


@pytest.fixture
def no_model(monkeypatch):
    """Loading a model fails the test: the mistake must be found before."""
    from geoagent.cli import loading

    def fail(args):
        pytest.fail("a model was loaded")

    monkeypatch.setattr(loading, "load_model", fail)


@pytest.fixture
def geotiff(tmp_path):
    path = tmp_path / "scene.tif"
    pixels = np.random.default_rng(0).integers(1, 255, (3, HEIGHT, WIDTH), dtype=np.uint8)
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_300_000, 2.0, 2.0)}
    with rasterio.open(
        path, "w", driver="GTiff", height=HEIGHT, width=WIDTH, count=3, dtype="uint8", photometric="RGB", **place
    ) as target:
        target.write(pixels)
    return path


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(1).integers(1, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def run(capsys):
    """Call the command line; its exit code, standard output and standard error."""

    def call(*argv):
        try:
            code = cli.main([str(word) for word in argv])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


# --------------------------------------------------------------------------------------------- help, speed, manners


def test_help_is_answered_quickly_and_without_torch():
    script = (
        "import sys\n"
        "from geoagent.cli import main\n"
        "for words in (['--help'], ['segment', '--help'], ['--version']):\n"
        "    try: main(words)\n"
        "    except SystemExit as stop: assert stop.code == 0, stop.code\n"
        "heavy = {'torch', 'transformers', 'rasterio', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert "segment" in done.stdout and "--point" in done.stdout
    # Processor time, not the clock's: other processes on the machine do not count.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_version(run):
    from geoagent import __version__

    assert run("--version") == (0, f"geoagent {__version__}\n", "")


def test_help_names_every_kind_of_output(run):
    from geoagent.geo.export import SUFFIXES

    assert set(SUFFIXES) <= set(run("segment", "--help")[1].replace(";", " ").split())


def test_module_can_be_run():
    done = subprocess.run([sys.executable, "-m", "geoagent", "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("geoagent ")


def test_interruption_is_quiet(run, monkeypatch, photo):
    from geoagent.cli import loading

    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(loading, "load_model", interrupted)
    assert run("segment", photo, "ships") == (130, "", "")


def test_reader_that_goes_away_is_no_error(photo):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "geoagent", "info", photo], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


# ------------------------------------------------------------------------------------------------------- bad input


BAD_CALLS = [
    ("", "COMMAND"),
    ("paint photo.png", "paint"),
    ("segment", "IMAGE"),
    ("segment none.png ships", "none.png"),
    ("segment folder ships", "folder"),
    ("segment broken.tif ships", "broken.tif"),
    ("segment notes.png ships", "notes.png"),
    ("segment empty.jpg ships", "empty.jpg"),
    ("segment https://example.org/a.tif ships", "example.org"),
    ("segment photo.png", "nothing was asked"),
    ("segment photo.png '  '", "nothing was asked"),
    ("segment photo.png ships --point 900,10", "outside the image"),
    ("segment photo.png ships --point -3,10", "outside the image"),
    ("segment photo.png ships --point nan,10", "X,Y"),
    ("segment photo.png ships --point 3", "X,Y"),
    ("segment photo.png ships --point 3,4,5", "X,Y"),
    ("segment photo.png ships --box 1,2,3", "X0,Y0,X1,Y1"),
    ("segment photo.png ships --box 9,2,3,8", "empty"),
    ("segment photo.png ships --scribble '1,2 x'", "X,Y"),
    ("segment photo.png ships --scribble ''", "X,Y"),
    ("segment photo.png ships --mask small.png", "5 x 5"),
    ("segment photo.png ships --mask none.png", "none.png"),
    ("segment photo.png ships --min-score 1.5", "between 0 and 1"),
    ("segment photo.png ships --gsd 0", "positive"),
    ("segment photo.png ships --bands 9,2,1", "bands 1 to 3"),
    ("segment photo.png ships --stretch lots", "LOW,HIGH"),
    ("segment photo.png ships --region 900,900,950,950", "holds nothing"),
    ("segment photo.png ships --region 1,2,3", "X0,Y0,X1,Y1"),
    ("segment photo.png ships --region none.geojson", "none.geojson"),
    ("segment photo.png ships --region list.geojson", "list.geojson"),
    ("segment photo.png ships --region -9.2,38.6,-9.1,38.7 --region-crs EPSG:4326", "no place"),
    ("segment photo.png ships --quantize 2bit", "2bit"),
    ("segment photo.png ships -o out.docx", ".geojson"),
    ("segment photo.png ships -o out", "suffix"),
    ("segment photo.png ships -o nowhere/out.png", "does not exist"),
    ("segment photo.png ships -o folder.png", "is a folder"),
    ("segment photo.png ships -o photo.png", "image itself"),
    ("segment photo.png ships -o fine.json -o folder/../photo.png", "image itself"),
    ("info none.tif", "none.tif"),
    ("info broken.tif", "broken.tif"),
    ("measure none.tif", "none.tif"),
    ("measure notes.png", "notes.png"),
    ("measure photo.png", "not a mask"),
    ("chat none.tif", "none.tif"),
    ("chat --port 99999", "65535"),
    ("chat --auth secret", "USER:PASS"),
]
"""Calls that cannot work, each with words that the message must hold."""


@pytest.fixture
def folder_of_mistakes(tmp_path, photo, monkeypatch):
    (tmp_path / "broken.tif").write_bytes(b"II*\x00 and nothing else")
    (tmp_path / "notes.png").write_text("this is no picture")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "list.geojson").write_text("[1, 2]")
    for name in ("folder", "folder.png"):
        (tmp_path / name).mkdir()
    Image.fromarray(np.ones((5, 5), dtype=np.uint8)).save(tmp_path / "small.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(("call", "words"), BAD_CALLS)
def test_bad_input_gets_one_line_and_writes_nothing(run, folder_of_mistakes, call, words):
    before = contents(folder_of_mistakes)
    code, out, err = run(*shlex.split(call))
    assert (code, out) == (2, "")
    assert err.startswith("geoagent") and err.count("\n") == 1, err
    assert words in err
    assert contents(folder_of_mistakes) == before


def test_unknown_model_is_named_with_those_that_exist(run, photo):
    code, out, err = run("segment", photo, "ships", "--model", "giant")
    assert (code, out) == (2, "")
    assert "'giant'" in err and "nano" in err and err.count("\n") == 1


@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".png"])
def test_cut_off_file_gets_one_line_even_from_the_libraries_below(tmp_path, suffix):
    """GDAL's drivers write to the file descriptor, not to Python's stream: only a process of its own shows it."""
    whole = tmp_path / f"whole{suffix}"
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(whole)
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    done = subprocess.run(
        [sys.executable, "-m", "geoagent", "segment", cut, "ships"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and cut.name in done.stderr, done.stderr


def test_full_disk_leaves_nothing_behind(run, scripted, photo, tmp_path, monkeypatch):
    from geoagent.cli import outputs

    def full(prediction, path, *, right_angles):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs, "save_prediction", full)
    code, out, err = run("segment", photo, "ships", "-o", tmp_path / "out.png")
    assert (code, out) == (2, "")
    assert "out.png" in err and "No space left" in err and err.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


# --------------------------------------------------------------------------------------------------------- segment


def test_answer_and_table(run, scripted, geotiff):
    code, out, err = run("segment", geotiff, "Where is fuel kept?")
    assert code == 0
    assert out.splitlines() == [
        "Fuel is kept in the storage tanks, there is no helipad.",
        "",
        "#  found          score  objects      area",
        "1  storage tanks   0.90        2  1,301 m²",
        "",
        "not found: helipad (0.20)",
    ]
    assert err == "note: the sun is low\n"


def test_json_is_one_object_with_the_documented_fields(run, scripted, geotiff):
    code, out, _ = run("segment", geotiff, "Where is fuel kept?", "--json")
    result = json.loads(out)
    assert code == 0
    assert set(result) == {"answer", "targets", "absent", "image", "model", "seconds", "warnings", "holes"}
    (target,) = result["targets"]
    assert set(target) == {"id", "phrase", "score", "bbox", "pixel_count", "area_m2", "instances"}
    assert (target["id"], target["phrase"], target["score"]) == (1, "storage tanks", 0.9)
    assert target["bbox"] == [10, 10, 55, 25]
    assert target["pixel_count"] == 100 + 225
    assert target["area_m2"] == pytest.approx(4 * 325, rel=2e-3)  # UTM's scale near its middle meridian is 0.9996
    assert [i["pixel_count"] for i in target["instances"]] == [225, 100]
    assert result["absent"] == [{"phrase": "helipad", "score": 0.2}]
    assert set(result["image"]) == {"width", "height", "crs", "gsd_m", "bands", "stretch"}
    assert (result["image"]["bands"], result["warnings"], result["holes"]) == ([1, 2, 3], ["the sun is low"], [])
    assert (result["image"]["width"], result["image"]["height"], result["image"]["crs"]) == (
        WIDTH,
        HEIGHT,
        "EPSG:32632",
    )
    assert result["model"] == "nano" and result["seconds"] >= 0


def test_area_is_null_without_a_ground_size_and_known_with_one(run, scripted, photo):
    target = json.loads(run("segment", photo, "tanks", "--json")[1])["targets"][0]
    assert target["area_m2"] is None and target["pixel_count"] == 325
    target = json.loads(run("segment", photo, "tanks", "--json", "--gsd", "0.5")[1])["targets"][0]
    assert target["area_m2"] == pytest.approx(325 / 4)
    assert "325 px" in run("segment", photo, "tanks")[1]


def test_what_reading_remarked_is_said_once(run, scripted, geotiff):
    _, out, err = run("segment", geotiff, "tanks", "--gsd", "7", "--json")
    assert json.loads(out)["image"]["gsd_m"] == pytest.approx(2.0, rel=1e-3)
    assert err.splitlines() == [
        "note: the image knows its own ground size: the given one is not used",
        "note: the sun is low",
    ]


def test_min_score_decides_again(run, scripted, photo):
    result = json.loads(run("segment", photo, "tanks", "--json", "--min-score", "0.95")[1])
    assert result["targets"] == [] and [t["phrase"] for t in result["absent"]] == ["storage tanks", "helipad"]


def test_everything_that_was_pointed_at_reaches_the_model(run, scripted, photo, tmp_path):
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[5:9, 5:9] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    pointing = ("--point", "12,14.5", "--point", "30,30,0", "--box", "1,2,30,40", "--scribble", "1,1 2,3 4,5")
    code, _, err = run("segment", photo, *pointing, "--mask", tmp_path / "mask.png", "--brief")
    assert code == 0, err
    (request,) = scripted.requests
    assert request.instruction == "" and request.brief
    assert request.prompts.points == ((12.0, 14.5, True), (30.0, 30.0, False))
    assert request.prompts.boxes == ((1.0, 2.0, 30.0, 40.0),)
    assert request.prompts.scribbles == (((1.0, 1.0), (2.0, 3.0), (4.0, 5.0)),)
    assert np.array_equal(request.prompts.masks[0], mask > 0)


def test_mask_prompt_leaves_out_nodata(tmp_path):
    from geoagent.cli.loading import read_mask

    path = tmp_path / "mask.tif"
    values = np.array([[[0, 1, 255], [2, 0, 255]]], dtype=np.uint8)
    place = {"crs": "EPSG:32632", "transform": from_origin(0, 0, 1, 1)}
    with rasterio.open(
        path, "w", driver="GTiff", height=2, width=3, count=1, dtype="uint8", nodata=255, **place
    ) as out:
        out.write(values)
    assert read_mask(str(path)).tolist() == [[False, True, False], [True, False, False]]


@pytest.mark.parametrize(("region", "size"), [(("10,5,50,45",), (40, 40)), (("--region-crs", "EPSG:32632"), (20, 30))])
def test_region_and_bands_are_passed_on(run, scripted, geotiff, region, size):
    height, width = size
    if region[0] == "--region-crs":
        region = ("500000,5299960,500060,5300000", *region)
    result = json.loads(run("segment", geotiff, "tanks", "--json", "--region", *region, "--bands", "3,2,1")[1])
    assert (result["image"]["height"], result["image"]["width"]) == (height, width)


def test_region_from_geojson(run, scripted, geotiff, tmp_path):
    from pyproj import Transformer

    corners = [(500001, 5299961), (500059, 5299961), (500059, 5299999), (500001, 5299999), (500001, 5299961)]
    to_degrees = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)
    ring = [list(to_degrees.transform(x, y)) for x, y in corners]
    path = tmp_path / "region.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    result = json.loads(run("segment", geotiff, "tanks", "--json", "--region", path)[1])
    assert (result["image"]["height"], result["image"]["width"]) == (20, 30)


@pytest.mark.parametrize("suffix", [".json", ".png", ".geojson", ".tif", ".ids.tif"])
def test_outputs_by_suffix(run, scripted, geotiff, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    code, out, err = run("segment", geotiff, "tanks", "-o", path, "--json")
    assert code == 0, err
    assert path.stat().st_size > 0
    if suffix == ".json":
        assert json.loads(path.read_text())["targets"] == json.loads(out)["targets"]
    if suffix == ".geojson":
        assert len(json.loads(path.read_text())["features"]) == 2


@pytest.mark.slow
def test_nano_answers(run, tmp_path):
    code, out, err = run(
        "segment", demo.demo("port").path, "Where is fuel kept?", "--json", "-o", tmp_path / "out.json"
    )
    assert code == 0, err
    result = json.loads(out)
    assert result["model"] == "nano" and result["image"]["width"] == 640
    assert json.loads((tmp_path / "out.json").read_text()) == result
    assert all(line.startswith("note: ") for line in err.splitlines())


# -------------------------------------------------------------------------------------------------- other commands


def test_info(run, geotiff):
    code, out, err = run("info", geotiff)
    assert code == 0 and err == ""
    assert "80 x 60 pixels" in out and "EPSG:32632" in out
    described = json.loads(run("info", geotiff, "--json")[1])
    assert described["gsd_m"] == pytest.approx(2.0, rel=1e-3)
    assert described["nodata"] is None and described["stretch"] is None and len(described["bands"]) == 3


@pytest.mark.parametrize("suffix", [".ids.tif", ".geojson"])
def test_what_segment_writes_measure_reads(run, scripted, geotiff, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    answer = json.loads(run("segment", geotiff, "tanks", "-o", path, "--json")[1])
    measured = json.loads(run("measure", path, "--json")[1])
    assert len(measured["features"]) == 2
    assert measured["total_area_m2"] == pytest.approx(answer["targets"][0]["area_m2"], rel=1e-3)
    assert "2 features, 1,301 m² together" in run("measure", path)[1]


def test_measure_in_pixels_and_with_a_ground_size(run, tmp_path):
    mask = np.zeros((20, 20), dtype=np.uint8)
    mask[2:12, 2:12] = 1
    path = tmp_path / "mask.png"
    Image.fromarray(mask).save(path)
    assert "1 feature, 100 px together" in run("measure", path)[1]
    assert json.loads(run("measure", path, "--json")[1])["total_area_m2"] is None
    assert json.loads(run("measure", path, "--json", "--gsd", "2")[1])["total_area_m2"] == pytest.approx(400)


def test_measure_of_an_empty_mask(run, tmp_path):
    path = tmp_path / "mask.png"
    Image.fromarray(np.zeros((20, 20), dtype=np.uint8)).save(path)
    assert run("measure", path) == (0, "nothing in it: no features\n", "")


def test_models(run):
    code, out, _ = run("models")
    assert code == 0 and out.splitlines()[1].startswith("nano ")
    names = [model["name"] for model in json.loads(run("models", "--json")[1])]
    assert names[0] == "nano" and "qwen3vl-4b+sam2.1-b+" in names


# ------------------------------------------------------------------------------------------------------------ chat


def talk(run, monkeypatch, lines, *argv):
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines)))
    return run("chat", "--terminal", *argv)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Where the pictures of a conversation go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_chat_encodes_an_image_once(run, scripted, monkeypatch, pictures):
    code, out, err = talk(
        run, monkeypatch, ["Where is fuel kept?", "and the helipads?", ":image 2", "ships", ":quit", "x"]
    )
    assert code == 0
    assert scripted.encoded == 2
    assert [r.instruction for r in scripted.requests] == ["Where is fuel kept?", "and the helipads?", "ships"]
    assert out.count("1  storage tanks") == 3 and "the sun is low" in err
    drawn = [Path(line.split("picture: ")[1]) for line in out.splitlines() if "picture: " in line]
    assert len(drawn) == 3
    assert all(pictures in path.parents and Image.open(path).size == (640, 640) for path in drawn)


def test_chat_survives_mistakes(run, scripted, monkeypatch, pictures, geotiff, tmp_path):
    lines = [
        ":save",
        ":image 7",
        ":paint",
        "",
        ":help",
        "tanks",
        f":save {tmp_path / 'a.docx'}",
        f":save {tmp_path / 'a.json'}",
    ]
    code, out, _ = talk(run, monkeypatch, lines, geotiff)
    assert code == 0
    for reply in ("nothing was asked yet", "no image 7", ":paint is not known", "no suffix", "wrote "):
        assert reply in out
    assert (tmp_path / "a.json").is_file() and not (tmp_path / "a.docx").exists()


# ----------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("square_metres", "pixels", "text"),
    [
        (None, 1234, "1,234 px"),
        (None, None, "?"),
        (3.14, 1, "3.1 m²"),
        (1300.4, 1, "1,300 m²"),
        (250_000.0, 1, "25.0 ha"),
        (2_500_000.0, 1, "2.50 km²"),
    ],
)
def test_area_in_words(square_metres, pixels, text):
    assert words.area(square_metres, pixels) == text


def test_point_forms():
    assert parsing.point("1,2") == (1.0, 2.0, True)
    assert parsing.point("1,2,1") == (1.0, 2.0, True)
    assert parsing.point("1.5,2,0") == (1.5, 2.0, False)
    with pytest.raises(argparse.ArgumentTypeError, match="X,Y"):
        parsing.point("1,2,x")


@pytest.mark.parametrize("one", demo.DEMOS, ids=lambda one: one.name)
def test_demo_pictures_are_small_and_have_a_place(one):
    from geoagent.geo.raster import read_image

    assert one.path.stat().st_size < 300_000
    info = read_image(one.path).info
    assert info.crs is not None and 0.1 < info.gsd_m < 2
    assert one.questions
