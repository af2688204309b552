"""Answer a question about an image with words and masks.

Points, boxes, scribbles and masks say what is meant; with one of them the text may be left out. Coordinates are pixels
of the image (of the --region, where one is given), from its top left corner.
"""

import argparse
import json
import sys
from pathlib import Path

from geoagent.cli import parsing

SUMMARY = "answer a question about an image with words and masks"
INCOMPLETE = 3
"""Exit code where parts of a large image could not be looked at."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``geoagent segment``."""
    parser.add_argument("image", metavar="IMAGE", help="GeoTIFF, JPEG, PNG, JP2 or WebP file")
    parser.add_argument("text", metavar="TEXT", nargs="?", default="", help='the question: "Where is fuel kept?"')
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help=".json .png .html .tif .ids.tif .geojson .gpkg .parquet .shp .coco.json; may be repeated",
    )
    parser.add_argument("--right-angles", action="store_true", help="square up the outlines of vectors (buildings)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--brief", action="store_true", help="phrases instead of sentences: faster")
    parser.add_argument("--min-score", type=parsing.share, metavar="S", help="what scores lower counts as not found")
    group = parser.add_argument_group("large images")
    group.add_argument(
        "--tiled",
        action=argparse.BooleanOptionalAction,
        help="look tile by tile (default: where a side exceeds 2,048 pixels or the image is very long)",
    )
    group.add_argument(
        "--work", metavar="DIR", type=Path, help="keep what tiles said there: the same command goes on after a stop"
    )
    group = parser.add_argument_group("pointing (each may be repeated)")
    group.add_argument(
        "--point", type=parsing.point, metavar="X,Y[,0]", action="append", default=[], help="0: not here"
    )
    group.add_argument("--box", type=parsing.box, metavar="X0,Y0,X1,Y1", action="append", default=[], help="around it")
    group.add_argument(
        "--scribble", type=parsing.scribble, metavar="'X,Y X,Y …'", action="append", default=[], help="drawn over it"
    )
    group.add_argument("--mask", metavar="FILE", action="append", default=[], help="a rough mask: not 0 is on it")
    parsing.add_model_arguments(parser)
    parsing.add_reading_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Check everything that can be checked, then load the model, ask and write."""
    from geoagent.cli.loading import load_model, read_mask
    from geoagent.cli.outputs import check_outputs, write_outputs
    from geoagent.cli.words import answer_lines
    from geoagent.geo.raster import Scene
    from geoagent.types import GeoAgentError, Prompts

    check_outputs(args.output, args.image)
    prompts = Prompts(
        points=tuple(args.point),
        boxes=tuple(args.box),
        scribbles=tuple(args.scribble),
        masks=tuple(read_mask(path) for path in args.mask),
    )
    if not args.text.strip() and not prompts:
        raise GeoAgentError(
            "nothing was asked: give a TEXT, or point at something (--point, --box, --scribble, --mask)"
        )
    with Scene(args.image, **parsing.reading(args)) as scene:
        prompts.check_inside(scene.info.width, scene.info.height)

    prediction = load_model(args).segment(
        args.image,
        args.text,
        prompts=prompts,
        brief=args.brief,
        tiled=args.tiled,
        work=args.work,
        threshold=args.min_score,
        **parsing.reading(args),
    )
    write_outputs(prediction, args.output, right_angles=args.right_angles)
    for warning in prediction.warnings:
        print(f"note: {warning}", file=sys.stderr)
    result = prediction.to_json()
    print(json.dumps(result, ensure_ascii=False, indent=2) if args.json else "\n".join(answer_lines(result)))
    return INCOMPLETE if prediction.holes else 0
