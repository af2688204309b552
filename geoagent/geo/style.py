"""Colours: the same target has the same colour in a picture, a raster's colour table, a map and a QGIS style."""

from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (230, 57, 70),
    (29, 132, 222),
    (255, 183, 3),
    (6, 174, 120),
    (155, 93, 229),
    (251, 111, 25),
    (0, 187, 212),
    (241, 91, 181),
    (122, 170, 20),
    (141, 98, 72),
)
"""Distinct on vegetation, water, roofs and bare ground, and from each other for most colour-blind people."""

UNSEEN: Colour = (128, 128, 128)
"""Pixels that were not looked at."""


def target_colour(number: int) -> Colour:
    """Colour of the target with this number, from 1."""
    return PALETTE[(number - 1) % len(PALETTE)]


def colour_table(values: Sequence[tuple[int, int]], unseen: int | None) -> dict[int, tuple[int, int, int, int]]:
    """GDAL's colour table for (value, number of its target): background and what was not looked at are transparent."""
    table = {value: (*target_colour(target), 255) for value, target in values}
    table[0] = (0, 0, 0, 0)
    if unseen is not None:
        table[unseen] = (*UNSEEN, 0)
    return table


def raster_style(values: Sequence[tuple[int, int, str]]) -> str:
    """A QGIS style for (value, number of its target, label): the values of a raster in the colours of their targets."""
    entries = "\n".join(
        f'        <paletteEntry value="{value}" color="{_hex(target_colour(target))}" label={_quoted(label)}/>'
        for value, target, label in values
    )
    return f"""<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.28" styleCategories="Symbology">
  <pipe>
    <rasterrenderer type="paletted" band="1" opacity="0.7" nodataColor="" alphaBand="-1">
      <colorPalette>
{entries}
      </colorPalette>
    </rasterrenderer>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
"""


def vector_style(phrases: Sequence[str]) -> str:
    """A QGIS style: one category for each phrase, in the order of the answer."""
    categories = "\n".join(
        f'      <category value={_quoted(phrase)} label={_quoted(phrase)} symbol="{index}" render="true"/>'
        for index, phrase in enumerate(dict.fromkeys(phrases))
    )
    symbols = "\n".join(_symbol(index) for index, _ in enumerate(dict.fromkeys(phrases)))
    return f"""<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.28" styleCategories="Symbology">
  <renderer-v2 type="categorizedSymbol" attr="phrase" forceraster="0" symbollevels="0" enableorderby="0">
    <categories>
{categories}
    </categories>
    <symbols>
{symbols}
    </symbols>
  </renderer-v2>
  <layerGeometryType>2</layerGeometryType>
</qgis>
"""


def _symbol(index: int) -> str:
    red, green, blue = target_colour(index + 1)
    options = "".join(
        f'<Option type="QString" name="{name}" value="{value}"/>'
        for name, value in (
            ("color", f"{red},{green},{blue},90"),
            ("outline_color", f"{red},{green},{blue},255"),
            ("outline_style", "solid"),
            ("outline_width", "0.4"),
            ("outline_width_unit", "MM"),
            ("style", "solid"),
        )
    )
    return (
        f'      <symbol type="fill" name="{index}" alpha="1" clip_to_extent="1" force_rhr="0">'
        f'<layer class="SimpleFill" enabled="1" locked="0" pass="0"><Option type="Map">{options}</Option></layer>'
        "</symbol>"
    )


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _quoted(text: str) -> str:
    return quoteattr("".join(c if c.isprintable() else " " for c in text)[:200])
