"""Datasets by name: ``synth:test``, ``folder:PATH``, ``rrsis-d:PATH``, ``imagery:PATH`` and others.

A SPEC is ``name:where``. For datasets on disk ``where`` is the root as published; the synthetic world needs none and
names its split instead. The same SPEC works for evaluation, training and inspection.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import MappingProxyType
from typing import Any

from geoagent.data.dataset import SegmentationDataset, spread
from geoagent.types import GeoAgentError


@dataclass(frozen=True, kw_only=True)
class Entry:
    """How a name of the registry is opened."""

    module: str
    """Imported only when asked for."""
    factory: str
    """Called with the root, ``split=`` and the reader's own options."""
    default_split: str | None
    """What an evaluation looks at unless told otherwise; None: all there is."""
    about: str


def _entry(module: str, factory: str, default_split: str | None, about: str) -> Entry:
    return Entry(module=f"geoagent.data.{module}", factory=factory, default_split=default_split, about=about)


REGISTRY: Mapping[str, Entry] = MappingProxyType(
    {
        "folder": _entry("folder", "PlainFolder", None, "your own images with annotations.jsonl"),
        "coco": _entry("questioned", "CocoDataset", None, "COCO instances, questions made from them"),
        "masks": _entry(
            "questioned", "IndexMaskDataset", None, "index masks with classes.json, questions made from them"
        ),
        "imagery": _entry("imagery", "ImageryDataset", "val", "the real imagery collection"),
        "earthreason": _entry("earthreason", "EarthReason", "test", "EarthReason (SegEarth-R1)"),
        "lasers": _entry("lasers", "LaSeRS", "test", "LaSeRS (SegEarth-R2)"),
        "rrsis-d": _entry("rrsisd", "RRSISD", "test", "RRSIS-D (RMSIN)"),
        "refsegrs": _entry("refsegrs", "RefSegRS", "test", "RefSegRS"),
        "risbench": _entry("risbench", "RISBench", "test", "RISBench (CroBIM)"),
        "nwpu-refer": _entry("nwpu_refer", "NWPURefer", "test", "NWPU-Refer (MRSNet)"),
        "geoseg-1m": _entry("geoseg", "GeoSeg", "train", "GeoSeg-1M (UniGeoSeg)"),
        "geoseg-bench": _entry("geoseg", "GeoSeg", "test", "GeoSeg-Bench (UniGeoSeg)"),
    }
)
"""Datasets on disk, by the name in front of the colon."""

SYNTH = "synth"


def open_dataset(
    spec: str, *, split: str | None = None, limit: int | None = None, **options: Any
) -> SegmentationDataset:
    """Open the dataset that ``spec`` names.

    Args:
        spec: ``name:where``, for instance ``rrsis-d:PATH`` or ``synth:test``.
        split: Overrides the default split.
        limit: At most so many samples, evenly spread over the dataset.
        options: Passed to the reader (``questions="first"`` for EarthReason, ``language="zh"`` for NWPU-Refer …).

    Raises:
        GeoAgentError: for an unknown name, a missing folder, an option the reader does not have, or whatever the
            reader finds wrong.
    """
    name, _, where = spec.partition(":")
    name = name.strip().lower()
    if name == SYNTH:
        return spread(_open_synth(where or split or "test", options), limit)
    entry = _lookup(name, spec)
    root = _root(name, where)
    chosen = split or entry.default_split
    return spread(_call(entry, name, (root,), options if chosen is None else {"split": chosen, **options}), limit)


def splits_of(name: str, root: Path | None) -> list[str | None]:
    """The splits that a dataset has; ``[None]`` where it is one whole."""
    if name == SYNTH:
        return ["train", "val", "test"]
    entry = _lookup(name, name)
    if entry.factory == "GeoSeg" and root is not None:
        return [path.stem for path in sorted(root.glob("*.json"))] or [entry.default_split]
    return list(getattr(import_module(entry.module), "SPLITS", (None,)))


def describe() -> str:
    """One line a name, for help texts."""
    lines = [f"{SYNTH + ':SPLIT':20} rendered scenes (train, val or test)"]
    lines += [f"{name + ':PATH':20} {entry.about}" for name, entry in REGISTRY.items()]
    return "\n".join(lines)


def _lookup(name: str, spec: str) -> Entry:
    if name in REGISTRY:
        return REGISTRY[name]
    if Path(spec).exists():
        raise GeoAgentError(f"{spec!r} is a path: say what it holds, for instance folder:{spec}")
    near = get_close_matches(name, [SYNTH, *REGISTRY], n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise GeoAgentError(f"no dataset is called {name!r}: {hint}known are {', '.join([SYNTH, *REGISTRY])}")


def _root(name: str, where: str) -> Path:
    if not where and name == "imagery":
        from geoagent.data.imagery import imagery_root

        return imagery_root()
    if not where:
        raise GeoAgentError(f"{name} needs its folder: write {name}:PATH")
    root = Path(where).expanduser()
    if not root.exists():
        raise GeoAgentError(f"{root} does not exist: give the folder that holds {name}")
    return root


def _open_synth(split: str, options: dict[str, Any]) -> SegmentationDataset:
    entry = _entry("synthetic", "SynthDataset", None, "rendered scenes")
    return _call(entry, SYNTH, (), {"split": split, **options})


def _call(entry: Entry, name: str, arguments: tuple[Path, ...], options: dict[str, Any]) -> SegmentationDataset:
    factory: Callable[..., SegmentationDataset] = getattr(import_module(entry.module), entry.factory)
    unknown = sorted(set(options) - _accepted(factory))
    if unknown:
        raise GeoAgentError(
            f"{name} has no option {', '.join(unknown)}: it knows {', '.join(sorted(_accepted(factory)))}"
        )
    return factory(*arguments, **options)


def _accepted(factory: Callable[..., SegmentationDataset]) -> set[str]:
    return set(signature(factory).parameters) - {"root"}
