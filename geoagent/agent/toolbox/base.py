"""What all tools have in common: the workspace, the model, and the form of an answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import Field

from geoagent.agent.answers import Answer
from geoagent.agent.masks import StoredMask
from geoagent.agent.progress import CancelledError, Turn
from geoagent.agent.segmenter import Segmenter
from geoagent.agent.sight import Sight
from geoagent.agent.store import SceneStore, StoredFile
from geoagent.geo.georef import is_measurable
from geoagent.types import GeoAgentError

T = TypeVar("T")
ImageId = Annotated[str, Field(description="an id from list_images, such as img_k3x8qz2a", max_length=80)]
MaskId = Annotated[
    str, Field(description="an id from a tool's answer; mask_…#3 is the third object of a mask", max_length=80)
]


@dataclass(frozen=True)
class Outcome:
    """What a tool found: words for the language model, the rest for the program around it."""

    answer: Answer
    files: tuple[StoredFile, ...] = ()
    picture: bytes | None = None
    """PNG, only where the model asked to see it."""


def guarded(name: str, function: Callable[..., T], arguments: Mapping[str, Any]) -> T:
    """Call a tool, or what reads for one; what breaks inside it becomes an error that tells neither paths nor code."""
    try:
        return function(**arguments)
    except (GeoAgentError, CancelledError):
        raise
    except Exception as error:  # whatever it is: its words may name paths, and a conversation must go on
        raise GeoAgentError(f"{name} failed ({type(error).__name__}): try another image, region or text") from error


class Tools:
    """Tools of one conversation.

    Args:
        store: Its images and masks.
        model: What segments, see `Segmenter`.
        gsd_m: Ground size of a pixel in metres for images that do not know theirs.
        turn: Held while the model works, where others use the same one.
    """

    def __init__(
        self, store: SceneStore, model: Segmenter, *, gsd_m: float | None = None, turn: Turn | None = None
    ) -> None:
        self.store = store
        self._sight = Sight(store, model, gsd_m=gsd_m, turn=turn)


def check_scale(stored: StoredMask, metres: float | None) -> None:
    """Metres can be asked of a mask only where its image has a scale."""
    if metres and not is_measurable(stored.info):
        raise GeoAgentError(
            f"{stored.image_id} has no coordinates and no ground size, so metres cannot be told: "
            "ask the user for the size of a pixel (--gsd), or compare areas in pixels"
        )
