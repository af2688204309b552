"""The words geoagent speaks: what a question, an answer, a target and an instance are.

Shapes: H, W are the height and width of the image as the user gave it; h, w those of a crop; N is a number of targets.
Boxes are ``(x0, y0, x1, y1)`` in pixels, x1 and y1 exclusive; points are ``(x, y)`` in pixels from the top left corner.
Nothing here imports torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import geopandas

    from geoagent.geo.measure import Measurement

Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]

DEFAULT_THRESHOLD = 0.5


class GeoAgentError(Exception):
    """A mistake of the caller that one sentence explains: a missing file, a point outside the image, an unknown model.

    The command line prints it as one line and exits with 2; tools pass it on to the language model.
    """


def check_mask(mask: Mask, what: str) -> None:
    """Raise unless ``mask`` is a two-dimensional boolean array."""
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(f"{what} must be bool [H,W], not {mask.dtype} {list(mask.shape)}")


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """What is known of an image besides its pixels."""

    width: int
    height: int
    crs: str | None = None
    """``EPSG:…`` where there is a code, otherwise WKT; None means that the image has no place on Earth."""
    transform: tuple[float, float, float, float, float, float] | None = None
    """Affine ``(a, b, c, d, e, f)``: x = a·column + b·row + c, y = d·column + e·row + f, in units of ``crs``."""
    gsd_m: float | None = None
    """Ground size of a pixel in metres (true ground size, not that of the projection); None: unknown, never guessed."""
    path: str | None = None
    bands: tuple[int, ...] = ()
    """1-based numbers of the bands shown as red, green and blue."""
    stretch: tuple[tuple[float, float], ...] | None = None
    """Per band, the values mapped to 0 and 255; None: the 8-bit values as they are."""
    nodata: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)``."""
        return self.height, self.width


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """What a person pointed at, in pixels of the image. Each kind may be empty."""

    points: tuple[tuple[float, float, bool], ...] = ()
    """``(x, y, positive)``."""
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    scribbles: tuple[tuple[tuple[float, float], ...], ...] = ()
    """Each a polyline of ``(x, y)``, drawn over what is meant."""
    masks: tuple[Mask, ...] = ()
    """bool [H,W] each: a rough outline to start from."""

    def __bool__(self) -> bool:
        return bool(self.points or self.boxes or self.scribbles or self.masks)

    def extent(self) -> tuple[float, float, float, float] | None:
        """``(x0, y0, x1, y1)`` of everything pointed at; None where that is nothing."""
        points = [(x, y) for x, y, _ in self.points]
        points += [corner for x0, y0, x1, y1 in self.boxes for corner in ((x0, y0), (x1, y1))]
        points += [point for line in self.scribbles for point in line]
        for mask in self.masks:
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            if rows.size:
                points += [(float(columns[0]), float(rows[0])), (float(columns[-1]) + 1, float(rows[-1]) + 1)]
        if not points:
            return None
        xs, ys = zip(*points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def window(self, side: int, size: tuple[int, int]) -> Box:
        """A square of ``side`` about everything pointed at, moved into the image ``(H, W)`` and cut to it."""
        x0, y0, x1, y1 = self.extent() or (0, 0, size[1], size[0])
        height, width = (min(side, whole) for whole in size)
        top = int(np.clip(round((y0 + y1) / 2 - height / 2), 0, size[0] - height))
        left = int(np.clip(round((x0 + x1) / 2 - width / 2), 0, size[1] - width))
        return left, top, left + width, top + height

    def within(self, window: Box) -> "Prompts":
        """The same in pixels of a window."""
        x, y, right, bottom = window
        return Prompts(
            points=tuple((px - x, py - y, positive) for px, py, positive in self.points),
            boxes=tuple((x0 - x, y0 - y, x1 - x, y1 - y) for x0, y0, x1, y1 in self.boxes),
            scribbles=tuple(tuple((px - x, py - y) for px, py in line) for line in self.scribbles),
            masks=tuple(mask[y:bottom, x:right] for mask in self.masks),
        )

    def check_inside(self, width: int, height: int) -> None:
        """Raise `GeoAgentError` for the first coordinate outside the image or mask of another size."""
        corners = [(x, y) for x0, y0, x1, y1 in self.boxes for x, y in ((x0, y0), (x1, y1))]
        drawn = [point for line in self.scribbles for point in line]
        for x, y in [(x, y) for x, y, _ in self.points] + corners + drawn:
            if not (0 <= x <= width and 0 <= y <= height):
                raise GeoAgentError(f"({x:g}, {y:g}) lies outside the image, which is {width} x {height} pixels")
        for x0, y0, x1, y1 in self.boxes:
            if x1 <= x0 or y1 <= y0:
                raise GeoAgentError(f"the box {x0:g},{y0:g},{x1:g},{y1:g} is empty: give X0,Y0,X1,Y1 with X0<X1, Y0<Y1")
        for mask in self.masks:
            if mask.shape != (height, width):
                raise GeoAgentError(f"a prompt mask is {mask.shape[1]} x {mask.shape[0]}, the image {width} x {height}")


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One object of a target, kept as a crop so that thousands of them stay small."""

    id: int
    """Counts from 1 within its target."""
    box: Box
    crop: Mask
    """bool [h,w]: the object inside ``box``."""
    score: float
    image_size: tuple[int, int]
    """``(H, W)`` of the image that ``box`` refers to."""

    def __post_init__(self) -> None:
        check_mask(self.crop, "Instance.crop")
        x0, y0, x1, y1 = self.box
        if self.crop.shape != (y1 - y0, x1 - x0):
            raise ValueError(f"Instance.crop {self.crop.shape} does not fill its box {self.box}")

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.crop.sum())

    @property
    def mask(self) -> Mask:
        """bool [H,W]: the object in the whole image."""
        full = np.zeros(self.image_size, dtype=np.bool_)
        x0, y0, x1, y1 = self.box
        full[y0:y1, x0:x1] = self.crop
        return full


@dataclass(frozen=True)
class ScoreClues:
    """What a score is made of, as logits."""

    token: float
    """Of P(<seg>) against <rej>; 0 for what was pointed at."""
    object: float
    """SAM2's object score."""
    iou: float
    """SAM2's guess of its mask's IoU."""
    peak: float
    """Of its mask where that is surest."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """How a mask was found: maps over the whole image for people to look at, float32 [h,w], each on its own grid.

    The first three are attention (A_fu of ASCR): which share of what a place listens to is these words.
    """

    question: NDArray[np.float32] | None = None
    phrase: NDArray[np.float32] | None = None
    seg: NDArray[np.float32] | None = None
    """The phrase's own <seg> or <rej>."""
    prompt: NDArray[np.float32] | None = None
    """How strongly the dense prompt marks each place for SAM2's decoder, 0 where it says nothing."""
    clues: ScoreClues | None = None


@dataclass(frozen=True, kw_only=True)
class Target:
    """A phrase of the answer with one mask: everything that the phrase refers to."""

    phrase: str
    score: float
    """Calibrated probability that the thing is there and that the mask is it."""
    mask: Mask
    """bool [H,W] at the image's own size; in images of more than 8,192 pixels a side a
    `geoagent.geo.mask_file.MaskFile`, which answers to the same calls but stays on disk."""
    instances: tuple[Instance, ...] = ()
    coarse: NDArray[np.float32] | None = None
    """Where the grounding looked: probabilities on the vision-token grid, float32 [Hv,Wv]."""
    evidence: Evidence | None = None

    def __post_init__(self) -> None:
        check_mask(self.mask, "Target.mask")

    @property
    def box(self) -> Box | None:
        """The smallest box around the mask, None when it is empty."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        if not rows.size:
            return None
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    @property
    def pixel_count(self) -> int:
        """Number of pixels of the mask."""
        return int(self.mask.sum())


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """An answer in words and masks.

    Every phrase of the answer was decoded to a mask; the threshold only decides which of them count. So
    `with_threshold` costs nothing.
    """

    answer: str
    """Plain words, without marks."""
    marked_answer: str
    """The same with its marks: ``Fuel is kept in the <p>storage tanks</p><seg>.``"""
    candidates: tuple[Target, ...]
    """Every phrase in answer order, whatever its score."""
    image: ImageInfo
    instruction: str
    model: str
    threshold: float = DEFAULT_THRESHOLD
    seconds: float = 0.0
    tokens: int = 0
    """Tokens that the language model wrote."""
    warnings: tuple[str, ...] = ()
    holes: tuple[Box, ...] = ()
    """Parts of a large image that could not be looked at, also after a second try."""
    pixels: Pixels | None = field(default=None, repr=False)
    """uint8 [H,W,3]: what was looked at, for pictures of the answer; None: read again from ``image.path``."""
    valid: Mask | None = field(default=None, repr=False)
    """bool [H,W]: pixels that hold a picture; None: all of them."""

    def __post_init__(self) -> None:
        for target in self.candidates:
            if target.mask.shape != self.image.size:
                raise ValueError(f"mask of {target.phrase!r} is {target.mask.shape}, the image {self.image.size}")

    @property
    def targets(self) -> tuple[Target, ...]:
        """What was found: candidates at or above the threshold whose mask is not empty."""
        return tuple(t for t in self.candidates if t.score >= self.threshold and t.mask.any())

    @property
    def absent(self) -> tuple[Target, ...]:
        """What was asked for and not found, with its score."""
        return tuple(t for t in self.candidates if t.score < self.threshold or not t.mask.any())

    @property
    def masks(self) -> Mask:
        """bool [N,H,W] of the targets, N = 0 included."""
        if not self.targets:
            return np.zeros((0, *self.image.size), dtype=np.bool_)
        return np.stack([t.mask for t in self.targets])

    def with_threshold(self, threshold: float) -> "Prediction":
        """The same prediction decided again at another score; nothing is run."""
        return replace(self, threshold=threshold)

    def measure(self) -> list["Measurement"]:
        """Size, length and number of what was found: m² and m where the image has a place or a scale, otherwise px."""
        from geoagent.geo.measure import measure_prediction

        return measure_prediction(self)

    def to_geodataframe(self) -> "geopandas.GeoDataFrame":
        """One row an instance, in the CRS of the image (pixels when it has none)."""
        from geoagent.geo.vector import prediction_to_geodataframe

        return prediction_to_geodataframe(self)

    def to_json(self) -> dict[str, Any]:
        """The prediction as one JSON object: what ``geoagent segment --json`` prints."""
        from geoagent.geo.export import prediction_to_json

        return prediction_to_json(self)

    def save(self, path: str | Path, *, right_angles: bool = False) -> Path:
        """Write to ``path`` in the format of its suffix; ``right_angles`` squares up the outlines of buildings."""
        from geoagent.geo.export import save_prediction

        return save_prediction(self, path, right_angles=right_angles)


# ------------------------------------------------------------------------------------------ labelled data


@dataclass(frozen=True, kw_only=True)
class LabelledTarget:
    """The truth for one phrase of an answer."""

    phrase: str
    mask: Mask
    """bool [H,W], the union of everything meant; all False for something that was asked for and is not there."""
    ignore: Mask | None = None
    """bool [H,W]: pixels whose truth is unknown; neither trained on nor scored."""
    instances: tuple[Instance, ...] | None = None
    """The single objects where the labels know them (score 1)."""
    class_name: str | None = None
    """Canonical name of the class in `geoagent.data.classes`, where known."""
    scorable: bool = True
    """False for masks made by a machine (ellipses, cut-outs): good for training, never for scoring."""

    def __post_init__(self) -> None:
        check_mask(self.mask, "LabelledTarget.mask")
        if self.ignore is not None and self.ignore.shape != self.mask.shape:
            raise ValueError(f"LabelledTarget.ignore {self.ignore.shape} is not the size of the mask {self.mask.shape}")

    @property
    def present(self) -> bool:
        """Whether the image shows the thing at all."""
        return bool(self.mask.any())


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One question about one image with its true answer."""

    id: str
    image_id: str
    """Samples of one image share it; training packs them into one sequence."""
    image: Pixels
    """uint8 [H,W,3]. Samples of one image may share the array: do not write into it."""
    instruction: str
    targets: tuple[LabelledTarget, ...]
    """In the order of the phrases in ``answer``; absent ones included, with an empty mask."""
    answer: str | None = None
    """The true answer with marks (``<p>…</p><seg>``, ``<p>…</p><rej>``); None: one is made from the phrases."""
    type: str = "reference"
    """Kind of question: reference, position, implicit, several, absent, interactive, chat …"""
    source: str = ""
    prompts: Prompts = field(default_factory=Prompts)
    info: ImageInfo | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Unknown keys of the annotation, copied unchanged to the evaluation's records."""

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"Sample.image must be uint8 [H,W,3], not {self.image.dtype} {list(self.image.shape)}")
        for target in self.targets:
            if target.mask.shape != self.image.shape[:2]:
                raise ValueError(
                    f"{self.id}: the mask of {target.phrase!r} is {target.mask.shape}, "
                    f"the image {self.image.shape[:2]} (height, width)"
                )

    @property
    def has_target(self) -> bool:
        """Whether anything that was asked for is in the image."""
        return any(target.present for target in self.targets)


