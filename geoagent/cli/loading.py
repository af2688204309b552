"""Loading what a command works with, quietly."""

import argparse
from typing import TYPE_CHECKING

import numpy as np

from geoagent.geo.opening import open_raster, reading

if TYPE_CHECKING:
    from geoagent.agent.segmenter import LazySegmenter
    from geoagent.predictor import Predictor
    from geoagent.types import Mask


def load_model(args: argparse.Namespace) -> "Predictor":
    """The model that `geoagent.cli.parsing.add_model_arguments` describes."""
    from geoagent.model.catalogue import check_name

    check_name(args.model)
    from transformers.utils import logging

    from geoagent import predictor

    logging.disable_progress_bar()  # of weights going from disk to memory; a download still shows its own
    return predictor.load(args.model, device=args.device, quantize=args.quantize, grounding=args.grounding)


def lazy_model(args: argparse.Namespace) -> "LazySegmenter":
    """The same for tools: loaded when the first image is looked at."""
    from geoagent.agent.segmenter import LazySegmenter

    return LazySegmenter(args.model, lambda: load_model(args))


def read_mask(path: str) -> "Mask":
    """Bool [H,W]: where any band of a mask file is not 0. Its nodata counts as 0."""
    with open_raster(path) as dataset, reading(path):
        bands = [number for number, colour in enumerate(dataset.colorinterp, start=1) if colour.name != "alpha"]
        drawn = (dataset.read(bands) != 0).any(axis=0)
        return np.asarray(drawn & (dataset.dataset_mask() != 0))
