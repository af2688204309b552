"""What is installed: a wheel with geoagent only, a light import, locked versions that pyproject.toml allows."""

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import geoagent
from geoagent.model.catalogue import NANO_FOLDER

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def run_python(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True, cwd=ROOT).stdout


def locked() -> dict[str, list[Requirement]]:
    """The lines of constraints.txt by package; some have one line for each range of Python versions."""
    lines: dict[str, list[Requirement]] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            lines.setdefault(_plain(requirement.name), []).append(requirement)
    return lines


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def direct_requirements() -> list[Requirement]:
    strings = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    return [requirement for requirement in map(Requirement, strings) if requirement.name != "geoagent"]


@pytest.mark.parametrize("requirement", direct_requirements(), ids=str)
def test_the_locked_version_is_one_that_is_asked_for(requirement: Requirement) -> None:
    pins = locked().get(_plain(requirement.name))
    assert pins, f"{requirement.name} is not in constraints.txt: make lock"
    for pin in pins:
        (specifier,) = pin.specifier
        assert specifier.operator == "=="
        assert specifier.version in requirement.specifier


def test_constraints_are_versions_and_nothing_else() -> None:
    """Neither addresses nor hashes, and no extras, which pip refuses in a file of constraints."""
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text and "--" not in text
    assert not [pin for pins in locked().values() for pin in pins if pin.extras or pin.url]


def test_all_means_every_extra_that_a_user_can_have() -> None:
    (everything,) = map(Requirement, EXTRAS["all"])
    assert everything.extras == set(EXTRAS) - {"all", "dev"}


def test_importing_geoagent_is_light() -> None:
    """Neither torch nor anything else that takes long to import."""
    heavy = "{'torch', 'transformers', 'rasterio', 'geopandas', 'scipy', 'skimage', 'cv2', 'gradio'}"
    code = f"import sys, geoagent; print(sorted({heavy} & set(sys.modules)))"
    assert run_python("-c", code).strip() == "[]"


def test_the_version_has_one_source() -> None:
    assert version("geoagent") == geoagent.__version__
    assert geoagent.__version__ in run_python("-m", "geoagent", "--version")


@pytest.mark.slow
def test_the_wheel_holds_geoagent_and_nothing_else(tmp_path: Path) -> None:
    run_python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT))
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith("METADATA"))
        assert "License-Expression: Apache-2.0" in archive.read(metadata).decode()
    assert {name.split("/")[0] for name in names} == {"geoagent", f"geoagent-{geoagent.__version__}.dist-info"}
    shipped = {name for name in names if name.startswith("geoagent/")}
    tracked = subprocess.run(["git", "ls-files", "geoagent"], check=True, capture_output=True, text=True, cwd=ROOT)
    assert set(tracked.stdout.splitlines()) <= shipped
    assert "geoagent/py.typed" in shipped
    assert not [name for name in shipped if "__pycache__" in name or name.endswith((".pyc", ".pt", ".bin"))]


def test_the_embedded_weights_stay_small() -> None:
    """Forty megabytes: they travel in every wheel, and in the history."""
    (weights,) = NANO_FOLDER.glob("*.safetensors")
    assert weights.stat().st_size <= 40_000_000
