"""Measure what a mask or a vector file holds: areas and lengths on the ellipsoid."""

import argparse
import json
from typing import Any

from geoagent.cli import parsing

SUMMARY = "measure a mask or a vector file"
_ROWS = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``geoagent measure``."""
    parser.add_argument(
        "file", metavar="MASK_OR_VECTOR", help="GeoTIFF, PNG, GeoJSON, GeoPackage, GeoParquet, Shapefile"
    )
    parser.add_argument(
        "--gsd", type=parsing.metres, metavar="M", help="metres of a pixel, where the file does not know"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object with every feature")


def run(args: argparse.Namespace) -> int:
    """Measure; no model is loaded."""
    from geoagent.geo.measure_file import measure_file

    result = measure_file(args.file, gsd_m=args.gsd)
    print(json.dumps(result, ensure_ascii=False, indent=2) if args.json else "\n".join(_lines(result)))
    return 0


def _lines(result: dict[str, Any]) -> list[str]:
    from geoagent.cli.words import area, length, table

    features = result["features"]
    rows = [
        (
            str(feature["id"]),
            str(feature.get("phrase") or feature.get("class") or feature.get("geometry") or ""),
            area(feature["area_m2"], feature.get("pixel_count")),
            length(feature.get("perimeter_m")),
            length(feature.get("length_m")),
        )
        for feature in features[:_ROWS]
    ]
    if not features:
        return ["nothing in it: no features"]
    lines = table(("id", "what", "area", "perimeter", "length"), rows, right=(0, 2, 3, 4))
    if len(features) > _ROWS:
        lines.append(f"… and {len(features) - _ROWS:,} more: --json lists all")
    total = area(result["total_area_m2"], result["total_pixels"])
    return [*lines, "", f"{len(features):,} feature{'' if len(features) == 1 else 's'}, {total} together"]
