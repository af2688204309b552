"""What was said about each tile, kept on disk by rows of tiles: a run that was killed goes on where it stopped.

A row appears only when it is whole (temporary file, then rename). Everything after it is computed from the journal
alone, so that a resumed run gives the same bytes as one that was never stopped.
"""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoagent.types import GeoAgentError

State = Literal["answered", "empty", "failed"]
_STATES: tuple[State, ...] = ("answered", "empty", "failed")


@dataclass(frozen=True, eq=False)
class Packed:
    """An array [H,W] of few different values, compressed: rows of tiles are held, and most of a tile is nothing."""

    data: bytes
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, array: NDArray[Any]) -> "Packed":
        """Pack an array."""
        return cls(zlib.compress(array.tobytes(), level=1), array.shape, array.dtype.name)

    def array(self) -> NDArray[Any]:
        """A copy of the array."""
        return np.frombuffer(zlib.decompress(self.data), self.dtype).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class PhraseAnswer:
    """What a tile says about one phrase."""

    score: float
    logits: NDArray[np.float16]
    """[h,w] over the whole tile, at the model's resolution."""
    labels: Packed | None = None
    """uint16 [tile height, tile width]: objects that the model told apart; None: connected components do."""


@dataclass(frozen=True, eq=False)
class TileAnswer:
    """What is known of a tile."""

    state: State
    """``empty``: nothing but nodata, so nobody asked; ``failed``: asked twice, and no answer."""
    phrases: tuple[PhraseAnswer, ...] = ()
    valid: Packed | None = None
    """bool [tile height, tile width]: pixels that hold a picture; None: all of them."""
    tokens: int = 0
    problem: str = ""
    """Why it failed."""


class Journal:
    """The folder of a run.

    Args:
        folder: Created where it is not there.
        task: What is being asked about which image: a folder that holds another task is refused.
    """

    def __init__(self, folder: Path, task: Mapping[str, Any]) -> None:
        self.folder = folder
        note, text = folder / "task.json", json.dumps(task, ensure_ascii=False, indent=1, sort_keys=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if note.exists():
                if note.read_text(encoding="utf-8") != text:
                    raise GeoAgentError(
                        f"the work folder {str(folder)!r} holds another question, image or model: give an empty one"
                    )
            elif any(folder.iterdir()):
                raise GeoAgentError(f"the work folder {str(folder)!r} holds other files: give an empty one")
            else:
                _replace(note, text.encode())
        except OSError as error:
            raise GeoAgentError(f"the work folder {str(folder)!r} cannot be used: {error.strerror}") from error

    def read(self, row: int) -> tuple[TileAnswer, ...] | None:
        """A row of tiles; None where it has not been finished."""
        path = self._path(row)
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return tuple(_tile(entry, arrays, n) for n, entry in enumerate(json.loads(str(arrays["tiles"]))))
        except (zipfile.BadZipFile, zlib.error, ValueError, KeyError) as error:
            raise GeoAgentError(f"{str(path)!r} is damaged: delete it and run again") from error

    def write(self, row: int, tiles: Sequence[TileAnswer]) -> None:
        """Keep a row."""
        arrays: dict[str, NDArray[Any]] = {}
        entries = []
        for n, tile in enumerate(tiles):
            scores = [phrase.score for phrase in tile.phrases]
            shapes = [_pack_into(arrays, f"{n}.valid", tile.valid)]
            for k, phrase in enumerate(tile.phrases):
                arrays[f"{n}.{k}.logits"] = phrase.logits
                shapes.append(_pack_into(arrays, f"{n}.{k}.labels", phrase.labels))
            entries.append([_STATES.index(tile.state), scores, shapes, tile.tokens, tile.problem])
        stream = io.BytesIO()
        np.savez_compressed(stream, tiles=np.array(json.dumps(entries)), **arrays)  # type: ignore[arg-type]
        _replace(self._path(row), stream.getvalue())

    def _path(self, row: int) -> Path:
        return self.folder / f"row-{row:05d}.npz"


def _pack_into(arrays: dict[str, NDArray[Any]], name: str, packed: Packed | None) -> list[int] | None:
    """Enter a packed array; returns its shape."""
    if packed is None:
        return None
    arrays[name] = np.frombuffer(packed.data, np.uint8)
    return list(packed.shape)


def _packed(arrays: Mapping[str, NDArray[Any]], name: str, shape: list[int] | None, dtype: str) -> Packed | None:
    return None if shape is None else Packed(arrays[name].tobytes(), tuple(shape), dtype)


def _tile(entry: list[Any], arrays: Mapping[str, NDArray[Any]], n: int) -> TileAnswer:
    state, scores, (valid, *shapes), tokens, problem = entry
    phrases = tuple(
        PhraseAnswer(score, arrays[f"{n}.{k}.logits"], _packed(arrays, f"{n}.{k}.labels", shape, "uint16"))
        for k, (score, shape) in enumerate(zip(scores, shapes, strict=True))
    )
    return TileAnswer(_STATES[state], phrases, _packed(arrays, f"{n}.valid", valid, "bool"), tokens, problem)


def _replace(path: Path, content: bytes) -> None:
    """Write a file that is either whole or not there, whatever happens to the machine."""
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
