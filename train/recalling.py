"""Class heads of a model that was stored without them: what its own words say is what its pixels are called.

The heads of `geoagent.model.auxiliary` are thrown away after training. A run that goes on from a stored model would
begin with random ones, and spend its first hundred steps on pulling the pixels after them.
"""

import numpy as np
import torch
from torch import Tensor

from geoagent.data.class_maps import CLASS_NAMES
from geoagent.data.classes import CLASSES
from geoagent.data.collate import collate
from geoagent.model.mllm import encode_images
from geoagent.model.pipeline import GeoAgentModel, collect_queries
from geoagent.model.processor import GeoAgentProcessor
from geoagent.plan import question_for
from geoagent.types import LabelledTarget, Pixels, Sample

_SIDE = 32
"""Of the picture that the language model is shown: it reads words here."""


@torch.no_grad()
def class_vectors(model: GeoAgentModel, processor: GeoAgentProcessor) -> Tensor:
    """[K,E+1]: the vector and the bias by which each class is looked for among the embedded pixels."""
    assert model.pixel_map is not None
    image = np.full((_SIDE, _SIDE, 3), 128, dtype=np.uint8)
    small = processor.with_sizes(sam=_SIDE, min_pixels=_SIDE**2, max_pixels=_SIDE**2)
    inputs = collate([[_asking(name, image) for name in CLASS_NAMES]], small, brief=True).inputs
    states = model.read_packed(inputs.text, encode_images(model.mllm, inputs.pixel_values, inputs.grid_thw))
    vectors: Tensor = model.pixel_map.to_vector(collect_queries(states, inputs.text).state)
    return vectors


def _asking(class_name: str, image: Pixels) -> Sample:
    """A sample that asks for all of a class, and finds it."""
    noun = CLASSES[class_name].plural
    there = LabelledTarget(phrase=noun, mask=np.ones(image.shape[:2], dtype=np.bool_), class_name=class_name)
    return Sample(id=class_name, image_id="", image=image, instruction=question_for(noun), targets=(there,))
