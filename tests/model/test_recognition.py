"""Objects seen as wholes: what is pooled of them, and what is dropped."""

import numpy as np
import pytest
import torch
from tiny import tiny_model

from geoagent.model.configuration import RecognitionConfig
from geoagent.model.recognition import ObjectRecognition, pool
from geoagent.types import Instance, Target

WIDTH = 4
SIZE = (32, 48)
CLASSES = ("bus", "truck")


def recognition(least=-1.0):
    return ObjectRecognition(RecognitionConfig(classes=CLASSES, width=8, least=least), WIDTH)


def objects(*boxes, score=0.9):
    mask = np.zeros(SIZE, dtype=np.bool_)
    instances = []
    for number, (x0, y0, x1, y1) in enumerate(boxes, start=1):
        mask[y0:y1, x0:x1] = True
        crop = np.ones((y1 - y0, x1 - x0), dtype=np.bool_)
        instances.append(Instance(id=number, box=(x0, y0, x1, y1), crop=crop, score=score, image_size=SIZE))
    return Target(phrase="buses", score=0.8, mask=mask, instances=tuple(instances))


def only_where_bright(network):
    """A network that takes for a bus whatever has a high first channel inside."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.read.weight[0, 0] = 1.0
        network.classify.weight[0, 0] = 10.0
        network.classify.bias[0] = -20.0
    return network


def test_what_is_inside_and_around_is_averaged_over_the_right_cells():
    pixels = torch.zeros(WIDTH, 8, 12)
    pixels[0, 2:4, 3:6] = 5.0
    pooled = pool(pixels, (12, 8, 24, 16), np.ones((8, 12), dtype=np.bool_), SIZE)  # four pixels a cell: cells 2:4, 3:6
    inside, most, around, measures = pooled.split([WIDTH, WIDTH, WIDTH, 3])
    assert inside[0] == pytest.approx(5.0) and most[0] == 5.0 and around[0] == 0.0
    assert measures.tolist() == pytest.approx([np.log(6), np.log(3), 1.0])


def test_a_cell_counts_by_the_share_that_the_object_has_of_it():
    pixels = torch.arange(12.0).expand(WIDTH, 8, 12)
    pooled = pool(pixels, (2, 0, 10, 4), np.ones((4, 8), dtype=np.bool_), SIZE)  # half of cells 0 and 2, all of cell 1
    assert pooled[0] == pytest.approx(1.0)
    assert pooled[3 * WIDTH] == pytest.approx(np.log(2.0))


def test_objects_of_less_than_a_cell_are_pooled_as_well():
    pooled = pool(torch.ones(WIDTH, 2, 3), (5, 5, 6, 6), np.ones((1, 1), dtype=np.bool_), SIZE)
    assert torch.isfinite(pooled).all() and pooled[0] == pytest.approx(1.0)


def test_what_is_something_else_is_dropped_from_mask_and_objects():
    pixels = torch.zeros(WIDTH, 8, 12)
    pixels[0, 0:2, 0:2] = 5.0
    found = objects((0, 0, 8, 8), (24, 16, 32, 24))
    left = only_where_bright(recognition()).checked(found, "bus", pixels)
    assert [one.box for one in left.instances] == [(0, 0, 8, 8)]
    assert left.mask[:8, :8].all() and left.mask.sum() == 64
    assert found.mask.sum() == 128, "the target that was given stays as it was"


def test_the_best_is_never_dropped_and_other_classes_are_left_alone():
    found, pixels = objects((0, 0, 8, 8), (24, 16, 32, 24)), torch.zeros(WIDTH, 8, 12)
    pixels[0, 4:6, 6:8] = 0.1
    network = only_where_bright(recognition())
    assert [one.box for one in network.checked(found, "bus", pixels).instances] == [(24, 16, 32, 24)]
    assert network.checked(found, "river", pixels) is found
    assert network.checked(found, None, pixels) is found


def test_what_passes_for_it_stays():
    network = ObjectRecognition(RecognitionConfig(classes=("solar panel", "solar farm", "bus"), width=8), WIDTH)
    only_where_bright(network)  # which the first class is
    found, pixels = objects((0, 0, 8, 8), (24, 16, 32, 24)), torch.zeros(WIDTH, 8, 12)
    pixels[0] = 5.0
    with torch.no_grad():
        network.classify.bias[1:] = -20.0
    assert network.checked(found, "solar farm", pixels) is found
    pixels[0, 0:2, 0:2] = 0.0  # what is no solar panel does not pass
    assert [one.box for one in network.checked(found, "solar farm", pixels).instances] == [(24, 16, 32, 24)]


def test_before_it_has_learned_everything_passes():
    found = objects((0, 0, 8, 8), (24, 16, 32, 24), score=0.5)
    assert recognition().checked(found, "bus", torch.randn(WIDTH, 8, 12)) is found


def test_it_needs_the_pixel_map():
    with pytest.raises(ValueError, match="pixel_map"):
        tiny_model(recognition={"classes": ["bus"]})
    model, _ = tiny_model(recognition={"classes": ["bus"]}, prompting={"pixel_map": 8})
    assert model.recognition.classify.out_features == 1
