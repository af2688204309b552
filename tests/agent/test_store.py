"""The workspace: opaque ids, atomic writes, many writers, a bound, and a crash."""

import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest
from world import UTM, make_scene, write_scene

from geoagent.agent.masks import StoredMask
from geoagent.agent.store import SceneStore
from geoagent.types import GeoAgentError, ImageInfo, Instance, Target


def a_mask(side=60, seed=0):
    rng = np.random.default_rng(seed)
    mask = np.zeros((side, side), dtype=np.bool_)
    mask[5:20, 5:17] = rng.random((15, 12)) > 0.3
    mask[30:41, 33:50] = True
    instances = (
        Instance(id=1, box=(5, 5, 17, 20), crop=mask[5:20, 5:17], score=0.75, image_size=(side, side)),
        Instance(id=2, box=(33, 30, 50, 41), crop=mask[30:41, 33:50], score=0.5, image_size=(side, side)),
    )
    info = ImageInfo(
        width=side, height=side, crs=UTM, transform=(0.5, 0, 4e5, 0, -0.5, 5e6), gsd_m=0.5, bands=(3, 2, 1),
        stretch=((0.0, 10.0),) * 3, nodata=0.0,
    )  # fmt: skip
    return StoredMask(
        image_id="img_x",
        target=Target(phrase="Tänke <b>", score=0.625, mask=mask, instances=instances),
        info=info,
        window=(10, 20, 10 + side, 20 + side),
        question="where?",
        model="test",
    )


def test_a_mask_comes_back_as_it_went_in(tmp_path):
    store, mask = SceneStore(tmp_path), a_mask()
    back = SceneStore(tmp_path).mask(store.add_mask(mask))
    assert (back.info, back.window, back.question, back.image_id) == (mask.info, mask.window, "where?", "img_x")
    assert (back.target.phrase, back.target.score) == ("Tänke <b>", 0.625)
    np.testing.assert_array_equal(back.target.mask, mask.target.mask)
    for one, other in zip(back.target.instances, mask.target.instances, strict=True):
        assert (one.id, one.box, one.score, one.image_size) == (other.id, other.box, other.score, other.image_size)
        np.testing.assert_array_equal(one.crop, other.crop)


def test_a_mask_without_objects(tmp_path):
    mask = a_mask()
    bare = mask.with_target(mask.target.mask, (), phrase="water")
    store = SceneStore(tmp_path)
    back = store.mask(store.add_mask(bare))
    assert back.target.instances == ()
    assert len(back.pieces) == 1


def test_objects_have_ids(tmp_path):
    store = SceneStore(tmp_path)
    name = store.add_mask(a_mask())
    assert store.mask(f"{name}#2").target.pixel_count == 17 * 11
    for wrong in ("#3", "#0", "#x", "#", "#-1"):
        with pytest.raises(GeoAgentError, match="has 2 objects"):
            store.mask(name + wrong)


def test_ids_say_nothing_and_stay(tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    write_scene(make_scene("secret-name"), root / "secret-name.tif")
    store = SceneStore(tmp_path / "work", [root])
    ((image_id, name),) = store.images()
    assert "secret" not in image_id
    assert name == "secret-name.tif"
    store.look_again()
    assert SceneStore(tmp_path / "work", [root]).images() == [(image_id, name)]
    (root / "secret-name.tif").unlink()
    with pytest.raises(GeoAgentError, match="no longer there"):
        store.image_path(image_id)
    store.look_again()
    assert store.images() == []


def test_it_stays_within_its_bound(tmp_path):
    store = SceneStore(tmp_path, max_bytes=20_000)
    first = store.add_mask(a_mask(seed=1))
    names = [store.add_mask(a_mask(seed=n)) for n in range(2, 40)]
    kept = store.mask_ids()
    assert 1 < len(kept) < 39
    assert kept[0] == names[-1]
    on_disk = sum(file.stat().st_size for file in (tmp_path / "items").rglob("*.npz"))
    assert on_disk <= 20_000
    with pytest.raises(GeoAgentError, match="segment an image first"):
        store.mask(first)


def test_what_is_used_stays_longest(tmp_path):
    store = SceneStore(tmp_path, max_bytes=20_000)
    first = store.add_mask(a_mask(seed=1))
    for n in range(2, 40):
        store.mask(first)
        store.add_mask(a_mask(seed=n))
    assert store.mask(first).target.phrase == "Tänke <b>"


def test_a_mask_larger_than_the_workspace_is_refused(tmp_path):
    with pytest.raises(GeoAgentError, match="too small"):
        SceneStore(tmp_path, max_bytes=100).add_mask(a_mask())
    assert SceneStore(tmp_path).mask_ids() == []


def test_many_threads(tmp_path):
    store, names = SceneStore(tmp_path), []

    def work(seed):
        for n in range(5):
            name = store.add_mask(a_mask(seed=seed * 10 + n))
            store.mask(name)
            names.append(name)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(names)) == 30
    assert set(store.mask_ids()) == set(names)


