"""Pictures and files for the user."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from geoagent.agent.answers import Answer
from geoagent.agent.grids import on_one_grid
from geoagent.agent.masks import StoredMask
from geoagent.agent.output import FORMATS, Drawing, draw, draw_box, export_to
from geoagent.agent.progress import report
from geoagent.agent.toolbox.base import MaskId, Outcome, Tools
from geoagent.types import Box, GeoAgentError

Format = Literal["geojson", "gpkg", "tif", "ids.tif", "png", "html", "parquet", "json", "coco.json"]


class ShowTools(Tools):
    """`render` and `export`, and pictures for the programs around the tools."""

    def preview(self, image_id: str) -> bytes:
        """A small picture of an image, as PNG."""
        return draw(self._sight.picture(image_id)[0].pixels).png

    def outline_box(self, image_id: str, box: Box, label: str) -> Outcome:
        """A picture of an image with a box drawn on it."""
        raster, step = self._sight.picture(image_id)
        return self._kept_picture(draw_box(raster.pixels, box, step, label))

    def render(
        self,
        ids: Annotated[list[str], Field(description="mask ids of one image, or one image id", min_length=1)],
        show: Annotated[bool, Field(description="true: return the picture itself; only for models that see")] = False,
    ) -> Outcome:
        """Draw masks over their image, as a file for the user."""
        report("drawing")
        if len(ids) == 1 and ids[0].startswith("img_"):
            masks: list[StoredMask] = []
            drawing = draw(self._sight.picture(ids[0])[0].pixels)
        else:
            masks = _on_common_grid([self.store.mask(one) for one in ids])
            drawing = draw(self._sight.pixels_under(masks[0]), masks)
        kept = self._kept_picture(drawing)
        answer: Answer = {
            **kept.answer,
            "legend": [
                {"colour": colour, "mask_id": one, "phrase": mask.target.phrase[:60]}
                for one, mask, colour in zip(ids, masks, drawing.colours, strict=False)
            ],
        }
        return Outcome(answer, files=kept.files, picture=drawing.png if show else None)

    def export(
        self,
        mask_id: MaskId,
        format: Annotated[Format, Field(description="geojson, gpkg: outlines; tif: mask; png, html: pictures")],
    ) -> Outcome:
        """Write a mask to a file for the user, with coordinates where the image has them."""
        stored = self.store.mask(mask_id)
        report("writing the file")
        if format in ("png", "html"):
            stored = replace(stored, info=self._sight.with_picture(stored))
        name = f"{_file_name(stored.target.phrase)}.{format}"
        with self.store.new_file(name) as (file_id, path):
            export_to(stored, path)
        file = self.store.file(file_id)
        answer: Answer = {
            "file_id": file_id,
            "file_name": name,
            "what": FORMATS[format],
            "objects": len(stored.pieces),
            "bytes": file.size,
        }
        if stored.info.crs is None:
            answer["warnings"] = ["no CRS: coordinates are pixels"]
        return Outcome(answer, files=(file,))

    def _kept_picture(self, drawing: Drawing) -> Outcome:
        with self.store.new_file("picture.png") as (file_id, path):
            path.write_bytes(drawing.png)
        file = self.store.file(file_id)
        answer: Answer = {"file_id": file_id, "file_name": file.name}
        return Outcome({**answer, "width_px": drawing.width, "height_px": drawing.height}, files=(file,))


def _on_common_grid(masks: Sequence[StoredMask]) -> list[StoredMask]:
    if len({mask.image_id for mask in masks}) > 1:
        raise GeoAgentError("the masks belong to different images: render those of one image at a time")
    grid = masks[0]
    for mask in masks[1:]:
        grid, _ = on_one_grid(grid, mask)
    return [on_one_grid(grid, mask)[1] for mask in masks]


def _file_name(phrase: str) -> str:
    """A file name of plain letters, whatever the phrase."""
    letters = "".join(c if c.isascii() and c.isalnum() else "-" for c in phrase.lower())
    return "-".join(part for part in letters.split("-") if part)[:40] or "mask"
