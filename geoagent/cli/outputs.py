"""The files of ``-o``: checked before the model runs, written after it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geoagent.geo.export import SUFFIXES, check_output, save_prediction
from geoagent.types import GeoAgentError

if TYPE_CHECKING:
    from geoagent.types import Prediction


def check_outputs(paths: Sequence[Path], image: str) -> None:
    """Raise for the first file that could not be written: nobody should wait for a model to learn that."""
    for path in paths:
        if not path.name.lower().replace(".tiff", ".tif").endswith(SUFFIXES):
            raise GeoAgentError(f"{str(path)!r} has no suffix that can be written: use one of {', '.join(SUFFIXES)}")
        check_output(path, image)
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise GeoAgentError(f"{str(path)!r} cannot be written: permission denied")


def write_outputs(prediction: "Prediction", paths: Sequence[Path], *, right_angles: bool = False) -> None:
    """Write every file; each appears only when it is whole."""
    for path in paths:
        try:
            save_prediction(prediction, path, right_angles=right_angles)
        except OSError as error:
            raise GeoAgentError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
