"""What is known of each set of the real imagery: how complete its labels are, what size a pixel has, its terms.

Taken from the collection's README, the sets' own SOURCE.md and a look at the labels drawn over the images. A class that
a set does not annotate is unknown there, not absent; a class is *complete* in a set only where its description vouches
for every object and nothing was seen to be missing, because only then may a question claim that something is not there,
or ask how many there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Layout = Literal["coco", "index", "instances", "places"]


@dataclass(frozen=True, kw_only=True)
class ImagerySet:
    """One folder of the collection."""

    name: str
    layout: Layout
    """``coco``: annotations.json; ``index``: dense masks; ``instances``: numbered masks of GeoTIFFs; ``places``:
    captions."""
    complete: frozenset[str] = frozenset()
    """Canonical classes of which every object is labelled."""
    sparse: frozenset[str] = frozenset()
    """Canonical classes that are labelled in some images and passed over in others: not even negatives in training."""
    open_licence: bool = False
    """Whether images and labels may be used, changed and passed on, by anybody for any purpose (with attribution or
    share alike at most). Unclear terms, research only and non-commercial are all False."""
    terms: str
    gsd_m: float | None = None
    """Ground size of a pixel where it is stated and the same for all images as they are here."""
    gsd_by_class: Mapping[str, float] = field(default_factory=dict)
    """The same where it follows from the class that an image shows."""
    pieces_are_objects: bool = False
    """Index masks: whether each connected piece is one thing, because such things do not touch."""
    scorable: bool = True
    """False where a machine drew all labels."""


_UNCLEAR = "terms unclear: experiments only"
_RESEARCH = "research only"

_SETS = (
    ImagerySet(
        name="airplanes-airbus",
        layout="coco",
        terms="CC BY-NC-SA 4.0, credit Airbus DS Geo / CNES",
        gsd_m=0.5,
    ),
    ImagerySet(name="bijie-landslides", layout="index", terms=_UNCLEAR),
    ImagerySet(name="cannes-pools", layout="index", pieces_are_objects=True, terms=_UNCLEAR),
    ImagerySet(
        name="czech-ortho",
        layout="index",
        complete=frozenset({"vegetation", "unpaved road", "paved area", "building", "water", "bare land"}),
        terms="images probably CC BY 4.0 (CUZK), labels without stated terms",
    ),
    ImagerySet(name="date-palms-saudi", layout="coco", terms=_UNCLEAR),
    ImagerySet(name="drone-vehicles-madison", layout="coco", terms=_UNCLEAR),
    ImagerySet(
        name="dubai-mbrsc",
        layout="index",
        complete=frozenset({"building", "road", "vegetation", "water"}),
        open_licence=True,
        terms="CC0 as stated",
    ),
    ImagerySet(name="eth-cil-roads", layout="index", complete=frozenset({"road"}), terms=_RESEARCH),
    ImagerySet(name="flood-area", layout="index", complete=frozenset({"flood water"}), terms=_UNCLEAR),
    ImagerySet(
        name="gsi-road-japan",
        layout="index",
        complete=frozenset({"road"}),
        open_licence=True,
        terms="Public Data License 1.0, credit the Geospatial Information Authority of Japan",
        gsd_m=0.2,
    ),
    ImagerySet(
        name="gsi-solar-japan",
        layout="index",
        open_licence=True,
        terms="GSI content terms (compatible with CC BY 4.0), credit the Geospatial Information Authority of Japan",
        gsd_m=0.2,
    ),
    ImagerySet(name="helipads-sao-paulo", layout="coco", terms=_UNCLEAR, gsd_m=0.27),
    ImagerySet(name="hokkaido-iburi-landslides", layout="index", terms="CC BY-NC 4.0"),
    ImagerySet(
        name="isaid-tiles",
        layout="coco",
        # Roundabouts, courts, flyovers and piers are now and then unmarked, cars where they are a few pixels long.
        complete=frozenset(
            {"airplane", "helicopter", "ship", "storage tank", "large vehicle", "baseball diamond", "swimming pool"}
            | {"soccer field", "ground track field"}
        ),
        terms=_RESEARCH,
    ),
    ImagerySet(name="jeju-greenhouses-pseudo", layout="index", terms=_UNCLEAR, scorable=False),
    ImagerySet(
        name="nwpu-vhr10",
        layout="coco",
        sparse=frozenset({"vehicle", "ship", "harbor"}),
        complete=frozenset(
            {"airplane", "storage tank", "baseball diamond", "tennis court", "basketball court", "ground track field"}
            | {"bridge"}
        ),
        terms=_RESEARCH,
    ),
    ImagerySet(
        name="oam-buildings",
        layout="instances",
        open_licence=True,
        terms="images CC BY 4.0 (Open Imagery Network), footprints ODbL (OpenStreetMap)",
    ),
    ImagerySet(name="oil-tanks-airbus", layout="coco", terms="probably CC BY-NC-SA 4.0, credit Airbus DS", gsd_m=1.2),
    ImagerySet(name="penang-landcover", layout="index", terms=_UNCLEAR),
    ImagerySet(name="ships-google", layout="coco", terms=_UNCLEAR),
    ImagerySet(name="sichuan-landslides", layout="index", open_licence=True, terms="CC BY 4.0 as stated"),
    ImagerySet(
        name="solar-panels-jiangsu",
        layout="coco",
        complete=frozenset({"solar panel", "solar farm"}),
        open_licence=True,
        terms="CC BY 4.0 by its Zenodo record (to be confirmed there)",
        gsd_by_class=MappingProxyType({"solar panel": 0.1, "solar farm": 1.2}),
    ),
    ImagerySet(name="spacenet-vegas-roads", layout="index", open_licence=True, terms="CC BY-SA 4.0 as stated"),
    ImagerySet(
        name="ucmerced", layout="places", terms="public-domain pixels; captions and questions without stated terms"
    ),
    ImagerySet(name="urban-trees-campo-grande", layout="coco", terms=_UNCLEAR, gsd_m=0.1),
    ImagerySet(
        name="vehicles-minsk-munich",
        layout="coco",
        open_licence=True,
        terms="CC BY 3.0 (KIT AIS) and CC BY-SA (Kharuzhy, Minsk OSM community)",
    ),
    ImagerySet(
        name="wind-turbines-naip", layout="coco", open_licence=True, terms="MIT labels, public-domain NAIP", gsd_m=1.0
    ),
)

IMAGERY_SETS: Mapping[str, ImagerySet] = MappingProxyType({known.name: known for known in _SETS})
"""Every described set by its folder's name."""
