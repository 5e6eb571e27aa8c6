"""Optional packages: one that is missing is named together with the extra that brings it."""

import json.decoder
import sys
from pathlib import Path

import pytest

from scratchnn.extras import MissingExtraError, need, need_all

ROOT = Path(__file__).parents[1]


def test_need_returns_the_module():
    assert need("json.decoder", "data") is json.decoder


@pytest.mark.parametrize("module", ["nosuchpackage", "nosuchpackage.part"])
def test_need_names_package_and_extra(module):
    message = (
        r"this needs nosuchpackage, .* not installed: in a checkout, pip install -e '\.\[plots\]'$"
    )
    with pytest.raises(MissingExtraError, match=message) as caught:
        need(module, "plots")
    assert isinstance(caught.value, ImportError)


def test_need_all_names_all_that_is_missing_at_once():
    wanted = {"nosuch": "plots", "json": "cli", "other.part": "torch", "third": "plots"}
    message = r"needs nosuch and other and third, which are not .* -e '\.\[plots,torch\]'$"
    with pytest.raises(MissingExtraError, match=message):
        need_all(wanted)
    assert need_all({"json.decoder": "cli", "json": "cli"}) == [json.decoder, json]


def test_nothing_tells_to_install_a_project_that_no_index_has():
    """Anyone could register it."""
    for package in ("scratchnn", "parity", "benchmarks"):
        for path in (ROOT / package).rglob("*.py"):
            assert "scratchnn[" not in path.read_text("utf-8"), path


def test_need_notices_a_package_that_went_away(monkeypatch):
    monkeypatch.setitem(sys.modules, "json", None)
    with pytest.raises(MissingExtraError, match="json"):
        need("json", "data")


@pytest.mark.parametrize("error", [ImportError, RuntimeError])
def test_need_does_not_hide_a_broken_package(monkeypatch, tmp_path, error):
    (tmp_path / "broken_package.py").write_text(f"raise {error.__name__}('built for another')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(error, match="built for another") as caught:
        need("broken_package", "data")
    assert not isinstance(caught.value, MissingExtraError)


def test_need_says_what_a_package_lacks_itself(monkeypatch, tmp_path):
    (tmp_path / "half_a_package.py").write_text("import nosuchpackage.part")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nosuchpackage") as caught:
        need("half_a_package", "data")
    assert not isinstance(caught.value, MissingExtraError)
