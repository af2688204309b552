"""Reading the pickles in which some data sets keep their expressions, without letting them run code."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from geoagent.types import GeoAgentError

_NUMPY_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")


class _NumberType:
    """Stands in for ``numpy.dtype`` while unpickling: plain numbers only, no smuggled object arrays."""

    def __init__(self, code: str, *_: object) -> None:
        kind = np.dtype(code)
        if kind.kind not in "biuf":
            raise pickle.UnpicklingError(f"numpy type {code!r} is not a number")
        self.kind = kind

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):
            self.kind = self.kind.newbyteorder(state[1])


def _number(kind: _NumberType, data: bytes | str) -> int | float | bool:
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    return np.frombuffer(raw, dtype=kind.kind, count=1)[0].item()


def _latin_bytes(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in _NUMPY_MODULES and name in ("dtype", "scalar"):
            return _NumberType if name == "dtype" else _number
        if (module, name) == ("_codecs", "encode"):  # how bytes are written by old protocols
            return _latin_bytes
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def load_plain_pickle(path: Path) -> Any:
    """Lists, dicts, strings and numbers from a pickle; anything that would import or call code is refused."""
    data = path.read_bytes()
    try:
        # Python 2 wrote text as raw bytes: UTF-8 where it is text, anything where it is the bytes of a number.
        return _PlainUnpickler(io.BytesIO(data), encoding="utf-8", errors="surrogateescape").load()
    except pickle.UnpicklingError as error:
        raise GeoAgentError(
            f"{path} was refused: a data set needs only lists, strings and numbers, but {error}; get a clean copy"
        ) from error
    except (EOFError, ValueError, TypeError, IndexError, KeyError, AttributeError, UnicodeDecodeError) as error:
        # What the pickle machine raises on damaged bytes depends on where the damage lies.
        raise GeoAgentError(f"{path} is damaged and cannot be read as a pickle: copy it again") from error
