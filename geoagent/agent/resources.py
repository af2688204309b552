"""Pictures, masks and exports of a workspace as MCP resources, by id and never by path."""

import io
import mimetypes
import re
from math import ceil

import mcp.types as types
from PIL import Image
from pydantic import AnyUrl

from geoagent.agent.answers import quoted
from geoagent.agent.store import SceneStore
from geoagent.agent.toolbox import Toolbox
from geoagent.types import GeoAgentError, Mask

_PATTERN = re.compile(r"geoagent://(preview|mask|file)/([a-z0-9_]{1,40})(#\d{1,6})?")
_LISTED = 50
_LARGEST_FILE = 64 << 20
_LARGEST_SIDE = 8192


def listed_resources(store: SceneStore) -> list[types.Resource]:
    """What can be read: a preview of each image, the newest masks and files."""
    previews = [
        types.Resource(
            uri=AnyUrl(f"geoagent://preview/{i}"), name=f"preview {i}", title=quoted(n), mimeType="image/png"
        )
        for i, n in store.images()[:_LISTED]
    ]
    masks = [
        types.Resource(uri=AnyUrl(f"geoagent://mask/{i}"), name=f"mask {i}", mimeType="image/png")
        for i in store.mask_ids()[:_LISTED]
    ]
    files = [
        types.Resource(uri=AnyUrl(f"geoagent://file/{f.id}"), name=f.name, mimeType=_mime(f.name), size=f.size)
        for f in store.files()[-_LISTED:]
    ]
    return [*previews, *masks, *files]


def resource_templates() -> list[types.ResourceTemplate]:
    """How an id becomes an address."""
    return [
        types.ResourceTemplate(
            uriTemplate="geoagent://preview/{image_id}", name="preview of an image", mimeType="image/png"
        ),
        types.ResourceTemplate(
            uriTemplate="geoagent://mask/{mask_id}", name="mask as a black and white picture", mimeType="image/png"
        ),
        types.ResourceTemplate(uriTemplate="geoagent://file/{file_id}", name="picture or export"),
    ]


def read_resource(toolbox: Toolbox, uri: AnyUrl) -> tuple[bytes, str]:
    """The bytes of a resource and their type."""
    match = _PATTERN.fullmatch(str(uri))
    if match is None:
        raise GeoAgentError("there is no such resource: geoagent://preview/…, geoagent://mask/… or geoagent://file/…")
    kind, name = match[1], match[2] + (match[3] or "")
    if kind == "preview":
        return toolbox.preview(name), "image/png"
    if kind == "mask":
        return _picture_of(toolbox.store.mask(name).target.mask), "image/png"
    file = toolbox.store.file(name)
    if file.size > _LARGEST_FILE:
        raise GeoAgentError(f"{file.name} is too large to send: it lies in the workspace")
    return file.path.read_bytes(), _mime(file.name)


def _picture_of(mask: Mask) -> bytes:
    """A mask in black and white, reduced where it is very large."""
    step = ceil(max(mask.shape) / _LARGEST_SIDE)
    buffer = io.BytesIO()
    Image.fromarray(mask[::step, ::step]).save(buffer, format="PNG")
    return buffer.getvalue()


def _mime(name: str) -> str:
    if name.endswith(".geojson"):
        return "application/geo+json"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
