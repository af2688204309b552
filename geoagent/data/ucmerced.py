"""UC Merced Land Use with captions and questions: words about whole images, no masks.

    root/labels.json     images [{file, class, captions, split}], questions [{file, question, answer, split}]
    root/images/

It teaches what a place looks like (Yang and Newsam 2010; UCM-captions, Qu et al. 2016; RSIVQA, Zheng et al. 2021).
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from geoagent.data.dataset import checked_index, inside, read_json, require
from geoagent.data.images import read_rgb
from geoagent.types import AnnotatedScene, GeoAgentError, ImageInfo, Sample

GSD_M = 0.34
"""0.30 m at the published 256 px; the copies here are 224 px."""

PLACES: Mapping[str, str] = MappingProxyType(
    {
        "agricultural": "farmland",
        "airplane": "airport",
        "baseball diamond": "baseball ground",
        "buildings": "town centre",
        "chaparral": "shrubland",
        "dense residential": "dense residential area",
        "medium residential": "residential area",
        "sparse residential": "sparse residential area",
        "freeway": "motorway",
        "overpass": "motorway junction",
        "intersection": "road junction",
        "runway": "airfield",
        "storage tanks": "tank farm",
        "tennis court": "tennis ground",
    }
)
"""Land-use classes whose name is not what one would call the place."""


class UCMercedScenes:
    """Scenes without objects, with a kind of place and captions.

    Args:
        root: Folder in the layout above.
        split: ``train`` or ``val``; None takes both.
    """

    def __init__(self, root: Path, *, split: str | None = None) -> None:
        self.name, self.split = root.name, split or "all"
        self.remarks: tuple[str, ...] = ()
        self.root = root
        file = root / "labels.json"
        content = read_json(file)
        self.entries: list[Mapping[str, Any]] = []
        self._questions: dict[str, list[tuple[str, str]]] = {}
        for entry in content["images"]:
            if split is None or entry["split"] == split:
                require(inside(root, entry["file"], str(file)), f"{file.name} names it")
                self.entries.append(entry)
        listed = {entry["file"] for entry in content["images"]}
        for asked in content.get("questions", ()):
            if asked["file"] not in listed:
                raise GeoAgentError(f"{file} asks about {asked['file']}, which is not among its images")
            self._questions.setdefault(Path(asked["file"]).stem, []).append((asked["question"], asked["answer"]))

    def __len__(self) -> int:
        return len(self.entries)

    def scene_id(self, index: int) -> str:
        """Set and file name without suffix."""
        return f"{self.name}/{Path(self.entries[index]['file']).stem}"

    def place(self, index: int) -> str:
        """Ten neighbouring numbers of a class: often one site."""
        return Path(self.entries[index]["file"]).stem[:-1]

    def scene(self, index: int) -> AnnotatedScene:
        """Read image ``index``."""
        entry = self.entries[checked_index(index, len(self.entries), self.name)]
        path = self.root / entry["file"]
        image = read_rgb(path)
        return AnnotatedScene(
            id=self.scene_id(index),
            image=image,
            objects=(),
            complete=frozenset(),
            gsd_m=GSD_M,
            source=self.name,
            split=entry["split"],
            info=ImageInfo(width=image.shape[1], height=image.shape[0], gsd_m=GSD_M, path=str(path)),
            place=PLACES.get(entry["class"], entry["class"]),
            captions=tuple(entry["captions"]),
        )

    def plain_questions(self, scene: AnnotatedScene) -> list[Sample]:
        """The people's questions about a scene, with their short answers."""
        asked = self._questions.get(scene.id.rpartition("/")[2], [])
        return [
            Sample(
                id=f"{scene.id}/asked{number}",
                image_id=scene.id,
                image=scene.image,
                instruction=question[:1].upper() + question[1:],
                targets=(),
                answer=f"{answer[:1].upper()}{answer[1:]}.",
                type="chat",
                source=scene.source,
                info=scene.info,
            )
            for number, (question, answer) in enumerate(asked)
        ]