def _write_masks(folder, count):
    store = SceneStore(folder)
    for n in range(count):
        store.add_mask(a_mask(seed=n))


@pytest.mark.slow
def test_many_processes(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_masks, args=(tmp_path, 8)) for _ in range(2)]
    for worker in workers:
        worker.start()
    _write_masks(tmp_path, 8)
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    store = SceneStore(tmp_path)
    assert len(store.mask_ids()) == 24
    for name in store.mask_ids():
        assert store.mask(name).target.pixel_count > 0


def _write_until_killed(folder, ready):
    store = SceneStore(folder)
    n = 0
    while True:
        store.add_mask(a_mask(seed=n))
        n += 1
        if n == 3:
            ready.set()


@pytest.mark.slow
def test_it_survives_a_crash(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    writer = context.Process(target=_write_until_killed, args=(tmp_path, ready))
    writer.start()
    assert ready.wait(60)
    writer.kill()
    writer.join()
    store = SceneStore(tmp_path)
    names = store.mask_ids()
    assert len(names) >= 3
    for name in names:
        assert store.mask(name).target.pixel_count > 0
    store.add_mask(a_mask())


def _die_while_writing(folder, kind):
    """End as the power does: half of a file is written, and nothing more runs."""
    store = SceneStore(folder)
    if kind == "file":
        with store.new_file("picture.png") as (_, path):
            path.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    if kind == "mask":
        np.savez_compressed = lambda file, **_: (file.write(b"half"), os.kill(os.getpid(), signal.SIGKILL))
        store.add_mask(a_mask(seed=7))
    if kind == "index":
        store._enter = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        store.add_mask(a_mask(seed=8))


@pytest.mark.slow
def test_killed_in_the_middle_of_a_write(tmp_path):
    """Of a file, of a mask, and between a mask and its place in the index."""
    name = SceneStore(tmp_path).add_mask(a_mask())
    for kind in ("file", "mask", "index"):
        child = multiprocessing.get_context("fork").Process(target=_die_while_writing, args=(tmp_path, kind))
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
        store = SceneStore(tmp_path)
        assert (store.mask_ids(), store.files()) == ([name], [])
        assert store.mask(name).target.pixel_count > 0
    left = [path for path in (tmp_path / "items").iterdir() if path.name != name]
    assert len(left) == 3
    for path in left:
        os.utime(path, (time.time() - 3600,) * 2)
    SceneStore(tmp_path)
    assert [path.name for path in (tmp_path / "items").iterdir()] == [name]


def test_what_a_crash_left_is_swept(tmp_path):
    store = SceneStore(tmp_path)
    name, lost = store.add_mask(a_mask()), store.add_mask(a_mask())
    (tmp_path / "items" / lost / "mask.npz").unlink()
    (tmp_path / "items" / lost).rmdir()
    for stray, age in ((".mask_draft", 3600), ("mask_orphan", 3600), (".mask_fresh", 0)):
        (tmp_path / "items" / stray).mkdir()
        (tmp_path / "items" / stray / "mask.npz").write_bytes(b"half")
        os.utime(tmp_path / "items" / stray, (time.time() - age,) * 2)
    again = SceneStore(tmp_path)
    assert again.mask_ids() == [name]
    assert sorted(path.name for path in (tmp_path / "items").iterdir()) == sorted([".mask_fresh", name])


def test_a_file_that_fails_leaves_nothing(tmp_path):
    store = SceneStore(tmp_path)
    with pytest.raises(OSError, match="full"), store.new_file("a.png") as (_, path):
        path.write_bytes(b"half")
        raise OSError("disk full")
    assert store.files() == []
    assert list((tmp_path / "items").iterdir()) == []
