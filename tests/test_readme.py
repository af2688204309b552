"""What the README and the documents say can be done, can be done."""

import argparse
import importlib.util
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from geoagent import cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language):
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands(language):
    return [shlex.split(line, comments=True) for block in blocks(language) for line in block.splitlines() if line]


@pytest.fixture
def beside_the_project(tmp_path, monkeypatch):
    """A folder in which the paths of the README exist, and in which nano is loaded once."""
    from geoagent import predictor

    (tmp_path / "geoagent").symlink_to(ROOT / "geoagent")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predictor, "load", cache(predictor.load))
    return tmp_path


@pytest.mark.slow
def test_commands_run(beside_the_project, capsys):
    lines = commands("bash")
    assert len(lines) >= 6
    for program, *words in lines:
        assert program == "geoagent"
        code = cli.main(words)
        captured = capsys.readouterr()
        assert code == 0, captured.err
        assert captured.out.strip()
    for name in ("tank.geojson", "tank.png", "tank.ids.tif"):
        assert (beside_the_project / name).stat().st_size > 0


@pytest.mark.slow
def test_python_runs(beside_the_project):
    (code,) = blocks("python")
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["prediction"].masks.shape[1:] == (640, 640)
    assert (beside_the_project / "answer.geojson").stat().st_size > 0


def test_make_targets_and_modules_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for program, *words in commands("sh"):
        if program == "make":
            assert re.search(rf"^{words[0]}:", makefile, re.MULTILINE), words
        elif program == "geoagent":  # needs a folder, a chat model or a browser: its options at least exist
            parser = argparse.ArgumentParser()
            importlib.import_module(f"geoagent.cli.{words[0]}").add_arguments(parser)
            known = parser.format_help()
            assert all(word in known for word in words if word.startswith("--")), words
        else:
            assert program == "python" and words[0] == "-m"
            assert importlib.util.find_spec(words[1]), words
            for word in words:
                assert not word.endswith(".yaml") or (ROOT / word).is_file(), word


def test_first_screen_shows_the_two_commands():
    first = "\n".join(README.splitlines()[:40])
    assert "make chat" in first and "make test" in first


def test_chat_greets_as_the_readme_says(capsys, monkeypatch):
    from geoagent.cli import terminal

    assert terminal.HELP in README
    first = terminal.choose_images([])[0]
    assert f"a port with tanks, ships and containers (geoagent/assets/{first.path.name})" in README
    assert first.what in README and first.questions[0] in README


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_files_exist(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        assert "://" in target or (path.parent / target).exists(), target
    for name in re.findall(r"`((?:geoagent|train|eval|tools|docs|examples)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name


def test_names_in_the_table_of_figures_exist():
    """``file.py`` (``Name``) in the table: the file defines the name."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"`(geoagent/[\w/]+\.py)` \((`[^)]+`)\)", text)
    assert len(rows) >= 10
    for file, names in rows:
        source = (ROOT / file).read_text(encoding="utf-8")
        for name in re.findall(r"`([^`]+)`", names):
            assert re.search(rf"\b{name.split('.')[-1]}\b", source), (file, name)
