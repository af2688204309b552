"""Which bands of a file are red, green and blue.

The first three bands of a Sentinel-2 or Landsat stack are not. A preset, band names, the file's colour interpretation
and, last, the well-known stacks decide; where none does, the caller is asked instead of a guess being shown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from geoagent.types import GeoAgentError

Bands = str | Sequence[int | str]
"""A preset (``rgb``, ``nrg``, ``sentinel2``, ``landsat``, ``naip``), ``"4,3,2"``, ``"B04,B03,B02"`` or a sequence."""

PRESETS = ("rgb", "nrg", "sentinel2", "landsat", "naip")

_COLOURS = {
    "red": r"red|r|rot|rouge",
    "green": r"green|g|gr[uü]n|vert",
    "blue": r"blue|b|blau|bleu",
    "nir": r"nir|nir0?8|near[ _-]?infra[ _-]?red|n",
}
_SENSOR_NAMES = {  # normalised names: without "band", separators and leading zeros
    "sentinel2": {"red": "b4", "green": "b3", "blue": "b2", "nir": "b8"},
    "landsat89": {"red": "b4", "green": "b3", "blue": "b2", "nir": "b5"},
    "landsat57": {"red": "b3", "green": "b2", "blue": "b1", "nir": "b4"},
}
_STACKS = {  # (sensor, number of bands) -> positions of red, green, blue, near infrared in stacks as they are published
    ("sentinel2", 13): (4, 3, 2, 8),
    ("sentinel2", 12): (4, 3, 2, 8),
    ("sentinel2", 10): (3, 2, 1, 7),
    ("sentinel2", 6): (3, 2, 1, 4),
    ("sentinel2", 4): (3, 2, 1, 4),
    ("landsat", 11): (4, 3, 2, 5),
    ("landsat", 9): (4, 3, 2, 5),
    ("landsat", 8): (4, 3, 2, 5),
    ("landsat", 7): (4, 3, 2, 5),
    ("landsat", 6): (3, 2, 1, 4),
    ("naip", 4): (1, 2, 3, 4),
    ("naip", 3): (1, 2, 3, 0),
}
_RECOGNISED = {13: "sentinel2", 12: "sentinel2", 11: "landsat", 7: "landsat"}
"""Stacks of 16-bit or float bands that are all but certainly one sensor's."""


@dataclass(frozen=True, kw_only=True)
class BandTable:
    """What a file says of its bands."""

    names: tuple[str | None, ...]
    colours: tuple[str, ...]
    """GDAL's colour interpretation of each band: ``red``, ``gray``, ``alpha``, ``undefined`` …"""
    eight_bit: bool
    source: str = "the image"

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.colours)

    def role(self, colour: str, sensor: str | None = None) -> int | None:
        """1-based number of the band that is ``colour``, by colour interpretation, then by name."""
        if colour in self.colours:
            return self.colours.index(colour) + 1
        if colour == "nir" and "nir" in self.colours:
            return self.colours.index("nir") + 1
        for number, name in enumerate(self.names, start=1):
            if name and re.fullmatch(_COLOURS[colour], name.strip(), re.IGNORECASE):
                return number
        names = [_normal(name) for name in self.names]
        sensor = sensor or self.sensor_by_name()
        wanted = _SENSOR_NAMES[sensor][colour] if sensor in _SENSOR_NAMES else None
        return names.index(wanted) + 1 if wanted in names else None

    def sensor_by_name(self) -> str | None:
        """The sensor that band names such as ``B8A`` or ``SR_B4`` give away."""
        names = {_normal(name) for name in self.names}
        if "b8a" in names or "b12" in names or names == {"b2", "b3", "b4", "b8"}:
            return "sentinel2"
        if {"b1", "b2", "b3", "b4", "b5", "b7"} <= names and "b6" not in names:
            return "landsat57"
        return "landsat89" if {"b2", "b3", "b4", "b5", "b6"} <= names else None


