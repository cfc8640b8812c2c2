import dataclasses
from pathlib import Path

import pytest

from core import settings as module
from core.errors import InputError
from core.settings import PREFIX, Settings, settings


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    for field in dataclasses.fields(Settings):
        monkeypatch.delenv(PREFIX + field.name.upper(), raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_without_variables_the_defaults_hold():
    assert settings() == Settings()
    assert settings() is settings()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("workspace", "/srv/areas", Path("/srv/areas")),
        ("workspace", "~/areas", Path.home() / "areas"),
        ("data", " /srv/data ", Path("/srv/data")),
        ("threads", "3", 3),
        ("upload_mb", "50", 50),
        ("outside", "0", False),
        ("outside", "No", False),
        ("outside", "off", False),
        ("outside", "1", True),
        ("threads", "", Settings().threads),
    ],
)
def test_a_variable_sets_its_field(monkeypatch, name, text, expected):
    monkeypatch.setenv(PREFIX + name.upper(), text)
    assert getattr(settings(), name) == expected


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "9" * 5000, "1e3"])
def test_a_number_that_is_none_is_refused_by_name(monkeypatch, text):
    monkeypatch.setenv(PREFIX + "THREADS", text)
    with pytest.raises(InputError, match="URBAN_PATTERN_THREADS must be a whole number above 0"):
        settings()


def test_every_field_can_be_set(monkeypatch):
    for field in dataclasses.fields(Settings):
        monkeypatch.setenv(PREFIX + field.name.upper(), "7")
    found = settings()
    assert {getattr(found, f.name) for f in dataclasses.fields(Settings)} == {7, Path("7"), True}
    assert module.settings() is found
