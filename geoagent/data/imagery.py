"""The real imagery collection: many small sets of real pixels as one dataset.

    root/<set>/annotations.json | classes.json | labels.json | masks of a described set …

Sets that `geoagent.data.imagery_sets` describes are read as it says; any further folder with COCO annotations or index
masks is taken too, with nothing assumed complete and its terms unknown. The collection stays where it is: nothing of it
is copied into this project.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geoagent.data.coco import CocoScenes
from geoagent.data.dataset import require, require_split
from geoagent.data.imagery_sets import IMAGERY_SETS, ImagerySet
from geoagent.data.index_masks import IndexMaskScenes
from geoagent.data.instance_masks import InstanceMaskScenes
from geoagent.data.questioned import QuestionedScenes, Wordings, question_maker
from geoagent.data.scenes import JoinedScenes, SceneSource
from geoagent.data.ucmerced import UCMercedScenes
from geoagent.types import AnnotatedScene, GeoAgentError, Sample

ENVIRONMENT = "GEOAGENT_IMAGERY"
SPLITS = ("train", "val")


def imagery_root() -> Path:
    """The collection that the environment variable names.

    Raises:
        GeoAgentError: if it is not set.
    """
    root = os.environ.get(ENVIRONMENT)
    if not root:
        raise GeoAgentError(f"no real imagery is known: set {ENVIRONMENT} to its folder, or write imagery:PATH")
    return Path(root)


class ImageryDataset(QuestionedScenes):
    """Questions about real images, made anew from their labels by the same rules as for rendered scenes.

    Args:
        root: The collection.
        split: ``train`` or ``val``.
        questions_per_image: How many of each image.
        seed: Another seed asks other questions.
        wordings: ``train`` or the held-out ``test`` wordings; by default those that belong to the split.
        kinds: Weights of the kinds of question; None takes the usual ones.
        sets: Only these folders; None takes all.
        only_open: Only sets under an open licence.
    """

    def __init__(
        self,
        root: Path,
        split: str = "train",
        *,
        questions_per_image: int = 8,
        seed: int = 0,
        wordings: Wordings | None = None,
        kinds: Mapping[str, float] | None = None,
        sets: Iterable[str] | None = None,
        only_open: bool = False,
    ) -> None:
        require_split(split, SPLITS, "the imagery collection")
        sources = open_sets(root, split, sets=sets, only_open=only_open)
        if kinds is not None and not kinds.get("chat"):
            # Captioned places have no masks: nothing but plain questions can be asked about them.
            sources = [source for source in sources if not isinstance(source, UCMercedScenes)]
        joined = JoinedScenes("imagery", split, sources)
        self._ask_labels = question_maker(split, wordings, kinds)
        self._ask_place = question_maker(split, wordings, {"chat": 1.0})
        self._captioned: dict[str, UCMercedScenes] = {s.name: s for s in sources if isinstance(s, UCMercedScenes)}
        super().__init__(joined, self._make, questions_per_image, seed)

    def _make(self, scene: AnnotatedScene, count: int, rng: np.random.Generator) -> Sequence[Sample]:
        captioned = self._captioned.get(scene.source)
        if captioned is None:
            return self._ask_labels(scene, count, rng)
        # Half of what is asked about a captioned image are people's own questions, as far as there are any.
        asked = captioned.plain_questions(scene)
        chosen = rng.permutation(len(asked))[: (count + 1) // 2].tolist()
        return [*(asked[number] for number in chosen), *self._ask_place(scene, count - len(chosen), rng)]


def each_set(root: Path, split: str = "train", *, only_open: bool = False, **options: Any) -> list[ImageryDataset]:
    """One dataset a set, to be weighted by `geoagent.data.mixture`; ``options`` as for `ImageryDataset`."""
    opened = []
    for source in open_sets(root, split, only_open=only_open):
        dataset = ImageryDataset(root, split, sets=[source.name], **options)
        dataset.name = f"imagery/{source.name}"
        opened.append(dataset)
    return [dataset for dataset in opened if len(dataset)]


def open_sets(
    root: Path, split: str | None, *, sets: Iterable[str] | None = None, only_open: bool = False
) -> list[SceneSource]:
    """The sets of the collection that have images in ``split``, in the order of their names.

    Raises:
        GeoAgentError: if the root holds none, or lacks one of ``sets``.
    """
    folders = sorted(path for path in require(root, "the imagery collection is not there").iterdir() if path.is_dir())
    if sets is not None:
        wanted = set(sets)
        missing = sorted(wanted - {folder.name for folder in folders})
        if missing:
            raise GeoAgentError(
                f"{root} has no set {', '.join(missing)}: it holds {', '.join(f.name for f in folders)}"
            )
        folders = [folder for folder in folders if folder.name in wanted]
    opened = [source for folder in folders if (source := _open_set(folder, split, only_open=only_open))]
    found = [source for source in opened if len(source)]
    if not found:
        raise GeoAgentError(
            f"{root} holds no {split or 'labelled'} images: expected folders such as isaid-tiles below it"
        )
    return found


def _open_set(folder: Path, split: str | None, *, only_open: bool) -> SceneSource | None:
    known = IMAGERY_SETS.get(folder.name) or _guess(folder)
    if known is None or (only_open and not known.open_licence):
        return None
    match known.layout:
        case "coco":
            return CocoScenes(
                folder,
                split=split,
                complete=known.complete,
                sparse=known.sparse,
                gsd_m=known.gsd_m,
                gsd_by_class=known.gsd_by_class,
            )
        case "index":
            return IndexMaskScenes(
                folder,
                split=split,
                complete=known.complete,
                gsd_m=known.gsd_m,
                scorable=known.scorable,
                pieces_are_objects=known.pieces_are_objects,
            )
        case "instances":
            # One mosaic each of a few towns, without a published split: for training.
            return InstanceMaskScenes(folder, "building") if split in (None, "train") else None
        case "places":
            return UCMercedScenes(folder, split=split)


def _guess(folder: Path) -> ImagerySet | None:
    """A folder that the table does not describe: read if its layout is clear."""
    if (folder / "annotations.json").exists():
        return ImagerySet(name=folder.name, layout="coco", terms="unknown")
    if (folder / "classes.json").exists() and (folder / "masks").is_dir():
        return ImagerySet(name=folder.name, layout="index", terms="unknown")
    return None
