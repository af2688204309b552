"""In CI, a test of a named component that skips is a failure; elsewhere it may skip."""

from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("GEOAGENT_CI", raising=False)
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\nmarkers =\n  component: a named part\n")
    return pytester


COMPONENT = """
import pytest

@pytest.mark.component
def test_browser():
    pytest.skip("no browser")

@pytest.mark.component
@pytest.mark.skipif(True, reason="no DeepSpeed")
def test_deepspeed():
    pass

def test_imagery():
    pytest.skip("GEOAGENT_IMAGERY is not set")
"""


def test_components_may_skip_on_a_developers_machine(suite: pytest.Pytester) -> None:
    suite.makepyfile(COMPONENT)
    suite.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(skipped=3)


def test_components_must_run_in_ci(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOAGENT_CI", "1")
    suite.makepyfile(COMPONENT)
    result = suite.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1, errors=1, skipped=1)  # a skip mark acts in set-up, hence an error
    result.stdout.fnmatch_lines(["*must run in CI*no browser*"])
    result.stdout.fnmatch_lines(["*must run in CI*no DeepSpeed*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    ("module", "errors"),
    [
        ("import pytest\npytest.importorskip('no_such_package')", 1),
        ("import pytest\npytest.skip('GEOAGENT_IMAGERY is not set', allow_module_level=True)", 0),
    ],
)
def test_a_module_skips_in_ci_only_for_imagery(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, module: str, errors: int
) -> None:
    monkeypatch.setenv("GEOAGENT_CI", "1")
    suite.makepyfile(module)
    result = suite.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=errors, skipped=1 - errors)
