import os
import pickle
import subprocess

import numpy as np
import pytest

from geoagent.data.safe_pickle import load_plain_pickle
from geoagent.types import GeoAgentError

PLAIN = [{"ref_id": 1, "split": "train", "sentences": [{"raw": "the ship 船", "tokens": ("a", 1.5, None, True)}]}]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_content_is_read(tmp_path, protocol):
    path = tmp_path / "refs.p"
    path.write_bytes(pickle.dumps(PLAIN, protocol=protocol))
    assert load_plain_pickle(path) == PLAIN


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_numpy_numbers_become_plain_ones(tmp_path, protocol):
    path = tmp_path / "refs.p"
    path.write_bytes(pickle.dumps([np.int64(-7), np.float32(0.5), np.bool_(True), np.uint8(200)], protocol=protocol))
    assert load_plain_pickle(path) == [-7, 0.5, True, 200]
    assert type(load_plain_pickle(path)[0]) is int


def test_text_of_python_2_is_read(tmp_path):
    path = tmp_path / "old.p"
    path.write_bytes(b"(lp0\nS'caf\\xc3\\xa9'\np1\na.")
    assert load_plain_pickle(path) == ["café"]


class Shell:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


class Process:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return subprocess.check_call, (["touch", str(self.target)],)


class Evaluated:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return eval, (f"open({str(self.target)!r}, 'w')",)


@pytest.mark.parametrize("attack", [Shell, Process, Evaluated])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_pickle_is_refused_and_runs_nothing(tmp_path, attack, protocol):
    trace = tmp_path / "trace"
    path = tmp_path / "refs(unc).p"
    path.write_bytes(pickle.dumps([{"ref_id": 1, "split": attack(trace)}], protocol=protocol))
    with pytest.raises(GeoAgentError, match=r"refs\(unc\)\.p was refused"):
        load_plain_pickle(path)
    assert not trace.exists()


def test_object_arrays_are_refused(tmp_path):
    path = tmp_path / "refs.p"
    path.write_bytes(pickle.dumps(np.array([{}], dtype=object), protocol=2))
    with pytest.raises(GeoAgentError, match="refused"):
        load_plain_pickle(path)
    path.write_bytes(b"cnumpy\ndtype\n(S'O8'\nI00\nI01\ntR.")
    with pytest.raises(GeoAgentError, match="not a number"):
        load_plain_pickle(path)


@pytest.mark.parametrize("data", [b"", b"\x80\x02}q\x00(X\x05", b"hello", b"(lp0\nI1\na"])
def test_a_damaged_pickle_is_named(tmp_path, data):
    path = tmp_path / "refs.p"
    path.write_bytes(data)
    with pytest.raises(GeoAgentError, match=r"refs\.p"):
        load_plain_pickle(path)
