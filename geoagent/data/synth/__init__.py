"""The procedural world: aerial scenes with exact truth, rendered from a seed.

Everything is laid out in metres, drawn with the painter's algorithm into a buffer of surface ids, and only then turned
into colours; what a mask holds is therefore exactly what the picture shows.
"""

from geoagent.data.synth.georeference import write_geotiff
from geoagent.data.synth.landscapes import LANDSCAPES
from geoagent.data.synth.paste import Cutout, paste_objects
from geoagent.data.synth.scene import RENDERED_CLASSES, render_scene

__all__ = ["LANDSCAPES", "RENDERED_CLASSES", "Cutout", "paste_objects", "render_scene", "write_geotiff"]
