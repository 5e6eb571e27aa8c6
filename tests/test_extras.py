"""Optional packages: one that is missing is named together with the extra that brings it."""

import json.decoder
import sys

import pytest

from scratchnn.extras import MissingExtraError, need


def test_need_returns_the_module():
    assert need("json.decoder", "data") is json.decoder


@pytest.mark.parametrize("module", ["nosuchpackage", "nosuchpackage.part"])
def test_need_names_package_and_extra(module):
    message = r"this needs nosuchpackage, .* not installed: pip install 'scratchnn\[plots\]'"
    with pytest.raises(MissingExtraError, match=message) as caught:
        need(module, "plots")
    assert isinstance(caught.value, ImportError)


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
