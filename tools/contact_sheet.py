"""Contact sheets: samples with their masks drawn over the image and the words beneath, to be looked at by a person."""

import colorsys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from geoagent.types import Mask, Pixels, Sample

_LINE = 14
_LINES = 5


def mask_colours(count: int) -> list[tuple[int, int, int]]:
    """Colours far apart on the colour circle, the same for the same rank."""
    hues = [(0.02 + 0.382 * rank) % 1.0 for rank in range(count)]
    return [tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.85, 1.0)) for hue in hues]  # type: ignore[misc]


def draw_masks(image: Pixels, masks: Sequence[Mask], ignore: Mask | None = None) -> Pixels:
    """The image with each mask tinted and outlined, unknown pixels darkened."""
    canvas = image.astype(np.float32)
    if ignore is not None:
        canvas[ignore] *= 0.45
    width = max(1, round(min(image.shape[:2]) / 250))
    for mask, colour in zip(masks, mask_colours(len(masks)), strict=True):
        canvas[mask] = 0.6 * canvas[mask] + 0.4 * np.array(colour)
        canvas[mask & ~_shrunk(mask, width)] = colour
    return canvas.clip(0, 255).astype(np.uint8)


def draw_sample(sample: Sample, side: int) -> Image.Image:
    """One tile of a sheet: the picture with masks and prompts, question and answer beneath."""
    unknown = [target.ignore for target in sample.targets if target.ignore is not None]
    ignore = np.asarray(np.logical_or.reduce(unknown), dtype=np.bool_) if unknown else None
    picture = Image.fromarray(draw_masks(sample.image, [target.mask for target in sample.targets], ignore))
    pen = ImageDraw.Draw(picture)
    thick = max(2, round(min(picture.size) / 120))
    for x, y, positive in sample.prompts.points:
        pen.ellipse((x - 2 * thick, y - 2 * thick, x + 2 * thick, y + 2 * thick), fill="lime" if positive else "red")
    for box in sample.prompts.boxes:
        pen.rectangle(box, outline="white", width=thick)
    for line in sample.prompts.scribbles:
        pen.line(list(line), fill="white", width=thick)
    picture.thumbnail((side, side))
    if max(picture.size) < side:
        scale = side / max(picture.size)
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    tile = Image.new("RGB", (side, side + _LINES * _LINE + 4), "white")
    tile.paste(picture, (0, 0))
    _write(ImageDraw.Draw(tile), sample, side)
    return tile


def draw_sheet(samples: Sequence[Sample], path: Path, *, columns: int = 4, side: int = 320) -> Path:
    """Write a sheet of samples as a picture file."""
    tiles = [draw_sample(sample, side) for sample in samples]
    rows = -(-len(tiles) // columns)
    height = side + _LINES * _LINE + 4
    sheet = Image.new("RGB", (columns * (side + 6), rows * (height + 6)), "grey")
    for number, tile in enumerate(tiles):
        sheet.paste(tile, ((number % columns) * (side + 6) + 3, (number // columns) * (height + 6) + 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    return path


def _write(pen: ImageDraw.ImageDraw, sample: Sample, side: int) -> None:
    font = ImageFont.load_default(size=11)
    letters = side // 6
    answer = sample.answer or ", ".join(f"{t.phrase} {'yes' if t.present else 'no'}" for t in sample.targets)
    question = textwrap.wrap(f"[{sample.type}] {sample.instruction}", letters)[:2]
    reply = textwrap.wrap(answer or "no target", letters)[: _LINES - len(question)]
    for number, line in enumerate(question + reply):
        colour = "black" if number < len(question) else "navy"
        pen.text((3, side + 2 + number * _LINE), line, fill=colour, font=font)


def _shrunk(mask: Mask, width: int) -> Mask:
    from scipy.ndimage import binary_erosion

    return np.asarray(binary_erosion(mask, iterations=width), dtype=np.bool_)
