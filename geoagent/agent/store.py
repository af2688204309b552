"""Images and masks of one conversation, under opaque ids.

A workspace is a folder: an SQLite index, and a folder for each mask, picture and export. It is written under a
temporary name, moved into place, and only then entered into the index, so that after a crash the index names only what
is whole. Several threads and processes may share a workspace; what was used least recently goes when it is full.

Images stay where they are. Only those under the given roots get an id, and each time one is opened, the store looks
again whether the file is still inside its root once all links are followed.
"""

import hashlib
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from geoagent.agent.answers import quoted
from geoagent.agent.masks import StoredMask, load, save
from geoagent.types import GeoAgentError

SUFFIXES = (".tif", ".tiff", ".jpg", ".jpeg", ".png", ".jp2", ".webp")
MAX_BYTES = 2 << 30
MAX_IMAGES = 5000
_MAX_ITEMS = 10_000
_ORPHAN_AGE_S = 600.0
_UNFINISHED = 2
"""Long runs that were cancelled and can go on."""
_BUSY_S = 30.0
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, path TEXT UNIQUE NOT NULL, root TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS items (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, bytes INTEGER NOT NULL, used REAL NOT NULL
);
"""


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A picture or an export."""

    id: str
    name: str
    path: Path
    size: int


class SceneStore:
    """The workspace of one conversation.

    Args:
        folder: The workspace; made where it does not exist.
        roots: Folders whose images may be used, or single images.
        max_bytes: How much masks, pictures and exports may take together.
    """

    def __init__(self, folder: str | Path, roots: Sequence[str | Path] = (), *, max_bytes: int = MAX_BYTES) -> None:
        self.folder = Path(folder).resolve()
        self.max_bytes = max_bytes
        self._items, self._work = self.folder / "items", self.folder / "work"
        try:
            self._items.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GeoAgentError(f"{str(folder)!r} cannot be a workspace: {error.strerror or error}") from error
        self._roots = tuple(_existing(root) for root in roots)
        with self._index() as index:
            index.executescript(_SCHEMA)
        self._sweep()
        self.look_again()

    # -------------------------------------------------------------------------------------------------- images

    def look_again(self) -> None:
        """Give an id to every image under the roots that has none, and forget those that are gone."""
        found = {
            str(path): str(root)
            for root in self._roots
            for path in _images_under(root)
            if not (path.is_relative_to(self._items) or path.is_relative_to(self._work))
        }
        with self._index() as index:
            known = {path for (path,) in index.execute("SELECT path FROM images")}
            index.executemany("DELETE FROM images WHERE path = ?", [(path,) for path in known - set(found)])
            new = [(_new_id("img"), path, found[path]) for path in list(found)[:MAX_IMAGES] if path not in known]
            index.executemany("INSERT OR IGNORE INTO images VALUES (?, ?, ?)", new)

    def images(self) -> list[tuple[str, str]]:
        """``(id, name)`` of every image, by name; the name is relative to its root and comes from outside."""
        with self._index() as index:
            rows = index.execute("SELECT id, path, root FROM images ORDER BY path").fetchall()
        return [(name, _relative(Path(path), Path(root))) for name, path, root in rows]

    def image_path(self, image_id: str) -> Path:
        """Where an image lies; checked anew, since links and files may have changed."""
        with self._index() as index:
            row = index.execute("SELECT path, root FROM images WHERE id = ?", (image_id,)).fetchone()
        if row is None:
            raise self._unknown(image_id, "image", [name for name, _ in self.images()])
        path, root = Path(row[0]), Path(row[1])
        if not _lies_inside(path, root) or not path.is_file():
            raise GeoAgentError(f"the image {image_id} is no longer there: call list_images to look again")
        return path

    # -------------------------------------------------------------------------------------------------- masks

    def add_mask(self, mask: StoredMask) -> str:
        """Keep a mask and return its id."""
        item, draft = self._draft("mask")
        try:
            save(mask, draft)
            if _bytes_in(draft) > self.max_bytes:
                raise GeoAgentError("the workspace is too small for this mask: work on a region of the image")
            draft.replace(self._items / item)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        self._enter(item, "mask", "mask.npz")
        return item

    def mask(self, mask_id: str) -> StoredMask:
        """The mask of an id; ``mask_…#3`` is its third object."""
        name, separator, number = mask_id.strip().partition("#")
        try:
            stored = load(self._path_of(name, "mask").parent)
        except FileNotFoundError:
            raise GeoAgentError(f"the mask {name} is no longer kept: segment again") from None
        if not separator:
            return stored
        count = len(stored.pieces)
        if not number.isdigit() or not 1 <= int(number) <= count:
            raise GeoAgentError(f"{name} has {count} objects: write {name}#1 to {name}#{count}, or {name} for all")
        return stored.only(int(number))

    # -------------------------------------------------------------------------------------------------- files

    @contextmanager
    def new_file(self, name: str) -> Iterator[tuple[str, Path]]:
        """An id and a path to write a picture or an export to; it is kept once the block ends without an error."""
        item, draft = self._draft("file")
        try:
            yield item, draft / name
            if _bytes_in(draft) > self.max_bytes:
                raise GeoAgentError("the workspace is too small for this file: write another format, or a region")
            draft.replace(self._items / item)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        self._enter(item, "file", name)

    def file(self, file_id: str) -> StoredFile:
        """The picture or export of an id."""
        path = self._path_of(file_id, "file")
        if not path.is_file():
            raise GeoAgentError(f"the file {file_id} is no longer kept: make it again")
        return StoredFile(id=file_id, name=path.name, path=path, size=path.stat().st_size)

    def files(self) -> list[StoredFile]:
        """Every picture and export that is kept, oldest first."""
        with self._index() as index:
            rows = index.execute("SELECT id, name, bytes FROM items WHERE kind = 'file' ORDER BY rowid").fetchall()
        return [StoredFile(id=i, name=name, path=self._items / i / name, size=size) for i, name, size in rows]

    def mask_ids(self) -> list[str]:
        """The ids of all masks, newest first."""
        with self._index() as index:
            return [i for (i,) in index.execute("SELECT id FROM items WHERE kind = 'mask' ORDER BY rowid DESC")]

    @contextmanager
    def work(self, task: object) -> Iterator[Path]:
        """A folder for a long run, the same for the same task: one that was cancelled goes on there.

        It is gone when the block ends well; of those that did not, the last few stay.
        """
        # Only this process goes on with what it began: two at once would write into each other's files.
        folder = self._work / hashlib.sha256(f"{os.getpid()} {task!r}".encode()).hexdigest()[:24]
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        others = sorted((f for f in self._work.iterdir() if f != folder), key=lambda f: -f.stat().st_mtime)
        for old in others[_UNFINISHED - 1 :]:
            if time.time() - old.stat().st_mtime > _ORPHAN_AGE_S:  # otherwise another process may be at it
                shutil.rmtree(old, ignore_errors=True)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)

    # -------------------------------------------------------------------------------------------------- inside

    @contextmanager
    def _index(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        with closing(sqlite3.connect(self.folder / "index.sqlite", timeout=_BUSY_S)) as connection, connection:
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection

    def _draft(self, kind: str) -> tuple[str, Path]:
        """A new id, and a folder that becomes its own once it is whole."""
        item = _new_id(kind)
        draft = self._items / f".{item}"
        draft.mkdir()
        return item, draft

    def _enter(self, item: str, kind: str, name: str) -> None:
        """Enter an item into the index; what was used least recently makes room for it."""
        size = _bytes_in(self._items / item)
        with self._index() as index:
            index.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?)", (item, kind, name, size, time.time()))
            rows = index.execute("SELECT id, bytes FROM items ORDER BY used DESC, rowid DESC").fetchall()
            total, gone = 0, []
            for count, (one, bytes_) in enumerate(rows, start=1):
                total += bytes_
                if one != item and (total > self.max_bytes or count > _MAX_ITEMS):
                    gone.append(one)
            index.executemany("DELETE FROM items WHERE id = ?", [(one,) for one in gone])
        for one in gone:
            shutil.rmtree(self._items / one, ignore_errors=True)

    def _path_of(self, item: str, kind: str) -> Path:
        with self._index() as index:
            row = index.execute("SELECT name FROM items WHERE id = ? AND kind = ?", (item, kind)).fetchone()
            index.execute("UPDATE items SET used = ? WHERE id = ?", (time.time(), item))
            recent = index.execute(
                "SELECT id FROM items WHERE kind = ? ORDER BY rowid DESC LIMIT 5", (kind,)
            ).fetchall()
        if row is None:
            raise self._unknown(item, kind, [name for (name,) in recent])
        return self._items / item / str(row[0])

    def _unknown(self, asked: str, kind: str, known: Sequence[str]) -> GeoAgentError:
        cure = {
            "image": "call list_images for the images there are",
            "mask": "segment an image first, its answer names mask ids",
            "file": "render or export first",
        }[kind]
        hint = f"; there are {', '.join(known[:5])}" if known else ""
        return GeoAgentError(f"there is no {kind} {quoted(asked, 30)} in this conversation: {cure}{hint}")

    def _sweep(self) -> None:
        """Remove what a crash left behind: old drafts and files that never reached the index, rows without a file."""
        with self._index() as index:
            known = {i for (i,) in index.execute("SELECT id FROM items")}
            lost = [(i,) for i in known if not (self._items / i).is_dir()]
            index.executemany("DELETE FROM items WHERE id = ?", lost)
        for entry in self._items.iterdir():
            if entry.name not in known and time.time() - entry.stat().st_mtime > _ORPHAN_AGE_S:
                shutil.rmtree(entry, ignore_errors=True)


def _new_id(kind: str) -> str:
    return f"{kind}_{''.join(secrets.choice(_LETTERS) for _ in range(8))}"


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _existing(root: str | Path) -> Path:
    path = Path(root)
    if not path.exists():
        raise GeoAgentError(f"{str(path)!r} does not exist: give a folder of images, or an image")
    return path.resolve()


def _images_under(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder) / name
            visible = name.lower().endswith(SUFFIXES) and not name.startswith(".")
            if visible and path.is_file() and _lies_inside(path, root):
                yield path


def _lies_inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # gone, or links in a circle
        return False


def _relative(path: Path, root: Path) -> str:
    return path.name if path == root else str(path.relative_to(root))
