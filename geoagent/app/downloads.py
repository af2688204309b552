"""Taking an answer away: files, and the same question as Python or as a command."""

import re
import shlex
from pathlib import Path

from geoagent.app.conversation import Conversation, Turn
from geoagent.geo.export import save_prediction
from geoagent.types import GeoAgentError, Prompts

FORMATS = {
    "GeoJSON": ".geojson",
    "GeoPackage": ".gpkg",
    "GeoTIFF": ".tif",
    "COCO": ".coco.json",
    "PNG": ".png",
    "HTML": ".html",
}


def write_download(conversation: Conversation, label: str) -> Path:
    """Write the reviewed answer about the image in view; its name says of what it is."""
    turn = _last(conversation)
    stem = re.sub(r"[^\w-]+", "-", Path(conversation.image.name).stem).strip("-") or "image"
    return save_prediction(turn.review.result, conversation.folder / f"{stem}-answer{FORMATS[label]}")


def as_python(conversation: Conversation) -> str:
    """The last question as a script."""
    turn = _asked(conversation)
    arguments = [repr(conversation.image.name), repr(turn.question)]
    arguments += [f"{kind}={value!r}" for kind, value in _pointed(turn.prompts).items()]
    lines = [
        "import geoagent",
        "",
        f"model = geoagent.load({conversation.model.name!r})",
        f"prediction = model.segment({', '.join(arguments)})",
    ]
    if turn.review.threshold != turn.review.prediction.threshold:
        lines.append(f"prediction = prediction.with_threshold({turn.review.threshold:g})")
    return "\n".join([*lines, 'prediction.save("answer.geojson")', ""])


def as_command(conversation: Conversation) -> str:
    """The last question as one line for a shell."""
    turn = _asked(conversation)
    words = ["geoagent", "segment", conversation.image.name, turn.question, "--model", conversation.model.name]
    for x, y, positive in turn.prompts.points:
        words += ["--point", f"{x:g},{y:g}" + ("" if positive else ",0")]
    for box in turn.prompts.boxes:
        words += ["--box", ",".join(f"{value:g}" for value in box)]
    for line in turn.prompts.scribbles:
        words += ["--scribble", " ".join(f"{x:g},{y:g}" for x, y in line)]
    if turn.review.threshold != turn.review.prediction.threshold:
        words += ["--min-score", f"{turn.review.threshold:g}"]
    return shlex.join([*words, "-o", "answer.geojson"])


def _last(conversation: Conversation) -> Turn:
    """The last answer about the image in view."""
    if conversation.turn is None:
        raise GeoAgentError("nothing was asked about this image yet: ask first, then take the answer away")
    return conversation.turn


def _asked(conversation: Conversation) -> Turn:
    """The last one that came from the model: a follow-up about its objects has no meaning without it."""
    last = _last(conversation)
    asked = (t for t in reversed(conversation.turns) if t.image == conversation.current and not t.from_objects)
    return next(asked, last)


def _pointed(prompts: Prompts) -> dict[str, object]:
    kinds = {"points": prompts.points, "boxes": prompts.boxes, "scribbles": prompts.scribbles}
    return {name: list(value) for name, value in kinds.items() if value}
