import numpy as np
import pytest
from miniatures import block, coco, picture, write_json
from PIL import Image

from geoagent.data.index_masks import IndexMaskScenes
from geoagent.data.instructions import KINDS, make_samples
from geoagent.data.questioned import CocoDataset, IndexMaskDataset, QuestionedScenes, ask_about, question_maker
from geoagent.data.scenes import JoinedScenes, instance_from_mask, object_from_mask, tight_box
from geoagent.types import AnnotatedScene, GeoAgentError, Sample


class Scenes:
    """Bare scenes by name."""

    def __init__(self, name, stems):
        self.name, self.split, self.remarks, self.stems = name, "train", (), stems

    def __len__(self):
        return len(self.stems)

    def scene_id(self, index):
        return f"{self.name}/{self.stems[index]}"

    def place(self, index):
        return self.stems[index][0]

    def scene(self, index):
        image = np.zeros((4, 4, 3), dtype=np.uint8)
        return AnnotatedScene(id=self.scene_id(index), image=image, objects=(), complete=frozenset())


def ask(scene, count, rng):
    """Questions that show what they were made from."""
    return [
        Sample(id=scene.id, image_id=scene.id, image=scene.image, instruction=f"{rng.integers(10**9)}", targets=())
        for _ in range(count)
    ]


def test_questions_depend_on_scene_and_seed_only():
    alone = QuestionedScenes(Scenes("s", ["b"]), ask, questions_per_image=3, seed=1)
    among = QuestionedScenes(Scenes("s", ["a", "b", "c"]), ask, questions_per_image=3, seed=1)
    backwards = [among[index].instruction for index in reversed(range(9))][::-1]
    assert [s.instruction for s in among] == backwards
    assert [s.instruction for s in alone] == backwards[3:6]
    assert len(set(backwards)) == 9
    other = QuestionedScenes(Scenes("s", ["b"]), ask, questions_per_image=3, seed=2)
    assert [s.instruction for s in other] != backwards[3:6]
    assert among.groups() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert len({s.id for s in among}) == 9


def test_a_scene_with_few_questions_is_asked_again_or_refused():
    one_at_a_time = QuestionedScenes(Scenes("s", ["a"]), lambda s, n, rng: ask(s, 1, rng), 3, 0)
    assert len({sample.instruction for sample in one_at_a_time}) == 3
    silent = QuestionedScenes(Scenes("s", ["a"]), lambda s, n, rng: [], 3, 0)
    with pytest.raises(GeoAgentError, match="only 0 of 3 questions can be asked about s/a"):
        silent[0]
    with pytest.raises(GeoAgentError, match="at least one"):
        QuestionedScenes(Scenes("s", ["a"]), ask, 0, 0)


def test_joined_scenes():
    joined = JoinedScenes("all", "train", [Scenes("x", ["a1", "a2"]), Scenes("empty", []), Scenes("y", ["a1"])])
    assert [joined.scene_id(i) for i in range(3)] == ["x/a1", "x/a2", "y/a1"]
    assert [joined.place(i) for i in range(3)] == ["x/a", "x/a", "y/a"]
    assert joined.scene(2).id == "y/a1"
    assert len(JoinedScenes("none", "train", [])) == 0


def test_masks_to_objects():
    thing = object_from_mask("ship", block(), colour="red")
    assert (thing.box, thing.area, thing.attributes) == ((5, 6, 15, 20), 140, {"colour": "red"})
    assert object_from_mask("ship", np.zeros((3, 3), dtype=np.bool_)) is None
    assert tight_box(np.zeros((3, 3), dtype=np.bool_)) is None
    np.testing.assert_array_equal(instance_from_mask(1, block()).mask, block())


def test_a_coco_folder_becomes_questions(tmp_path):
    data = CocoDataset(coco(tmp_path), "train", questions_per_image=6)
    asked = [sample.instruction for sample in data]
    assert asked == [sample.instruction for sample in CocoDataset(tmp_path, "train", questions_per_image=6)]
    assert {sample.type for sample in data} <= set(KINDS)
    tanks = CocoDataset(tmp_path, "train", kinds={"reference": 1.0}, questions_per_image=8)
    truth = {t.class_name: t for sample in tanks for t in sample.targets}
    np.testing.assert_array_equal(truth["storage tank"].mask, block())
    assert truth["storage tank"].scorable
    assert not truth["car"].scorable
    assert next(data.scenes()).objects[0].class_name == "storage tank"


def test_wordings_follow_the_split_unless_told(tmp_path):
    coco(tmp_path)

    def asked(split, **wordings):
        data = CocoDataset(tmp_path, split, kinds={"implicit": 1.0}, questions_per_image=12, **wordings)
        return {sample.instruction for sample in data}

    assert asked("val") == asked("val", wordings="test")
    assert asked("train") == asked("train", wordings="train")
    assert not asked("val", wordings="train") & asked("val")


def test_merged_things_have_no_instances(tmp_path):
    picture(tmp_path / "images" / "a.png", 60, 60)
    (tmp_path / "masks").mkdir()
    values = np.zeros((60, 60), dtype=np.uint8)
    values[5:25, 5:25] = values[5:25, 35:55] = 1
    values[40:, :] = 2
    Image.fromarray(values).save(tmp_path / "masks" / "a.png")
    classes = [{"id": 0, "name": "background"}, {"id": 1, "name": "building"}, {"id": 2, "name": "water"}]
    write_json(tmp_path / "classes.json", {"classes": classes, "ignore_id": None, "split": {"a": "train"}})
    data = IndexMaskDataset(tmp_path, "train", questions_per_image=30)
    assert all(o.attributes == {"merged": True} for o in data.source.scene(0).of_class("building"))
    targets = [target for sample in data for target in sample.targets if target.class_name == "building"]
    assert targets
    assert all(target.instances is None for target in targets)
    singled_out = {"instance", "size", "relation", "attribute", "count"}
    assert not any(t.class_name == "building" for s in data if s.type in singled_out for t in s.targets)


def test_nothing_is_dropped_where_labels_know_single_objects(tmp_path):
    scene = CocoDataset(coco(tmp_path), "train").source.scene(0)
    for seed in range(3):
        asked = ask_about(scene, 6, np.random.default_rng(seed))
        made = make_samples(scene, 6, np.random.default_rng(seed))
        assert [sample.instruction for sample in asked] == [sample.instruction for sample in made]


def test_pieces_that_are_objects_are_asked_for_singly(tmp_path):
    picture(tmp_path / "images" / "a.png", 60, 60)
    (tmp_path / "masks").mkdir()
    values = np.zeros((60, 60), dtype=np.uint8)
    values[5:25, 5:25] = values[35:40, 35:55] = 1
    Image.fromarray(values).save(tmp_path / "masks" / "a.png")
    classes = [{"id": 0, "name": "background"}, {"id": 1, "name": "swimming pool"}]
    write_json(tmp_path / "classes.json", {"classes": classes, "ignore_id": None})
    scenes = IndexMaskScenes(tmp_path, pieces_are_objects=True)
    assert scenes.scene(0).complete == {"swimming pool"}
    data = QuestionedScenes(scenes, question_maker("train", kinds={"instance": 1.0, "count": 1.0}), 8, 0)
    assert {sample.type for sample in data} == {"instance", "count"}
    assert all(target.instances for sample in data for target in sample.targets)
