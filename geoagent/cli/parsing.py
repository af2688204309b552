"""What people write on a command line, turned into values; argparse reports the mistakes."""

import argparse
import math
from pathlib import Path
from typing import Any


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Which model, where and how."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", default="nano", metavar="NAME", help="see geoagent models (default: %(default)s)")
    group.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1 … (default: a GPU where there is one)")
    group.add_argument("--quantize", choices=("4bit", "8bit"), help="weights of the language model, on a GPU")
    group.add_argument("--grounding", choices=("query", "boxes"), help="trained queries, or stock models by boxes")


def add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """How the image is read."""
    group = parser.add_argument_group("reading the image")
    group.add_argument("--gsd", type=metres, metavar="M", help="metres of a pixel, where the file does not know")
    group.add_argument("--bands", metavar="B", help="rgb, nrg, sentinel2, landsat, naip, or such as 4,3,2")
    group.add_argument(
        "--region", metavar="R", help="X0,Y0,X1,Y1 in pixels (with --region-crs: on the map), or a GeoJSON file"
    )
    group.add_argument("--region-crs", metavar="CRS", help="coordinate system of --region, such as EPSG:4326")
    group.add_argument(
        "--stretch", type=stretch, metavar="S", help="auto, none, or LOW,HIGH (once, or for each band, with blanks)"
    )


def reading(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `geoagent.geo.raster.read_image` from those of `add_reading_arguments`."""
    return {"gsd_m": args.gsd, "bands": args.bands, "region": _region(args), "stretch": args.stretch}


def _region(args: argparse.Namespace) -> Any:
    import json

    from geoagent.geo.region import parse_region
    from geoagent.types import GeoAgentError

    if args.region is None:
        return None
    if Path(args.region).suffix.lower() not in (".json", ".geojson"):
        return parse_region(args.region, args.region_crs)
    try:
        region = json.loads(Path(args.region).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GeoAgentError(f"cannot read the region {args.region!r}: it must be a GeoJSON file") from error
    if not isinstance(region, dict):
        raise GeoAgentError(f"the region {args.region!r} is not a GeoJSON object")
    return region


def numbers(text: str, form: str) -> tuple[float, ...]:
    """The finite numbers of ``1,2,3``; ``form`` is how it should have been written."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != form.count(",") + 1 or not all(math.isfinite(value) for value in values):
        raise argparse.ArgumentTypeError(f"{text!r} is not {form}")
    return values


def point(text: str) -> tuple[float, float, bool]:
    """``X,Y``, or ``X,Y,0`` for a point that is not on the target."""
    place, _, label = text.rpartition(",") if text.count(",") == 2 else (text, "", "1")
    if label.strip() not in ("0", "1"):
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y or X,Y,0")
    x, y = numbers(place, "X,Y")
    return x, y, label.strip() == "1"


def box(text: str) -> tuple[float, ...]:
    """``X0,Y0,X1,Y1``."""
    return numbers(text, "X0,Y0,X1,Y1")


def scribble(text: str) -> tuple[tuple[float, ...], ...]:
    """``X,Y X,Y …``."""
    line = tuple(numbers(place, "X,Y") for place in text.split())
    if not line:
        raise argparse.ArgumentTypeError("a scribble is 'X,Y X,Y …'")
    return line


def stretch(text: str) -> str | list[tuple[float, ...]]:
    """``auto``, ``none``, or limits."""
    return text if text in ("auto", "none") else [numbers(pair, "LOW,HIGH") for pair in text.split()]


def metres(text: str) -> float:
    """A positive number."""
    (value,) = numbers(text, "M")
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of metres")
    return value


def share(text: str) -> float:
    """A number from 0 to 1."""
    (value,) = numbers(text, "S")
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return value


def port(text: str) -> int:
    """A TCP port."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 1 to 65535")
    return int(text)


def name_and_password(text: str) -> tuple[str, str]:
    """``USER:PASS``."""
    name, colon, password = text.partition(":")
    if not (name and colon and password):
        raise argparse.ArgumentTypeError("give USER:PASS")
    return name, password
