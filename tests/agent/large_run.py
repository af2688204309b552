"""The tools on two dates of 20,000 x 18,000 pixels, and how much memory they took; a process of its own for a test."""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import rasterio
sys.path.insert(0, str(Path(__file__).parent.parent))

from oracle import CLASSES, GROUND, oracle_predictor
from rasterio.transform import from_origin
from rasterio.windows import Window

from geoagent.agent.store import SceneStore
from geoagent.agent.toolbox import Toolbox

WIDTH, HEIGHT = 20_000, 18_000
SHAPES = {"buildings": [(2000, 2000, 3000, 3000), (5000, 9000, 14000, 9500), (19000, 100, 19030, 130)],
          "rivers": [(0, 9700, 20000, 9720)]}  # fmt: skip
NEW = (12_000, 15_000, 12_100, 15_100)


def write(path, shapes):
    profile = {"driver": "GTiff", "width": WIDTH, "height": HEIGHT, "count": 3, "dtype": "uint8", "compress": "deflate",
               "tiled": True, "blockxsize": 512, "blockysize": 512, "crs": "EPSG:32633", "photometric": "RGB",
               "transform": from_origin(400_000, 5_330_000, 1, 1)}  # fmt: skip
    with rasterio.open(path, "w", **profile) as out:
        for top in range(0, HEIGHT, 512):
            rows = min(512, HEIGHT - top)
            band = np.zeros((3, rows, WIDTH), np.uint8)
            band[0] = GROUND
            for noun, boxes in shapes.items():
                for x0, y0, x1, y1 in boxes:
                    band[0, max(0, y0 - top) : max(0, y1 - top), x0:x1] = CLASSES[noun]
            out.write(band, window=Window(0, top, WIDTH, rows))


def main(folder):
    root = folder / "images"
    root.mkdir()
    write(root / "early.tif", SHAPES)
    write(root / "late.tif", {**SHAPES, "buildings": [*SHAPES["buildings"], NEW]})
    model, _ = oracle_predictor(side=2048)
    box = Toolbox(SceneStore(folder / "work", [root]), model)
    ids = {Path(name).stem: image_id for image_id, name in box.store.images()}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    clock, seconds = time.monotonic(), {}

    def timed(name, outcome):
        nonlocal clock
        seconds[name], clock = round(time.monotonic() - clock, 1), time.monotonic()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10) - before
        print(name, seconds[name], "s,", grown, "MiB", file=sys.stderr, flush=True)
        return outcome.answer

    found = timed("segment", box.segment(ids["early"], "buildings"))["found"][0]
    river = timed("segment again", box.segment(ids["early"], "rivers"))["found"][0]["mask_id"]
    timed("measure", box.measure(found["mask_id"]))
    near = timed("within", box.relate(found["mask_id"], river, "within", metres=300))
    zone = timed("buffer", box.buffer(river, 250))["mask_id"]
    timed("difference", box.relate(found["mask_id"], zone, "difference"))
    timed("render", box.render([found["mask_id"], river]))
    timed("export", box.export(found["mask_id"], "tif"))
    changes = timed("compare", box.compare(ids["early"], ids["late"], "buildings"))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10) - before
    print(
        json.dumps(
            {
                "found": found["objects"],
                "area_m2": found["area_m2"],
                "near": near["of_a"]["objects"],
                "appeared": changes["appeared"]["objects"],
                "grown_mib": grown,
                "seconds": seconds,
            }
        )
    )


if __name__ == "__main__":

    main(Path(sys.argv[1]))
