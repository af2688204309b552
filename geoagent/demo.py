"""Pictures that come with the package, rendered by its own procedural world, with questions to try on them."""

from dataclasses import dataclass
from pathlib import Path

from geoagent.types import GeoAgentError

FOLDER = Path(__file__).parent / "assets"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A bundled picture: a GeoTIFF with a made-up but possible place on Earth."""

    name: str
    what: str
    questions: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where it lies."""
        return FOLDER / f"demo-{self.name}.tif"


DEMOS = (
    Demo(
        name="port",
        what="a port with tanks, ships and containers",
        questions=(
            "Where is fuel kept?",
            "Segment the ships and the helipad.",
            "Which machines load and unload the ships?",
            "How large is the water surface?",
        ),
    ),
    Demo(
        name="airport",
        what="an apron with airplanes, hangars and parking lots",
        questions=("Segment the airplanes.", "Where do people leave their cars?", "Show the red airplane."),
    ),
    Demo(
        name="town",
        what="a park, a soccer field, helipads on roofs, a roundabout",
        questions=(
            "Where could a helicopter land safely?",
            "Where can people play ball games?",
            "Segment the buildings and the lakes.",
        ),
    ),
    Demo(
        name="flood",
        what="a flooded quarter of a town",
        questions=("Which parts are under water?", "Segment the buildings.", "Where are vehicles?"),
    ),
    Demo(
        name="farm",
        what="fields, greenhouses, solar panels and woods",
        questions=("Where are vegetables grown under cover?", "Segment the solar panels.", "Where is the farmland?"),
    ),
)


def demo(name: str = "port") -> Demo:
    """The bundled picture of a name."""
    for one in DEMOS:
        if one.name == name:
            return one
    raise GeoAgentError(f"there is no demo picture {name!r}: use one of {', '.join(d.name for d in DEMOS)}")
