"""Sizes in the words of an answer: m² and metres where the image has a scale, pixels otherwise."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoagent.agent.answers import Answer, number
from geoagent.agent.grids import part_of
from geoagent.agent.masks import StoredMask
from geoagent.agent.rows import Rows, area_of_rows
from geoagent.geo.georef import is_measurable
from geoagent.geo.measure import Measurement, mask_area_m2, measure_object, measure_target
from geoagent.types import ImageInfo, Instance, Target

NO_SCALE = "no CRS and no ground size: pixels only"
_LISTED = 10
_MANY = 300


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
    # Pixel areas change smoothly: fewer and larger ones have the same sum.
    reduced = part_of(info, (0, 0, info.width, info.height), (min(info.height, 1024), min(info.width, 1024)))
    everything = mask_area_m2(np.ones(reduced.size, dtype=np.bool_), reduced)
    return metres / everything if everything else 0.0


def full(stored: StoredMask, mask_id: str) -> Answer:
    """Everything that `geoagent.geo.measure` tells of a mask, and its largest objects."""
    target, info = stored.target, stored.info
    if not target.mask.any():
        return {"phrase": target.phrase[:80], "objects": 0}
    answer = _of_many(stored, mask_id) if len(target.instances) > _MANY else _of_few(stored, mask_id)
    if not is_measurable(info):
        answer["warnings"] = [NO_SCALE]
    return answer


def _of_few(stored: StoredMask, mask_id: str) -> Answer:
    measured = measure_target(stored.target, 1, stored.info)
    metric = measured.unit == "m"
    answer: Answer = {
        "phrase": stored.target.phrase[:80],
        "objects": measured.count,
        **_extent(measured),
        ("area_error_m2" if metric else "area_error_px"): number(measured.area_error),
        ("perimeter_m" if metric else "perimeter_px"): number(measured.perimeter),
        "share_of_image": number(round(measured.share, 6)),
        **_centre(measured, stored.info),
    }
    if len(measured.instances) > 1:
        areas = np.array([one.area for one in measured.instances])
        ranked = sorted(measured.instances, key=lambda one: -one.area)
        answer |= _ranking(areas, ranked[:_LISTED], ranked[-1], mask_id)
    return answer


def _of_many(stored: StoredMask, mask_id: str) -> Answer:
    """Thousands of outlines would take minutes: areas of all, everything else of those that are listed."""
    target, info = stored.target, stored.info
    areas = np.array([area_of(one, info) for one in target.instances])
    order = np.argsort(-areas, kind="stable")
    listed = [
        measure_object(one.crop, info, one.box, phrase=target.phrase, instance=one.id)
        for one in (target.instances[int(place)] for place in (*order[:_LISTED], order[-1]))
    ]
    remark = f"more than {_MANY} objects: no perimeter and no length of all; measure some with larger_than"
    return {**brief(target, info), **_ranking(areas, listed[:-1], listed[-1], mask_id), "remark": remark}


def _ranking(areas: NDArray[np.float64], largest: Sequence[Measurement], smallest: Measurement, mask_id: str) -> Answer:
    """How the objects of a mask spread in size."""
    base = mask_id.partition("#")[0]
    answer: Answer = {
        "each": {
            name: number(float(value))
            for name, value in (("mean", areas.mean()), ("median", np.median(areas)), ("std", areas.std()))
        },
        "by_area": [{"id": f"{base}#{one.instance}", **_extent(one)} for one in largest],
    }
    if len(areas) > len(largest):
        answer["by_area_left_off"] = len(areas) - len(largest)
        answer["smallest"] = {"id": f"{base}#{smallest.instance}", **_extent(smallest)}
    return answer


def _extent(measured: Measurement) -> Answer:
    area, length, width = (
        ("area_m2", "length_m", "width_m") if measured.unit == "m" else ("area_px", "length_px", "width_px")
    )
    return {area: number(measured.area), length: number(measured.length), width: number(measured.width)}


def _centre(measured: Measurement, info: ImageInfo) -> Answer:
    x, y = measured.centre
    return {"centre_lonlat": [round(x, 7), round(y, 7)]} if info.crs else {"centre_px": [round(x, 1), round(y, 1)]}