@dataclass(frozen=True, kw_only=True)
class SceneObject:
    """One thing (or one area of stuff) of an annotated scene."""

    class_name: str
    """Canonical name in `geoagent.data.classes`."""
    box: Box
    crop: Mask
    """bool [h,w]: the object inside ``box``, as far as it is visible."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """What is known besides: ``colour``, ``heading_deg`` (clockwise from north), ``length_m``, ``centre`` …"""
    parts: tuple["SceneObject", ...] = ()
    ignore: Mask | None = None
    """bool [h,w] over ``box``: unknown pixels (a box around an inner ellipse, the belt of a road)."""
    scorable: bool = True

    def __post_init__(self) -> None:
        check_mask(self.crop, "SceneObject.crop")
        x0, y0, x1, y1 = self.box
        if self.crop.shape != (y1 - y0, x1 - x0):
            raise ValueError(f"SceneObject.crop {self.crop.shape} does not fill its box {self.box}")

    @property
    def area(self) -> int:
        """Number of visible pixels."""
        return int(self.crop.sum())


@dataclass(frozen=True, kw_only=True)
class AnnotatedScene:
    """An image with everything known about it: what instructions are made from, rendered or real."""

    id: str
    image: Pixels
    """uint8 [H,W,3]."""
    objects: tuple[SceneObject, ...]
    complete: frozenset[str]
    """Classes of which *every* object is annotated: only of these may absence be asked or objects be counted."""
    labelled: frozenset[str] = frozenset()
    """Classes that the labels look for and rarely miss: good enough for negatives in training, not for such claims."""
    ignore: Mask | None = None
    """bool [H,W]: pixels about which nothing is known."""
    gsd_m: float | None = None
    source: str = ""
    split: str = "train"
    info: ImageInfo | None = None
    place: str | None = None
    """Kind of place for plain questions: ``port``, ``airport``, ``farmland`` …"""
    captions: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)``."""
        return int(self.image.shape[0]), int(self.image.shape[1])

    def of_class(self, class_name: str) -> tuple[SceneObject, ...]:
        """All objects of a class, in the order of annotation."""
        return tuple(o for o in self.objects if o.class_name == class_name)

    def union(self, objects: Sequence[SceneObject]) -> Mask:
        """bool [H,W]: everything covered by ``objects``."""
        mask = np.zeros(self.size, dtype=np.bool_)
        for thing in objects:
            x0, y0, x1, y1 = thing.box
            mask[y0:y1, x0:x1] |= thing.crop
        return mask

    def class_names(self) -> Iterator[str]:
        """Classes that occur, each once, in order of first occurrence."""
        yield from dict.fromkeys(o.class_name for o in self.objects)
