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
        what="a port with tank farms and a quay",
        questions=(
            "Where is fuel kept?",
            "Segment the ships and the helipad.",
            "Which vessels are moored at the quay?",
            "How large is the sea surface?",
        ),
    ),
    Demo(
        name="airport",
        what="an apron with airplanes, hangars and parking",
        questions=("Segment the airplanes.", "Where do passengers leave their cars?", "Show the largest airplane."),
    ),
    Demo(
        name="town",
        what="streets, a soccer field, parking lots and roofs",
        questions=(
            "Where could a helicopter land safely?",
            "Where can children play ball games?",
            "Segment the buildings and the swimming pools.",
        ),
    ),
    Demo(
        name="flood",
        what="a flooded quarter of a town",
        questions=("Which parts are under water?", "Segment the buildings.", "Which roads can still be used?"),
    ),
    Demo(
        name="farm",
        what="fields, greenhouses, orchards and solar panels",
        questions=("Where are vegetables grown under glass?", "Segment the solar panels.", "Where is the farmland?"),
    ),
)


def demo(name: str = "port") -> Demo:
    """The bundled picture of a name."""
    for one in DEMOS:
        if one.name == name:
            return one
    raise GeoAgentError(f"there is no demo picture {name!r}: use one of {', '.join(d.name for d in DEMOS)}")
