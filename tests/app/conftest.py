"""A page on a free port with a model that knows the truth, and a browser to use it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from painted import painted_demo, painted_scene, write_scene

from tools.oracle import Oracle


@pytest.fixture(scope="session")
def harbour_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(painted_scene(), tmp_path_factory.mktemp("scenes") / "harbour.tif")


@pytest.fixture(scope="session")
def oracle(harbour_file: Path) -> Oracle:
    return Oracle({harbour_file: painted_scene()})


@pytest.fixture(scope="session")
def served(oracle: Oracle, harbour_file: Path) -> Iterator[object]:
    pytest.importorskip("gradio")
    from geoagent.app.serve import serve

    page = serve(oracle, demos=(painted_demo(harbour_file),))
    yield page
    page.close()
    assert not page.uploads.exists(), "uploads were left behind"


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    pytest.importorskip("playwright")
    from tools.screenshots import find_chromium, headless_browser

    if find_chromium() is None:
        pytest.skip("no browser here: install Debian's chromium to test the chat page")
    with headless_browser() as started:
        yield started
