"""The classes of things that geoagent knows by name, how they nest, and what data sets call them.

One table serves rendered and real imagery. `canonical` maps the label of a data set to a class; `members` says what
"all X" takes in (every sea is water); `lookalikes` says what a person might also mean by X (a greenhouse is a building
to some), so that such pixels are left unjudged and "there is no X" is claimed only where nothing of the kind is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

from geoagent.types import GeoAgentError

Kind = Literal["thing", "stuff", "part"]


@dataclass(frozen=True)
class ClassInfo:
    """One canonical class."""

    name: str
    plural: str
    kind: Kind
    parents: tuple[str, ...] = ()
    """Classes that every member also belongs to: a bus is a large vehicle."""
    seen_as: tuple[str, ...] = ()
    """Classes that a person may also take it for, though labels keep them apart: a greenhouse for a building."""
    part_of: str | None = None
    """For parts: the class of the whole."""
    aliases: tuple[str, ...] = ()
    """What data sets call it besides `name` and `plural`."""
    mass: bool = False
    """Named in the singular ("the water"), never counted."""
    umbrella: bool = False
    """Nothing but what its subclasses are: fully annotated where all of them are."""

    @property
    def countable(self) -> bool:
        """Whether single objects can be told apart and counted."""
        return self.kind != "stuff"


_Names = tuple[str, ...]


def _umbrella(name: str, plural: str, kind: Kind, *parents: str, also: _Names = ()) -> ClassInfo:
    return ClassInfo(name, plural, kind, parents, aliases=also, mass=name == plural, umbrella=True)


def _thing(name: str, plural: str, *parents: str, seen_as: _Names = (), also: _Names = ()) -> ClassInfo:
    return ClassInfo(name, plural, "thing", parents, seen_as, aliases=also)


def _stuff(name: str, plural: str, *parents: str, seen_as: _Names = (), also: _Names = ()) -> ClassInfo:
    return ClassInfo(name, plural, "stuff", parents, seen_as, aliases=also)


def _mass(name: str, *parents: str, seen_as: _Names = (), also: _Names = ()) -> ClassInfo:
    return ClassInfo(name, name, "stuff", parents, seen_as, aliases=also, mass=True)


def _part(name: str, plural: str, whole: str, *parents: str, seen_as: _Names = ()) -> ClassInfo:
    return ClassInfo(name, plural, "part", parents, seen_as, part_of=whole)


_TABLE = (
    _umbrella("vehicle", "vehicles", "thing", also=("motor vehicle",)),
    _thing("car", "cars", "vehicle", also=("small vehicle", "van", "sedan", "pickup", "automobile")),
    _umbrella("large vehicle", "large vehicles", "thing", "vehicle"),
    _thing("bus", "buses", "large vehicle", also=("minibus", "coach")),
    _thing("truck", "trucks", "large vehicle", also=("lorry", "trailer")),
    _thing("airplane", "airplanes", also=("plane", "aeroplane", "aircraft")),
    _thing("helicopter", "helicopters"),
    _thing("ship", "ships", also=("boat", "vessel")),
    _thing("storage tank", "storage tanks", also=("oil storage tank", "oil tank", "oiltank", "tank")),
    _thing("silo", "silos", seen_as=("building",)),
    _thing("shipping container", "shipping containers", also=("container",)),
    _thing("crane", "cranes", also=("container crane", "tower crane")),
    _thing("building", "buildings", also=("house", "roof")),
    _thing("greenhouse", "greenhouses", seen_as=("building",), also=("plastic greenhouse", "polytunnel")),
    _thing("swimming pool", "swimming pools", seen_as=("water",), also=("pool",)),
    _thing("tennis court", "tennis courts", seen_as=("paved area",)),
    _thing("basketball court", "basketball courts", seen_as=("paved area",)),
    _thing("baseball diamond", "baseball diamonds", seen_as=("grass",), also=("baseball field",)),
    _thing(
        "soccer field",
        "soccer fields",
        seen_as=("grass",),
        also=("soccer ball field", "football field", "football pitch"),
    ),
    _thing("ground track field", "ground track fields", seen_as=("soccer field", "grass"), also=("running track",)),
    _thing("stadium", "stadiums", seen_as=("building",)),
    _thing("roundabout", "roundabouts", seen_as=("road",)),
    _thing("helipad", "helipads", seen_as=("paved area",)),
    _thing("bridge", "bridges", seen_as=("road", "railway"), also=("overpass",)),
    _thing("wind turbine", "wind turbines", also=("windmill",)),
    _thing("solar panel", "solar panels", seen_as=("solar farm",), also=("photovoltaic panel", "photovoltaic")),
    _thing("solar farm", "solar farms", seen_as=("solar panel",), also=("photovoltaic power plant",)),
    _thing("tree", "trees", "vegetation", seen_as=("forest",)),
    _thing("palm tree", "palm trees", "tree", also=("palm", "date palm")),
    _thing("harbor", "harbors", also=("harbour", "pier", "jetty", "dock")),
    _thing("parking lot", "parking lots", "paved area", also=("car park",)),
    _thing("lighthouse", "lighthouses", seen_as=("building",)),
    _umbrella("paved area", "paved areas", "stuff", also=("paved",)),
    _stuff("road", "roads", "paved area", also=("road full width", "street", "paved road")),
    _stuff("unpaved road", "unpaved roads", seen_as=("road", "bare land"), also=("dirt road", "track")),
    _stuff("railway", "railways", also=("railroad", "train tracks")),
    _stuff("runway", "runways", "paved area"),
    _stuff("apron", "aprons", "paved area", also=("airport apron",)),
    _umbrella("water", "water", "stuff", also=("sea or water", "water body", "open water")),
    _mass("sea", "water", also=("ocean",)),
    _stuff("river", "rivers", "water", also=("stream",)),
    _stuff("lake", "lakes", "water", also=("pond", "reservoir")),
    _mass("flood water", "water", also=("flood", "floodwater", "inundation")),
    _stuff("beach", "beaches", seen_as=("bare land",)),
    _mass("farmland", seen_as=("grass", "bare land"), also=("cropland",)),
    _umbrella("vegetation", "vegetation", "stuff", also=("tree or forest", "greenery")),
    _mass("forest", "vegetation", seen_as=("tree",), also=("woodland", "woods")),
    _mass("grass", "vegetation", also=("grassland", "lawn", "meadow")),
    _mass("bare land", also=("land", "unpaved area", "bare soil", "bareland")),
    _stuff("landslide", "landslides", seen_as=("bare land",), also=("landslide or debris flow", "debris flow")),
    _part("airplane wing", "airplane wings", "airplane"),
    _part("airplane tail", "airplane tails", "airplane"),
    _part("ship deck", "ship decks", "ship"),
    _part("ship bridge", "ship bridges", "ship"),
    _part("roof panel", "roof panels", "building", "solar panel"),
    _part("stadium pitch", "stadium pitches", "stadium", seen_as=("soccer field", "grass")),
    _part("turbine blade", "turbine blades", "wind turbine"),
    _part("tank roof", "tank roofs", "storage tank"),
)

CLASSES: Mapping[str, ClassInfo] = MappingProxyType({info.name: info for info in _TABLE})
"""Every canonical class by its name."""

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {info.name: kin for info in _TABLE if (kin := tuple(c.name for c in _TABLE if info.name in c.parents))}
)
"""Classes that take in others, each with those directly below it."""


def _label_key(label: str) -> str:
    return " ".join(label.replace("_", " ").replace("-", " ").lower().split())


def _label_table() -> dict[str, str]:
    table: dict[str, str] = {}
    for info in _TABLE:
        for label in dict.fromkeys((info.name, info.plural, *info.aliases)):
            if table.setdefault(label, info.name) != info.name:
                raise ValueError(f"the label {label!r} stands for both {table[label]!r} and {info.name!r}")
    return table


_LABELS: Mapping[str, str] = MappingProxyType(_label_table())


def canonical(label: str) -> str:
    """The canonical class behind a data set's label: ``"small-vehicle"`` gives ``"car"``.

    Raises:
        GeoAgentError: if no class goes by that label.
    """
    try:
        return _LABELS[_label_key(label)]
    except KeyError:
        raise GeoAgentError(
            f"the class {label!r} is unknown: use a name or an alias of geoagent.data.classes, or add it there"
        ) from None


def find_canonical(label: str) -> str | None:
    """The canonical class behind ``label``, None where no class goes by that label."""
    return _LABELS.get(_label_key(label))


@cache
def ancestors(name: str) -> frozenset[str]:
    """Every class that all objects of class ``name`` belong to besides: bus -> large vehicle, vehicle."""
    above = CLASSES[name].parents
    return frozenset(above).union(*(ancestors(parent) for parent in above))


@cache
def members(name: str) -> frozenset[str]:
    """The class itself and all below it, parts included: what "all ``name``" takes in."""
    return frozenset({name}).union(*(members(child) for child in GROUPS.get(name, ())))


@cache
def lookalikes(name: str) -> frozenset[str]:
    """Classes outside `members` that a person may mean by ``name``, or whose label is too coarse to tell.

    What is seen as a class is seen as those above it, and so is all that belongs to it: a soccer field may pass for
    grass and hence for vegetation, and something labelled "water" may be the sea.
    """
    mine = members(name)
    passing = {info.name for info in _TABLE if mine.intersection(info.seen_as)}
    below = frozenset[str]().union(*(members(other) for other in passing))
    return (below | ancestors(name)) - mine


@cache
def alike(name: str) -> frozenset[str]:
    """The class itself and those that pass for it, or it for them: a solar panel, a solar farm."""
    return frozenset({name, *CLASSES[name].seen_as, *(c.name for c in _TABLE if name in c.seen_as)})


@cache
def rivals(name: str) -> frozenset[str]:
    """Classes whose presence forbids the claim that there is no ``name``: its members and its lookalikes."""
    return members(name) | lookalikes(name)


def is_complete(name: str, complete: frozenset[str]) -> bool:
    """Whether every object of class ``name`` is annotated where those of the classes ``complete`` are.

    An umbrella class is complete when it was annotated as such or when all classes below it were.
    """
    if name in complete:
        return True
    return CLASSES[name].umbrella and all(is_complete(child, complete) for child in GROUPS[name])


def is_known_absent(name: str, present: frozenset[str], complete: frozenset[str]) -> bool:
    """Whether one may say that a scene shows no ``name``.

    Args:
        name: A canonical class.
        present: Classes of all annotated objects and of their parts.
        complete: Classes of which every object is annotated.
    """
    if rivals(name) & present:
        return False
    if CLASSES[name].part_of in complete and CLASSES[name].part_of not in present:
        return True
    return is_complete(name, complete) or bool(ancestors(name) & complete)
