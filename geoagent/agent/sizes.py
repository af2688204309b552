"""Sizes in the words of an answer: m² and metres where the image has a scale, pixels otherwise."""

import numpy as np

from geoagent.agent.answers import Answer, number
from geoagent.agent.masks import StoredMask
from geoagent.agent.rows import Rows, area_of_rows
from geoagent.geo.measure import Measurement, mask_area_m2, measure_target
from geoagent.types import ImageInfo, Instance, Target

NO_SCALE = "no CRS and no ground size: pixels only"
_LISTED = 10


def area_of(one: Instance, info: ImageInfo) -> float:
    """Area of an object in m², or in pixels without a scale."""
    metres = mask_area_m2(one.crop, info, one.box)
    return float(one.area) if metres is None else metres


def brief(target: Target, info: ImageInfo, *, count: bool = True) -> Answer:
    """Count, area and share of the image."""
    metres = mask_area_m2(target.mask, info)
    area: Answer = {"area_px": target.pixel_count} if metres is None else {"area_m2": number(metres)}
    objects = {"objects": len(target.instances) or int(target.mask.any())} if count else {}
    share_ = {"share_of_image": number(round(_ratio(target.pixel_count, metres, info), 6))}
    return {"phrase": target.phrase[:80], **objects, **area, **share_}


def share(part: StoredMask, whole: StoredMask) -> Answer:
    """How much of a mask another one is, by number and by area."""
    objects, all_objects = len(part.pieces), len(whole.pieces)
    a, b = part.target.mask, whole.target.mask
    return {
        "objects": f"{objects} of {all_objects}",
        "share_of_objects": number(round(objects / all_objects, 6)) if all_objects else 0,
        **share_of_area(lambda top, bottom: a[top:bottom] & b[top:bottom], whole),
    }


def share_of_area(part: Rows, whole: StoredMask) -> Answer:
    """Area of a part of a mask, and which share of it that is."""
    pixels, metres = area_of_rows(whole.info, part)
    if metres is None:
        return {"area_px": pixels, "share_of_area": number(round(pixels / max(1, whole.target.pixel_count), 6))}
    everything = mask_area_m2(whole.target.mask, whole.info)
    return {"area_m2": number(metres), "share_of_area": number(round(metres / everything, 6)) if everything else 0}


def _ratio(pixels: int, metres: float | None, info: ImageInfo) -> float:
    """Which part of the image that is."""
    if metres is None:
        return pixels / (info.width * info.height)
    everything = mask_area_m2(np.broadcast_to(np.True_, info.size), info)  # takes no memory
    return metres / everything if everything else 0.0


def full(stored: StoredMask, mask_id: str) -> Answer:
    """Everything that `geoagent.geo.measure` tells of a mask, and its largest objects."""
    target, info = stored.target, stored.info
    if not target.mask.any():
        return {"phrase": target.phrase[:80], "objects": 0}
    measured = measure_target(target, 1, info)
    metric = measured.unit == "m"
    answer: Answer = {
        "phrase": target.phrase[:80],
        "objects": measured.count,
        **_extent(measured),
        ("area_error_m2" if metric else "area_error_px"): number(measured.area_error),
        ("perimeter_m" if metric else "perimeter_px"): number(measured.perimeter),
        "share_of_image": number(round(measured.share, 6)),
        **_centre(measured, info),
    }
    if len(measured.instances) > 1:
        areas = np.array([one.area for one in measured.instances])
        answer["each"] = {
            name: number(float(value))
            for name, value in (("mean", areas.mean()), ("median", np.median(areas)), ("std", areas.std()))
        }
        base = mask_id.partition("#")[0]
        ranked = sorted(measured.instances, key=lambda one: -one.area)
        answer["by_area"] = [{"id": f"{base}#{one.instance}", **_extent(one)} for one in ranked[:_LISTED]]
        if len(ranked) > _LISTED:
            answer["by_area_left_off"] = len(ranked) - _LISTED
            answer["smallest"] = {"id": f"{base}#{ranked[-1].instance}", **_extent(ranked[-1])}
    if not metric:
        answer["warnings"] = [NO_SCALE]
    return answer


def _extent(measured: Measurement) -> Answer:
    area, length, width = (
        ("area_m2", "length_m", "width_m") if measured.unit == "m" else ("area_px", "length_px", "width_px")
    )
    return {area: number(measured.area), length: number(measured.length), width: number(measured.width)}


def _centre(measured: Measurement, info: ImageInfo) -> Answer:
    x, y = measured.centre
    return {"centre_lonlat": [round(x, 7), round(y, 7)]} if info.crs else {"centre_px": [round(x, 1), round(y, 1)]}
