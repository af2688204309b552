"""The tools on an image that is too large to be read whole, and how much memory they took: a process of its own."""

import json
import multiprocessing
import resource
import sys
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

sys.path.insert(0, str(Path(__file__).parent.parent))

from oracle import CLASSES, GROUND, oracle_predictor

from geoagent.agent.store import SceneStore
from geoagent.agent.toolbox import Toolbox

SIDE = 16_500
SHAPES = {"buildings": [(2000, 2000, 3000, 3000), (5000, 9000, 14000, 9500), (16000, 100, 16032, 132)],
          "rivers": [(0, 9704, SIDE, 9720)]}  # fmt: skip


def write(path):
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8", "compress": "deflate",
               "tiled": True, "blockxsize": 512, "blockysize": 512, "crs": "EPSG:32633", "photometric": "RGB",
               "transform": from_origin(400_000, 5_330_000, 1, 1), "zlevel": 1}  # fmt: skip
    with rasterio.open(path, "w", **profile) as out:
        for top in range(0, SIDE, 512):
            rows = min(512, SIDE - top)
            band = np.zeros((3, rows, SIDE), np.uint8)
            band[0] = GROUND
            for noun, boxes in SHAPES.items():
                for x0, y0, x1, y1 in boxes:
                    band[0, max(0, y0 - top) : max(0, y1 - top), x0:x1] = CLASSES[noun]
            out.write(band, window=Window(0, top, SIDE, rows))
        out.build_overviews([16])


def grown_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def main(folder):
    root = folder / "images"
    root.mkdir()
    writer = multiprocessing.get_context("spawn").Process(target=write, args=(root / "early.tif",))
    writer.start()  # its memory is not ours
    writer.join()
    model, _ = oracle_predictor(side=2048, stride=8)
    box = Toolbox(SceneStore(folder / "work", [root]), model)
    ((image, _),) = box.store.images()
    before, clock, seconds = grown_mib(), time.process_time(), {}

    def timed(name, outcome):
        nonlocal clock
        seconds[name], clock = round(time.process_time() - clock, 1), time.process_time()
        print(f"{name}: {seconds[name]} s, +{grown_mib() - before} MiB", file=sys.stderr, flush=True)
        return outcome.answer

    found = timed("segment", box.segment(image, "buildings"))["found"][0]
    river = timed("segment rivers", box.segment(image, "rivers"))["found"][0]["mask_id"]
    measured = timed("measure", box.measure(f"{found['mask_id']}#1"))
    near = timed("within", box.relate(found["mask_id"], river, "within", metres=300))
    zone = timed("buffer", box.buffer(river, 250))["mask_id"]
    rest = timed("difference", box.relate(found["mask_id"], zone, "difference"))
    timed("render", box.render([found["mask_id"], river]))
    told = {
        "objects": found["objects"],
        "area_m2": found["area_m2"],
        "first_m2": measured["area_m2"],
        "near": near["of_a"]["objects"],
        "rest": rest["of_a"]["objects"],
        "grown_mib": grown_mib() - before,
        "seconds": seconds,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