def choose_bands(table: BandTable, bands: Bands | None) -> tuple[tuple[int, ...], str]:
    """1-based numbers of the bands to show as red, green and blue (or one, as grey), and how they were found."""
    if bands is None:
        return _automatic(table)
    if isinstance(bands, str):
        if bands.lower() in PRESETS:
            return _preset(table, bands.lower()), f"preset {bands.lower()}"
        bands = [part.strip() for part in bands.split(",")]
    numbers = tuple(_number(table, band) for band in bands)
    if len(numbers) not in (1, 3):
        raise GeoAgentError(f"{len(numbers)} bands were given: give one (grey) or three (red, green, blue)")
    return numbers, "as given"


def _automatic(table: BandTable) -> tuple[tuple[int, ...], str]:
    shown = [n for n, colour in enumerate(table.colours, start=1) if colour != "alpha"]
    if not shown:
        shown = [1]
    by_role = [table.role(colour) for colour in ("red", "green", "blue")]
    if all(by_role):
        return tuple(n for n in by_role if n), "colour interpretation or names"
    if len(shown) <= 2:
        return (shown[0],), "single band"
    sensor = _RECOGNISED.get(len(shown))
    if sensor and not table.eight_bit:
        return _STACKS[sensor, len(shown)][:3], f"assumed: a {sensor} stack of {len(shown)} bands"
    if len(shown) <= 4:
        return tuple(shown[:3]), "order in the file"
    raise GeoAgentError(
        f"{table.source} has {len(shown)} bands and does not say which are red, green and blue: "
        f"give their numbers, or a preset ({', '.join(PRESETS)})"
    )


def _preset(table: BandTable, preset: str) -> tuple[int, ...]:
    wanted = ("nir", "red", "green") if preset == "nrg" else ("red", "green", "blue")
    sensors = {"sentinel2": ["sentinel2"], "landsat": ["landsat89"], "naip": ["naip"]}.get(
        preset, ["naip", "sentinel2"]
    )
    if preset == "landsat" and table.sensor_by_name() == "landsat57":
        sensors = ["landsat57"]
    by_role = [table.role(colour, sensors[0] if preset in ("sentinel2", "landsat") else None) for colour in wanted]
    if all(by_role):
        return tuple(n for n in by_role if n)
    colour_bands = table.count - (0 if preset in ("nrg", "naip") else table.colours.count("alpha"))
    stack = preset if preset in ("sentinel2", "landsat", "naip") else _RECOGNISED.get(colour_bands, "naip")
    positions = _STACKS.get((stack, colour_bands))
    if preset == "rgb" and positions is None and colour_bands >= 3:
        positions = (1, 2, 3, 0)
    if positions is None or (preset == "nrg" and not positions[3]):
        raise GeoAgentError(
            f"{table.source} has {table.count} bands: the preset {preset!r} does not fit, give the band numbers instead"
        )
    red, green, blue, nir = positions
    return (nir, red, green) if preset == "nrg" else (red, green, blue)


def _number(table: BandTable, band: int | str) -> int:
    text = str(band).strip()
    if text.lstrip("+-").isdigit():
        number = int(text)
    else:
        names = [_normal(name) for name in table.names]
        role = table.role(text.lower()) if text.lower() in _COLOURS else None
        number = role or (names.index(_normal(text)) + 1 if _normal(text) in names else 0)
        if not number:
            known = ", ".join(name for name in table.names if name) or "none has a name"
            raise GeoAgentError(f"{table.source} has no band {text[:40]!r} ({known[:200]})")
    if not 1 <= number <= table.count:
        raise GeoAgentError(f"{table.source} has bands 1 to {table.count}, not {number}")
    return number


def _normal(name: str | None) -> str:
    """``Band_04``, ``SR_B4``, ``B04`` -> ``b4``."""
    text = re.sub(r"[^a-z0-9]", "", (name or "").lower())
    text = re.sub(r"^(?:sr|toa|l2a|l1c)?(?:band|b)", "b", text)
    return re.sub(r"^(b?)0+(?=\d)", r"\1", text)
