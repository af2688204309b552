"""Say what an image file is: size, coordinate system, ground size, bands, stretch, nodata."""

import argparse
import json

from geoagent.cli import parsing

SUMMARY = "say what an image file is: size, place, bands, stretch"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``geoagent info``."""
    parser.add_argument("image", metavar="IMAGE", help="GeoTIFF, JPEG, PNG, JP2 or WebP file")
    parser.add_argument(
        "--gsd", type=parsing.metres, metavar="M", help="metres of a pixel, where the file does not know"
    )
    parser.add_argument("--bands", metavar="B", help="which bands to show, as for geoagent segment")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Describe the file; no model is loaded."""
    from geoagent.geo.describe import describe_image, describe_in_words

    description = describe_image(args.image, bands=args.bands, gsd_m=args.gsd)
    print(json.dumps(description, ensure_ascii=False, indent=2) if args.json else describe_in_words(description))
    return 0
