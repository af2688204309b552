"""What the browser draws of an answer: outlines, rows and steps, as JSON text."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from geoagent.app.conversation import Conversation
from geoagent.app.review import Review
from geoagent.app.steps import steps_of
from geoagent.app.wording import facts, size_text
from geoagent.cli.words import area
from geoagent.geo.measure import mask_area_m2
from geoagent.geo.style import target_colour
from geoagent.geo.vector import object_outlines
from geoagent.geo.webmap import lonlat_grid, svg_path
from geoagent.types import Target


def answer_json(conversation: Conversation) -> str:
    """Everything about the image in view and its last answer; without an image, what answers."""
    model, device = conversation.model.name, conversation.model.device
    if not conversation.images:
        return json.dumps({"name": None, "facts": facts(None, model, device)}, ensure_ascii=False)
    about = conversation.image
    info, turn = about.read().info, conversation.turn
    content: dict[str, Any] = {
        "name": about.name,
        "images": [image.name for image in conversation.images],
        "current": conversation.current,
        "turn": len(conversation.turns),
        "width": info.width,
        "height": info.height,
        "gsd": info.gsd_m,
        "facts": facts(info, model, device),
        "grid": lonlat_grid(info),
        "question": turn.question if turn else "",
        "prompts": _drawn(turn.prompts) if turn else None,
        "steps": steps_of(turn.review) if turn else [],
        **(_found(turn.review) if turn else {"targets": [], "objects": [], "absent": []}),
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def _found(review: Review) -> dict[str, Any]:
    info = review.prediction.image
    targets, objects = [], []
    shown = {id(kept): n for n, kept in enumerate(review.result.targets, start=1)}
    kept = review.result.candidates
    for place, target in review.found:
        number = shown.get(id(kept[place]))
        colour = "rgb({},{},{})".format(*target_colour(number)) if number else "rgb(128,128,128)"
        targets.append(
            {
                "phrase": target.phrase,
                "score": round(target.score, 3),
                "colour": colour,
                "count": len(kept[place].instances),
                "size": size_text(kept[place].mask, info),
            }
        )
        objects += _objects(review, place, target, len(targets) - 1)
    absent = [{"phrase": t.phrase, "score": round(t.score, 3)} for t in review.result.absent]
    return {"targets": targets, "objects": objects, "absent": absent}


def _objects(review: Review, place: int, target: Target, shown: int) -> list[dict[str, Any]]:
    whole = target.box
    assert whole is not None, "a target that counts is not empty"
    things = [(i.id, i.score, i.box, i.crop) for i in review.objects(place)]
    if not target.instances:
        things = [(0, target.score, whole, target.mask[whole[1] : whole[3], whole[0] : whole[2]])]
    info = review.prediction.image
    new = [(number, box, crop) for number, _, box, crop in things if (place, number) not in review.drawn]
    outlines = object_outlines([(box, crop) for _, box, crop in new], info)
    for (number, box, crop), drawn in zip(new, outlines, strict=True):
        metres, pixels = mask_area_m2(crop, info, box), int(np.count_nonzero(crop))
        review.drawn[place, number] = {
            "size": area(metres, pixels),
            "area": metres,
            "pixels": pixels,
            "path": svg_path(drawn),
            "box": list(box),
        }
    return [
        {
            "key": [place, number],
            "target": shown,
            "score": round(score, 3),
            "rejected": (place, number) in review.rejected,
            **review.drawn[place, number],
        }
        for number, score, _, _ in things
    ]


def _drawn(prompts: Any) -> dict[str, Any]:
    return {"points": prompts.points, "boxes": prompts.boxes, "scribbles": prompts.scribbles}


def static_text(*names: str) -> str:
    """The browser's part of the page, files joined."""
    folder = Path(__file__).parent / "static"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)
