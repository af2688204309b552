"""What a file is, before anyone asks anything about it."""

from pathlib import Path
from typing import Any

from geoagent.geo.georef import bounds_lonlat, ground_extent, has_place
from geoagent.geo.opening import open_raster
from geoagent.geo.raster import Scene
from geoagent.geo.sources import DatasetSource
from geoagent.types import GeoAgentError


def describe_image(path: str | Path, *, bands: Any = None, gsd_m: float | None = None) -> dict[str, Any]:
    """Size, CRS, ground size, bands, stretch and nodata of an image file, as ``geoagent info`` prints them.

    A file whose red, green and blue are not known is described all the same; ``remarks`` says what is missing.
    """
    try:
        with Scene(path, bands=bands, gsd_m=gsd_m) as scene:
            info, remarks = scene.info, list(scene.info.extra["remarks"])
            names = scene.info.extra["band_names"]
    except GeoAgentError as error:
        if bands is not None:
            raise
        with Scene(path, bands=[1], gsd_m=gsd_m) as scene:  # raises again where the bands were not the trouble
            info, remarks = scene.info, [str(error)]
            names = scene.info.extra["band_names"]
    colours, driver, layout = _of_file(path)
    return {
        "path": str(path),
        "driver": driver,
        "width": info.width,
        "height": info.height,
        "crs": info.crs,
        "transform": list(info.transform) if info.transform else None,
        "gsd_m": info.gsd_m,
        "ground_m": _rounded(ground_extent(info)),
        "bounds_lonlat": _rounded(bounds_lonlat(info), 7) if has_place(info) else None,
        "dtype": info.extra["dtype"],
        "bands": [
            {"number": number, "name": name, "colour": colour}
            for number, (name, colour) in enumerate(zip(names, colours, strict=True), start=1)
        ],
        "shown": list(info.bands),
        "stretch": [list(pair) for pair in info.stretch] if info.stretch else None,
        "nodata": info.nodata,
        **layout,
        "remarks": remarks,
    }


def describe_in_words(description: dict[str, Any]) -> str:
    """A description as lines for a terminal."""
    d = description
    ground = "unknown (give a ground size to measure in metres)"
    if d["gsd_m"] is not None:
        wide, high = d["ground_m"]
        ground = f"{d['gsd_m']:.4g} m a pixel, {_distance(wide)} x {_distance(high)}"
    stretch = "none, 8-bit values as they are"
    if d["stretch"]:
        stretch = ", ".join(f"{low:g} to {high:g}" for low, high in d["stretch"])
    names = ", ".join(f"{band['number']} {band['name'] or band['colour']}" for band in d["bands"])
    crs = d["crs"] or "none"
    lines = [
        f"file      {d['path']} ({d['driver']}, {d['dtype']})",
        f"size      {d['width']} x {d['height']} pixels",
        f"crs       {crs if len(crs) < 60 else crs[:57] + '…'}",
        f"ground    {ground}",
        f"bands     {names}",
        f"shown     {', '.join(map(str, d['shown']))}",
        f"stretch   {stretch}",
        f"nodata    {'none' if d['nodata'] is None else format(d['nodata'], 'g')}",
    ]
    if d["bounds_lonlat"]:
        west, south, east, north = d["bounds_lonlat"]
        lines.insert(4, f"place     {south:.5f} to {north:.5f} north, {west:.5f} to {east:.5f} east")
    return "\n".join([*lines, *(f"remark    {remark}" for remark in d["remarks"])])


def _of_file(path: str | Path) -> tuple[tuple[str, ...], str, dict[str, Any]]:
    dataset = open_raster(path)
    source = DatasetSource(dataset, owned=True, gsd_given=True)
    layout = {
        "tiled": bool(dataset.profile.get("tiled", False)),
        "compression": str(dataset.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION", "none")),
        "overviews": list(dataset.overviews(1)),
    }
    driver = str(dataset.driver)
    source.close()
    return source.table.colours, driver, layout


def _rounded(values: tuple[float, ...] | None, digits: int = 2) -> list[float] | None:
    return None if values is None else [round(value, digits) for value in values]


def _distance(metres: float) -> str:
    return f"{metres / 1000:.4g} km" if metres >= 1000 else f"{metres:.4g} m"
